//! Ranges of versions: as Cargo writes them, and as intervals.
//!
//! A text that begins with a bracket is an interval, as Maven and NuGet have
//! them; every other text is a range of Cargo's.
//!
//! ```text
//! [1.0,2.0)      1.0.0 <= version < 2.0.0
//! (1.0,)         1.0.0 <  version
//! (,2.0]         version <= 2.0.0
//! [1.0]          exactly 1.0.0
//! (,1.0],[1.2,)  either of them
//! 1.0            Cargo's: ^1.0, which is >=1.0.0, <2.0.0
//! ```
//!
//! A bound may leave out its last numbers: they are 0. A pre-release is only in
//! a range that names one of the same MAJOR.MINOR.PATCH, in both notations.

use std::{cmp::Ordering, fmt, str::FromStr};

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

/// A range of versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum VersionRange {
    Cargo(VersionReq),
    /// At least one.
    Intervals(Vec<Interval>),
}

/// Versions between two bounds; one that is missing is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    low: Option<Bound>,
    high: Option<Bound>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    version: Version,
    inclusive: bool,
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    #[error("{0}")]
    Cargo(String),
    #[error("an interval begins with [ or ( and ends with ] or )")]
    Brackets,
    #[error("an interval has one comma, or a single version in square brackets")]
    Comma,
    #[error("{0:?} is no version")]
    Version(String),
    #[error("the interval {0} holds no version")]
    Empty(String),
}

impl VersionRange {
    /// Whether a version is in it.
    pub fn contains(&self, version: &Version) -> bool {
        match self {
            Self::Cargo(range) => range.matches(version),
            Self::Intervals(all) => {
                let named = version.pre.is_empty() || self.names_pre_release_of(version);
                named && all.iter().any(|interval| interval.spans(version))
            }
        }
    }

    /// Whether a bound is a pre-release of this version's MAJOR.MINOR.PATCH.
    pub fn names_pre_release_of(&self, version: &Version) -> bool {
        let numbers = (version.major, version.minor, version.patch);
        self.named_pre_releases().contains(&numbers)
    }

    /// Whether a bound is a pre-release.
    pub fn names_pre_releases(&self) -> bool {
        !self.named_pre_releases().is_empty()
    }

    fn named_pre_releases(&self) -> Vec<(u64, u64, u64)> {
        match self {
            Self::Cargo(range) => {
                let named = range.comparators.iter().filter(|it| !it.pre.is_empty());
                named
                    .filter_map(|it| Some((it.major, it.minor?, it.patch?)))
                    .collect()
            }
            Self::Intervals(all) => {
                let bounds = all.iter().flat_map(|interval| [&interval.low, &interval.high]);
                let versions = bounds.flatten().map(|bound| &bound.version);
                let named = versions.filter(|it| !it.pre.is_empty());
                named.map(|it| (it.major, it.minor, it.patch)).collect()
            }
        }
    }
}

impl Interval {
    fn spans(&self, version: &Version) -> bool {
        let inside = |bound: &Option<Bound>, wanted: Ordering| {
            bound.as_ref().is_none_or(|bound| {
                let order = version.cmp_precedence(&bound.version);
                order == wanted || bound.inclusive && order == Ordering::Equal
            })
        };
        inside(&self.low, Ordering::Greater) && inside(&self.high, Ordering::Less)
    }

    /// One interval, and what comes after it.
    fn read(text: &str) -> Result<(Self, &str), BadRange> {
        let low_inclusive = match text.chars().next() {
            Some('[') => true,
            Some('(') => false,
            _ => return Err(BadRange::Brackets),
        };
        let end = text.find([']', ')']).ok_or(BadRange::Brackets)?;
        let high_inclusive = text[end..].starts_with(']');
        let (inside, rest) = (&text[1..end], &text[end + 1..]);
        let bound = |text: &str, inclusive: bool| match text.trim() {
            "" => Ok(None),
            text => version(text).map(|version| Some(Bound { version, inclusive })),
        };
        let interval = match inside.split(',').collect::<Vec<_>>()[..] {
            [low, high] => Self {
                low: bound(low, low_inclusive)?,
                high: bound(high, high_inclusive)?,
            },
            [exact] if low_inclusive && high_inclusive && !exact.trim().is_empty() => Self {
                low: bound(exact, true)?,
                high: bound(exact, true)?,
            },
            _ => return Err(BadRange::Comma),
        };
        if let (Some(low), Some(high)) = (&interval.low, &interval.high) {
            let order = low.version.cmp_precedence(&high.version);
            let point = order == Ordering::Equal && low.inclusive && high.inclusive;
            if order != Ordering::Less && !point {
                return Err(BadRange::Empty(interval.to_string()));
            }
        }
        Ok((interval, rest))
    }
}

/// A version of which the last numbers may be missing.
fn version(text: &str) -> Result<Version, BadRange> {
    let bad = || BadRange::Version(text.to_owned());
    let plain = text.strip_prefix('v').unwrap_or(text);
    let (numbers, rest) = plain.split_at(plain.find(['-', '+']).unwrap_or(plain.len()));
    let missing = match numbers.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => "",
    };
    format!("{numbers}{missing}{rest}").parse().map_err(|_| bad())
}

impl FromStr for VersionRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let mut rest = text.trim();
        if !rest.starts_with(['[', '(']) {
            return rest
                .parse()
                .map(Self::Cargo)
                .map_err(|why: semver::Error| BadRange::Cargo(why.to_string()));
        }
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (interval, after) = Interval::read(rest)?;
            all.push(interval);
            let after = after.trim_start();
            rest = match after.strip_prefix(',').map(str::trim_start) {
                Some("") => return Err(BadRange::Brackets),
                Some(next) => next,
                None if after.is_empty() => after,
                None => return Err(BadRange::Brackets),
            };
        }
        Ok(Self::Intervals(all))
    }
}

impl TryFrom<String> for VersionRange {
    type Error = BadRange;

    fn try_from(text: String) -> Result<Self, BadRange> {
        text.parse()
    }
}

impl From<VersionRange> for String {
    fn from(range: VersionRange) -> String {
        range.to_string()
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cargo(range) => range.fmt(f),
            Self::Intervals(all) => {
                for (index, interval) in all.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{interval}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = |bound: &Option<Bound>| bound.as_ref().is_some_and(|bound| bound.inclusive);
        let text = |bound: &Option<Bound>| {
            let version = bound.as_ref().map(|bound| bound.version.to_string());
            version.unwrap_or_default()
        };
        let open = if closed(&self.low) { '[' } else { '(' };
        let close = if closed(&self.high) { ']' } else { ')' };
        if self.low == self.high && self.low.is_some() {
            return write!(f, "[{}]", text(&self.low));
        }
        write!(f, "{open}{},{}{close}", text(&self.low), text(&self.high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(range: &str, versions: &[(&str, bool)]) {
        let range: VersionRange = range.parse().unwrap();
        for (version, wanted) in versions {
            assert_eq!(
                range.contains(&version.parse().unwrap()),
                *wanted,
                "{version} in {range}"
            );
        }
    }

    #[test]
    fn intervals_mean_what_maven_and_nuget_mean_by_them() {
        holds(
            "[1.0,2.0)",
            &[
                ("0.9.9", false),
                ("1.0.0", true),
                ("1.9.9", true),
                ("2.0.0", false),
            ],
        );
        holds(
            "(1.0,2]",
            &[
                ("1.0.0", false),
                ("1.0.1", true),
                ("2.0.0", true),
                ("2.0.1", false),
            ],
        );
        holds("(,2.0]", &[("0.0.1", true), ("2.0.0", true), ("2.0.1", false)]);
        holds("[1.2,)", &[("1.1.9", false), ("1.2.0", true), ("77.0.0", true)]);
        holds("[1.2.3]", &[("1.2.2", false), ("1.2.3", true), ("1.2.4", false)]);
        holds(
            "(,1.0], [1.2,)",
            &[("1.0.0", true), ("1.1.0", false), ("1.2.0", true)],
        );
    }

    #[test]
    fn a_text_without_brackets_is_cargos() {
        holds(
            "1.0",
            &[
                ("0.9.0", false),
                ("1.0.0", true),
                ("1.9.0", true),
                ("2.0.0", false),
            ],
        );
        holds(
            ">=1.2.0, <1.4",
            &[("1.1.0", false), ("1.3.9", true), ("1.4.0", false)],
        );
    }

    #[test]
    fn a_pre_release_is_only_in_a_range_that_names_one_of_its_version() {
        for (plain, named) in [("[1.0,2.0)", "[1.0.0-rc.2,2.0)"), (">=1.0.0", ">=1.0.0-rc.2")] {
            holds(plain, &[("1.0.0-rc.3", false), ("1.5.0-rc.1", false)]);
            holds(
                named,
                &[("1.0.0-rc.1", false), ("1.0.0-rc.3", true), ("1.5.0-rc.1", false)],
            );
        }
        holds("[1.0,2.0)", &[("2.0.0-rc.1", false)]);
    }

    #[test]
    fn a_range_survives_storage_and_a_bad_one_is_told_apart() {
        for text in [
            "[1.0.0,2.0.0)",
            "(,2.0.0]",
            "[1.2.3]",
            "(,1.0.0],[1.2.0,)",
            ">=1.0.0",
        ] {
            let range: VersionRange = text.parse().unwrap();
            assert_eq!(range.to_string(), text);
            let stored = serde_json::to_string(&range).unwrap();
            assert_eq!(serde_json::from_str::<VersionRange>(&stored).unwrap(), range);
        }
        let why = |text: &str| text.parse::<VersionRange>().unwrap_err();
        assert_eq!(why("[1.0,2.0"), BadRange::Brackets);
        assert_eq!(why("[1.0,2.0) 3"), BadRange::Brackets);
        assert_eq!(why("[1.0,2.0),"), BadRange::Brackets);
        assert_eq!(why("[1,2,3]"), BadRange::Comma);
        assert_eq!(why("(1.0)"), BadRange::Comma);
        assert_eq!(why("[]"), BadRange::Comma);
        assert_eq!(why("[one,2.0)"), BadRange::Version("one".to_owned()));
        assert_eq!(why("[2.0,1.0]"), BadRange::Empty("[2.0.0,1.0.0]".to_owned()));
        assert_eq!(why("[1.0,1.0)"), BadRange::Empty("[1.0.0,1.0.0)".to_owned()));
        assert!(matches!(why("about 3"), BadRange::Cargo(_)));
    }
}

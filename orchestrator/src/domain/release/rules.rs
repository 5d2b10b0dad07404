//! What a channel demands of the tag of an image. Start with [`Rules::broken`]:
//! everything that a tag breaks, each by the rule's name in the project file.

use std::{fmt, str::FromStr};

use regex::{Regex, RegexBuilder};
use semver::Version;
use serde::{Deserialize, Serialize};

use super::range::VersionRange;
use crate::domain::name::Tag;

/// The rules for one image; a tag has to satisfy all that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub struct Rules {
    /// The tag is a version in this range.
    pub range: Option<VersionRange>,
    /// Found in the part after the hyphen of a version, which is empty where there
    /// is none. With it the range judges MAJOR.MINOR.PATCH alone.
    pub pre_release: Option<Pattern>,
    /// Found in the whole tag.
    pub tag: Option<Pattern>,
}

/// One of the rules, by its key in the project file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Range,
    PreRelease,
    Tag,
}

/// A rule that a tag breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub rule: Rule,
    /// For a person, about "it": the tag.
    pub why: String,
}

impl Rules {
    /// Everything that the tag breaks.
    pub fn broken(&self, tag: &Tag) -> Vec<Broken> {
        let mut broken = Vec::new();
        let mut breaks = |rule, why| broken.push(Broken { rule, why });
        let version = version_of(tag.as_str());
        match (&self.range, &version) {
            (Some(range), None) => breaks(Rule::Range, format!("it is no version, and the range is {range}")),
            (Some(range), Some(version)) if !self.in_range(range, version) => {
                breaks(Rule::Range, format!("it is not in {range}"));
            }
            _ => {}
        }
        match (&self.pre_release, &version) {
            (Some(pattern), None) if self.range.is_none() => {
                breaks(
                    Rule::PreRelease,
                    format!("it is no version, and the pattern is {pattern}"),
                );
            }
            (Some(pattern), Some(version)) if !pattern.is_in(&version.pre) => {
                let part = match version.pre.as_str() {
                    "" => "it is no pre-release, which".to_owned(),
                    part => format!("{part:?}"),
                };
                breaks(Rule::PreRelease, format!("{part} does not match {pattern}"));
            }
            _ => {}
        }
        if let Some(pattern) = self.tag.as_ref().filter(|it| !it.is_in(tag.as_str())) {
            breaks(Rule::Tag, format!("it does not match {pattern}"));
        }
        broken
    }

    /// Whether pre-releases are spoken of at all.
    pub fn speaks_of_pre_releases(&self) -> bool {
        self.pre_release.is_some() || self.range.as_ref().is_some_and(VersionRange::names_pre_releases)
    }

    fn in_range(&self, range: &VersionRange, version: &Version) -> bool {
        let by_numbers = self.pre_release.is_some() && !range.names_pre_release_of(version);
        if !by_numbers {
            return range.contains(version);
        }
        range.contains(&Version::new(version.major, version.minor, version.patch))
    }
}

impl Rule {
    /// Its key in the project file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::PreRelease => "pre_release",
            Self::Tag => "tag",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The version that a tag is. A leading `v` is no part of it.
pub fn version_of(tag: &str) -> Option<Version> {
    tag.strip_prefix('v').unwrap_or(tag).parse().ok()
}

/// A regular expression, found anywhere unless it says `^` and `$`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

/// The longest text of a pattern, and the most memory that it may need.
const LONGEST: usize = 1000;
const LARGEST: usize = 1 << 18;

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    #[error("it is empty, which would match everything")]
    Empty,
    #[error("it is too large")]
    TooLarge,
    #[error("{0}")]
    Syntax(String),
}

impl Pattern {
    fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() {
            return Err(BadPattern::Empty);
        }
        if text.len() > LONGEST {
            return Err(BadPattern::TooLarge);
        }
        let built = RegexBuilder::new(text).size_limit(LARGEST).build();
        built.map(Self).map_err(|why| match why {
            regex::Error::CompiledTooBig(_) => BadPattern::TooLarge,
            why => {
                // The first lines point with a caret, which one line cannot show.
                let text = why.to_string();
                let last = text.lines().last().unwrap_or_default();
                BadPattern::Syntax(last.trim_start_matches("error: ").to_owned())
            }
        })
    }
}

impl TryFrom<String> for Pattern {
    type Error = BadPattern;

    fn try_from(text: String) -> Result<Self, BadPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0.as_str().to_owned()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

/// As it is stored: the range alone, as older programs stored it, or all three.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Range(VersionRange),
    Whole {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<VersionRange>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pre_release: Option<Pattern>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<Pattern>,
    },
}

impl From<Form> for Rules {
    fn from(form: Form) -> Self {
        match form {
            Form::Range(range) => Self {
                range: Some(range),
                ..Self::default()
            },
            Form::Whole {
                range,
                pre_release,
                tag,
            } => Self {
                range,
                pre_release,
                tag,
            },
        }
    }
}

impl From<Rules> for Form {
    fn from(rules: Rules) -> Self {
        match rules {
            Rules {
                range: Some(range),
                pre_release: None,
                tag: None,
            } => Self::Range(range),
            Rules {
                range,
                pre_release,
                tag,
            } => Self::Whole {
                range,
                pre_release,
                tag,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(range: &str, pre_release: &str, tag: &str) -> Rules {
        Rules {
            range: (!range.is_empty()).then(|| range.parse().unwrap()),
            pre_release: (!pre_release.is_empty()).then(|| pre_release.parse().unwrap()),
            tag: (!tag.is_empty()).then(|| tag.parse().unwrap()),
        }
    }

    fn broken(rules: &Rules, tag: &str) -> Vec<String> {
        let broken = rules.broken(&tag.parse().unwrap());
        broken
            .iter()
            .map(|it| format!("{}: {}", it.rule, it.why))
            .collect()
    }

    #[test]
    fn every_rule_is_asked_and_all_that_are_broken_are_named() {
        let rules = rules("[1.0,2.0)", r"^(rc\.\d+)?$", "^v");
        assert!(broken(&rules, "v1.2.0").is_empty());
        assert!(broken(&rules, "v1.2.0-rc.3").is_empty());
        assert_eq!(
            broken(&rules, "2.0.0-beta.1"),
            [
                "range: it is not in [1.0.0,2.0.0)",
                r#"pre_release: "beta.1" does not match ^(rc\.\d+)?$"#,
                "tag: it does not match ^v",
            ]
        );
        assert_eq!(
            broken(&rules, "latest"),
            [
                "range: it is no version, and the range is [1.0.0,2.0.0)",
                "tag: it does not match ^v",
            ]
        );
    }

    #[test]
    fn with_a_pre_release_pattern_the_range_judges_the_numbers_alone() {
        let only_candidates = rules(">=1.0.0, <2.0.0", r"^rc\.\d+$", "");
        assert!(broken(&only_candidates, "1.0.0-rc.1").is_empty());
        assert!(broken(&only_candidates, "1.9.0-rc.1").is_empty());
        assert_eq!(broken(&only_candidates, "2.0.0-rc.1").len(), 1);
        assert_eq!(
            broken(&only_candidates, "1.2.0"),
            [r"pre_release: it is no pre-release, which does not match ^rc\.\d+$"]
        );
        // A pre-release that the range names is judged as a whole.
        let from_second = rules(">=1.0.0-rc.2", "^rc", "");
        assert_eq!(broken(&from_second, "1.0.0-rc.1").len(), 1);
        assert!(broken(&from_second, "1.0.0-rc.2").is_empty());
        let any = rules("", "^$", "");
        assert!(broken(&any, "9.9.9").is_empty());
        assert_eq!(
            broken(&any, "nightly"),
            ["pre_release: it is no version, and the pattern is ^$"]
        );
    }

    #[test]
    fn rules_survive_storage_and_those_of_older_programs_are_read() {
        for rules in [
            rules(">=1.0.0", "", ""),
            rules("[1.0,2.0)", "^$", "^v"),
            rules("", "", "^main-"),
        ] {
            let stored = serde_json::to_string(&rules).unwrap();
            assert_eq!(serde_json::from_str::<Rules>(&stored).unwrap(), rules, "{stored}");
        }
        let old: Rules = serde_json::from_str("\">=1.0.0\"").unwrap();
        assert_eq!(old, rules(">=1.0.0", "", ""));
    }

    #[test]
    fn a_pattern_is_bounded() {
        let why = |text: &str| text.parse::<Pattern>().unwrap_err();
        assert_eq!(why(""), BadPattern::Empty);
        assert_eq!(why(&"a".repeat(1001)), BadPattern::TooLarge);
        assert_eq!(why(r"(\w{100}){100}"), BadPattern::TooLarge);
        assert_eq!(why("(rc"), BadPattern::Syntax("unclosed group".to_owned()));
    }
}

//! Windows that come again: `fri 16:00 for 64h`, `weekdays 18:00 to 08:00`,
//! in a named time zone. The start and an end that is said as a time of day
//! are wall-clock times there; a length is time that passes, whatever the
//! clocks do meanwhile.
//!
//! Where the clocks are put forward a start in the gap comes after it, as RFC
//! 5545 (section 3.3.5) has it; where they are put back, a start is the first
//! of the two moments and an end the second, so that nothing slips through.

use std::{fmt, str::FromStr, sync::LazyLock};

use jiff::{
    SignedDuration, Span, Timestamp,
    civil::{Date, Time, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

use super::Season;

const WEEK: [(Weekday, &str); 7] = [
    (Weekday::Monday, "mon"),
    (Weekday::Tuesday, "tue"),
    (Weekday::Wednesday, "wed"),
    (Weekday::Thursday, "thu"),
    (Weekday::Friday, "fri"),
    (Weekday::Saturday, "sat"),
    (Weekday::Sunday, "sun"),
];

/// The rules of the program's own copy of the IANA database.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Windows on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurring {
    pub every: Every,
    pub zone: ZoneName,
    /// Only from then on, and only up to then.
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// `DAYS HH:MM for LENGTH` or `DAYS HH:MM to [DAY] HH:MM`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Every {
    /// Monday first.
    days: [bool; 7],
    at: Time,
    lasts: Lasts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    For(SignedDuration),
    /// The next such time of day, on the next such day where one is said.
    To {
        day: Option<Weekday>,
        at: Time,
    },
}

/// A time zone of the IANA database: `Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZoneName(String);

/// A text that is no recurrence, or no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecurrence {
    #[error("{text:?} is not `DAYS HH:MM for LENGTH` or `DAYS HH:MM to [DAY] HH:MM`")]
    Form { text: String },
    #[error("{text:?} is no day: daily, weekdays, weekends, or mon … sun, such as mon,wed or fri-sun")]
    Day { text: String },
    #[error("{text:?} is not a time of day from 00:00 to 23:59")]
    TimeOfDay { text: String },
    #[error("{text:?} is not a time span of more than nothing and at most 7 days, such as 64h or 1h30m")]
    Length { text: String },
    #[error("{text:?}: the next window begins before this one ends, so that it never ends")]
    Endless { text: String },
    #[error("{text:?} is no time zone of the IANA database")]
    Zone { text: String },
}

impl BadRecurrence {
    /// The next step for a person.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Zone { .. } => "such as Europe/Berlin, America/New_York or UTC",
            _ => "such as \"fri 16:00 for 64h\", \"fri 16:00 to mon 08:00\" or \"weekdays 18:00 to 08:00\"",
        }
    }
}

impl ZoneName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn utc() -> Self {
        Self("UTC".to_owned())
    }

    /// Its rules. The database keeps every name that it ever had; one that this
    /// program does not know (an older one, say) is taken for UTC.
    pub fn rules(&self) -> TimeZone {
        ZONES.get(&self.0).unwrap_or(TimeZone::UTC)
    }
}

impl FromStr for ZoneName {
    type Err = BadRecurrence;

    fn from_str(text: &str) -> Result<Self, BadRecurrence> {
        let zone = ZONES.get(text).map_err(|_| BadRecurrence::Zone {
            text: text.to_owned(),
        })?;
        // The database finds names in any case, and knows how they are written.
        Ok(Self(zone.iana_name().unwrap_or(text).to_owned()))
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Recurring {
    /// How it stands at a moment.
    pub fn season(&self, now: Timestamp) -> Season {
        let anchor = self.from.map_or(now, |from| from.max(now));
        if self.until.is_some_and(|until| until <= anchor) {
            return Season::Over;
        }
        match self.window_after(anchor) {
            Some((from, until)) if from <= now => Season::InForce { from, until },
            Some((from, _)) => Season::Ahead { from },
            None => Season::Over,
        }
    }

    /// The first window that ends after a moment, within `from` and `until`.
    fn window_after(&self, moment: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let mut found: Option<(Timestamp, Timestamp)> = None;
        for (start, end) in self.windows_around(moment) {
            let start = self.from.map_or(start, |from| start.max(from));
            let end = self.until.map_or(end, |until| end.min(until));
            if end <= moment || end <= start {
                continue;
            }
            match &mut found {
                None => found = Some((start, end)),
                Some((_, until)) if start <= *until => *until = end.max(*until),
                Some(_) => break,
            }
        }
        found
    }

    /// The windows that begin from eight days before a moment to eight days
    /// after it, in order: no window is longer than seven.
    fn windows_around(&self, moment: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let zone = self.zone.rules();
        let today = zone.to_datetime(moment).date();
        let days = (-8..=16).filter_map(|days| today.checked_add(Span::new().days(days)).ok());
        let starts = days.filter(|date| self.every.has(date.weekday()));
        let mut windows: Vec<_> = starts.filter_map(|date| self.every.window(date, &zone)).collect();
        windows.sort_unstable();
        windows
    }
}

impl Every {
    fn has(&self, day: Weekday) -> bool {
        WEEK.iter().zip(self.days).any(|((it, _), on)| on && *it == day)
    }

    /// The window that begins on a date; `None` beyond the end of time.
    fn window(&self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let begins = date.to_datetime(self.at);
        let start = zone.to_ambiguous_timestamp(begins).compatible().ok()?;
        let end = match self.lasts {
            Lasts::For(length) => start.checked_add(length).ok()?,
            Lasts::To { day, at } => {
                let days = self.days_to(date.weekday(), day, at);
                let ends = date.checked_add(Span::new().days(days)).ok()?.to_datetime(at);
                zone.to_ambiguous_timestamp(ends).later().ok()?
            }
        };
        Some((start, end))
    }

    /// How many days after its start a window ends.
    fn days_to(&self, start: Weekday, day: Option<Weekday>, at: Time) -> i64 {
        let passed = at <= self.at;
        match day {
            None => i64::from(passed),
            Some(day) => match i64::from(start.until(day)) {
                0 if passed => 7,
                days => days,
            },
        }
    }

    /// Whether windows follow one another without a gap for ever, as a week
    /// without any change of the clocks shows.
    fn is_endless(&self) -> bool {
        // 2024-01-01 was a Monday.
        let monday = jiff::civil::date(2024, 1, 1);
        let days = (0..15).filter_map(|days| monday.checked_add(Span::new().days(days)).ok());
        let starts = days.filter(|date| self.has(date.weekday()));
        let windows: Vec<_> = starts
            .filter_map(|date| self.window(date, &TimeZone::UTC))
            .collect();
        windows.windows(2).all(|pair| pair[1].0 <= pair[0].1)
    }
}

impl FromStr for Every {
    type Err = BadRecurrence;

    fn from_str(text: &str) -> Result<Self, BadRecurrence> {
        let lower = text.to_ascii_lowercase();
        let words: Vec<&str> = lower.split_whitespace().collect();
        let (days, at, lasts) = match words.as_slice() {
            [days, at, "for", length] => (days, at, Lasts::For(span(length)?)),
            [days, at, "to", end] => {
                let at_end = time_of_day(end)?;
                (
                    days,
                    at,
                    Lasts::To {
                        day: None,
                        at: at_end,
                    },
                )
            }
            [days, at, "to", day, end] => {
                let (day, at_end) = (Some(weekday(day)?), time_of_day(end)?);
                (days, at, Lasts::To { day, at: at_end })
            }
            _ => {
                return Err(BadRecurrence::Form {
                    text: text.to_owned(),
                });
            }
        };
        let every = Self {
            days: days_of(days)?,
            at: time_of_day(at)?,
            lasts,
        };
        if every.is_endless() {
            return Err(BadRecurrence::Endless {
                text: text.to_owned(),
            });
        }
        Ok(every)
    }
}

fn span(text: &str) -> Result<SignedDuration, BadRecurrence> {
    let longest = SignedDuration::from_hours(7 * 24);
    match text.parse::<SignedDuration>() {
        Ok(span) if span > SignedDuration::ZERO && span <= longest => Ok(span),
        _ => Err(BadRecurrence::Length {
            text: text.to_owned(),
        }),
    }
}

fn time_of_day(text: &str) -> Result<Time, BadRecurrence> {
    let bad = || BadRecurrence::TimeOfDay {
        text: text.to_owned(),
    };
    let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
    let number = |text: &str| {
        let plain = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i8>().ok().filter(|_| plain)
    };
    let (hour, minute) = (number(hour).ok_or_else(bad)?, number(minute).ok_or_else(bad)?);
    Time::new(hour, minute, 0, 0).map_err(|_| bad())
}

fn weekday(text: &str) -> Result<Weekday, BadRecurrence> {
    let known = WEEK.iter().find(|(_, short)| {
        // "mon", or any longer beginning of "monday".
        text.len() >= 3 && text.starts_with(short)
    });
    match known {
        Some((day, _)) if format!("{day:?}").to_ascii_lowercase().starts_with(text) => Ok(*day),
        _ => Err(BadRecurrence::Day {
            text: text.to_owned(),
        }),
    }
}

fn days_of(text: &str) -> Result<[bool; 7], BadRecurrence> {
    match text {
        "daily" => return Ok([true; 7]),
        "weekdays" => return Ok([true, true, true, true, true, false, false]),
        "weekends" => return Ok([false, false, false, false, false, true, true]),
        _ => {}
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (weekday(first)?, weekday(last)?),
            None => (weekday(part)?, weekday(part)?),
        };
        let mut day = first;
        loop {
            if let Some(on) = days.get_mut(usize::try_from(day.to_monday_zero_offset()).unwrap_or(7)) {
                *on = true;
            }
            if day == last {
                break;
            }
            day = day.next();
        }
    }
    Ok(days)
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = match self.days {
            [true, true, true, true, true, true, true] => "daily".to_owned(),
            [true, true, true, true, true, false, false] => "weekdays".to_owned(),
            [false, false, false, false, false, true, true] => "weekends".to_owned(),
            days => {
                let named = WEEK.iter().zip(days).filter(|(_, on)| *on);
                named.map(|((_, name), _)| *name).collect::<Vec<_>>().join(",")
            }
        };
        write!(f, "{days} {}", self.at.strftime("%H:%M"))?;
        match self.lasts {
            Lasts::For(length) => write!(f, " for {}", written(length)),
            Lasts::To { day, at } => {
                f.write_str(" to ")?;
                if let Some((_, name)) = WEEK.iter().find(|(it, _)| Some(*it) == day) {
                    write!(f, "{name} ")?;
                }
                write!(f, "{}", at.strftime("%H:%M"))
            }
        }
    }
}

/// A length in one word, as it is read again.
fn written(length: SignedDuration) -> String {
    format!("{length:#}").split_whitespace().collect()
}

impl TryFrom<String> for Every {
    type Error = BadRecurrence;

    fn try_from(text: String) -> Result<Self, BadRecurrence> {
        text.parse()
    }
}

impl From<Every> for String {
    fn from(every: Every) -> Self {
        every.to_string()
    }
}

//! Times as they are typed: an instant with its offset or zone, or how long
//! from now.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZoneDatabase};

/// An instant, or a length of time from some moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    At(Timestamp),
    After(SignedDuration),
}

impl When {
    /// The instant that is meant now.
    pub fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::After(span) => now.checked_add(span).unwrap_or(Timestamp::MAX),
        }
    }
}

/// `2026-12-24T16:00:00+01:00`, `2026-12-24T16:00[Europe/Berlin]`, or `90m`.
pub fn when(text: &str) -> Result<When, String> {
    if let Some(at) = instant(text) {
        return Ok(When::At(at));
    }
    match text.parse::<SignedDuration>() {
        Ok(span) if span > SignedDuration::ZERO => Ok(When::After(span)),
        Ok(_) => Err("a time span has to be more than nothing".to_owned()),
        Err(_) if text.parse::<DateTime>().is_ok() => Err(format!(
            "where? say the offset or the zone: {text}Z, {text}+01:00 or {text}[Europe/Berlin]"
        )),
        Err(_) => Err("not a time such as 2026-12-24T16:00+01:00, nor a time span such as 90m".to_owned()),
    }
}

/// A time that is typed with its zone, or to be understood in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    At(When),
    /// A wall-clock time: it needs a zone.
    WallClock(DateTime),
}

/// As [`when`]; a time without offset or zone is one where `--timezone` says.
pub fn moment(text: &str) -> Result<Moment, String> {
    match (when(text), text.parse::<DateTime>()) {
        (Ok(when), _) => Ok(Moment::At(when)),
        (Err(_), Ok(at)) => Ok(Moment::WallClock(at)),
        (Err(why), Err(_)) => Err(why),
    }
}

impl Moment {
    /// The instant that is meant; `zone` is an IANA name.
    pub fn instant(&self, now: Timestamp, zone: Option<&str>) -> Result<Timestamp, String> {
        match self {
            Self::At(when) => Ok(when.from(now)),
            Self::WallClock(at) => {
                let zone = zone.ok_or_else(|| {
                    format!("{at} is a time on some wall: say where with --timezone, or write {at}Z")
                })?;
                let rules = TimeZoneDatabase::bundled()
                    .get(zone)
                    .map_err(|_| format!("{zone:?} is no time zone of the IANA database"))?;
                let instant = rules.to_timestamp(*at);
                instant.map_err(|why| format!("{at} in {zone}: {why}"))
            }
        }
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let (at, zone) = text.strip_suffix(']')?.split_once('[')?;
    let rules = TimeZoneDatabase::bundled().get(zone).ok()?;
    rules.to_timestamp(at.parse().ok()?).ok()
}

/// An instant on the wire.
pub fn sent(at: Timestamp) -> prost_types::Timestamp {
    crate::api::timestamp(at)
}

/// A length of time on the wire.
pub fn sent_span(span: SignedDuration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: span.as_secs(),
        nanos: span.subsec_nanos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_typed_with_its_place_or_as_a_span() {
        let at = |text: &str| {
            when(text)
                .unwrap()
                .from("2026-12-01T00:00:00Z".parse().unwrap())
                .to_string()
        };
        assert_eq!(at("2026-12-24T16:00:00Z"), "2026-12-24T16:00:00Z");
        assert_eq!(at("2026-12-24T16:00+01:00"), "2026-12-24T15:00:00Z");
        assert_eq!(at("2026-07-24T16:00[Europe/Berlin]"), "2026-07-24T14:00:00Z");
        assert_eq!(at("1h30m"), "2026-12-01T01:30:00Z");
        let told = when("2026-12-24T16:00").unwrap_err();
        assert!(told.contains("2026-12-24T16:00[Europe/Berlin]"), "{told}");
        assert!(when("tomorrow").is_err() && when("-1h").is_err());
    }

    #[test]
    fn a_wall_clock_time_is_understood_in_the_named_zone() {
        let now = "2026-12-01T00:00:00Z".parse().unwrap();
        let noon = moment("2026-12-24T12:00").unwrap();
        assert_eq!(
            noon.instant(now, Some("America/New_York")).unwrap().to_string(),
            "2026-12-24T17:00:00Z"
        );
        assert!(noon.instant(now, None).unwrap_err().contains("--timezone"));
        assert!(noon.instant(now, Some("Mars/Olympus")).is_err());
    }
}

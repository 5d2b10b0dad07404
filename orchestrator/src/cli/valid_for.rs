//! How long an invitation is good: typed as `24h`, sent as a duration.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::show;

/// How long an invitation is good.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ValidFor {
    /// How long the token is good, for example 30m or 2h [default: 24h].
    #[arg(long, value_name = "TIME", value_parser = parse)]
    valid_for: Option<Duration>,
}

impl ValidFor {
    pub fn wire(self) -> Option<prost_types::Duration> {
        self.valid_for
            .and_then(|duration| prost_types::Duration::try_from(duration).ok())
    }
}

/// Until when an invitation is good, for a person.
pub fn until(expires: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    match show::instant(expires) {
        Some(at) => {
            // A second has passed since the token was made: whole minutes are meant.
            let seconds = at.duration_since(now).as_secs().max(0);
            format!("within {}", show::span((seconds + 59) / 60 * 60))
        }
        None => "soon".to_owned(),
    }
}

fn parse(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "not a time such as 30m, 2h or 1h30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_typed_as_people_say_it() {
        assert_eq!(parse("30m"), Ok(Duration::from_secs(1_800)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5_400)));
        assert!(parse("0s").is_err());
        assert!(parse("-5m").is_err());
        assert!(parse("soon").is_err());
    }
}

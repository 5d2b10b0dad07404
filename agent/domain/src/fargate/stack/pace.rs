//! When to look at a stack again. CloudFormation's reads throttle, so a look is a
//! share of the time in which nothing moved: it comes late by a small part of what
//! was waited for already. Short where the end is near, because the verdict waits
//! for it; long where another eye sees it first.

use std::time::Duration;

/// What the next look may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// What was written a moment ago, or a change set that is being made.
    Answer,
    /// The stack's resources, one after the other, before its service is begun: nothing
    /// depends on seeing them soon.
    Resources,
    /// The service's rollout, which the poller's looks tell; the stack's own events
    /// hardly say anything meanwhile.
    Service,
    /// The stack's end: what it waits for has come to rest.
    End,
    /// The end of what somebody else does.
    Others,
}

/// How a wait is paced.
struct Pace {
    /// A look after this share of the quiet time ...
    share: f64,
    /// ... but never sooner, and never later, in usual intervals.
    least: f64,
    most: f64,
}

impl Waiting {
    fn pace(self) -> Pace {
        let (share, least, most) = match self {
            Self::Answer => (0.2, 0.5, 5.0),
            Self::Resources => (0.25, 1.0, 5.0),
            Self::Service => (0.05, 5.0, 10.0),
            Self::End => (0.1, 0.25, 5.0),
            Self::Others => (0.1, 1.0, 10.0),
        };
        Pace { share, least, most }
    }
}

/// How long after one look the next one is due. `quiet`: for how long nothing has
/// moved. `usual`: the agent's own interval between two looks.
pub fn until_next_look(waiting: Waiting, quiet: Duration, usual: Duration) -> Duration {
    let pace = waiting.pace();
    quiet
        .mul_f64(pace.share)
        .clamp(usual.mul_f64(pace.least), usual.mul_f64(pace.most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_secs(3);

    /// The looks at a wait that ends after `wait`, and by how much the last comes late.
    fn looks(waiting: Waiting, wait: Duration) -> (u32, Duration) {
        let (mut at, mut looks) = (Duration::ZERO, 0);
        while at < wait {
            at += until_next_look(waiting, at, USUAL);
            looks += 1;
        }
        (looks, at - wait)
    }

    #[test]
    fn an_end_that_is_near_is_seen_within_a_second() {
        for wait in [1, 2, 5, 8] {
            let (_, late) = looks(Waiting::End, Duration::from_secs(wait));
            assert!(late <= Duration::from_secs(1), "{wait} s: {late:?} late");
        }
    }

    #[test]
    fn an_end_that_does_not_come_costs_fewer_and_fewer_looks() {
        let (minutes, _) = looks(Waiting::End, Duration::from_secs(180));
        assert!(minutes < 50, "{minutes} looks in three minutes");
        let (hours, _) = looks(Waiting::End, Duration::from_secs(3 * 3600));
        assert!(hours < 800, "{hours} looks in three hours");
    }

    #[test]
    fn a_rollout_of_ten_minutes_costs_a_look_in_fifteen_seconds_at_most() {
        let (events, _) = looks(Waiting::Service, Duration::from_secs(600));
        assert!(events <= 40, "{events} looks");
        let (others, _) = looks(Waiting::Others, Duration::from_secs(600));
        assert!(others <= 60, "{others} looks");
    }

    #[test]
    fn every_wait_is_longest_where_the_least_is_to_be_seen() {
        let quiet = Duration::from_secs(20);
        let of = |waiting| until_next_look(waiting, quiet, USUAL);
        assert!(of(Waiting::End) < of(Waiting::Resources));
        assert!(of(Waiting::Resources) < of(Waiting::Service));
    }
}

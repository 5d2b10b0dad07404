//! One group's bucket, the line before it, and its rest after a throttle.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Purpose, Rate, Ticket, Turn};

/// What the agent takes of the refill at most: the rest is for the account's other tools.
const ACTING_SHARE: f64 = 0.9;
/// What watching takes at most of the refill and of the burst.
const WATCHING_SHARE: f64 = 0.5;

/// The first rest after a throttle; each further one in a row is twice as long.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// Each throttle halves the refill that the model believes in, down to this.
const SLOWEST: f64 = 0.125;
/// From the slowest back to full speed in a little less than a minute.
const RECOVERY_PER_SECOND: f64 = 1.0 / 60.0;
/// Nobody is told to come back sooner: timers are no finer.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// What all calls take from.
    all: Level,
    /// What watching takes from as well.
    watching: Level,
    /// Who waits, oldest first.
    line: BTreeMap<Ticket, Purpose>,
    /// When the levels were right.
    at: Duration,
    /// 1 when all is well, less after throttles.
    speed: f64,
    /// The last rest, while no call was taken since.
    rest: Option<Duration>,
    rests_until: Duration,
    last_throttle: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Level {
    tokens: f64,
    burst: f64,
    per_second: f64,
}

impl Level {
    fn full(burst: f64, per_second: f64) -> Self {
        Self {
            tokens: burst,
            burst,
            per_second,
        }
    }

    fn refill(&mut self, seconds: f64, speed: f64) {
        self.tokens = (self.tokens + seconds * self.per_second * speed).min(self.burst);
    }

    /// Seconds until there are so many tokens.
    fn until(&self, tokens: f64, speed: f64) -> f64 {
        ((tokens - self.tokens) / (self.per_second * speed)).max(0.0)
    }
}

impl Bucket {
    pub(super) fn full(rate: Rate, now: Duration) -> Self {
        let refill = f64::from(rate.per_second);
        // AWS may add its tokens once a second instead of all the time: the model stays
        // a second's refill below, which also covers calls that overtake each other.
        let burst = f64::from(rate.burst) - refill;
        Self {
            all: Level::full(burst, refill * ACTING_SHARE),
            watching: Level::full(burst * WATCHING_SHARE, refill * WATCHING_SHARE),
            line: BTreeMap::new(),
            at: now,
            speed: 1.0,
            rest: None,
            rests_until: Duration::ZERO,
            last_throttle: None,
        }
    }

    pub(super) fn refill(&mut self, now: Duration) {
        // Nothing is added while the group rests: AWS's bucket is filled for the others.
        let from = self.at.max(self.rests_until.min(now));
        let seconds = now.saturating_sub(from).as_secs_f64();
        self.all.refill(seconds, self.speed);
        self.watching.refill(seconds, self.speed);
        self.speed = (self.speed + seconds * RECOVERY_PER_SECOND).min(1.0);
        self.at = self.at.max(now);
    }

    pub(super) fn join(&mut self, ticket: Ticket, purpose: Purpose) {
        self.line.insert(ticket, purpose);
    }

    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.line.remove(&ticket);
    }

    pub(super) fn turn(&mut self, ticket: Ticket, now: Duration) -> Turn {
        let Some(purpose) = self.line.get(&ticket).copied() else {
            return Turn::Wait(LONGEST_REST);
        };
        if now < self.rests_until {
            return Turn::Wait((self.rests_until - now).max(SHORTEST_WAIT));
        }
        let before = self.before(ticket);
        let needed = before.acting + before.watching.min(self.watching.tokens.floor().max(0.0)) + 1.0;
        let needed_of_watching = match purpose {
            Purpose::Watching => before.watching + 1.0,
            Purpose::Acting => 0.0,
        };
        let seconds = self
            .all
            .until(needed, self.speed)
            .max(self.watching.until(needed_of_watching, self.speed));
        if seconds > 0.0 {
            return Turn::Wait(Duration::from_secs_f64(seconds).max(SHORTEST_WAIT));
        }
        self.line.remove(&ticket);
        self.all.tokens -= 1.0;
        if purpose == Purpose::Watching {
            self.watching.tokens -= 1.0;
        }
        Turn::Go
    }

    /// Who is older than the ticket: a token is kept for each that may go.
    fn before(&self, ticket: Ticket) -> Older {
        let mut older = Older::default();
        for purpose in self.line.range(..ticket).map(|(_, purpose)| purpose) {
            match purpose {
                Purpose::Watching => older.watching += 1.0,
                Purpose::Acting => older.acting += 1.0,
            }
        }
        older
    }

    pub(super) fn throttled(&mut self, sent: Duration, now: Duration) -> Duration {
        self.all.tokens = self.all.tokens.min(0.0);
        self.watching.tokens = self.watching.tokens.min(0.0);
        if self.last_throttle.is_some_and(|last| sent <= last) {
            return self.rests_until.saturating_sub(now);
        }
        let rest = self.rest.map_or(FIRST_REST, |rest| (rest * 2).min(LONGEST_REST));
        self.rest = Some(rest);
        self.rests_until = now + rest;
        self.last_throttle = Some(now);
        self.speed = (self.speed / 2.0).max(SLOWEST);
        rest
    }

    pub(super) fn taken(&mut self, sent: Duration) {
        if self.last_throttle.is_none_or(|last| sent > last) {
            self.rest = None;
        }
    }
}

#[derive(Debug, Default)]
struct Older {
    acting: f64,
    watching: f64,
}

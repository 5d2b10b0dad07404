//! Simulated time, and how it follows the machine's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;

/// A moment of simulated time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(pub i64);

impl SimTime {
    /// `milliseconds` later.
    pub fn plus_ms(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// `seconds` later.
    pub fn plus_s(self, seconds: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a seed file")]
        self.plus_ms((seconds * 1000.0) as i64)
    }

    /// Milliseconds since `earlier`.
    pub fn since_ms(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// How awsJson says a time: seconds since the epoch, with a fraction.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
    pub fn epoch_seconds(self) -> Value {
        Value::from(self.0 as f64 / 1000.0)
    }

    /// How awsQuery says a time: ISO 8601 in UTC, with milliseconds.
    pub fn iso(self) -> String {
        Timestamp::from_millisecond(self.0)
            .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
            .unwrap_or_default()
    }
}

/// Maps the machine's time to simulated time: `speed` simulated seconds pass
/// in one of the machine's; zero stands still.
#[derive(Clone, Debug)]
pub struct Clock {
    base: SimTime,
    anchor: Instant,
    speed: f64,
    hand: Option<Hand>,
}

/// Moves a driven clock.
#[derive(Clone, Debug, Default)]
pub struct Hand(Arc<AtomicI64>);

impl Hand {
    /// So much time has passed since the start.
    pub fn set(&self, elapsed: Duration) {
        let ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock {
    /// A clock that only its hand moves.
    pub fn driven(start: SimTime) -> (Self, Hand) {
        let hand = Hand::default();
        let mut clock = Self::new(Some(start), 0.0);
        clock.hand = Some(hand.clone());
        (clock, hand)
    }

    /// Starts at `start`, or at the machine's time of day.
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator's own edge to the machine's clock"
    )]
    pub fn new(start: Option<SimTime>, speed: f64) -> Self {
        Self {
            base: start.unwrap_or_else(|| SimTime(Timestamp::now().as_millisecond())),
            anchor: Instant::now(),
            speed,
            hand: None,
        }
    }

    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Simulated time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator's own edge to the machine's clock"
    )]
    pub fn now(&self) -> SimTime {
        if let Some(hand) = &self.hand {
            return self.base.plus_ms(hand.0.load(Ordering::SeqCst));
        }
        let elapsed = Instant::now().duration_since(self.anchor).as_secs_f64();
        self.base.plus_s(elapsed * self.speed)
    }

    /// Jumps forward.
    pub fn advance(&mut self, by: Duration) {
        self.rebase();
        self.base = self.base.plus_s(by.as_secs_f64());
    }

    /// Goes on at another speed from now.
    pub fn set_speed(&mut self, speed: f64) {
        self.rebase();
        self.speed = speed;
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator's own edge to the machine's clock"
    )]
    fn rebase(&mut self) {
        self.base = self.now();
        self.anchor = Instant::now();
    }
}

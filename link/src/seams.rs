//! The one place where time, randomness and the network enter Towline. All
//! three are values that a test, or a simulation, replaces as a whole.

mod network;

use std::{future::Future, sync::Arc, sync::Mutex, time::Duration};

use jiff::Timestamp;
use rand::{Rng, RngExt as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

pub use network::{Ear, Listener, Network, Simulated, Stream, Wire};

/// What enters a program from outside, besides its configuration.
#[derive(Clone, Debug)]
pub struct Seams {
    pub clock: Clock,
    pub random: Random,
    pub network: Network,
}

impl Seams {
    /// The machine's own clock, randomness and network.
    pub fn system() -> Self {
        Self {
            clock: Clock::system(),
            random: Random::system(),
            network: Network::Tcp,
        }
    }
}

/// The time of day, and waiting.
///
/// The time of day advances with tokio's clock from the moment at which the
/// value was made, so that a paused tokio runtime drives both.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Timestamp,
    anchor: tokio::time::Instant,
    source: ClockSource,
}

#[derive(Clone, Copy, Debug)]
enum ClockSource {
    System,
    Driven,
}

impl Clock {
    /// The machine's clock.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn system() -> Self {
        Self {
            started: Timestamp::now(),
            anchor: tokio::time::Instant::now(),
            source: ClockSource::System,
        }
    }

    /// A clock that shows `start` now and moves only as tokio's clock moves.
    pub fn driven(start: Timestamp) -> Self {
        Self {
            started: start,
            anchor: tokio::time::Instant::now(),
            source: ClockSource::Driven,
        }
    }

    /// The time of day.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn now(&self) -> Timestamp {
        match self.source {
            ClockSource::System => Timestamp::now(),
            ClockSource::Driven => self
                .started
                .saturating_add(self.anchor.elapsed())
                .unwrap_or(self.started),
        }
    }

    /// A reading that only moves forward, for measuring durations.
    pub fn instant(&self) -> tokio::time::Instant {
        tokio::time::Instant::now()
    }

    /// Waits.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Waits until the time of day is `at`; returns at once when it is past.
    pub async fn sleep_until(&self, at: Timestamp) {
        let left = at.duration_since(self.now());
        if let Ok(left) = Duration::try_from(left) {
            self.sleep(left).await;
        }
    }

    /// `None` when `future` did not end within `duration`.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(duration, future).await.ok()
    }
}

/// Random numbers.
#[derive(Clone, Debug)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Seeded by the operating system; fit for secrets.
    pub fn system() -> Self {
        Self(Arc::new(Mutex::new(rand::make_rng())))
    }

    /// The same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        bytes
    }

    /// A random UUID (version 4).
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// A duration between zero and `longest`, evenly.
    pub fn up_to(&self, longest: Duration) -> Duration {
        longest.mul_f64(self.with(|rng| rng.random::<f64>()))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

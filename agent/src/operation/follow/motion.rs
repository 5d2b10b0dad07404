//! For how long a rollout has not moved, and since when no task of it died.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;
use towline_agent_domain::{
    observed::ObservedService,
    rollout::stuck::{Position, Stillness},
};

#[derive(Debug)]
pub(super) struct Motion {
    position: Option<Position>,
    moved: Instant,
    /// When a dead task of ours was last found.
    last_death: Option<Instant>,
    targets_read: Option<Instant>,
}

impl Motion {
    pub(super) fn starting_at(now: Instant) -> Self {
        Self {
            position: None,
            moved: now,
            last_death: None,
            targets_read: None,
        }
    }

    pub(super) fn see(&mut self, service: &ObservedService, now: Instant) {
        let position = Some(Position::of(service));
        if self.position != position {
            self.position = position;
            self.moved = now;
        }
    }

    pub(super) fn died(&mut self, now: Instant) {
        self.last_death = Some(now);
        self.moved = now;
    }

    pub(super) fn stillness(&self, now: Instant, limit: Duration) -> Stillness {
        let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Stillness {
            still: signed(now.duration_since(self.moved)),
            limit: signed(limit),
        }
    }

    /// No task of ours was found dead for `long`.
    pub(super) fn is_calm(&self, now: Instant, long: Duration) -> bool {
        self.last_death
            .is_none_or(|died| now.duration_since(died) >= long)
    }

    /// Whether the targets were last read so long ago; if so, they are read now.
    pub(super) fn targets_due(&mut self, now: Instant, interval: Duration) -> bool {
        let due = self
            .targets_read
            .is_none_or(|read| now.duration_since(read) >= interval);
        if due {
            self.targets_read = Some(now);
        }
        due
    }
}

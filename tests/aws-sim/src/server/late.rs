//! Requests that are still on their way, by the simulated clock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::request::AwsRequest;
use crate::world::SimTime;

/// A request whose client has lost sight of it.
#[derive(Debug)]
pub struct Landing {
    pub at: SimTime,
    pub request: AwsRequest,
    pub seq: u64,
    pub may_register: bool,
}

#[derive(Debug, Default)]
pub struct Late(Mutex<Vec<Landing>>);

impl Late {
    fn lock(&self) -> MutexGuard<'_, Vec<Landing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, landing: Landing) {
        let mut all = self.lock();
        all.push(landing);
        all.sort_by_key(|one| (one.at, one.seq));
    }

    /// When the next one lands.
    pub fn next(&self) -> Option<SimTime> {
        self.lock().first().map(|landing| landing.at)
    }

    /// The next one, if it has landed by `now`.
    pub fn take_due(&self, now: SimTime) -> Option<Landing> {
        let mut all = self.lock();
        let is_due = all.first().is_some_and(|landing| landing.at <= now);
        is_due.then(|| all.remove(0))
    }

    pub fn clear(&self) {
        self.lock().clear();
    }
}

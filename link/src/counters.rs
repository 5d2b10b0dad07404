//! Numbers that tell from outside whether the doors hold: a refused peer raises
//! `refused` and never `handled`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counters that many tasks share.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    accepted: AtomicU64,
    refused: AtomicU64,
    handled: AtomicU64,
}

impl Counters {
    /// Connections that passed the handshake and the check of their role.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Connections that did not, and calls that the access rule refused.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Calls that reached a handler; health checks and reflection do not count.
    pub fn handled(&self) -> u64 {
        self.0.handled.load(Ordering::Relaxed)
    }

    pub(crate) fn accept(&self) {
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn handle(&self) {
        self.0.handled.fetch_add(1, Ordering::Relaxed);
    }
}

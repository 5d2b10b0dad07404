//! Drives the real programs against the simulated AWS, each a process of its
//! own on loopback. [`world::World`] holds a whole installation: simulator,
//! orchestrator, agents; all of it stops when the value is dropped. The demo,
//! the end-to-end tests and the benchmark share this crate.

pub mod cli;
pub mod direct;
pub mod emulator;
pub mod excluded;
pub mod program;
pub mod proxy;
pub mod sim;
pub mod specs;
pub mod steps;
pub mod transcript;
pub mod world;

use std::time::{Duration, Instant};

/// Asks until `condition` answers, and says what was waited for when it never does.
pub fn wait_for<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

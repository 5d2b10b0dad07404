//! What happened in a schedule.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The kinds of faults that a schedule can bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    Crash,
    Partition,
    Delay,
    Duplicate,
    Reordering,
    ClockSkew,
    Throttling,
    LostAnswer,
}

impl FaultKind {
    pub const ALL: [Self; 8] = [
        Self::Crash,
        Self::Partition,
        Self::Delay,
        Self::Duplicate,
        Self::Reordering,
        Self::ClockSkew,
        Self::Throttling,
        Self::LostAnswer,
    ];
}

/// What is written down while a schedule runs, and told at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub seed: u64,
    /// What was decided and done, without times and ids: two schedules with the
    /// same hash took the same way.
    pub decisions: String,
    /// The same with times and ids: what a replay must give again.
    pub replay: String,
    pub faults: BTreeMap<FaultKind, u64>,
    /// Commits and sends at which somebody died.
    pub crash_points: BTreeSet<String>,
    /// Commits and sends that were passed.
    pub moments: BTreeSet<String>,
    pub violations: Vec<Violation>,
    pub deployments: usize,
    pub operations: usize,
    pub writes: usize,
    /// Seconds of simulated time.
    pub simulated_s: f64,
    /// Line by line, for people.
    pub trace: Vec<String>,
}

/// A check that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Violation {
    pub check: String,
    pub words: String,
}

//! Faults by a seeded schedule: the same seed and the same arrivals bring the
//! same faults.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::effects::{Arrival, Kind};

/// What goes wrong. Times are the machine's milliseconds, `stale` excepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Refused: ThrottlingException.
    Throttle,
    /// Answered with HTTP 500; nothing was applied.
    ServerError,
    /// Refused: the caller may not.
    Deny,
    /// Applied and answered `ms` later.
    Delay,
    /// The connection is closed; nothing is applied.
    ResetBefore,
    /// Applied; the connection is closed before the answer.
    LostAnswer,
    /// The connection is closed; it is applied `ms` later.
    Late,
    /// A read of ECS that answers what was true at most `ms` of simulated time ago.
    Stale,
}

/// Which arrivals meet a fault, and how often.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub kind: Fault,
    #[serde(default)]
    pub account: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub service: Option<String>,
    /// An action's name, or `read` or `write`.
    #[serde(default)]
    pub action: Option<String>,
    #[serde(default = "Rule::always")]
    pub probability: f64,
    /// At most so many times.
    #[serde(default)]
    pub times: Option<u64>,
    /// Lets so many matching arrivals pass first.
    #[serde(default)]
    pub skip: u64,
    #[serde(default = "Rule::default_ms")]
    pub ms: u64,
}

impl Rule {
    fn always() -> f64 {
        1.0
    }

    fn default_ms() -> u64 {
        1000
    }

    fn matches(&self, arrival: &Arrival) -> bool {
        let same =
            |wanted: &Option<String>, actual: &str| wanted.as_deref().is_none_or(|wanted| wanted == actual);
        let action = match self.action.as_deref() {
            Some("read") => Kind::of(&arrival.action) == Kind::Read,
            Some("write") => Kind::of(&arrival.action) == Kind::Write,
            _ => same(&self.action, &arrival.action),
        };
        action
            && same(&self.account, &arrival.account)
            && same(&self.region, &arrival.region)
            && same(&self.service, &arrival.service)
    }
}

/// `POST /_sim/faults`: replaces the schedule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub rules: Vec<Rule>,
}

#[derive(Debug, Default)]
struct Running {
    schedule: Schedule,
    /// Per rule: matching arrivals, and how many of them met the fault.
    counts: Vec<(u64, u64)>,
}

#[derive(Debug, Default)]
pub struct Faults(Mutex<Running>);

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, schedule: Schedule) {
        let counts = vec![(0, 0); schedule.rules.len()];
        *self.lock() = Running { schedule, counts };
    }

    /// Whether old states must be remembered.
    pub fn may_be_stale(&self) -> bool {
        self.lock()
            .schedule
            .rules
            .iter()
            .any(|rule| rule.kind == Fault::Stale)
    }

    /// The fault that an arrival meets, and its milliseconds.
    pub fn meet(&self, arrival: &Arrival) -> Option<(Fault, u64)> {
        let mut running = self.lock();
        let Running { schedule, counts } = &mut *running;
        for (index, (rule, (seen, met))) in schedule.rules.iter().zip(counts).enumerate() {
            if !rule.matches(arrival) {
                continue;
            }
            *seen += 1;
            let over = rule.times.is_some_and(|times| *met >= times);
            if over || *seen <= rule.skip || chance(schedule.seed, index, *seen) >= rule.probability {
                continue;
            }
            *met += 1;
            return Some((rule.kind, rule.ms));
        }
        None
    }
}

/// A number in [0, 1) drawn from the seed, the rule and the arrival's number.
fn chance(seed: u64, rule: usize, seen: u64) -> f64 {
    let digest = Sha256::digest(format!("{seed}/{rule}/{seen}"));
    let drawn = digest
        .iter()
        .take(4)
        .fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
    f64::from(drawn) / (f64::from(u32::MAX) + 1.0)
}

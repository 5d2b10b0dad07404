//! Faults by a seeded schedule: the same seed and the same arrivals bring the
//! same faults.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::effects::{Arrival, Kind};
use crate::ecs;

/// What goes wrong. Times are the machine's milliseconds, or simulated ones where
/// the rule says `sim_ms`; those of `stale` are simulated always.
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
    /// Of `delay` and `late`: milliseconds of simulated time instead of `ms`.
    #[serde(default)]
    pub sim_ms: Option<i64>,
}

/// A fault that an arrival meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    pub kind: Fault,
    pub ms: u64,
    pub sim_ms: Option<i64>,
}

/// Somebody else's tool, which takes from a bucket of the account whatever there
/// is, at its own pace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherTool {
    #[serde(default)]
    pub account: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    /// The ECS action that it calls.
    pub action: String,
    /// Calls a second, by the clock that fills the buckets.
    pub per_second: f64,
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
    #[serde(default)]
    pub other_tools: Vec<OtherTool>,
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

    /// How many calls a second others make to the bucket that an arrival takes from.
    pub fn others(&self, arrival: &Arrival) -> f64 {
        let Some(bucket) = ecs::bucket_of(&arrival.action) else {
            return 0.0;
        };
        let same =
            |wanted: &Option<String>, actual: &str| wanted.as_deref().is_none_or(|wanted| wanted == actual);
        let running = self.lock();
        let tools = running.schedule.other_tools.iter().filter(|tool| {
            same(&tool.account, &arrival.account)
                && same(&tool.region, &arrival.region)
                && ecs::bucket_of(&tool.action) == Some(bucket)
        });
        tools.map(|tool| tool.per_second).sum()
    }

    /// The fault that an arrival meets.
    pub fn meet(&self, arrival: &Arrival) -> Option<Met> {
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
            return Some(Met {
                kind: rule.kind,
                ms: rule.ms,
                sim_ms: rule.sim_ms,
            });
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

//! What the gateway keeps of the past: the token buckets, and the states that
//! stale reads answer from.

use std::collections::{BTreeMap, VecDeque};

use super::effects::Arrival;
use crate::{
    ecs,
    world::{
        SimTime,
        seed::{LimitTime, Limits},
    },
};

/// The token buckets, and the states that stale reads may answer from.
pub struct Limiter {
    limits: Limits,
    buckets: BTreeMap<(String, String), ecs::Buckets>,
    /// ECS before each of the latest writes, by when it was replaced.
    history: BTreeMap<(String, String), VecDeque<(SimTime, ecs::Ecs)>>,
}

/// States that are remembered per account and region.
const REMEMBERED: usize = 16;

impl Limiter {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buckets: BTreeMap::new(),
            history: BTreeMap::new(),
        }
    }

    /// Whether the account's rates leave room for an arrival; `others` as [`ecs::Buckets::take`] has it.
    pub fn allows(&mut self, arrival: &Arrival, now: SimTime, machine_ms: i64, others: f64) -> bool {
        if !self.limits.enforce || arrival.service != "ecs" {
            return true;
        }
        let Some(bucket) = ecs::bucket_of(&arrival.action) else {
            return true;
        };
        let at = match self.limits.time {
            LimitTime::Machine => machine_ms,
            LimitTime::Simulated => now.0,
        };
        let place = (arrival.account.clone(), arrival.region.clone());
        self.buckets.entry(place).or_default().take(bucket, at, others)
    }

    /// Remembers what ECS was before a write.
    pub fn remember(&mut self, arrival: &Arrival, now: SimTime, ecs: &ecs::Ecs) {
        let place = (arrival.account.clone(), arrival.region.clone());
        let history = self.history.entry(place).or_default();
        history.push_back((now, ecs.clone()));
        if history.len() > REMEMBERED {
            history.pop_front();
        }
    }

    /// The oldest remembered state that was still true `ms` ago.
    pub fn old_state(&self, arrival: &Arrival, now: SimTime, ms: u64) -> Option<ecs::Ecs> {
        let age = i64::try_from(ms).unwrap_or(i64::MAX);
        let place = (arrival.account.clone(), arrival.region.clone());
        self.history
            .get(&place)?
            .iter()
            .find(|(replaced, _)| now.since_ms(*replaced) <= age)
            .map(|(_, state)| state.clone())
    }
}

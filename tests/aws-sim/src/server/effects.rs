//! The effect log: what really arrived, and what became of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::world::SimTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Read,
    Write,
}

impl Kind {
    /// Of an action, by its name.
    pub fn of(action: &str) -> Self {
        let reads = [
            "Describe", "List", "Get", "BatchGet", "Simulate", "Validate", "Estimate", "Detect",
        ];
        if reads.iter().any(|verb| action.starts_with(verb)) {
            Self::Read
        } else {
            Self::Write
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    Applied,
    Refused,
    Deduplicated,
    /// On its way: nothing has been done yet.
    Held,
    /// Never applied.
    Dropped,
}

/// One arrival.
#[derive(Clone, Debug, Serialize)]
pub struct Effect {
    /// Counts from one, in the order of arrival.
    pub seq: u64,
    /// The machine's time of day at the arrival, RFC 3339 with microseconds.
    pub at: String,
    /// Simulated time at the arrival.
    pub sim_at: String,
    pub account: String,
    pub region: String,
    pub service: String,
    pub action: String,
    pub kind: Kind,
    pub disposition: Disposition,
    /// AWS's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// ClientRequestToken, ClientToken or clientToken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What the agent says it acts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    pub subject: String,
    /// Zero until it is answered.
    pub http_status: u16,
    /// Whether the answer was sent.
    pub answered: bool,
}

/// Every arrival since the start or the last reset.
#[derive(Debug, Default)]
pub struct Log(Mutex<Vec<Effect>>);

/// What is known of a request when it arrives.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub account: String,
    pub region: String,
    pub service: String,
    pub action: String,
    pub token: Option<String>,
    pub operation: Option<String>,
    pub subject: String,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Effect>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an arrival down; its number.
    pub fn arrived(&self, arrival: &Arrival, at: jiff::Timestamp, sim_at: SimTime) -> u64 {
        let mut log = self.lock();
        let seq = u64::try_from(log.len()).unwrap_or(u64::MAX) + 1;
        let arrival = arrival.clone();
        log.push(Effect {
            seq,
            at: at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
            sim_at: sim_at.iso(),
            kind: Kind::of(&arrival.action),
            account: arrival.account,
            region: arrival.region,
            service: arrival.service,
            action: arrival.action,
            disposition: Disposition::Held,
            code: None,
            token: arrival.token,
            operation: arrival.operation,
            subject: arrival.subject,
            http_status: 0,
            answered: false,
        });
        seq
    }

    /// Changes what is written of an arrival; nothing after a reset.
    pub fn update(&self, seq: u64, change: impl FnOnce(&mut Effect)) {
        let index = usize::try_from(seq).unwrap_or(usize::MAX).wrapping_sub(1);
        if let Some(effect) = self.lock().get_mut(index) {
            change(effect);
        }
    }

    pub fn after(&self, seq: u64) -> Vec<Effect> {
        let from = usize::try_from(seq).unwrap_or(usize::MAX);
        self.lock().iter().skip(from).cloned().collect()
    }

    pub fn clear(&self) {
        self.lock().clear();
    }
}

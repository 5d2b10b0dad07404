//! Amazon CloudWatch: alarms, and how their states follow from what raises
//! their metrics. What it answers is in [`answers`].
//!
//! A metric breaches its threshold while a container of an image that raises
//! it runs, or while something outside the simulated world does
//! (`POST /_sim/metrics`). What always holds: an alarm's state changes only
//! after its metric has been so for the alarm's whole evaluation.

mod answers;

use std::collections::BTreeMap;

pub use answers::{Answered, call, call_query};

use crate::world::{Region, SimTime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ok,
    Alarm,
    InsufficientData,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// A metric alarm.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub name: String,
    pub metric: String,
    pub namespace: String,
    pub threshold: f64,
    /// Seconds for which the metric must be so until the state follows.
    pub evaluation_s: f64,
    pub state: State,
    /// Since when the state is what it is.
    pub since: SimTime,
    pub made: SimTime,
    /// Something outside the simulated world keeps the metric above the threshold.
    pub raised_outside: bool,
    /// Somebody writes the metric; without, there is no data.
    pub is_reported: bool,
    /// What the metric calls for, and since when it has.
    calls_for: (State, SimTime),
}

impl Alarm {
    /// An alarm that has been OK, or without data, since it was made.
    pub fn new(name: &str, evaluation_s: f64, is_reported: bool, now: SimTime) -> Self {
        let state = if is_reported {
            State::Ok
        } else {
            State::InsufficientData
        };
        Self {
            name: name.to_owned(),
            metric: "Errors".to_owned(),
            namespace: "Shop".to_owned(),
            threshold: 1.0,
            evaluation_s,
            state,
            since: now,
            made: now,
            raised_outside: false,
            is_reported,
            calls_for: (state, now),
        }
    }

    fn step(&mut self, is_raised: bool, now: SimTime) {
        let wanted = if is_raised || self.raised_outside {
            State::Alarm
        } else if self.is_reported {
            State::Ok
        } else {
            State::InsufficientData
        };
        if self.calls_for.0 != wanted {
            self.calls_for = (wanted, now);
        }
        if self.state != wanted && now >= self.calls_for.1.plus_s(self.evaluation_s) {
            self.state = wanted;
            self.since = now;
        }
    }

    pub fn reason(&self) -> &'static str {
        match self.state {
            State::Ok => "Threshold Crossed: no datapoints were greater than the threshold.",
            State::Alarm => "Threshold Crossed: the latest datapoints were greater than the threshold.",
            State::InsufficientData => "Unchecked: Initial alarm creation",
        }
    }
}

/// The alarms of one account and region, by name.
pub type Alarms = BTreeMap<String, Alarm>;

/// Moves the state of every alarm on to `now`.
pub fn step(region: &mut Region, now: SimTime) {
    if region.alarms.is_empty() {
        return;
    }
    let containers = region.ecs.tasks.values().flat_map(|task| &task.containers);
    let raised: Vec<String> = containers
        .filter(|container| !container.stopped)
        .filter_map(|container| container.alarm.as_ref())
        .filter(|(_, from)| now >= *from)
        .map(|(name, _)| name.clone())
        .collect();
    for alarm in region.alarms.values_mut() {
        alarm.step(raised.contains(&alarm.name), now);
    }
}

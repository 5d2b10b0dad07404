//! Breakpoints: a test holds one arrival before it is applied, or after it is
//! applied and before it is answered.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::effects::Arrival;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    Before,
    After,
}

/// Which arrival to hold: `POST /_sim/breakpoints`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    #[serde(default)]
    pub account: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub service: Option<String>,
    #[serde(default)]
    pub action: Option<String>,
    /// The arrival with this number in the effect log.
    #[serde(default)]
    pub seq: Option<u64>,
    /// Lets so many matching arrivals pass first.
    #[serde(default)]
    pub skip: u64,
    pub when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    Continue,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Armed,
    Hit { seq: u64 },
    Released { seq: Option<u64>, then: Then },
}

struct Breakpoint {
    spec: Spec,
    passed: u64,
    state: watch::Sender<State>,
}

/// All breakpoints, by their id (one more than their place).
#[derive(Default)]
pub struct Breakpoints(Mutex<Vec<Breakpoint>>);

/// An arrival that is held.
pub struct Hold {
    pub when: When,
    state: watch::Receiver<State>,
}

impl Hold {
    /// Waits for the release; a reset releases everything.
    pub async fn released(&mut self) -> Then {
        let released = self
            .state
            .wait_for(|state| matches!(state, State::Released { .. }))
            .await;
        match released.as_deref() {
            Ok(State::Released { then, .. }) => *then,
            _ => Then::Continue,
        }
    }
}

impl Breakpoints {
    fn lock(&self) -> MutexGuard<'_, Vec<Breakpoint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms one; its id.
    pub fn arm(&self, spec: Spec) -> usize {
        let mut all = self.lock();
        all.push(Breakpoint {
            spec,
            passed: 0,
            state: watch::Sender::new(State::Armed),
        });
        all.len()
    }

    /// The first armed breakpoint that an arrival meets, now hit.
    pub fn meet(&self, arrival: &Arrival, seq: u64) -> Option<Hold> {
        let mut all = self.lock();
        for breakpoint in all.iter_mut() {
            if *breakpoint.state.borrow() != State::Armed || !matches(&breakpoint.spec, arrival, seq) {
                continue;
            }
            if breakpoint.passed < breakpoint.spec.skip {
                breakpoint.passed += 1;
                continue;
            }
            return Some(Hold {
                when: breakpoint.spec.when,
                state: breakpoint.hit(seq),
            });
        }
        None
    }

    /// Follows a breakpoint's state; `None` when there is none of this id.
    pub fn watch(&self, id: usize) -> Option<watch::Receiver<State>> {
        let all = self.lock();
        all.get(id.checked_sub(1)?)
            .map(|breakpoint| breakpoint.state.subscribe())
    }

    /// Releases a breakpoint; false when there is none of this id.
    pub fn release(&self, id: usize, then: Then) -> bool {
        let all = self.lock();
        let breakpoint = id.checked_sub(1).and_then(|index| all.get(index));
        if let Some(breakpoint) = breakpoint {
            breakpoint.release(then);
        }
        breakpoint.is_some()
    }

    /// Releases and forgets all.
    pub fn clear(&self) {
        let mut all = self.lock();
        for breakpoint in all.iter() {
            breakpoint.release(Then::Drop);
        }
        all.clear();
    }
}

impl Breakpoint {
    fn hit(&self, seq: u64) -> watch::Receiver<State> {
        self.state.send_replace(State::Hit { seq });
        self.state.subscribe()
    }

    fn release(&self, then: Then) {
        let seq = match *self.state.borrow() {
            State::Armed => None,
            State::Hit { seq } => Some(seq),
            State::Released { .. } => return,
        };
        self.state.send_replace(State::Released { seq, then });
    }
}

fn matches(spec: &Spec, arrival: &Arrival, seq: u64) -> bool {
    let same =
        |wanted: &Option<String>, actual: &str| wanted.as_deref().is_none_or(|wanted| wanted == actual);
    same(&spec.account, &arrival.account)
        && same(&spec.region, &arrival.region)
        && same(&spec.service, &arrival.service)
        && same(&spec.action, &arrival.action)
        && spec.seq.is_none_or(|wanted| wanted == seq)
}

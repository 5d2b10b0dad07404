//! Killing the agent at one of its calls, before it is applied or before it is answered.

use serde_json::{Value, json};

use super::Play;
use crate::{
    row::{Agent, At},
    world::ACCOUNT,
};

/// A call of an operation; repeated reads of one kind between two writes count as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub action: String,
    /// How many writes had been applied when it first arrived.
    pub phase: usize,
    pub is_write: bool,
    /// Of a write: how many of this action came before.
    pub skip: usize,
}

impl Step {
    /// As a table shows it.
    pub fn name(&self) -> String {
        format!("{}@{}", self.action, self.phase)
    }
}

/// The steps of an operation, in the order of their first arrival.
pub fn steps(calls: &[Value]) -> Vec<Step> {
    let mut found: Vec<Step> = Vec::new();
    let mut writes: Vec<String> = Vec::new();
    for call in calls {
        let action = call["action"].as_str().expect("an action").to_owned();
        let is_write = call["kind"] == "write";
        let same = || writes.iter().filter(|write| **write == action).count();
        let step = Step {
            phase: writes.len(),
            is_write,
            skip: if is_write { same() } else { 0 },
            action: action.clone(),
        };
        if !found.contains(&step) {
            found.push(step);
        }
        if is_write && call["disposition"] == "applied" {
            writes.push(action);
        }
    }
    found
}

/// When the agent dies.
#[derive(Clone, Debug)]
pub struct Kill {
    pub step: Step,
    pub side: At,
    /// What becomes of a request that was not applied yet.
    pub fate: Fate,
    /// The write after which a read is waited for.
    pub after: Option<Step>,
    /// The cancel of the row is confirmed before, and asked for again with the order.
    pub after_cancel: bool,
}

/// A request that an agent sent before it died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    Dropped,
    /// It lands when the agent that was started again has the order.
    Lands,
    /// It lands when AWS shows for certain what was written before the new start.
    LandsLate,
}

/// A cancel comes when the rollout has begun: RegisterTaskDefinition and UpdateService
/// are applied.
pub const CANCELLED_IN: usize = 2;

/// What is armed for it.
pub(super) struct Deadly {
    pub kill: Kill,
    write: Option<Value>,
    step: Option<Value>,
}

impl Play {
    /// Before the order is sent.
    pub(super) async fn arm_kill(&self, kill: Kill) -> Deadly {
        // The first read after the cancel is waited for when that is confirmed.
        let is_later = kill.after_cancel && !kill.step.is_write && kill.step.phase == CANCELLED_IN;
        let write = match &kill.after {
            Some(write) if !is_later => Some(self.hold(write, At::After).await),
            _ => None,
        };
        let step = match write {
            None if !is_later => Some(self.hold(&kill.step, kill.side).await),
            _ => None,
        };
        Deadly { kill, write, step }
    }

    async fn hold(&self, step: &Step, side: At) -> Value {
        let when = match side {
            At::Before => "before",
            At::After => "after",
        };
        let spec = json!({
            "account": ACCOUNT, "action": step.action, "skip": step.skip, "when": when,
        });
        self.world.sim_post("breakpoints", spec).await
    }

    /// Waits for the call, kills, and asks again.
    pub(super) async fn kill(&mut self, deadly: Deadly) {
        let Deadly { kill, write, step } = deadly;
        let step = match (write, step) {
            (Some(write), _) => {
                self.world.wait_hit(&write).await;
                let step = self.hold(&kill.step, kill.side).await;
                self.world.release(&write, "continue").await;
                step
            }
            (None, Some(step)) => step,
            (None, None) => self.hold(&kill.step, kill.side).await,
        };
        if !self.is_hit(&step, &kill.step.name()).await {
            return;
        }
        self.agent(Agent::Killed).await;
        match kill.fate {
            Fate::Dropped => {
                self.world.release(&step, "drop").await;
                self.agent(Agent::Started).await;
            }
            Fate::Lands => {
                self.agent(Agent::Started).await;
                self.world.release(&step, "continue").await;
            }
            Fate::LandsLate => {
                self.agent(Agent::Started).await;
                self.world.seams.clock.sleep(self.settle() * 2).await;
                self.world.release(&step, "continue").await;
            }
        }
    }

    async fn is_hit(&mut self, breakpoint: &Value, name: &str) -> bool {
        let id = breakpoint["id"].as_str().expect("an id");
        let path = format!("breakpoints/{id}");
        while self.world.sim_get(&path).await["state"] != "hit" {
            if self.is_over(name).await {
                return false;
            }
        }
        true
    }
}

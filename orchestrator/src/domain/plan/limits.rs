//! How many operations run at the same time: per agent and over all projects.
//! Whoever may begin does so in the order of age, the oldest deployment first,
//! also between projects: [`hold_back`].

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Decision, Snapshot, Subject};
use crate::domain::{
    name::{AgentName, DeploymentId, OperationId},
    waiting_on::WaitingOn,
};

/// How many operations may be out at the same time. `None`: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub operations_per_agent: Option<u32>,
    pub operations: Option<u32>,
}

impl Limits {
    /// Those of an orchestrator whose file says nothing: what one agent can
    /// follow within ECS's request budget, and ten such agents at once.
    pub const STANDARD: Self = Self {
        operations_per_agent: Some(20),
        operations: Some(200),
    };
}

/// What is out, over all projects, and what of other projects waits for its turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub limits: Limits,
    pub out: BTreeMap<AgentName, u32>,
    pub waiting: Vec<Waiting>,
}

/// One operation that waits for its turn: since its deployment started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub since: Timestamp,
    pub agent: AgentName,
}

/// One place in the line, and whose operation it is where it is ours.
struct Place<'a> {
    since: Timestamp,
    agent: &'a AgentName,
    decision: Option<usize>,
}

/// Makes those wait that a limit leaves no room for. Decisions about operations
/// that this process begins already are left: they have their room.
pub fn hold_back(snapshot: &Snapshot, decisions: &mut [Decision]) {
    let load = &snapshot.load;
    if load.limits == Limits::default() {
        return;
    }
    let mut line: Vec<Place<'_>> = load
        .waiting
        .iter()
        .map(|it| Place {
            since: it.since,
            agent: &it.agent,
            decision: None,
        })
        .collect();
    for (index, decision) in decisions.iter().enumerate() {
        if let Some((since, agent)) = begins(snapshot, decision) {
            let decision = Some(index);
            line.push(Place {
                since,
                agent,
                decision,
            });
        }
    }
    // Stable: of one age, other projects first, then in the order of the plan.
    line.sort_by_key(|place| place.since);
    let mut room = Room::of(load);
    for place in line {
        let Some(full) = room.take(place.agent) else {
            continue;
        };
        if let Some(decision) = place.decision.and_then(|index| decisions.get_mut(index)) {
            *decision = wait(decision, full);
        }
    }
}

/// What waits for its turn in this project, for the line of the others.
pub fn waiting(snapshot: &Snapshot, decisions: &[Decision]) -> Vec<Waiting> {
    let of = |decision: &Decision| match decision {
        Decision::Wait {
            subject: Subject::Operation(deployment, operation),
            on: WaitingOn::Limit { .. },
            ..
        } => place(snapshot, *deployment, *operation).map(|(since, agent)| Waiting {
            since,
            agent: agent.clone(),
        }),
        _ => None,
    };
    decisions.iter().filter_map(of).collect()
}

/// The age and agent of an operation that would begin now.
fn begins<'a>(snapshot: &'a Snapshot, decision: &Decision) -> Option<(Timestamp, &'a AgentName)> {
    match decision {
        Decision::Dispatch {
            deployment,
            operation,
        } if !snapshot.attached.contains(operation) => place(snapshot, *deployment, *operation),
        _ => None,
    }
}

fn place(
    snapshot: &Snapshot,
    deployment: DeploymentId,
    operation: OperationId,
) -> Option<(Timestamp, &AgentName)> {
    let deployment = snapshot.deployments.iter().find(|it| it.id == deployment)?;
    let operation = deployment.operation(operation)?;
    Some((
        deployment.started.unwrap_or(deployment.created),
        &operation.slot.agent,
    ))
}

fn wait(decision: &Decision, full: WaitingOn) -> Decision {
    match decision {
        Decision::Dispatch {
            deployment,
            operation,
        } => Decision::Wait {
            subject: Subject::Operation(*deployment, *operation),
            on: full,
            until: None,
        },
        other => other.clone(),
    }
}

/// What is left of the limits.
struct Room<'a> {
    limits: Limits,
    out: BTreeMap<&'a AgentName, u32>,
    all: u32,
}

impl<'a> Room<'a> {
    fn of(load: &'a Load) -> Self {
        Self {
            limits: load.limits,
            out: load.out.iter().map(|(agent, out)| (agent, *out)).collect(),
            all: load.out.values().fold(0, |all, out| all.saturating_add(*out)),
        }
    }

    /// Takes a place; what is full where there is none.
    fn take(&mut self, agent: &'a AgentName) -> Option<WaitingOn> {
        let out = self.out.entry(agent).or_default();
        if let Some(limit) = self.limits.operations_per_agent.filter(|limit| *out >= *limit) {
            return Some(WaitingOn::Limit {
                agent: Some(agent.clone()),
                limit,
            });
        }
        if let Some(limit) = self.limits.operations.filter(|limit| self.all >= *limit) {
            return Some(WaitingOn::Limit { agent: None, limit });
        }
        *out = out.saturating_add(1);
        self.all = self.all.saturating_add(1);
        None
    }
}

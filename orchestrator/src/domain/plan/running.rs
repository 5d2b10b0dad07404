//! The operations of a deployment that runs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Connectivity, Decision, Snapshot, Subject};
use crate::domain::{
    deployment::{Deployment, Operation, OperationState, final_state, reason},
    name::{AgentName, ServiceName},
    waiting_on::WaitingOn,
};

/// An agent that is connected ends an operation at the deadline by itself, with
/// a diagnosis: it is given this long to say so.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

pub fn decide(snapshot: &Snapshot, deployment: &Deployment, now: Timestamp, decisions: &mut Vec<Decision>) {
    if let Some(state) = final_state(deployment) {
        decisions.push(Decision::FinishDeployment {
            deployment: deployment.id,
            state,
        });
        return;
    }
    if let Some(because) = stopped(deployment) {
        let pending = deployment
            .operations
            .iter()
            .filter(|it| it.state == OperationState::Pending);
        let operations: Vec<_> = pending.map(|operation| operation.slot.id).collect();
        if !operations.is_empty() {
            decisions.push(Decision::SkipRemaining {
                deployment: deployment.id,
                operations,
                because,
            });
        }
    } else {
        let pending = deployment
            .operations
            .iter()
            .filter(|it| it.state == OperationState::Pending);
        decisions.extend(pending.map(|operation| pending_operation(snapshot, deployment, operation, now)));
    }
    for operation in deployment
        .operations
        .iter()
        .filter(|operation| operation.state.is_out())
    {
        out(snapshot, deployment, operation, now, decisions);
    }
}

/// Why no further operation starts.
fn stopped(deployment: &Deployment) -> Option<String> {
    if deployment.cancel.is_some() {
        return Some(cancel_words(deployment));
    }
    deployment.operations.iter().find_map(|operation| {
        let verdict = operation.state.verdict().filter(|verdict| !verdict.is_good())?;
        Some(format!(
            "{} on {} {verdict}",
            operation.slot.service, operation.slot.target
        ))
    })
}

pub fn cancel_words(deployment: &Deployment) -> String {
    match &deployment.cancel {
        Some(cancel) => format!("cancelled by {}", cancel.operator),
        None => "cancelled".to_owned(),
    }
}

fn pending_operation(
    snapshot: &Snapshot,
    deployment: &Deployment,
    operation: &Operation,
    now: Timestamp,
) -> Decision {
    let subject = Subject::Operation(deployment.id, operation.slot.id);
    let until = deployment.deadline;
    if let Some(on) = not_its_turn(deployment, operation) {
        return Decision::Wait { subject, on, until };
    }
    if now >= deadline(deployment) {
        return expire_pending(snapshot, deployment, operation);
    }
    match absence(snapshot, operation) {
        Some(on) => Decision::Wait { subject, on, until },
        None => Decision::Dispatch {
            deployment: deployment.id,
            operation: operation.slot.id,
        },
    }
}

/// What comes before it: an earlier wave, or services that it follows.
fn not_its_turn(deployment: &Deployment, operation: &Operation) -> Option<WaitingOn> {
    let open = |other: &&Operation| !other.state.is_over();
    let earlier = deployment
        .operations
        .iter()
        .filter(open)
        .map(|other| other.slot.wave)
        .min()?;
    if earlier < operation.slot.wave {
        let open = deployment
            .operations
            .iter()
            .filter(open)
            .filter(|other| other.slot.wave == earlier)
            .count();
        return Some(WaitingOn::PreviousWave {
            wave: earlier,
            open: u32::try_from(open).unwrap_or(u32::MAX),
        });
    }
    let before = operation
        .slot
        .after
        .iter()
        .filter_map(|id| deployment.operation(*id));
    let first: Vec<ServiceName> = before
        .filter(|other| !other.state.verdict().is_some_and(|verdict| verdict.is_good()))
        .map(|other| other.slot.service.clone())
        .collect();
    (!first.is_empty()).then_some(WaitingOn::ServiceOrder { first })
}

/// Why the agent cannot be asked; `None` when it is connected.
fn absence(snapshot: &Snapshot, operation: &Operation) -> Option<WaitingOn> {
    absence_of(&snapshot.agents, &operation.slot.agent)
}

/// Why an agent cannot be asked; `None` when it is connected.
pub fn absence_of(agents: &BTreeMap<AgentName, Connectivity>, agent: &AgentName) -> Option<WaitingOn> {
    let agent = agent.clone();
    match agents.get(&agent) {
        Some(Connectivity::Connected { .. }) => None,
        Some(Connectivity::Offline { since, reason }) => Some(WaitingOn::AgentOffline {
            agent,
            since: *since,
            reason: reason.clone(),
        }),
        Some(Connectivity::NeverJoined) => Some(WaitingOn::AgentNeverJoined { agent }),
        None => Some(WaitingOn::AgentUnknown { agent }),
    }
}

/// An operation that was sent, as far as can be known.
fn out(
    snapshot: &Snapshot,
    deployment: &Deployment,
    operation: &Operation,
    now: Timestamp,
    decisions: &mut Vec<Decision>,
) {
    let id = operation.slot.id;
    let absence = absence(snapshot, operation);
    let last = if absence.is_none() {
        last_moment(deadline(deployment))
    } else {
        deadline(deployment)
    };
    if now >= last {
        decisions.push(expire_sent(deployment, operation, absence));
        return;
    }
    let subject = || Subject::Operation(deployment.id, id);
    let attached = snapshot.attached.contains(&id);
    match &absence {
        None if !attached => decisions.push(Decision::Reattach {
            deployment: deployment.id,
            operation: id,
        }),
        Some(on) if !attached => {
            decisions.push(Decision::Wait {
                subject: subject(),
                on: on.clone(),
                until: deployment.deadline,
            });
        }
        _ => {}
    }
    let Some(cancel) = deployment.cancel.as_ref().filter(|_| !operation.cancel_confirmed) else {
        return;
    };
    if attached && absence.is_none() {
        decisions.push(Decision::RequestCancel {
            deployment: deployment.id,
            operation: id,
            mode: cancel.mode,
        });
    }
    let offline_since = match absence {
        Some(WaitingOn::AgentOffline { since, .. }) => Some(since),
        _ => None,
    };
    let on = WaitingOn::CancelNotConfirmed {
        agent: operation.slot.agent.clone(),
        offline_since,
    };
    decisions.push(Decision::Wait {
        subject: subject(),
        on,
        until: deployment.deadline,
    });
}

/// Asks agents that are back what became of operations that were given up on.
pub fn learn_truth(snapshot: &Snapshot, deployment: &Deployment, decisions: &mut Vec<Decision>) {
    for operation in deployment.open_questions() {
        let id = operation.slot.id;
        if absence(snapshot, operation).is_none() && !snapshot.attached.contains(&id) {
            decisions.push(Decision::LearnTruth {
                deployment: deployment.id,
                operation: id,
            });
        }
    }
}

fn expire_pending(snapshot: &Snapshot, deployment: &Deployment, operation: &Operation) -> Decision {
    let (reason, summary, hint) = match absence(snapshot, operation) {
        Some(why) => (
            reason::AGENT_OFFLINE,
            format!("nothing was sent until the deadline: {}", brief(&why)),
            why.hint(),
        ),
        None => (
            reason::DEADLINE_EXCEEDED,
            "the deadline passed before its turn: nothing was sent".to_owned(),
            "give the environment a longer deadline in the project file, and promote again".to_owned(),
        ),
    };
    expire(deployment, operation, reason, summary, hint)
}

fn expire_sent(deployment: &Deployment, operation: &Operation, absence: Option<WaitingOn>) -> Decision {
    let why = match &absence {
        Some(why) => brief(why),
        None => format!("agent {} gave no verdict", operation.slot.agent),
    };
    let summary = format!("what became of it is not known, and the deadline has passed: {why}");
    let hint = format!(
        "look at service {} on {}; what the agent tells later is added to the log",
        operation.slot.service, operation.slot.target
    );
    expire(deployment, operation, reason::DEADLINE_EXCEEDED, summary, hint)
}

/// The sentence without its hint: an outcome has a hint of its own.
fn brief(why: &WaitingOn) -> String {
    let sentence = why.to_string();
    sentence
        .split_once(", hint: ")
        .map_or(sentence.clone(), |(brief, _)| brief.to_owned())
}

fn expire(
    deployment: &Deployment,
    operation: &Operation,
    reason: &str,
    summary: String,
    hint: String,
) -> Decision {
    Decision::ExpireOperation {
        deployment: deployment.id,
        operation: operation.slot.id,
        reason: reason.to_owned(),
        summary,
        hint,
    }
}

fn deadline(deployment: &Deployment) -> Timestamp {
    deployment.deadline.unwrap_or(Timestamp::MAX)
}

/// When a connected agent's word is no longer waited for.
pub fn last_moment(deadline: Timestamp) -> Timestamp {
    deadline.checked_add(GRACE).unwrap_or(Timestamp::MAX)
}

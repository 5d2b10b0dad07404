//! The operations of a deployment that runs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Connectivity, Decision, Snapshot, Subject, troubled};
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
            aftermath: deployment.aftermath(),
        });
        return;
    }
    let is_out = |it: &&Operation| it.state.is_out();
    if deployment.is_all_over() {
        decisions.extend(troubled::next_step(deployment, now));
        return;
    }
    let begun = decisions.len();
    pending(snapshot, deployment, now, decisions);
    let moves = decisions.iter().skip(begun).any(|it| !is_held(it));
    let out = deployment.operations.iter().filter(is_out);
    if !moves && out.clone().next().is_none() && deployment.needs_decision() {
        decisions.truncate(begun);
        decisions.push(troubled::ask(deployment, now));
        return;
    }
    for operation in out {
        self::out(snapshot, deployment, operation, now, decisions);
    }
}

/// Waits for others of its deployment: it does not move by itself.
fn is_held(decision: &Decision) -> bool {
    matches!(
        decision,
        Decision::Wait {
            on: WaitingOn::PreviousWave { .. }
                | WaitingOn::ServiceOrder { .. }
                | WaitingOn::Intervention { .. },
            ..
        }
    )
}

/// The operations that have not begun.
fn pending(snapshot: &Snapshot, deployment: &Deployment, now: Timestamp, decisions: &mut Vec<Decision>) {
    let pending = || {
        deployment
            .operations
            .iter()
            .filter(|it| it.state == OperationState::Pending)
    };
    if let Some(because) = troubled::halted(deployment) {
        let operations: Vec<_> = pending().map(|operation| operation.slot.id).collect();
        if !operations.is_empty() {
            decisions.push(troubled::skip(deployment, operations, because));
        }
        return;
    }
    let held = deployment.needs_decision() && deployment.is_stop_reached();
    for operation in pending() {
        let blocked = troubled::blocked(deployment, operation);
        let decision = match blocked {
            Some(before) if !deployment.is_guided() => {
                troubled::skip(deployment, vec![operation.slot.id], troubled::ended_badly(before))
            }
            Some(_) => hold(deployment, operation),
            None if held => hold(deployment, operation),
            None => pending_operation(snapshot, deployment, operation, now),
        };
        decisions.push(decision);
    }
}

/// It waits for what a person decides about others.
fn hold(deployment: &Deployment, operation: &Operation) -> Decision {
    Decision::Wait {
        subject: Subject::Operation(deployment.id, operation.slot.id),
        on: troubled::intervention(deployment),
        until: deployment.deadline,
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
    match absence(snapshot, operation).or_else(|| missing_replica(snapshot, operation)) {
        Some(on) => Decision::Wait { subject, on, until },
        None => Decision::Dispatch {
            deployment: deployment.id,
            operation: operation.slot.id,
        },
    }
}

/// The image that was looked for in vain, until it is looked for again.
fn missing_replica(snapshot: &Snapshot, operation: &Operation) -> Option<WaitingOn> {
    let id = operation.slot.id;
    let missing = snapshot.replicas.get(&id)?;
    snapshot.attached.contains(&id).then(|| missing.clone())
}

/// What comes before it: an earlier wave, or what it follows. Roll-backs have an
/// order of their own, in which it is enough that those before are over.
fn not_its_turn(deployment: &Deployment, operation: &Operation) -> Option<WaitingOn> {
    let slot = &operation.slot;
    let open =
        |other: &&Operation| other.slot.is_roll_back() == slot.is_roll_back() && !other.state.is_over();
    let open = || deployment.operations.iter().filter(open);
    let earlier = open().map(|other| other.slot.wave).min()?;
    if earlier < slot.wave {
        let open = open().filter(|other| other.slot.wave == earlier).count();
        return Some(WaitingOn::PreviousWave {
            wave: earlier,
            open: u32::try_from(open).unwrap_or(u32::MAX),
        });
    }
    let comes_first = |other: &&Operation| match slot.is_roll_back() {
        true => !other.state.is_over(),
        false => !other.is_satisfied(),
    };
    let before = slot.after.iter().filter_map(|id| deployment.last_attempt(*id));
    let first: Vec<ServiceName> = before
        .filter(comes_first)
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
    let missing = snapshot.replicas.get(&operation.slot.id);
    let nothing_sent = |why: &WaitingOn| format!("nothing was sent until the deadline: {}", brief(why));
    let (reason, summary, hint) = match (absence(snapshot, operation), missing) {
        (Some(why), _) => (reason::AGENT_OFFLINE, nothing_sent(&why), why.hint()),
        (None, Some(why)) => (reason::REPLICA_MISSING, nothing_sent(why), why.hint()),
        (None, None) => (
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

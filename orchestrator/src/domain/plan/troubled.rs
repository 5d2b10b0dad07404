//! A deployment in which operations ended badly: who decides, what stops, what
//! is put back. What may begin in spite of it is decided in `running`.

use jiff::{SignedDuration, Timestamp};

use super::{Decision, Subject};
use crate::domain::{
    deployment::{Deployment, Operation, OperationState},
    name::OperationId,
    project::FailureRules,
    waiting_on::WaitingOn,
};

/// Why no further operation of a group begins: `None`, it goes on.
pub fn halted(deployment: &Deployment) -> Option<String> {
    if deployment.cancel.is_some() {
        return Some(cancel_words(deployment));
    }
    // A roll-back is carried through, whatever becomes of its parts.
    if deployment.roll_back.is_some() {
        return None;
    }
    if let Some(stop) = &deployment.stop {
        return Some(match &stop.by {
            Some(by) => format!("aborted by {by}"),
            None => "nobody said in time how to go on".to_owned(),
        });
    }
    let worst = deployment.undecided().next()?;
    (!deployment.is_guided() && deployment.is_stop_reached()).then(|| ended_badly(worst))
}

pub fn cancel_words(deployment: &Deployment) -> String {
    match &deployment.cancel {
        Some(cancel) => format!("cancelled by {}", cancel.operator),
        None => "cancelled".to_owned(),
    }
}

/// "web on 333333333333/eu-west-1/main failed"
pub fn ended_badly(operation: &Operation) -> String {
    let slot = &operation.slot;
    match &operation.state {
        OperationState::Ended { outcome, .. } => {
            format!("{} on {} {}", slot.service, slot.target, outcome.verdict)
        }
        OperationState::Skipped { .. } => format!("{} on {} was not started", slot.service, slot.target),
        _ => format!("{} on {} has not ended", slot.service, slot.target),
    }
}

/// What an operation follows and can follow no more: it will never have its turn.
pub fn blocked<'a>(deployment: &'a Deployment, operation: &Operation) -> Option<&'a Operation> {
    if operation.slot.is_roll_back() {
        return None;
    }
    let before = operation.slot.after.iter();
    before
        .filter_map(|id| deployment.last_attempt(*id))
        .find(|it| it.state.is_over() && !it.is_satisfied())
}

/// All is over and the deployment is not: somebody has to decide, or something
/// has to be put back.
pub fn next_step(deployment: &Deployment, now: Timestamp) -> Option<Decision> {
    if deployment.needs_decision() {
        return Some(ask(deployment, now));
    }
    let begin = || Decision::BeginRollBack {
        deployment: deployment.id,
        deadline: after(now, deployment.time_limit),
    };
    (deployment.is_all_over() && deployment.owes_roll_back()).then(begin)
}

pub fn ask(deployment: &Deployment, now: Timestamp) -> Decision {
    let time = deployment.manner.failures.guided;
    let time = time.unwrap_or(FailureRules::DEFAULT_DECISION_TIME);
    Decision::AskForIntervention {
        deployment: deployment.id,
        until: after(now, time),
    }
}

/// A deployment that waits for a person's decision.
pub fn awaiting_intervention(deployment: &Deployment, now: Timestamp) -> Decision {
    let id = deployment.id;
    if !deployment.needs_decision() {
        return Decision::Resume {
            deployment: id,
            deadline: after(now, deployment.time_limit),
        };
    }
    let until = deployment.intervention_until;
    if until.is_none_or(|until| now >= until) {
        return Decision::ExpireIntervention { deployment: id };
    }
    Decision::Wait {
        subject: Subject::Deployment(id),
        on: intervention(deployment),
        until,
    }
}

/// What a person has to decide about.
pub fn intervention(deployment: &Deployment) -> WaitingOn {
    let count = deployment.undecided().count();
    WaitingOn::Intervention {
        deployment: deployment.id,
        about: deployment.undecided().next().map(ended_badly).unwrap_or_default(),
        more: u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX),
        until: deployment.intervention_until.unwrap_or(Timestamp::MAX),
    }
}

/// Skips operations, with one reason for all.
pub fn skip(deployment: &Deployment, operations: Vec<OperationId>, because: String) -> Decision {
    Decision::SkipRemaining {
        deployment: deployment.id,
        operations,
        because,
    }
}

fn after(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

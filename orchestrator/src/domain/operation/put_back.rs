//! What puts back what a failed deployment had changed: start at [`roll_backs`].

use std::collections::BTreeMap;

use super::{Payload, PlannedOperation, UpdateMembers, UpdatePayload};
use crate::domain::{
    deployment::{Deployment, LeftAsIs, Operation, OperationSlot, SlotKind},
    name::OperationId,
};

/// What is known of an operation whose work is put back.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    pub planned: PlannedOperation,
    /// What ended well there before this deployment.
    pub before: Option<PlannedOperation>,
}

/// The roll-backs of a deployment, in the order in which they begin: what came
/// last is put back first. `changed` are the operations of
/// [`Deployment::to_put_back`]; one that is missing there is left as it is.
pub fn roll_backs(
    deployment: &Deployment,
    changed: &BTreeMap<OperationId, Changed>,
) -> (Vec<PlannedOperation>, Vec<LeftAsIs>) {
    let mut all = Vec::new();
    let mut left = Vec::new();
    let last_wave = deployment.forward().map(|it| it.slot.wave).max().unwrap_or(0);
    for operation in deployment.to_put_back() {
        let slot = &operation.slot;
        let known = changed.get(&slot.id);
        let payload = known.ok_or_else(|| "nothing is recorded of it".to_owned());
        match payload.and_then(|known| Ok((known, payload_before(deployment, operation, known)?))) {
            Ok((known, payload)) => all.push(PlannedOperation {
                id: roll_back_id(deployment, slot),
                wave: last_wave.saturating_sub(slot.wave),
                after: followers(deployment, slot),
                payload,
                force: false,
                plan: None,
                reads: Vec::new(),
                kind: SlotKind::RollBackOf(slot.id),
                attempt: slot.attempt,
                ..known.planned.clone()
            }),
            Err(because) => left.push(LeftAsIs {
                operation: slot.id,
                because: format!("{} on {}: {because}", slot.service, slot.target),
            }),
        }
    }
    // Only what is put back is waited for.
    let ids: Vec<OperationId> = all.iter().map(|it| it.id).collect();
    for operation in &mut all {
        operation.after.retain(|id| ids.contains(id));
    }
    (all, left)
}

fn roll_back_id(deployment: &Deployment, slot: &OperationSlot) -> OperationId {
    OperationId::of_roll_back(deployment.id, &slot.target, &slot.service, slot.attempt)
}

/// The roll-backs of what followed an operation come before its own.
fn followers(deployment: &Deployment, slot: &OperationSlot) -> Vec<OperationId> {
    let follows = |it: &&Operation| {
        let before = it.slot.after.iter();
        let mut before = before.filter_map(|id| deployment.last_attempt(*id));
        before.any(|it| it.slot.id == slot.id)
    };
    deployment
        .forward()
        .filter(follows)
        .map(|it| roll_back_id(deployment, &it.slot))
        .collect()
}

/// An existing service goes back to the very revision that it ran; one that
/// Towline owns, to what its release before had made of it.
fn payload_before(
    deployment: &Deployment,
    operation: &Operation,
    known: &Changed,
) -> Result<Payload, String> {
    match (&known.planned.payload, &known.before) {
        (Payload::Update(update), before) => match (revision_before(deployment, operation), before) {
            (Some(revision), _) => Ok(Payload::Update(Box::new(to_revision(update, revision)))),
            (None, Some(before)) => Ok(before.payload.clone()),
            (None, None) => Err("what ran there before is not known: it stays".to_owned()),
        },
        (Payload::Fargate(_), Some(before)) => Ok(before.payload.clone()),
        (Payload::Fargate(_), None) => Err("Towline had put nothing there before: it stays".to_owned()),
        (Payload::Task(_), _) => Err("a task cannot be put back".to_owned()),
    }
}

/// The revision that ran before the first attempt of this deployment.
fn revision_before(deployment: &Deployment, operation: &Operation) -> Option<String> {
    let same = |it: &&Operation| {
        it.slot.service == operation.slot.service
            && it.slot.target == operation.slot.target
            && it.slot.kind == operation.slot.kind
    };
    let first = deployment
        .forward()
        .filter(same)
        .find_map(|it| it.expected.as_ref())?;
    (!first.task_definition.is_empty()).then(|| first.task_definition.clone())
}

fn to_revision(update: &UpdatePayload, revision: String) -> UpdatePayload {
    UpdatePayload {
        service: update.service.clone(),
        containers: Vec::new(),
        more: UpdateMembers {
            revision,
            timeout: update.more.timeout,
            ..UpdateMembers::default()
        },
    }
}

//! Operations that were executed before, as new ones: of a deployment that goes
//! back to what was recorded, and of one that a person tries again.

use std::collections::BTreeMap;

use super::{FIRST_ATTEMPT, PlannedOperation};
use crate::domain::{
    deployment::{Deployment, Operation, SlotKind},
    name::{DeploymentId, OperationId},
};

/// What put a release on its services, once more under a new deployment: the
/// same payloads, waves and order. One-off tasks are left out: what they did is
/// not undone by doing it again.
pub fn recorded(
    past: &Deployment,
    payloads: &BTreeMap<OperationId, PlannedOperation>,
    deployment: DeploymentId,
) -> Vec<PlannedOperation> {
    let services: Vec<&Operation> = past
        .forward()
        .filter(|it| it.slot.kind == SlotKind::Service && it.state.is_good())
        .collect();
    let new_id = |operation: &Operation| {
        OperationId::of(
            deployment,
            &operation.slot.target,
            &operation.slot.service,
            FIRST_ATTEMPT,
        )
    };
    let again = |operation: &&Operation| {
        let planned = payloads.get(&operation.slot.id)?;
        let before = operation.slot.after.iter();
        let before = before
            .filter_map(|id| past.last_attempt(*id))
            .filter(|before| services.iter().any(|it| it.slot.id == before.slot.id));
        Some(PlannedOperation {
            id: new_id(operation),
            after: before.map(new_id).collect(),
            force: false,
            plan: None,
            attempt: FIRST_ATTEMPT,
            ..planned.clone()
        })
    };
    services.iter().filter_map(again).collect()
}

/// The next attempt at an operation: all is the same but its id.
pub fn next_attempt(deployment: DeploymentId, planned: &PlannedOperation) -> PlannedOperation {
    let attempt = planned.attempt.saturating_add(1);
    let (target, name) = (&planned.target, &planned.service);
    let id = match planned.kind {
        SlotKind::Task => OperationId::of_task(deployment, target, name, attempt),
        SlotKind::Service => OperationId::of(deployment, target, name, attempt),
        SlotKind::RollBackOf(_) => OperationId::of_roll_back(deployment, target, name, attempt),
    };
    PlannedOperation {
        id,
        attempt,
        ..planned.clone()
    }
}

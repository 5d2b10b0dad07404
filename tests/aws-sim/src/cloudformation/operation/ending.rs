//! What comes after a phase whose steps are all over.

use std::collections::BTreeSet;

use super::{Operation, OperationKind, Phase, Step, Work, rollback, step};
use crate::{
    cloudformation::{
        change_set::ExecutionStatus,
        model::{Given, Mark, Stack, StackStatus},
        template::scalar,
    },
    world::{Region, SimTime},
};

/// Goes to the next phase; false when the operation is over.
pub fn next(region: &mut Region, stack: &mut Stack, operation: &mut Operation, now: SimTime) -> bool {
    let mark = operation.mark(now);
    let has_failed = operation.failed().next().is_some();
    let words = has_failed.then(|| rollback::failures(operation));
    match (operation.phase, has_failed) {
        (Phase::Applying, _) => applied(region, stack, operation, &mark),
        (Phase::RollingBack, true) => {
            stack.enter(region, &mark, StackStatus::UpdateRollbackFailed, words);
            close_change_sets(stack, operation, false);
            operation.phase = Phase::Stuck;
            true
        }
        (Phase::RollingBack, false) => {
            let status = StackStatus::UpdateRollbackCompleteCleanupInProgress;
            stack.enter(region, &mark, status, None);
            let steps = clean_up(operation);
            operation.enter(Phase::CleaningUpRollback, steps, now);
            true
        }
        (Phase::CleaningUp, _) => finish(region, stack, operation, &mark, StackStatus::UpdateComplete, None),
        (Phase::CleaningUpRollback, _) => finish(
            region,
            stack,
            operation,
            &mark,
            StackStatus::UpdateRollbackComplete,
            None,
        ),
        (Phase::RollingBackCreate, true) => finish(
            region,
            stack,
            operation,
            &mark,
            StackStatus::RollbackFailed,
            words,
        ),
        (Phase::RollingBackCreate, false) => finish(
            region,
            stack,
            operation,
            &mark,
            StackStatus::RollbackComplete,
            None,
        ),
        (Phase::Deleting, true) => finish(region, stack, operation, &mark, StackStatus::DeleteFailed, words),
        (Phase::Deleting, false) => {
            stack.deleted = Some(now);
            stack.change_sets.clear();
            finish(region, stack, operation, &mark, StackStatus::DeleteComplete, None)
        }
        (Phase::Stuck, _) => true,
    }
}

/// Says what became of the executed change set, and drops the others after a success.
pub fn close_change_sets(stack: &mut Stack, operation: &Operation, is_success: bool) {
    let executed = operation.change_set.as_deref();
    for change_set in &mut stack.change_sets {
        if Some(change_set.id.as_str()) == executed {
            change_set.execution = if is_success {
                ExecutionStatus::ExecuteComplete
            } else {
                ExecutionStatus::ExecuteFailed
            };
        }
    }
    if is_success {
        stack
            .change_sets
            .retain(|change_set| Some(change_set.id.as_str()) == executed);
    }
}

fn applied(region: &mut Region, stack: &mut Stack, operation: &mut Operation, mark: &Mark) -> bool {
    stack.outputs = outputs(region, stack);
    if operation.kind == OperationKind::Create {
        return finish(region, stack, operation, mark, StackStatus::CreateComplete, None);
    }
    let declared = stack.blueprint.as_ref().map(|blueprint| &blueprint.template);
    let gone = stack
        .resources
        .iter()
        .filter(|r| declared.is_none_or(|t| t.resource(&r.logical_id).is_none()));
    let gone: Vec<_> = gone.cloned().collect();
    for resource in gone {
        step::leave(stack, operation, resource);
    }
    stack.enter(region, mark, StackStatus::UpdateCompleteCleanupInProgress, None);
    let steps = clean_up(operation);
    operation.enter(Phase::CleaningUp, steps, mark.now);
    true
}

fn finish(
    region: &mut Region,
    stack: &mut Stack,
    operation: &Operation,
    mark: &Mark,
    status: StackStatus,
    words: Option<String>,
) -> bool {
    stack.enter(region, mark, status, words);
    let is_success = matches!(status, StackStatus::CreateComplete | StackStatus::UpdateComplete);
    close_change_sets(stack, operation, is_success);
    false
}

/// The removal of the leftovers, the newest first, one after the other.
fn clean_up(operation: &mut Operation) -> Vec<Step> {
    let mut earlier = BTreeSet::new();
    let leftovers = operation.leftovers.drain(..).rev();
    let steps = leftovers.map(|leftover| {
        let logical_id = leftover.resource.logical_id.clone();
        let after = earlier.clone();
        earlier.insert(logical_id.clone());
        let work = Work::Remove {
            resource: Box::new(leftover.resource),
            is_kept: leftover.is_kept,
        };
        Step::new(logical_id, after, work)
    });
    steps.collect()
}

fn outputs(region: &Region, stack: &Stack) -> Vec<Given> {
    let Some(blueprint) = &stack.blueprint else {
        return Vec::new();
    };
    let pseudo = stack.pseudo(region);
    let scope = blueprint.scope(&pseudo, &stack.resources);
    let text = |value| scope.value(value).ok().flatten().as_ref().and_then(scalar);
    let held = blueprint
        .template
        .outputs
        .iter()
        .filter(|o| scope.holds(o.condition.as_deref()) == Ok(true));
    let given = held.filter_map(|output| {
        Some(Given {
            name: output.name.clone(),
            value: text(&output.value)?,
            description: output.description.clone(),
            export: output.export.as_ref().and_then(text),
        })
    });
    given.collect()
}

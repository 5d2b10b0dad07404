//! The ways back after a failure.

use std::collections::BTreeSet;

use super::{
    Leftover, OnFailure, Operation, OperationKind, Phase, Step, Work, is_kept_on, removals,
    step::{self, Verb},
};
use crate::{
    cloudformation::{
        model::{Mark, Stack, StackStatus},
        references,
        template::Template,
    },
    world::{Region, SimTime},
};

/// Leaves the applying phase after a failure, or because a person said so.
/// False when the operation ends here.
pub fn begin(
    region: &mut Region,
    stack: &mut Stack,
    operation: &mut Operation,
    now: SimTime,
    reason: Option<String>,
) -> bool {
    let mark = operation.mark(now);
    step::cancel_all(stack, operation, &mark);
    let words = reason.unwrap_or_else(|| failures(operation));
    match (operation.kind, operation.on_failure) {
        (OperationKind::Create, OnFailure::Keep) => {
            stack.enter(region, &mark, StackStatus::CreateFailed, Some(words));
            super::ending::close_change_sets(stack, operation, false);
            false
        }
        (OperationKind::Create, OnFailure::RollBack) => {
            let words = format!(
                "{}. Rollback requested by user.",
                words.trim_end_matches(['.', ' '])
            );
            stack.enter(region, &mark, StackStatus::RollbackInProgress, Some(words));
            let steps = removals_after_create(stack);
            operation.enter(Phase::RollingBackCreate, steps, now);
            true
        }
        (OperationKind::Create, OnFailure::Delete) => {
            stack.enter(region, &mark, StackStatus::DeleteInProgress, Some(words));
            let steps = removals_after_create(stack);
            operation.enter(Phase::Deleting, steps, now);
            true
        }
        (OperationKind::Update, OnFailure::Keep) => {
            stack.enter(region, &mark, StackStatus::UpdateFailed, Some(words));
            super::ending::close_change_sets(stack, operation, false);
            false
        }
        (OperationKind::Update, _) => {
            go_back(region, stack, operation, &mark, words);
            true
        }
        (OperationKind::Delete, _) => true,
    }
}

/// `The following resource(s) failed to …` for the failed steps of the phase.
pub fn failures(operation: &Operation) -> String {
    let of = |wanted: &[Verb], word: &str| {
        let failed = operation
            .failed()
            .filter(|step| step.failed_verb().is_some_and(|v| wanted.contains(&v)));
        let names: Vec<&str> = failed.map(|step| step.logical_id.as_str()).collect();
        if names.is_empty() {
            String::new()
        } else {
            format!(
                "The following resource(s) failed to {word}: [{}]. ",
                names.join(", ")
            )
        }
    };
    of(&[Verb::Create], "create")
        + &of(&[Verb::Update, Verb::Replace], "update")
        + &of(&[Verb::Delete], "delete")
}

fn go_back(region: &mut Region, stack: &mut Stack, operation: &mut Operation, mark: &Mark, words: String) {
    stack.enter(region, mark, StackStatus::UpdateRollbackInProgress, Some(words));
    operation.leftovers.clear();
    let Some(before) = &operation.before else {
        return;
    };
    stack.blueprint.clone_from(&before.blueprint);
    let mut leftovers = Vec::new();
    for resource in &stack.resources {
        let was = before
            .resources
            .iter()
            .find(|was| was.logical_id == resource.logical_id);
        if was.is_none_or(|was| was.physical_id != resource.physical_id) {
            leftovers.push(Leftover {
                is_kept: is_kept_on(Phase::CleaningUpRollback, resource.deletion),
                resource: resource.clone(),
            });
        }
    }
    stack.resources.retain(|resource| {
        before
            .resources
            .iter()
            .any(|was| was.logical_id == resource.logical_id)
    });
    let template = before.blueprint.as_ref().map(|blueprint| &blueprint.template);
    let touched = before
        .resources
        .iter()
        .filter(|was| operation.touched.contains(&was.logical_id));
    let steps = touched.map(|was| {
        let after = template
            .map(|t| dependencies(t, &was.logical_id))
            .unwrap_or_default();
        Step::new(
            was.logical_id.clone(),
            after,
            Work::Restore(Box::new(was.clone())),
        )
    });
    let steps = steps.collect();
    operation.leftovers = leftovers;
    operation.enter(Phase::RollingBack, steps, mark.now);
}

fn dependencies(template: &Template, logical_id: &str) -> BTreeSet<String> {
    let declaration = template.resource(logical_id);
    declaration
        .map(|declaration| references::dependencies(template, declaration))
        .unwrap_or_default()
}

fn removals_after_create(stack: &Stack) -> Vec<Step> {
    let mut steps = removals(stack);
    for step in &mut steps {
        step.decide_to_keep(|resource| is_kept_on(Phase::RollingBackCreate, resource.deletion));
    }
    steps
}

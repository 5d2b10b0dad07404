//! One run over a stack: create, update, delete, and the ways back.
//!
//! Start at [`advance`], which moves a stack on by one step of the clock. An
//! operation goes through [`Phase`]s; a phase is a list of [`Step`]s, one for
//! each resource, that wait for one another; [`step`] moves one. What always
//! holds: a stack's status changes only here and where a client's action
//! begins an operation, and each change is an event with the operation's token.

mod ending;
mod rollback;
pub mod step;

use std::collections::BTreeSet;

pub use step::{Step, Work};

use super::{
    model::{Blueprint, Mark, Resource, Stack, StackStatus},
    references,
    template::Policy,
};
use crate::world::{Region, SimTime};

/// Between two phases, in simulated milliseconds.
const BREATH_MS: i64 = 1_000;

/// A run over a stack.
#[derive(Debug)]
pub struct Operation {
    pub kind: OperationKind,
    /// The caller's ClientRequestToken.
    pub token: Option<String>,
    pub id: String,
    /// The change set that is executed.
    pub change_set: Option<String>,
    pub on_failure: OnFailure,
    pub phase: Phase,
    pub steps: Vec<Step>,
    /// What an update goes back to.
    pub before: Option<Before>,
    /// Logical ids of the resources that the update began to change.
    pub touched: BTreeSet<String>,
    /// Physical resources that the clean-up removes.
    pub leftovers: Vec<Leftover>,
    /// Nothing happens before.
    pub resumes: SimTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    Create,
    Update,
    Delete,
}

/// What is done when a resource fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    RollBack,
    /// `DO_NOTHING`, `DisableRollback`.
    Keep,
    /// `DELETE`.
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The template's resources are made and changed.
    Applying,
    /// After a failed update: resources go back to what they were.
    RollingBack,
    /// An update's replaced and removed resources are removed.
    CleaningUp,
    /// What a failed update made anew is removed.
    CleaningUpRollback,
    /// The resources of a failed create are removed.
    RollingBackCreate,
    /// The resources of the stack are removed.
    Deleting,
    /// UPDATE_ROLLBACK_FAILED: waits for ContinueUpdateRollback.
    Stuck,
}

/// What an update goes back to.
#[derive(Debug)]
pub struct Before {
    pub blueprint: Option<Blueprint>,
    pub resources: Vec<Resource>,
}

/// A physical resource that the stack no longer uses.
#[derive(Debug)]
pub struct Leftover {
    pub resource: Resource,
    /// Its policy says to leave it where it is.
    pub is_kept: bool,
}

impl Operation {
    /// A run that applies the stack's blueprint.
    pub fn applying(
        region: &mut Region,
        stack: &Stack,
        kind: OperationKind,
        before: Option<Before>,
        mark: &Mark,
    ) -> Self {
        let steps = stack.blueprint.as_ref().map(|blueprint| {
            let ordered = references::order(&blueprint.template).unwrap_or_default();
            let steps = ordered.into_iter().filter_map(|logical_id| {
                let declaration = blueprint.template.resource(&logical_id)?;
                let after = references::dependencies(&blueprint.template, declaration);
                Some(Step::new(logical_id, after, Work::Apply))
            });
            steps.collect()
        });
        Self {
            kind,
            token: mark.token.clone(),
            id: mark
                .operation_id
                .clone()
                .unwrap_or_else(|| region.ids.uuid("operation")),
            change_set: None,
            on_failure: OnFailure::RollBack,
            phase: Phase::Applying,
            steps: steps.unwrap_or_default(),
            before,
            touched: BTreeSet::new(),
            leftovers: Vec::new(),
            resumes: mark.now.plus_ms(BREATH_MS),
        }
    }

    /// A run that removes the stack's resources.
    pub fn deleting(stack: &Stack, id: String, token: Option<String>, now: SimTime) -> Self {
        Self {
            kind: OperationKind::Delete,
            token,
            id,
            change_set: None,
            on_failure: OnFailure::Keep,
            phase: Phase::Deleting,
            steps: removals(stack),
            before: None,
            touched: BTreeSet::new(),
            leftovers: Vec::new(),
            resumes: now.plus_ms(BREATH_MS),
        }
    }

    pub fn mark(&self, now: SimTime) -> Mark {
        Mark {
            now,
            token: self.token.clone(),
            operation_id: Some(self.id.clone()),
        }
    }

    /// The phase's steps that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.has_failed())
    }

    fn enter(&mut self, phase: Phase, steps: Vec<Step>, now: SimTime) {
        self.phase = phase;
        self.steps = steps;
        self.resumes = now.plus_ms(BREATH_MS);
    }
}

/// Moves the stack's operation on to `now`.
pub fn advance(region: &mut Region, stack: &mut Stack, now: SimTime) {
    let Some(mut operation) = stack.operation.take() else {
        return;
    };
    if operation.phase != Phase::Stuck && now >= operation.resumes {
        step::advance_all(region, stack, &mut operation, now);
        let has_failed = operation.failed().next().is_some();
        let is_over = !step::can_go_on(&operation);
        let goes_on = match (operation.phase, has_failed, is_over) {
            (Phase::Applying, true, _) => rollback::begin(region, stack, &mut operation, now, None),
            (_, _, true) => ending::next(region, stack, &mut operation, now),
            _ => true,
        };
        if !goes_on {
            return;
        }
    }
    stack.operation = Some(operation);
}

/// CancelUpdateStack: the update in progress goes back.
pub fn cancel(region: &mut Region, stack: &mut Stack, token: Option<String>, now: SimTime) {
    let Some(mut operation) = stack.operation.take() else {
        return;
    };
    if token.is_some() {
        operation.token = token;
    }
    let reason = Some("User Initiated".to_owned());
    if rollback::begin(region, stack, &mut operation, now, reason) {
        stack.operation = Some(operation);
    }
}

/// ContinueUpdateRollback: what failed to go back is tried again, `skipped` excepted.
pub fn resume(
    region: &mut Region,
    stack: &mut Stack,
    token: Option<String>,
    skipped: &[String],
    now: SimTime,
) {
    let Some(mut operation) = stack.operation.take() else {
        return;
    };
    operation.token = token;
    operation.phase = Phase::RollingBack;
    operation.resumes = now.plus_ms(BREATH_MS);
    let mark = operation.mark(now);
    let reason = Some("User Initiated".to_owned());
    stack.enter(region, &mark, StackStatus::UpdateRollbackInProgress, reason);
    for step in &mut operation.steps {
        step.retry(skipped.contains(&step.logical_id));
    }
    stack.operation = Some(operation);
}

/// One removal for each resource, each after those that depend on it.
fn removals(stack: &Stack) -> Vec<Step> {
    let template = stack.blueprint.as_ref().map(|blueprint| &blueprint.template);
    let dependants = |logical_id: &str| -> BTreeSet<String> {
        let declared = template.into_iter().flat_map(|template| &template.resources);
        let depend = declared.filter(|declaration| {
            template.is_some_and(|t| references::dependencies(t, declaration).contains(logical_id))
        });
        depend.map(|declaration| declaration.logical_id.clone()).collect()
    };
    let resources = stack.resources.iter().rev();
    let steps = resources.map(|resource| {
        let after = dependants(&resource.logical_id);
        let work = Work::Remove {
            resource: Box::new(resource.clone()),
            is_kept: is_kept_on(Phase::Deleting, resource.deletion),
        };
        Step::new(resource.logical_id.clone(), after, work)
    });
    steps.collect()
}

/// Whether the resource outlives what happens in this phase.
fn is_kept_on(phase: Phase, policy: Policy) -> bool {
    match (phase, policy) {
        (_, Policy::Delete) => false,
        (_, Policy::Retain) => true,
        (phase, Policy::RetainExceptOnCreate) => {
            !matches!(phase, Phase::RollingBackCreate | Phase::CleaningUpRollback)
        }
    }
}

//! One resource's part in a phase, from its first event to its last.

mod apply;
mod record;

use std::collections::BTreeSet;

pub use record::changed;
pub(super) use record::leave;
use record::{conclude, forget, wanted_as_is};

use super::{Leftover, Operation};
use crate::{
    cloudformation::{
        model::{Mark, Resource, Stack},
        resource::{self, Found, Refusal, Wait, Wanted},
        template::Policy,
    },
    world::{Region, SimTime},
};

/// From a resource's first event to its handler's first call, in simulated milliseconds.
const HANDLER_MS: i64 = 500;

/// A handler that was throttled tries again after.
const RETRY_MS: i64 = 2_000;

/// One resource's part in a phase.
#[derive(Debug)]
pub struct Step {
    pub logical_id: String,
    /// Steps of the same phase that must be over before.
    after: BTreeSet<String>,
    work: Work,
    state: State,
}

/// What is to be done.
#[derive(Debug)]
pub enum Work {
    /// Make the resource what the blueprint says.
    Apply,
    /// Make the resource what it was.
    Restore(Box<Resource>),
    /// Remove the physical resource, or leave it where it is.
    Remove { resource: Box<Resource>, is_kept: bool },
}

#[derive(Debug)]
enum State {
    Waiting,
    /// The event is out; the handler is called next.
    Begun {
        verb: Verb,
        wanted: Box<Wanted>,
        calls_at: SimTime,
    },
    Working {
        verb: Verb,
        wait: Wait,
    },
    Over,
    Failed {
        verb: Verb,
    },
}

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Create,
    Update,
    Replace,
    Delete,
}

impl Verb {
    fn in_progress(self) -> &'static str {
        match self {
            Self::Create => "CREATE_IN_PROGRESS",
            Self::Update | Self::Replace => "UPDATE_IN_PROGRESS",
            Self::Delete => "DELETE_IN_PROGRESS",
        }
    }

    fn complete(self) -> &'static str {
        match self {
            Self::Create => "CREATE_COMPLETE",
            Self::Update | Self::Replace => "UPDATE_COMPLETE",
            Self::Delete => "DELETE_COMPLETE",
        }
    }

    fn failed(self) -> &'static str {
        match self {
            Self::Create => "CREATE_FAILED",
            Self::Update | Self::Replace => "UPDATE_FAILED",
            Self::Delete => "DELETE_FAILED",
        }
    }
}

impl Step {
    pub fn new(logical_id: String, after: BTreeSet<String>, work: Work) -> Self {
        Self {
            logical_id,
            after,
            work,
            state: State::Waiting,
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over | State::Failed { .. })
    }

    pub fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed { .. })
    }

    /// What failed, for the stack's own words.
    pub fn failed_verb(&self) -> Option<Verb> {
        match self.state {
            State::Failed { verb } => Some(verb),
            _ => None,
        }
    }

    /// Begins a failed step anew, or counts it as done.
    pub fn retry(&mut self, is_skipped: bool) {
        if self.has_failed() {
            self.state = if is_skipped { State::Over } else { State::Waiting };
        }
    }

    /// Decides anew whether what is to be removed is left where it is.
    pub fn decide_to_keep(&mut self, decide: impl FnOnce(&Resource) -> bool) {
        if let Work::Remove { resource, is_kept } = &mut self.work {
            *is_kept = decide(resource);
        }
    }

    /// What a handler is doing, if one is.
    fn under_way(&self) -> Option<Verb> {
        match &self.state {
            State::Begun { verb, .. } | State::Working { verb, .. } => Some(*verb),
            _ => None,
        }
    }
}

/// Moves every step that can move.
pub fn advance_all(region: &mut Region, stack: &mut Stack, operation: &mut Operation, now: SimTime) {
    let mark = operation.mark(now);
    for index in 0..operation.steps.len() {
        if !is_ready(operation, index) {
            continue;
        }
        let Some(mut step) = operation.steps.get_mut(index).map(take) else {
            continue;
        };
        advance(region, stack, operation, &mut step, &mark);
        if let Some(place) = operation.steps.get_mut(index) {
            *place = step;
        }
    }
}

/// Whether anything of the phase is left to do that no failure blocks.
pub fn can_go_on(operation: &Operation) -> bool {
    let steps = operation.steps.iter().enumerate();
    steps
        .into_iter()
        .any(|(index, step)| !step.is_over() && is_ready(operation, index))
}

/// Calls off what handlers are doing.
pub fn cancel_all(stack: &mut Stack, operation: &mut Operation, mark: &Mark) {
    for step in &mut operation.steps {
        if let Some(verb) = step.under_way() {
            let words = match verb {
                Verb::Create => "Resource creation cancelled",
                Verb::Update | Verb::Replace => "Resource update cancelled",
                Verb::Delete => "Resource deletion cancelled",
            };
            conclude(
                stack,
                &step.logical_id,
                mark,
                verb.failed(),
                Some(words.to_owned()),
            );
            step.state = State::Over;
        }
    }
}

fn take(step: &mut Step) -> Step {
    let empty = Step::new(String::new(), BTreeSet::new(), Work::Apply);
    std::mem::replace(step, empty)
}

fn is_ready(operation: &Operation, index: usize) -> bool {
    let Some(step) = operation.steps.get(index) else {
        return false;
    };
    if !matches!(step.state, State::Waiting) {
        return true;
    }
    let blockers = operation
        .steps
        .iter()
        .filter(|other| step.after.contains(&other.logical_id));
    blockers
        .into_iter()
        .all(|other| matches!(other.state, State::Over))
}

fn advance(region: &mut Region, stack: &mut Stack, operation: &mut Operation, step: &mut Step, mark: &Mark) {
    let state = std::mem::replace(&mut step.state, State::Over);
    step.state = match state {
        State::Waiting => begin(region, stack, operation, step, mark),
        State::Begun {
            verb,
            wanted,
            calls_at,
        } if mark.now < calls_at => State::Begun {
            verb,
            wanted,
            calls_at,
        },
        State::Begun { verb, wanted, .. } => call(region, stack, operation, step, verb, wanted, mark),
        State::Working { verb, mut wait } => match resource::look(region, mark.now, &mut wait) {
            Found::NotYet => State::Working { verb, wait },
            Found::Done => done(stack, step, verb, mark),
            Found::Failed(words) => failed(stack, step, verb, words, mark),
        },
        over => over,
    };
}

fn begin(
    region: &mut Region,
    stack: &mut Stack,
    operation: &mut Operation,
    step: &mut Step,
    mark: &Mark,
) -> State {
    match &step.work {
        Work::Apply => apply::apply(region, stack, operation, &step.logical_id, mark),
        Work::Restore(before) => apply::restore(stack, before, mark),
        Work::Remove { resource, is_kept } => {
            if *is_kept {
                stack.tell(mark, resource, "DELETE_SKIPPED", None);
                forget(stack, resource);
                return State::Over;
            }
            stack.tell(mark, resource, "DELETE_IN_PROGRESS", None);
            begun(Verb::Delete, wanted_as_is(stack, resource), mark)
        }
    }
}

fn begun(verb: Verb, wanted: Wanted, mark: &Mark) -> State {
    State::Begun {
        verb,
        wanted: Box::new(wanted),
        calls_at: mark.now.plus_ms(HANDLER_MS),
    }
}

fn call(
    region: &mut Region,
    stack: &mut Stack,
    operation: &mut Operation,
    step: &Step,
    verb: Verb,
    wanted: Box<Wanted>,
    mark: &Mark,
) -> State {
    let handled = match (verb, &step.work) {
        (Verb::Delete, Work::Remove { resource, .. }) if resource.physical_id.is_empty() => {
            Ok(Wait::Until(mark.now))
        }
        (Verb::Delete, Work::Remove { resource, .. }) => resource::delete(region, mark.now, resource),
        (Verb::Create | Verb::Replace, _) => make(region, stack, operation, verb, &wanted, mark),
        _ => match stack.resource(&step.logical_id).cloned() {
            Some(is) => resource::update(region, mark.now, &is, &wanted).inspect(|_| {
                stack.put(Resource {
                    properties: wanted.properties.clone(),
                    tags: wanted.tags.clone(),
                    ..is
                });
            }),
            None => Ok(Wait::Until(mark.now)),
        },
    };
    match handled {
        Ok(wait) => State::Working { verb, wait },
        Err(Refusal::Throttled) => State::Begun {
            verb,
            wanted,
            calls_at: mark.now.plus_ms(RETRY_MS),
        },
        Err(Refusal::Failed(words)) => failed(stack, step, verb, words, mark),
    }
}

/// Makes a new physical resource; the one that it replaces becomes a leftover.
fn make(
    region: &mut Region,
    stack: &mut Stack,
    operation: &mut Operation,
    verb: Verb,
    wanted: &Wanted,
    mark: &Mark,
) -> Result<Wait, Refusal> {
    let made = resource::create(region, mark.now, wanted)?;
    let Some(is) = stack.resource(&wanted.logical_id).cloned() else {
        return Ok(made.wait);
    };
    let declared = stack
        .blueprint
        .as_ref()
        .and_then(|b| b.template.resource(&wanted.logical_id));
    let update_replace = declared.map_or(is.update_replace, |declared| declared.update_replace);
    if verb == Verb::Replace {
        operation.leftovers.push(Leftover {
            is_kept: update_replace != Policy::Delete,
            resource: is.clone(),
        });
    }
    let fresh = Resource {
        physical_id: made.physical_id,
        attributes: made.attributes,
        properties: wanted.properties.clone(),
        tags: wanted.tags.clone(),
        deletion: declared.map_or(is.deletion, |declared| declared.deletion),
        update_replace,
        metadata: declared.and_then(|declared| declared.metadata.clone()),
        at: mark.now,
        ..is
    };
    let words = Some("Resource creation Initiated".to_owned());
    stack.tell(mark, &fresh, verb.in_progress(), words.clone());
    stack.put(Resource {
        status_reason: words,
        ..fresh
    });
    Ok(made.wait)
}

fn done(stack: &mut Stack, step: &Step, verb: Verb, mark: &Mark) -> State {
    match &step.work {
        Work::Remove { resource, .. } => {
            stack.tell(mark, resource, "DELETE_COMPLETE", None);
            forget(stack, resource);
        }
        Work::Restore(before) => {
            stack.put((**before).clone());
            conclude(stack, &step.logical_id, mark, verb.complete(), None);
        }
        Work::Apply => {
            let declared = stack
                .blueprint
                .as_ref()
                .and_then(|b| b.template.resource(&step.logical_id))
                .cloned();
            let is = stack
                .resources
                .iter_mut()
                .find(|r| r.logical_id == step.logical_id);
            if let (Some(is), Some(declared)) = (is, declared) {
                is.deletion = declared.deletion;
                is.update_replace = declared.update_replace;
                is.metadata = declared.metadata;
            }
            conclude(stack, &step.logical_id, mark, verb.complete(), None);
        }
    }
    State::Over
}

fn failed(stack: &mut Stack, step: &Step, verb: Verb, words: String, mark: &Mark) -> State {
    match &step.work {
        Work::Remove { resource, .. } => stack.tell(mark, resource, "DELETE_FAILED", Some(words)),
        Work::Apply | Work::Restore(_) => {
            conclude(stack, &step.logical_id, mark, verb.failed(), Some(words));
        }
    }
    State::Failed { verb }
}

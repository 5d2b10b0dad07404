//! One resource's part in a phase, from its first event to its last.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Leftover, Operation, Phase};
use crate::{
    AwsError,
    cloudformation::{
        model::{Mark, Resource, Stack},
        resource::{self, Found, Refusal, Wait, Wanted},
        template::{Declaration, Policy},
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
        Work::Apply => apply(region, stack, operation, &step.logical_id, mark),
        Work::Restore(before) => restore(stack, before, mark),
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

/// Compares what is with what the blueprint says, and begins what makes it so.
fn apply(
    region: &mut Region,
    stack: &mut Stack,
    operation: &mut Operation,
    logical_id: &str,
    mark: &Mark,
) -> State {
    let Some(blueprint) = stack.blueprint.clone() else {
        return State::Over;
    };
    let Some(declaration) = blueprint.template.resource(logical_id) else {
        return State::Over;
    };
    let pseudo = stack.pseudo(region);
    let evaluated = {
        let scope = blueprint.scope(&pseudo, &stack.resources);
        scope.holds(declaration.condition.as_deref()).and_then(|holds| {
            Ok((
                holds,
                if holds {
                    scope.members(&declaration.properties)?
                } else {
                    Map::new()
                },
            ))
        })
    };
    let is = stack.resource(logical_id).cloned();
    match (evaluated, is) {
        (Err(error), is) => refuse(stack, declaration, is, error, mark),
        (Ok((false, _)), is) => {
            if let Some(is) = is {
                leave(stack, operation, is);
            }
            State::Over
        }
        (Ok((true, properties)), None) => {
            operation.touched.insert(logical_id.to_owned());
            let fresh = fresh(
                declaration,
                properties,
                &blueprint.tags,
                "CREATE_IN_PROGRESS",
                mark,
            );
            let wanted = wanted_as_is(stack, &fresh);
            stack.tell(mark, &fresh, "CREATE_IN_PROGRESS", None);
            stack.put(fresh);
            begun(Verb::Create, wanted, mark)
        }
        (Ok((true, properties)), Some(is)) => {
            let wanted = fresh(declaration, properties, &blueprint.tags, is.status, mark);
            change(stack, operation, is, wanted, mark)
        }
    }
}

fn change(
    stack: &mut Stack,
    operation: &mut Operation,
    is: Resource,
    wanted: Resource,
    mark: &Mark,
) -> State {
    let changed = changed(&is.properties, &wanted.properties);
    let tags_changed = is.kind.is_taggable() && is.tags != wanted.tags;
    let logical_id = is.logical_id.clone();
    if changed.is_empty() && !tags_changed {
        stack.put(Resource {
            metadata: wanted.metadata,
            deletion: wanted.deletion,
            update_replace: wanted.update_replace,
            ..is
        });
        return State::Over;
    }
    operation.touched.insert(logical_id.clone());
    let is_replaced = changed.iter().any(|property| is.kind.is_replaced_by(property));
    let request = wanted_as_is(stack, &wanted);
    let custom = is.kind.name_property().and_then(|property| {
        let name = is.properties.get(property)?;
        (wanted.properties.get(property) == Some(name)).then(|| name.as_str().unwrap_or_default().to_owned())
    });
    let (verb, reason) = match (is_replaced, custom) {
        (true, Some(name)) => {
            let words = format!(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. \
                 Rename {name} and update the stack again."
            );
            conclude(stack, &logical_id, mark, "UPDATE_FAILED", Some(words));
            return State::Failed { verb: Verb::Update };
        }
        (true, None) => (
            Verb::Replace,
            Some(
                "Requested update requires the creation of a new physical resource; hence creating one."
                    .to_owned(),
            ),
        ),
        (false, _) => (Verb::Update, None),
    };
    let shown = Resource {
        properties: wanted.properties,
        ..is
    };
    stack.tell(mark, &shown, "UPDATE_IN_PROGRESS", reason.clone());
    if let Some(place) = stack.resources.iter_mut().find(|r| r.logical_id == logical_id) {
        place.status = "UPDATE_IN_PROGRESS";
        place.status_reason = reason;
        place.at = mark.now;
    }
    begun(verb, request, mark)
}

/// Goes back to what the resource was before the update.
fn restore(stack: &mut Stack, before: &Resource, mark: &Mark) -> State {
    let is_same_thing = stack
        .resource(&before.logical_id)
        .is_some_and(|is| is.physical_id == before.physical_id);
    if is_same_thing {
        stack.tell(mark, before, "UPDATE_IN_PROGRESS", None);
        return begun(Verb::Update, wanted_as_is(stack, before), mark);
    }
    stack.put(before.clone());
    conclude(stack, &before.logical_id, mark, "UPDATE_COMPLETE", None);
    State::Over
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

/// A resource whose properties cannot be evaluated fails before anything is called.
fn refuse(
    stack: &mut Stack,
    declaration: &Declaration,
    is: Option<Resource>,
    error: AwsError,
    mark: &Mark,
) -> State {
    let verb = if is.is_some() { Verb::Update } else { Verb::Create };
    if is.is_none() {
        stack.put(fresh(declaration, Map::new(), &Vec::new(), verb.failed(), mark));
    }
    conclude(
        stack,
        &declaration.logical_id,
        mark,
        verb.failed(),
        Some(error.message),
    );
    State::Failed { verb }
}

/// Writes a resource's new status down and says it in an event.
fn conclude(stack: &mut Stack, logical_id: &str, mark: &Mark, status: &'static str, reason: Option<String>) {
    let Some(place) = stack.resources.iter_mut().find(|r| r.logical_id == logical_id) else {
        return;
    };
    place.status = status;
    place.status_reason.clone_from(&reason);
    place.at = mark.now;
    let shown = place.clone();
    stack.tell(mark, &shown, status, reason);
}

/// Takes a resource out of the stack; the clean-up decides about the thing itself.
pub(super) fn leave(stack: &mut Stack, operation: &mut Operation, resource: Resource) {
    stack.forget(&resource.logical_id);
    operation.touched.insert(resource.logical_id.clone());
    operation.leftovers.push(Leftover {
        is_kept: super::is_kept_on(Phase::CleaningUp, resource.deletion),
        resource,
    });
}

/// The resource is no longer the stack's, unless another has taken its place.
fn forget(stack: &mut Stack, gone: &Resource) {
    let is_same_thing = stack
        .resource(&gone.logical_id)
        .is_some_and(|is| is.physical_id == gone.physical_id);
    if is_same_thing {
        stack.forget(&gone.logical_id);
    }
}

fn fresh(
    declaration: &Declaration,
    properties: Map<String, Value>,
    tags: &[(String, String)],
    status: &'static str,
    mark: &Mark,
) -> Resource {
    Resource {
        logical_id: declaration.logical_id.clone(),
        kind: declaration.kind,
        physical_id: String::new(),
        attributes: Default::default(),
        properties,
        tags: tags.to_vec(),
        metadata: declaration.metadata.clone(),
        deletion: declaration.deletion,
        update_replace: declaration.update_replace,
        status,
        status_reason: None,
        at: mark.now,
    }
}

fn wanted_as_is(stack: &Stack, resource: &Resource) -> Wanted {
    Wanted {
        logical_id: resource.logical_id.clone(),
        kind: resource.kind,
        stack_name: stack.name.clone(),
        stack_id: stack.id.clone(),
        properties: resource.properties.clone(),
        tags: resource.tags.clone(),
    }
}

/// The names of the properties that differ.
pub fn changed(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name));
    differ.cloned().collect()
}

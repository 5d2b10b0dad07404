//! How a step's outcome is written down in the stack.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::cloudformation::{
    model::{Mark, Resource, Stack},
    operation::{Leftover, Operation, Phase, is_kept_on},
    resource::Wanted,
};

/// Writes a resource's new status down and says it in an event.
pub fn conclude(
    stack: &mut Stack,
    logical_id: &str,
    mark: &Mark,
    status: &'static str,
    reason: Option<String>,
) {
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
pub fn leave(stack: &mut Stack, operation: &mut Operation, resource: Resource) {
    stack.forget(&resource.logical_id);
    operation.touched.insert(resource.logical_id.clone());
    operation.leftovers.push(Leftover {
        is_kept: is_kept_on(Phase::CleaningUp, resource.deletion),
        resource,
    });
}

/// The resource is no longer the stack's, unless another has taken its place.
pub fn forget(stack: &mut Stack, gone: &Resource) {
    let is_same_thing = stack
        .resource(&gone.logical_id)
        .is_some_and(|is| is.physical_id == gone.physical_id);
    if is_same_thing {
        stack.forget(&gone.logical_id);
    }
}

/// The request that would make the resource what it is.
pub fn wanted_as_is(stack: &Stack, resource: &Resource) -> Wanted {
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

//! How a resource's step begins: what is, what is wanted, and what makes one of the other.

use serde_json::{Map, Value};

use super::{
    State, Verb, begun,
    record::{changed, conclude, leave, wanted_as_is},
};
use crate::{
    AwsError,
    cloudformation::{
        model::{Blueprint, Mark, Resource, Stack},
        operation::Operation,
        template::Declaration,
    },
    world::Region,
};

/// What CloudFormation says before it replaces a resource.
const REPLACING: &str =
    "Requested update requires the creation of a new physical resource; hence creating one.";

/// Compares what is with what the blueprint says, and begins what makes it so.
pub fn apply(
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
    let evaluated = evaluated(region, stack, &blueprint, declaration);
    let is = stack.resource(logical_id).cloned();
    match (evaluated, is) {
        (Err(error), is) => refuse(stack, declaration, is, error, mark),
        (Ok(None), is) => {
            if let Some(is) = is {
                leave(stack, operation, is);
            }
            State::Over
        }
        (Ok(Some(properties)), None) => {
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
        (Ok(Some(properties)), Some(is)) => {
            let wanted = fresh(declaration, properties, &blueprint.tags, is.status, mark);
            change(stack, operation, is, wanted, mark)
        }
    }
}

/// Begins to change a resource, in place or by a new one; not at all when nothing differs.
fn change(
    stack: &mut Stack,
    operation: &mut Operation,
    is: Resource,
    wanted: Resource,
    mark: &Mark,
) -> State {
    let changed = changed(&is.properties, &wanted.properties);
    let tags_changed = is.kind.is_taggable() && is.tags != wanted.tags;
    if changed.is_empty() && !tags_changed {
        stack.put(Resource {
            metadata: wanted.metadata,
            deletion: wanted.deletion,
            update_replace: wanted.update_replace,
            ..is
        });
        return State::Over;
    }
    operation.touched.insert(is.logical_id.clone());
    let is_replaced = changed.iter().any(|property| {
        is.kind.is_replaced_by(
            property,
            is.properties.get(property),
            wanted.properties.get(property),
        )
    });
    if let Some(name) = kept_name(&is, &wanted).filter(|_| is_replaced) {
        let words = format!(
            "CloudFormation cannot update a stack when a custom-named resource requires replacing. \
             Rename {name} and update the stack again."
        );
        conclude(stack, &is.logical_id, mark, "UPDATE_FAILED", Some(words));
        return State::Failed { verb: Verb::Update };
    }
    let verb = if is_replaced { Verb::Replace } else { Verb::Update };
    let request = wanted_as_is(stack, &wanted);
    let shown = Resource {
        properties: wanted.properties,
        ..is
    };
    begin_update(stack, &shown, is_replaced.then(|| REPLACING.to_owned()), mark);
    begun(verb, request, mark)
}

fn begin_update(stack: &mut Stack, shown: &Resource, reason: Option<String>, mark: &Mark) {
    stack.tell(mark, shown, "UPDATE_IN_PROGRESS", reason.clone());
    let place = stack
        .resources
        .iter_mut()
        .find(|r| r.logical_id == shown.logical_id);
    if let Some(place) = place {
        place.status = "UPDATE_IN_PROGRESS";
        place.status_reason = reason;
        place.at = mark.now;
    }
}

/// The name of the user's choice that is, and stays, the resource's.
fn kept_name(is: &Resource, wanted: &Resource) -> Option<String> {
    let property = is.kind.name_property()?;
    let name = is.properties.get(property)?;
    (wanted.properties.get(property) == Some(name)).then(|| name.as_str().unwrap_or_default().to_owned())
}

/// The properties that the blueprint gives the resource; `None` when its condition leaves it out.
fn evaluated(
    region: &Region,
    stack: &Stack,
    blueprint: &Blueprint,
    declaration: &Declaration,
) -> Result<Option<Map<String, Value>>, AwsError> {
    let pseudo = stack.pseudo(region);
    let scope = blueprint.scope(&pseudo, &stack.resources);
    if scope.holds(declaration.condition.as_deref())? {
        scope.members(&declaration.properties).map(Some)
    } else {
        Ok(None)
    }
}

/// Goes back to what the resource was before the update.
pub fn restore(stack: &mut Stack, before: &Resource, mark: &Mark) -> State {
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

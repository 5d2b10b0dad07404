//! What the change of one resource means, in words.

use std::collections::BTreeSet;

use serde_json::Value;

use super::PlannedChange;
use crate::fargate::template::Template;
use crate::observed::{ChangeSet, PropertyChange, ResourceChange};

const TASK_DEFINITION: &str = "AWS::ECS::TaskDefinition";
const LISTENER_RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
const LOG_GROUP: &str = "AWS::Logs::LogGroup";

/// A longer value is cut.
const LONGEST_VALUE: usize = 120;

/// The changes for a person, by logical id. `before` are the parameters of the stack
/// as it is. What concerns Towline's own metadata alone is left out.
pub fn translate(
    change_set: &ChangeSet,
    before: &[(String, String)],
    wanted: &Template,
) -> Vec<PlannedChange> {
    let mut changes: Vec<PlannedChange> = change_set
        .changes
        .iter()
        .filter(|change| !is_metadata_only(change))
        .map(|change| translated(change, before, wanted))
        .collect();
    changes.sort_by(|one, other| one.logical_id.cmp(&other.logical_id));
    changes
}

/// The changes of a stack that is made: each resource of the template is added.
pub(super) fn additions(wanted: &Template) -> Vec<PlannedChange> {
    let add = |(logical_id, resource): (&String, &Value)| ResourceChange {
        action: "Add".to_owned(),
        logical_id: logical_id.clone(),
        resource_type: resource
            .get("Type")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        ..ResourceChange::default()
    };
    let change_set = ChangeSet {
        status: String::new(),
        status_reason: String::new(),
        execution_status: String::new(),
        changes: wanted.resources().iter().map(add).collect(),
    };
    translate(&change_set, &[], wanted)
}

fn is_metadata_only(change: &ResourceChange) -> bool {
    let only = |detail: &PropertyChange| detail.attribute == "Metadata";
    change.action == "Modify" && !change.details.is_empty() && change.details.iter().all(only)
}

fn translated(change: &ResourceChange, before: &[(String, String)], wanted: &Template) -> PlannedChange {
    let modifies = change.action == "Modify";
    let mut properties: Vec<String> = change
        .details
        .iter()
        // An addition has no property that changes.
        .filter(|detail| modifies && detail.attribute != "Metadata")
        .map(|detail| {
            if detail.name.is_empty() {
                detail.attribute.clone()
            } else {
                detail.name.clone()
            }
        })
        .collect();
    properties.sort();
    properties.dedup();
    let details = match change.action.as_str() {
        "Add" => addition(change, wanted),
        "Modify" => modification(change, before, wanted),
        "Remove" => removal(change),
        _ => Vec::new(),
    };
    PlannedChange {
        action: change.action.clone(),
        logical_id: change.logical_id.clone(),
        resource_type: change.resource_type.clone(),
        properties,
        replacement: modifies && change.replacement == "True" && change.resource_type != TASK_DEFINITION,
        details,
    }
}

/// What the template says of a new resource: CloudFormation shows nothing of it.
fn addition(change: &ResourceChange, wanted: &Template) -> Vec<String> {
    let resource = wanted.resources().get(&change.logical_id);
    let property = |name: &str| resource?.get("Properties")?.get(name);
    let words = |name: &str| property(name).map(text_of).unwrap_or_default();
    match change.resource_type.as_str() {
        TASK_DEFINITION => wanted
            .parameters()
            .iter()
            .map(|(parameter, image)| image_line(wanted, parameter, None, image))
            .collect(),
        LISTENER_RULE => {
            vec![format!(
                "priority {} on listener {}",
                words("Priority"),
                words("ListenerArn")
            )]
        }
        LOG_GROUP => vec![format!("named {}", words("LogGroupName"))],
        _ => Vec::new(),
    }
}

fn modification(change: &ResourceChange, before: &[(String, String)], wanted: &Template) -> Vec<String> {
    let mut lines = Vec::new();
    if change.resource_type == TASK_DEFINITION {
        if change.replacement == "True" {
            lines.push("a new revision; the one before is kept".to_owned());
        }
        lines.extend(changed_images(before, wanted));
    }
    match change.replacement.as_str() {
        "True" if change.resource_type != TASK_DEFINITION => {
            lines.push(format!(
                "is replaced, because {} cannot change",
                because(change, "Always")
            ));
        }
        "Conditional" if change.resource_type != TASK_DEFINITION => {
            let why = perhaps_because(change);
            lines.push(format!(
                "CloudFormation decides while it runs whether it is replaced ({why})"
            ));
        }
        _ => {}
    }
    // CloudFormation promises no order.
    let values: BTreeSet<String> = change
        .details
        .iter()
        .filter_map(|detail| value_line(detail, change, wanted))
        .collect();
    lines.extend(values);
    lines
}

fn removal(change: &ResourceChange) -> Vec<String> {
    match change.policy_action.as_str() {
        "Retain" => vec!["leaves the stack and stays in the account".to_owned()],
        _ => vec!["is deleted".to_owned()],
    }
}

fn changed_images(before: &[(String, String)], wanted: &Template) -> Vec<String> {
    let of = |name: &str| {
        before
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, image)| image.as_str())
    };
    let changed = wanted
        .parameters()
        .iter()
        .filter(|(name, image)| of(name) != Some(image));
    changed
        .map(|(name, image)| image_line(wanted, name, of(name), image))
        .collect()
}

fn image_line(wanted: &Template, parameter: &str, before: Option<&str>, after: &str) -> String {
    let container = wanted.container_of(parameter).unwrap_or(parameter);
    match before {
        Some(before) => format!("image of container {container}: {before} -> {after}"),
        None => format!("image of container {container}: {after}"),
    }
}

/// The properties for which a resource is replaced.
pub(super) fn because(change: &ResourceChange, requires: &str) -> String {
    let mut names: Vec<&str> = change
        .details
        .iter()
        .filter(|detail| detail.requires_recreation == requires)
        .map(|detail| detail.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        "a property".to_owned()
    } else {
        names.join(", ")
    }
}

/// What may replace a resource: a property that does so at times, or one that always
/// does and whose new value is not known yet.
pub(super) fn perhaps_because(change: &ResourceChange) -> String {
    let conditional = change
        .details
        .iter()
        .any(|detail| detail.requires_recreation == "Conditionally");
    because(change, if conditional { "Conditionally" } else { "Always" })
}

/// One place with its values, where CloudFormation knows them.
fn value_line(detail: &PropertyChange, change: &ResourceChange, wanted: &Template) -> Option<String> {
    if detail.attribute == "Metadata" || (detail.before.is_none() && detail.after.is_none()) {
        return None;
    }
    // Images are told by their parameters.
    if change.resource_type == TASK_DEFINITION && detail.path.ends_with("/Image") {
        return None;
    }
    // The revision that is made is not known yet.
    if detail.source == "ResourceReference" || detail.source == "ResourceAttribute" {
        return None;
    }
    let place = place_of(detail, change, wanted);
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), shown);
    Some(format!(
        "{place}: {} -> {}",
        value(&detail.before),
        value(&detail.after)
    ))
}

/// `/Properties/ContainerDefinitions/0/Environment/1` → `container web: Environment/1`.
fn place_of(detail: &PropertyChange, change: &ResourceChange, wanted: &Template) -> String {
    let plain = || {
        if detail.name.is_empty() {
            detail.attribute.clone()
        } else {
            detail.name.clone()
        }
    };
    let Some(path) = detail.path.strip_prefix("/Properties/") else {
        return plain();
    };
    let Some((index, rest)) = path
        .strip_prefix("ContainerDefinitions/")
        .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
    else {
        return path.to_owned();
    };
    let name = || {
        let containers = wanted
            .resources()
            .get(&change.logical_id)?
            .get("Properties")?
            .get("ContainerDefinitions")?;
        containers
            .get(index.parse::<usize>().ok()?)?
            .get("Name")?
            .as_str()
    };
    match name() {
        Some(name) if rest.is_empty() => format!("container {name}"),
        Some(name) => format!("container {name}: {rest}"),
        None => path.to_owned(),
    }
}

fn shown(value: &str) -> String {
    let mut cut: String = value.chars().take(LONGEST_VALUE).collect();
    if cut.len() < value.len() {
        cut.push_str("...");
    }
    cut
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

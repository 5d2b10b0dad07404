//! Tags of services, task definitions and clusters, by ARN.

use serde_json::{Value, json};

use super::{
    model::merge_tags,
    references::{find_task_definition, last_part},
};
use crate::{
    AwsError,
    wire::json::{text, texts},
    world::Region,
};

/// The tags of the resource that the input's `resourceArn` names.
fn tags_mut<'a>(region: &'a mut Region, input: &Value) -> Result<&'a mut Vec<Value>, AwsError> {
    let arn = text(input, "resourceArn").unwrap_or_default().to_owned();
    let missing = || {
        AwsError::client(
            "InvalidParameterException",
            "The specified resource does not exist.",
        )
    };
    if arn.contains(":service/") {
        return region
            .ecs
            .services
            .values_mut()
            .find(|service| service.arn == arn)
            .map(|service| &mut service.tags)
            .ok_or_else(missing);
    }
    if arn.contains(":task-definition/") {
        let found = find_task_definition(region, &arn).ok_or_else(missing)?;
        let (family, revision) = (found.family.clone(), found.revision);
        return region
            .ecs
            .families
            .get_mut(&family)
            .and_then(|revisions| revisions.iter_mut().find(|one| one.revision == revision))
            .map(|definition| &mut definition.tags)
            .ok_or_else(missing);
    }
    if region.ecs.clusters.contains_key(last_part(&arn)) {
        return Ok(region.ecs.tags.entry(arn).or_default());
    }
    Err(missing())
}

pub fn add(region: &mut Region, input: &Value) -> Result<Value, AwsError> {
    let more = input
        .get("tags")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if more.is_empty() {
        return Err(AwsError::client(
            "InvalidParameterException",
            "Tags can not be empty.",
        ));
    }
    merge_tags(tags_mut(region, input)?, &more);
    Ok(json!({}))
}

pub fn remove(region: &mut Region, input: &Value) -> Result<Value, AwsError> {
    let keys = texts(input, "tagKeys");
    tags_mut(region, input)?.retain(|tag| !keys.iter().any(|key| text(tag, "key") == Some(key)));
    Ok(json!({}))
}

pub fn list(region: &mut Region, input: &Value) -> Result<Value, AwsError> {
    Ok(json!({ "tags": tags_mut(region, input)? }))
}

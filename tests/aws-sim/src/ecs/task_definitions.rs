//! Task definitions: registered, found, deregistered. Members that nobody
//! knows are kept and answered as they came.

use serde_json::{Map, Value, json};

use super::{
    definition_checks::{self, needs_fargate, refuse},
    model::{Lifecycle, TaskDefinition},
    references::{find_task_definition, last_part, page},
};
use crate::{
    AwsError,
    wire::json::text,
    world::{CallContext, Region},
};

/// What a second registration of a family hears while the first is on its way.
pub fn concurrent() -> AwsError {
    refuse("Too many concurrent attempts to create a new revision of the specified family.")
}

pub fn register(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let mut body = crate::wire::json::members(input);
    let tags = take_tags(&mut body)?;
    definition_checks::check(&body)?;
    let family = text(input, "family").unwrap_or_default().to_owned();
    let revisions = region.ecs.families.get(&family);
    let newest = revisions.and_then(|revisions| revisions.last());
    let revision = newest.map_or(1, |newest| newest.revision + 1);
    let arn = region.arn("ecs", &format!("task-definition/{family}:{revision}"));
    fill_defaults(&mut body);
    body.insert("taskDefinitionArn".into(), json!(arn));
    body.insert("revision".into(), json!(revision));
    body.insert("status".into(), json!("ACTIVE"));
    body.insert("requiresAttributes".into(), required_attributes(&body));
    body.insert("compatibilities".into(), compatibilities(&body));
    body.insert("registeredAt".into(), ctx.now.epoch_seconds());
    body.insert("registeredBy".into(), json!(ctx.caller_arn));
    let definition = TaskDefinition {
        arn,
        family: family.clone(),
        revision,
        status: Lifecycle::Active,
        body: body.clone(),
        tags: tags.clone(),
        raw: ctx.raw.clone(),
    };
    region.ecs.families.entry(family).or_default().push(definition);
    let mut answer = json!({ "taskDefinition": body });
    if !tags.is_empty() {
        answer["tags"] = Value::from(tags);
    }
    Ok(answer)
}

fn take_tags(body: &mut Map<String, Value>) -> Result<Vec<Value>, AwsError> {
    match body.remove("tags") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(tags)) if tags.is_empty() => Err(AwsError::client(
            "InvalidParameterException",
            "Tags can not be empty.",
        )),
        Some(Value::Array(tags)) if tags.len() > 50 => Err(AwsError::client(
            "InvalidParameterException",
            "The maximum number of tags allowed is 50.",
        )),
        Some(Value::Array(tags)) => Ok(tags),
        Some(_) => Err(AwsError::client(
            "InvalidParameterException",
            "Tags must be a list.",
        )),
    }
}

fn fill_defaults(body: &mut Map<String, Value>) {
    let awsvpc = body.get("networkMode").and_then(Value::as_str) == Some("awsvpc");
    for member in ["volumes", "placementConstraints"] {
        body.entry(member).or_insert_with(|| json!([]));
    }
    let containers = body.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
        container.entry("cpu").or_insert_with(|| json!(0));
        container.entry("essential").or_insert_with(|| json!(true));
        for member in [
            "portMappings",
            "environment",
            "mountPoints",
            "volumesFrom",
            "systemControls",
        ] {
            container.entry(member).or_insert_with(|| json!([]));
        }
        let ports = container.get_mut("portMappings").and_then(Value::as_array_mut);
        for mapping in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
            let container_port = mapping.get("containerPort").cloned().unwrap_or_else(|| json!(0));
            mapping
                .entry("hostPort")
                .or_insert(if awsvpc { container_port } else { json!(0) });
            mapping.entry("protocol").or_insert_with(|| json!("tcp"));
        }
    }
}

fn compatibilities(body: &Map<String, Value>) -> Value {
    let awsvpc = body.get("networkMode").and_then(Value::as_str) == Some("awsvpc");
    if awsvpc && (needs_fargate(body) || body.contains_key("cpu") && body.contains_key("memory")) {
        json!(["EC2", "FARGATE", "MANAGED_INSTANCES"])
    } else if awsvpc {
        json!(["EC2"])
    } else {
        json!(["EXTERNAL", "EC2"])
    }
}

fn required_attributes(body: &Map<String, Value>) -> Value {
    let text_of = Value::Object(body.clone()).to_string();
    let mut names = vec!["com.amazonaws.ecs.capability.docker-remote-api.1.19"];
    let causes = [
        (".dkr.ecr.", "com.amazonaws.ecs.capability.ecr-auth"),
        (
            "\"awslogs\"",
            "com.amazonaws.ecs.capability.logging-driver.awslogs",
        ),
        ("taskRoleArn", "com.amazonaws.ecs.capability.task-iam-role"),
        ("\"awsvpc\"", "ecs.capability.task-eni"),
        (
            ":secretsmanager:",
            "ecs.capability.secrets.asm.environment-variables",
        ),
    ];
    names.extend(
        causes
            .iter()
            .filter(|(cause, _)| text_of.contains(cause))
            .map(|(_, name)| name),
    );
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

pub fn deregister(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let reference = text(input, "taskDefinition").unwrap_or_default();
    let short = last_part(reference);
    let Some((family, revision)) = short.rsplit_once(':') else {
        return Err(AwsError::client(
            "InvalidParameterException",
            "Invalid revision number. Number: null",
        ));
    };
    let unknown = || refuse("The specified task definition does not exist.");
    let arn = find_task_definition(region, reference)
        .ok_or_else(unknown)?
        .arn
        .clone();
    let revisions = region.ecs.families.get_mut(family).ok_or_else(unknown)?;
    let definition = revisions
        .iter_mut()
        .find(|definition| definition.arn == arn && definition.revision.to_string() == revision)
        .ok_or_else(unknown)?;
    definition.status = Lifecycle::Inactive;
    definition.body.insert("status".into(), json!("INACTIVE"));
    definition
        .body
        .entry("deregisteredAt")
        .or_insert_with(|| ctx.now.epoch_seconds());
    Ok(json!({ "taskDefinition": definition.body }))
}

pub fn describe(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let reference = text(input, "taskDefinition").unwrap_or_default();
    let definition = find_task_definition(region, reference)
        .ok_or_else(|| refuse("Unable to describe task definition."))?;
    let mut answer = json!({ "taskDefinition": definition.body });
    if crate::wire::json::texts(input, "include").contains(&"TAGS".to_owned()) {
        answer["tags"] = Value::from(definition.tags.clone());
    }
    Ok(answer)
}

pub fn list(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let family = text(input, "familyPrefix");
    let status = text(input, "status").unwrap_or("ACTIVE");
    let mut arns: Vec<String> = region
        .ecs
        .families
        .iter()
        .filter(|(name, _)| family.is_none_or(|wanted| wanted == *name))
        .flat_map(|(_, revisions)| revisions)
        .filter(|definition| definition.status.word() == status)
        .map(|definition| definition.arn.clone())
        .collect();
    if text(input, "sort") == Some("DESC") {
        arns.reverse();
    }
    let (arns, next) = page(input, &arns, 100);
    let mut answer = json!({ "taskDefinitionArns": arns });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

pub fn list_families(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let prefix = text(input, "familyPrefix").unwrap_or_default();
    let families: Vec<String> = region
        .ecs
        .families
        .iter()
        .filter(|(name, _)| name.starts_with(prefix))
        .filter(|(_, revisions)| match text(input, "status") {
            Some("INACTIVE") => revisions.iter().all(|one| one.status == Lifecycle::Inactive),
            Some("ALL") => true,
            _ => revisions.iter().any(|one| one.status == Lifecycle::Active),
        })
        .map(|(name, _)| name.clone())
        .collect();
    let (families, next) = page(input, &families, 100);
    let mut answer = json!({ "families": families });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

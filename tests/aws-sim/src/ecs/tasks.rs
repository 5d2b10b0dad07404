//! ListTasks, DescribeTasks, StopTask.

use serde_json::{Value, json};

use super::{
    engine::lifecycle,
    references::{cluster_name, last_part, page},
    task::{Stage, StopCode, Task},
};
use crate::{
    AwsError,
    wire::json::{text, texts},
    world::{CallContext, Region},
};

pub fn list(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let cluster = cluster_name(region, input)?;
    let service = text(input, "serviceName").map(last_part);
    if let Some(service) = service
        && !region
            .ecs
            .services
            .contains_key(&(cluster.clone(), service.to_owned()))
    {
        return Err(super::references::no_service());
    }
    let family = text(input, "family");
    let started_by = text(input, "startedBy");
    let launch_type = text(input, "launchType");
    let instance = text(input, "containerInstance").map(last_part);
    let stopped = text(input, "desiredStatus") == Some("STOPPED");
    let on_instance = |task: &Task| match instance {
        None => true,
        Some(wanted) => task.host().is_some_and(|host| last_part(host) == wanted),
    };
    let mut tasks: Vec<&Task> = region
        .ecs
        .tasks
        .values()
        .filter(|task| task.cluster == cluster)
        .filter(|task| service.is_none_or(|wanted| task.service == wanted))
        .filter(|task| started_by.is_none_or(|wanted| task.started_by == wanted))
        .filter(|task| launch_type.is_none_or(|wanted| task.launch_type == wanted))
        .filter(|task| {
            family.is_none_or(|wanted| last_part(&task.task_definition).split(':').next() == Some(wanted))
        })
        .filter(|task| on_instance(task))
        .filter(|task| (task.stopping || task.stage == Stage::Stopped) == stopped)
        .collect();
    tasks.sort_by_key(|task| (task.created, task.id.clone()));
    let arns: Vec<String> = tasks.into_iter().map(|task| task.arn.clone()).collect();
    let (arns, next) = page(input, &arns, 100);
    let mut answer = json!({ "taskArns": arns });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

/// DescribeTasks takes at most this many.
const MOST_DESCRIBED: usize = 100;

pub fn describe(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let cluster = cluster_name(region, input)?;
    let wanted = texts(input, "tasks");
    if wanted.is_empty() {
        return Err(AwsError::client(
            "InvalidParameterException",
            "Tasks cannot be empty.",
        ));
    }
    if wanted.len() > MOST_DESCRIBED {
        return Err(AwsError::client(
            "InvalidParameterException",
            "Tasks cannot have more than 100 items.",
        ));
    }
    let with_tags = texts(input, "include").contains(&"TAGS".to_owned());
    let mut tasks = Vec::new();
    let mut failures = Vec::new();
    for name in wanted {
        let found = region.ecs.tasks.get(last_part(&name));
        match found.filter(|task| task.cluster == cluster) {
            Some(task) => tasks.push(task.describe(with_tags)),
            None => {
                let arn = region.arn("ecs", &format!("task/{cluster}/{}", last_part(&name)));
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({ "tasks": tasks, "failures": failures }))
}

pub fn stop(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let cluster = cluster_name(region, input)?;
    let id = last_part(text(input, "task").unwrap_or_default()).to_owned();
    let known = region
        .ecs
        .tasks
        .get(&id)
        .is_some_and(|task| task.cluster == cluster);
    if !known {
        return Err(AwsError::client(
            "InvalidParameterException",
            "The referenced task was not found.",
        ));
    }
    let reason = text(input, "reason").unwrap_or("Task stopped by user").to_owned();
    lifecycle::stop(region, &id, ctx.now, StopCode::UserInitiated, &reason);
    let task = region.ecs.tasks.get(&id).map(|task| task.describe(false));
    Ok(json!({ "task": task }))
}

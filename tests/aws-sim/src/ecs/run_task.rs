//! RunTask: tasks that belong to no service.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>,
//! and of tokens <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>:
//! one is good for 24 hours, or until an hour after its tasks ended, whichever is sooner.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::{
    engine,
    model::{Service, ServiceStatus, TaskDefinition, merge_tags},
    references::{active_task_definition, cluster_name},
    service_checks,
    service_settings::{self, Asking},
};
use crate::{
    AwsError,
    wire::json::{number, text},
    world::{CallContext, Region, SimTime},
};

/// What a client token was used for.
#[derive(Clone, Debug)]
pub struct Used {
    at: SimTime,
    /// The request, without the token.
    request: Value,
    /// Ids.
    tasks: Vec<String>,
}

const NO_INSTANCES: &str = "No Container Instances were found in your cluster.";
const TOKEN_S: f64 = 86_400.0;
/// Members that ECS takes, and that do nothing here.
const NOT_SIMULATED: [&str; 2] = ["overrides", "volumeConfigurations"];

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterException", message)
}

pub fn run(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let cluster = cluster_name(region, input)?;
    check(input)?;
    let token = text(input, "clientToken").map(str::to_owned);
    if let Some(token) = &token
        && let Some(answer) = repeated(region, ctx, &cluster, token, input)
    {
        return answer;
    }
    let definition =
        active_task_definition(region, text(input, "taskDefinition").unwrap_or_default())?.clone();
    let stand_in = stand_in(region, ctx, &cluster, input, &definition);
    service_settings::check_input(input)?;
    service_settings::check(region, &stand_in, &definition, Asking::Create)?;
    service_checks::check(region, &stand_in, &definition)?;
    let started_by = text(input, "startedBy").unwrap_or_default();
    let (mut started, mut failures) = (Vec::new(), Vec::new());
    for _ in 0..number(input, "count").unwrap_or(1) {
        match engine::start_task(region, &stand_in, started_by, ctx.now) {
            Ok(id) => started.push(id),
            // Without a single instance ECS refuses the call itself.
            Err(words) if words.contains(NO_INSTANCES) => return Err(invalid(NO_INSTANCES)),
            Err(words) => failures.push(failure(&words)),
        }
    }
    let tags = input
        .get("tags")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for id in &started {
        if let Some(task) = region.ecs.tasks.get_mut(id) {
            merge_tags(&mut task.tags, &tags);
        }
    }
    let tasks = described(region, &started);
    // A request that started nothing leaves its token unused.
    if let Some(token) = token.filter(|_| !started.is_empty()) {
        let used = Used {
            at: ctx.now,
            request: without_token(input),
            tasks: started,
        };
        region.ecs.run_tokens.insert((cluster, token), used);
    }
    Ok(json!({ "tasks": tasks, "failures": failures }))
}

fn check(input: &Value) -> Result<(), AwsError> {
    if let Some(member) = NOT_SIMULATED
        .iter()
        .find(|member| input.get(**member).is_some_and(|value| !value.is_null()))
    {
        return Err(invalid(format!("aws-sim does not simulate {member} of RunTask")));
    }
    if !(1..=10).contains(&number(input, "count").unwrap_or(1)) {
        return Err(invalid("Count must be between 1 and 10."));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_');
    let started_by = text(input, "startedBy").unwrap_or_default();
    if started_by.len() > 128 || !started_by.chars().all(legal) {
        return Err(invalid("Invalid startedBy."));
    }
    let token = text(input, "clientToken").unwrap_or_default();
    if token.len() > 64 || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(invalid("Invalid clientToken."));
    }
    Ok(())
}

/// The answer to a request whose token was used before, and is still good.
fn repeated(
    region: &mut Region,
    ctx: &CallContext,
    cluster: &str,
    token: &str,
    input: &Value,
) -> Option<Result<Value, AwsError>> {
    let used = region
        .ecs
        .run_tokens
        .get(&(cluster.to_owned(), token.to_owned()))?
        .clone();
    // Tasks are forgotten an hour after their end.
    let is_known = used.tasks.iter().any(|id| region.ecs.tasks.contains_key(id));
    if !is_known || ctx.now >= used.at.plus_s(TOKEN_S) {
        return None;
    }
    if used.request != without_token(input) {
        let arns: Vec<String> = used
            .tasks
            .iter()
            .map(|id| region.arn("ecs", &format!("task/{cluster}/{id}")))
            .collect();
        let error = AwsError::client(
            "ConflictException",
            "The provided clientToken is already in use with a different RunTask request.",
        );
        return Some(Err(error.with("resourceIds", json!(arns))));
    }
    region.note_deduplicated();
    let tasks = described(region, &used.tasks);
    Some(Ok(json!({ "tasks": tasks, "failures": [] })))
}

fn without_token(input: &Value) -> Value {
    let mut request = input.clone();
    if let Some(members) = request.as_object_mut() {
        members.shift_remove("clientToken");
    }
    request
}

fn described(region: &Region, ids: &[String]) -> Vec<Value> {
    let tasks = ids.iter().filter_map(|id| region.ecs.tasks.get(id));
    tasks.map(|task| task.describe(true)).collect()
}

/// The words of a service's event, as RunTask says them.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
fn failure(words: &str) -> Value {
    let says = |needle: &str| words.contains(needle);
    let reason = if says("Capacity is unavailable") {
        "Capacity is unavailable at this time. Please try again later or in a different availability zone"
    } else if says("insufficient memory") || says("RESOURCE:MEMORY") {
        "RESOURCE:MEMORY"
    } else if says("insufficient CPU") || says("RESOURCE:CPU") {
        "RESOURCE:CPU"
    } else if says("already using a port") || says("RESOURCE:PORTS") {
        "RESOURCE:PORTS"
    } else if says("missing an attribute") || says("ATTRIBUTE") {
        "ATTRIBUTE"
    } else {
        "EMPTY CAPACITY PROVIDER"
    };
    let instance = words
        .split_once("(container-instance ")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(id, _)| id);
    match instance {
        Some(instance) => json!({ "arn": instance, "reason": reason }),
        None => json!({ "reason": reason }),
    }
}

/// A service that is nowhere kept: its settings say where the task goes.
fn stand_in(
    region: &Region,
    ctx: &CallContext,
    cluster: &str,
    input: &Value,
    definition: &TaskDefinition,
) -> Service {
    const KEPT: [&str; 7] = [
        "launchType",
        "capacityProviderStrategy",
        "platformVersion",
        "networkConfiguration",
        "placementConstraints",
        "placementStrategy",
        "enableExecuteCommand",
    ];
    let mut settings = Map::new();
    for member in KEPT {
        if let Some(value) = input.get(member).filter(|value| !value.is_null()) {
            settings.insert(member.to_owned(), value.clone());
        }
    }
    if input.get("propagateTags").and_then(Value::as_str) == Some("TASK_DEFINITION") {
        settings.insert("propagateTags".to_owned(), json!("TASK_DEFINITION"));
    }
    let listed = |settings: &Map<String, Value>| {
        let strategy = settings.get("capacityProviderStrategy").and_then(Value::as_array);
        strategy.is_some_and(|strategy| !strategy.is_empty())
    };
    if !settings.contains_key("launchType") && !listed(&settings) {
        let cluster = region.ecs.clusters.get(cluster);
        let default = cluster.and_then(|one| one.settings.get("defaultCapacityProviderStrategy"));
        match default.filter(|list| list.as_array().is_some_and(|list| !list.is_empty())) {
            Some(default) => settings.insert("capacityProviderStrategy".to_owned(), default.clone()),
            None => settings.insert("launchType".to_owned(), json!("EC2")),
        };
    }
    Service {
        name: String::new(),
        arn: String::new(),
        cluster: cluster.to_owned(),
        cluster_arn: region.arn("ecs", &format!("cluster/{cluster}")),
        status: ServiceStatus::Active,
        desired: 1,
        task_definition: definition.arn.clone(),
        created: ctx.now,
        created_by: ctx.caller_arn.clone(),
        settings,
        tags: Vec::new(),
        deployments: Vec::new(),
        events: VecDeque::new(),
        service_deployments: Vec::new(),
        revisions: Vec::new(),
        client_token: None,
        settled_since: None,
        steady: false,
        next_start: ctx.now,
        start_failures: 0,
        last_placement_event: None,
        last_reason: None,
    }
}

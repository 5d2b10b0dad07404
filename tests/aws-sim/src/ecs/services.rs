//! CreateService, UpdateService, DeleteService.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::{
    deployments,
    model::{DeploymentStatus, Service, ServiceStatus},
    references::{
        active_task_definition, cluster_name, find_task_definition, put_service, service_key, take_service,
    },
    service_checks::check,
    service_reads::view,
    service_settings::{self, Asking},
};
use crate::{
    AwsError,
    wire::json::{number, text},
    world::{CallContext, Region},
};

/// Members that UpdateService and CreateService keep and that start a new deployment when they change.
const DEPLOYING: [&str; 12] = [
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "propagateTags",
];

/// Members that are kept and change without a deployment.
const QUIET: [&str; 9] = [
    "deploymentConfiguration",
    "healthCheckGracePeriodSeconds",
    "placementConstraints",
    "placementStrategy",
    "availabilityZoneRebalancing",
    "deploymentController",
    "schedulingStrategy",
    "role",
    "monitoring",
];

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterException", message)
}

pub fn create(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let cluster = cluster_name(region, input)?;
    let name = text(input, "serviceName").ok_or_else(|| invalid("Service name cannot be empty."))?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.len() > 255 || !name.chars().all(legal) {
        return Err(invalid("Invalid service name."));
    }
    let key = (cluster.clone(), name.to_owned());
    if let Some(existing) = region.ecs.services.get(&key) {
        let token = text(input, "clientToken");
        if token.is_some() && token == existing.client_token.as_deref() {
            region.note_deduplicated();
            return Ok(json!({ "service": view(region, &region.ecs.services[&key], true) }));
        }
        match existing.status {
            ServiceStatus::Active => return Err(invalid("Creation of service was not idempotent.")),
            ServiceStatus::Draining => {
                return Err(invalid("Unable to Start a service that is still Draining."));
            }
            ServiceStatus::Inactive => {}
        }
    }
    service_settings::check_input(input)?;
    let mut service = blank(region, ctx, input, &cluster, name)?;
    let definition = active_task_definition(region, &service.task_definition)?.clone();
    service.task_definition.clone_from(&definition.arn);
    service_settings::check(region, &service, &definition, Asking::Create)?;
    check(region, &service, &definition)?;
    deployments::start(region, &mut service, ctx.now, "ECS deployment");
    put_service(region, service);
    Ok(json!({ "service": view(region, &region.ecs.services[&key], true) }))
}

/// The service that the input describes, without a deployment yet.
fn blank(
    region: &Region,
    ctx: &CallContext,
    input: &Value,
    cluster: &str,
    name: &str,
) -> Result<Service, AwsError> {
    let mut settings = Map::new();
    for member in DEPLOYING.iter().chain(&QUIET) {
        if let Some(value) = input.get(*member).filter(|value| !value.is_null()) {
            settings.insert((*member).to_owned(), value.clone());
        }
    }
    if !settings.contains_key("launchType") && !settings.contains_key("capacityProviderStrategy") {
        let cluster = region.ecs.clusters.get(cluster);
        let default = cluster.and_then(|one| one.settings.get("defaultCapacityProviderStrategy"));
        if let Some(default) = default.filter(|list| list.as_array().is_some_and(|list| !list.is_empty())) {
            settings.insert("capacityProviderStrategy".to_owned(), default.clone());
        }
    }
    fill_defaults(&mut settings);
    let controller = settings
        .get("deploymentController")
        .and_then(|controller| text(controller, "type"))
        .unwrap_or("ECS");
    let task_definition = text(input, "taskDefinition").unwrap_or_default();
    if task_definition.is_empty() && controller != "EXTERNAL" {
        return Err(AwsError::client(
            "InvalidParameterException",
            "TaskDefinition cannot be null or empty.",
        ));
    }
    let desired = desired_count(region, input, cluster, &settings)?;
    Ok(Service {
        name: name.to_owned(),
        arn: region.arn("ecs", &format!("service/{cluster}/{name}")),
        cluster: cluster.to_owned(),
        cluster_arn: region.arn("ecs", &format!("cluster/{cluster}")),
        status: ServiceStatus::Active,
        desired,
        task_definition: task_definition.to_owned(),
        created: ctx.now,
        created_by: ctx.caller_arn.clone(),
        settings,
        tags: input
            .get("tags")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default(),
        deployments: Vec::new(),
        events: VecDeque::new(),
        service_deployments: Vec::new(),
        revisions: Vec::new(),
        client_token: text(input, "clientToken").map(str::to_owned),
        settled_since: None,
        steady: false,
        next_start: ctx.now,
        start_failures: 0,
        last_placement_event: None,
        last_reason: None,
    })
}

/// How many tasks the service wants: as given, or one per instance for a daemon.
fn desired_count(
    region: &Region,
    input: &Value,
    cluster: &str,
    settings: &Map<String, Value>,
) -> Result<i64, AwsError> {
    let daemon = settings.get("schedulingStrategy").and_then(Value::as_str) == Some("DAEMON");
    match number(input, "desiredCount") {
        Some(count) if count < 0 => Err(invalid("desiredCount cannot be negative.")),
        Some(_) if daemon => Err(invalid(
            "The daemon scheduling strategy does not support a desired count for services.",
        )),
        Some(count) => Ok(count),
        None if daemon => {
            let cluster = region.ecs.clusters.get(cluster);
            Ok(cluster.map_or(0, |one| i64::try_from(one.instances.len()).unwrap_or(0)))
        }
        None => Err(invalid(
            "DesiredCount cannot be null for services with the REPLICA scheduling strategy.",
        )),
    }
}

fn fill_defaults(settings: &mut Map<String, Value>) {
    settings
        .entry("schedulingStrategy")
        .or_insert_with(|| json!("REPLICA"));
    settings
        .entry("deploymentController")
        .or_insert_with(|| json!({"type": "ECS"}));
    if !settings.contains_key("capacityProviderStrategy") {
        settings.entry("launchType").or_insert_with(|| json!("EC2"));
    }
    let fargate = settings.get("launchType").and_then(Value::as_str) == Some("FARGATE");
    let by_strategy = settings
        .get("capacityProviderStrategy")
        .is_some_and(|strategy| strategy.to_string().contains("\"FARGATE"));
    if fargate || by_strategy {
        let version = settings.get("platformVersion").and_then(Value::as_str);
        let version = version
            .filter(|version| *version != "LATEST")
            .unwrap_or("1.4.0")
            .to_owned();
        settings.insert("platformVersion".into(), json!(version));
        settings.entry("platformFamily").or_insert_with(|| json!("Linux"));
    }
    let daemon = settings.get("schedulingStrategy").and_then(Value::as_str) == Some("DAEMON");
    let (most, least) = if daemon { (100, 0) } else { (200, 100) };
    let configuration = settings
        .entry("deploymentConfiguration")
        .or_insert_with(|| json!({}));
    if let Some(configuration) = configuration.as_object_mut() {
        configuration
            .entry("deploymentCircuitBreaker")
            .or_insert_with(|| json!({"enable": false, "rollback": false}));
        configuration
            .entry("maximumPercent")
            .or_insert_with(|| json!(most));
        configuration
            .entry("minimumHealthyPercent")
            .or_insert_with(|| json!(least));
        configuration
            .entry("strategy")
            .or_insert_with(|| json!("ROLLING"));
    }
    for member in [
        "loadBalancers",
        "serviceRegistries",
        "placementConstraints",
        "placementStrategy",
    ] {
        settings.entry(member).or_insert_with(|| json!([]));
    }
    settings
        .entry("enableECSManagedTags")
        .or_insert_with(|| json!(false));
    settings
        .entry("enableExecuteCommand")
        .or_insert_with(|| json!(false));
    settings.entry("propagateTags").or_insert_with(|| json!("NONE"));
    settings
        .entry("availabilityZoneRebalancing")
        .or_insert_with(|| json!("DISABLED"));
}

pub fn update(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let key = service_key(region, input)?;
    let before = region
        .ecs
        .services
        .get(&key)
        .ok_or_else(super::references::no_service)?;
    if before.status != ServiceStatus::Active {
        return Err(AwsError::client(
            "ServiceNotActiveException",
            "Service was not ACTIVE.",
        ));
    }
    let mut after = before.clone();
    service_settings::check_input(input)?;
    let deploys = apply(region, &mut after, input)?;
    if let Some(definition) = find_task_definition(region, &after.task_definition) {
        service_settings::check(region, &after, definition, Asking::Update)?;
    }
    if deploys {
        refuse_other_controllers(&after)?;
        let active = after
            .deployments
            .iter()
            .filter(|one| one.status != DeploymentStatus::Inactive)
            .count();
        if active >= 5 {
            return Err(invalid(
                "5 active deployments exist, unable to create new deployment.",
            ));
        }
        let definition = active_task_definition(region, &after.task_definition)?.clone();
        check(region, &after, &definition)?;
        deployments::supersede(&mut after, ctx.now);
        deployments::start(region, &mut after, ctx.now, "ECS deployment");
    } else if let Some(primary) = after.primary_mut() {
        primary.updated = ctx.now;
    }
    after.settled_since = None;
    put_service(region, after);
    Ok(json!({ "service": view(region, &region.ecs.services[&key], true) }))
}

/// Changes the service as the input says; whether that starts a deployment.
fn apply(region: &Region, service: &mut Service, input: &Value) -> Result<bool, AwsError> {
    let mut deploys = input.get("forceNewDeployment").and_then(Value::as_bool) == Some(true);
    if let Some(reference) = text(input, "taskDefinition") {
        refuse_other_controllers(service)?;
        let arn = active_task_definition(region, reference)?.arn.clone();
        deploys |= arn != service.task_definition;
        service.task_definition = arn;
    }
    if let Some(desired) = number(input, "desiredCount") {
        if service.is_daemon() {
            return Err(invalid(
                "The daemon scheduling strategy does not support a desired count for services.",
            ));
        }
        if desired < 0 {
            return Err(invalid("desiredCount cannot be negative."));
        }
        service.steady &= desired == service.desired;
        service.desired = desired;
    }
    for member in DEPLOYING {
        if let Some(value) = input.get(member).filter(|value| !value.is_null()) {
            let same =
                service.setting(member) == Some(value) || member == "platformVersion" && value == "LATEST";
            if !same {
                deploys = true;
                service.settings.insert(member.to_owned(), value.clone());
                match member {
                    "launchType" => drop(service.settings.shift_remove("capacityProviderStrategy")),
                    "capacityProviderStrategy" => drop(service.settings.shift_remove("launchType")),
                    _ => {}
                }
            }
        }
    }
    for member in QUIET {
        let Some(value) = input.get(member).filter(|value| !value.is_null()) else {
            continue;
        };
        match (service.settings.get_mut(member), value.as_object()) {
            (Some(Value::Object(kept)), Some(more)) => kept.extend(more.clone()),
            _ => drop(service.settings.insert(member.to_owned(), value.clone())),
        }
    }
    Ok(deploys)
}

fn refuse_other_controllers(service: &Service) -> Result<(), AwsError> {
    match service.controller() {
        "CODE_DEPLOY" => Err(invalid(
            "Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.",
        )),
        "EXTERNAL" => Err(invalid(
            "Unable to update task definition on services with an EXTERNAL deployment controller.",
        )),
        _ => Ok(()),
    }
}

pub fn delete(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let key = service_key(region, input)?;
    let mut service = take_service(region, &key)?;
    let force = input.get("force").and_then(Value::as_bool) == Some(true);
    if service.status == ServiceStatus::Inactive {
        put_service(region, service);
        return Err(super::references::no_service());
    }
    if service.desired > 0 && !force && !service.is_daemon() {
        put_service(region, service);
        return Err(invalid(
            "The service cannot be stopped while it is scaled above 0.",
        ));
    }
    service.status = ServiceStatus::Draining;
    service.desired = 0;
    service.steady = false;
    deployments::supersede(&mut service, ctx.now);
    put_service(region, service);
    Ok(json!({ "service": view(region, &region.ecs.services[&key], true) }))
}

//! The settings of a service by themselves: what may stand together, and what
//! the cluster and the task definition must have for it.
//!
//! The words are AWS's where users have reported them. Sources: the
//! CreateService and UpdateService pages of the ECS API reference.

use serde_json::Value;

use super::model::{Service, TaskDefinition};
use crate::{
    AwsError,
    wire::json::{number, text, texts},
    world::Region,
};

/// Which action asks; some of ECS's words name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    Create,
    Update,
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterException", message)
}

/// Whether the input asks for two things that exclude one another.
///
/// # Errors
/// `InvalidParameterException`.
pub fn check_input(input: &Value) -> Result<(), AwsError> {
    let has = |member: &str| input.get(member).is_some_and(|value| !value.is_null());
    let has_strategy = input
        .get("capacityProviderStrategy")
        .and_then(Value::as_array)
        .is_some_and(|strategy| !strategy.is_empty());
    if has("launchType") && has_strategy {
        return Err(invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ));
    }
    Ok(())
}

/// Whether the service may be as its settings say.
///
/// # Errors
/// `InvalidParameterException`, `PlatformUnknownException`.
pub fn check(
    region: &Region,
    service: &Service,
    definition: &TaskDefinition,
    asking: Asking,
) -> Result<(), AwsError> {
    check_strategy(region, service)?;
    check_platform(service)?;
    check_grace_period(service)?;
    check_exec(service, definition, asking)?;
    check_network_limits(region, service)?;
    check_deployment(service)?;
    if service.load_balancers().len() > 5 {
        return Err(invalid("load balancers can have at most 5 items."));
    }
    let placed = ["placementConstraints", "placementStrategy"];
    let is_placed = |member: &&str| {
        let listed = service.setting(member).and_then(Value::as_array);
        listed.is_some_and(|list| !list.is_empty())
    };
    if service.uses_fargate()
        && let Some(member) = placed.iter().find(|member| is_placed(member))
    {
        return Err(invalid(format!(
            "The {member} parameter is not supported for services that use the Fargate launch type."
        )));
    }
    match service.setting_text("propagateTags") {
        "" | "NONE" | "SERVICE" | "TASK_DEFINITION" => Ok(()),
        other => Err(invalid(format!(
            "propagateTags {other} is not one of NONE, SERVICE, TASK_DEFINITION."
        ))),
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html>
fn check_strategy(region: &Region, service: &Service) -> Result<(), AwsError> {
    let strategy = service.strategy();
    if strategy.is_empty() {
        return Ok(());
    }
    if strategy.len() > 20 {
        return Err(invalid("A capacity provider strategy can have at most 20 items."));
    }
    let attached = region
        .ecs
        .clusters
        .get(&service.cluster)
        .and_then(|cluster| cluster.settings.get("capacityProviders"))
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut seen: Vec<&str> = Vec::new();
    for item in &strategy {
        let name = item.provider.as_str();
        if !attached.iter().any(|one| one == name) {
            return Err(invalid(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster or specify a valid capacity provider and try again.",
            ));
        }
        if seen.contains(&name) {
            return Err(invalid(format!(
                "The specified capacity provider strategy contains the capacity provider {name} more than once."
            )));
        }
        seen.push(name);
        if !(0..=1000).contains(&item.weight) || !(0..=100_000).contains(&item.base) {
            return Err(invalid(
                "The weight of a capacity provider must be between 0 and 1000, and its base between 0 and 100000.",
            ));
        }
    }
    let is_fargate = |name: &&str| name.starts_with("FARGATE");
    if seen.iter().any(is_fargate) && !seen.iter().all(is_fargate) {
        return Err(invalid(
            "The specified capacity provider strategy cannot contain both Fargate and Auto Scaling group capacity providers.",
        ));
    }
    if strategy.iter().filter(|item| item.base > 0).count() > 1 {
        return Err(invalid(
            "Only one capacity provider in a capacity provider strategy can have a base defined.",
        ));
    }
    if strategy.iter().all(|item| item.weight == 0) {
        return Err(invalid(
            "At least one capacity provider in a capacity provider strategy must have a weight greater than zero.",
        ));
    }
    Ok(())
}

fn check_platform(service: &Service) -> Result<(), AwsError> {
    let version = service.setting_text("platformVersion");
    if version.is_empty() {
        return Ok(());
    }
    if !service.uses_fargate() {
        return Err(invalid(
            "The platform version must be null when specifying an EC2 launch type.",
        ));
    }
    match version {
        "LATEST" | "1.4.0" | "1.3.0" => Ok(()),
        _ => Err(AwsError::client(
            "PlatformUnknownException",
            "The specified platform version does not exist.",
        )),
    }
}

fn check_grace_period(service: &Service) -> Result<(), AwsError> {
    let Some(seconds) = service
        .setting("healthCheckGracePeriodSeconds")
        .and_then(Value::as_i64)
    else {
        return Ok(());
    };
    if service.load_balancers().is_empty() && seconds > 0 {
        return Err(invalid(
            "Health check grace period is only valid for services configured to use load balancers",
        ));
    }
    if !(0..=2_147_483_647).contains(&seconds) {
        return Err(invalid(
            "Health check grace period must be between 0 and 2147483647 seconds.",
        ));
    }
    Ok(())
}

fn check_exec(service: &Service, definition: &TaskDefinition, asking: Asking) -> Result<(), AwsError> {
    let is_on = service.setting("enableExecuteCommand") == Some(&Value::Bool(true));
    let role = definition.body.get("taskRoleArn").and_then(Value::as_str);
    if !is_on || role.is_some_and(|role| !role.is_empty()) {
        return Ok(());
    }
    let done = match asking {
        Asking::Create => "created",
        Asking::Update => "updated",
    };
    Err(invalid(format!(
        "The service couldn't be {done} because a valid taskRoleArn is not being used. Specify a valid task role in your task definition and try again."
    )))
}

fn check_network_limits(region: &Region, service: &Service) -> Result<(), AwsError> {
    let awsvpc = service
        .setting("networkConfiguration")
        .and_then(|network| network.get("awsvpcConfiguration"));
    let Some(awsvpc) = awsvpc else { return Ok(()) };
    let (subnets, groups) = (texts(awsvpc, "subnets"), texts(awsvpc, "securityGroups"));
    if subnets.len() > 16 {
        return Err(invalid("subnets can have at most 16 items."));
    }
    if groups.len() > 5 {
        return Err(invalid("securityGroups can have at most 5 items."));
    }
    let vpcs: Vec<&str> = region
        .network
        .subnets
        .iter()
        .filter(|subnet| subnets.contains(&subnet.id))
        .map(|subnet| subnet.vpc.as_str())
        .collect();
    if vpcs.windows(2).any(|pair| pair.first() != pair.last()) {
        return Err(invalid("All subnets must be in the same VPC."));
    }
    let strange = region
        .network
        .security_groups
        .iter()
        .find(|group| groups.contains(&group.id) && vpcs.first().is_some_and(|vpc| *vpc != group.vpc));
    if let Some(group) = strange {
        return Err(invalid(format!(
            "Security group {} does not appear to belong to the same VPC as the input subnets.",
            group.id
        )));
    }
    match text(awsvpc, "assignPublicIp") {
        None | Some("DISABLED") => Ok(()),
        Some("ENABLED") if service.uses_fargate() => Ok(()),
        Some("ENABLED") => Err(invalid("Assign public IP is not supported for this launch type.")),
        Some(other) => Err(invalid(format!(
            "assignPublicIp {other} is not one of ENABLED, DISABLED."
        ))),
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html>
fn check_deployment(service: &Service) -> Result<(), AwsError> {
    let Some(configuration) = service.setting("deploymentConfiguration") else {
        return Ok(());
    };
    let most = number(configuration, "maximumPercent").unwrap_or(200);
    let least = number(configuration, "minimumHealthyPercent").unwrap_or(100);
    if least < 0 || most < 1 {
        return Err(invalid(
            "minimumHealthyPercent and maximumPercent must not be negative.",
        ));
    }
    if service.setting_text("availabilityZoneRebalancing") == "ENABLED" && most <= 100 {
        return Err(invalid(
            "AvailabilityZoneRebalancing does not support maximumPercent <= 100.",
        ));
    }
    if let Some(breaker) = configuration.get("deploymentCircuitBreaker") {
        check_breaker(breaker)?;
    }
    let Some(alarms) = configuration.get("alarms").filter(|alarms| !alarms.is_null()) else {
        return Ok(());
    };
    let flag = |member: &str| alarms.get(member).and_then(Value::as_bool);
    if flag("enable").is_none() || flag("rollback").is_none() {
        return Err(invalid("alarms: enable and rollback must be specified."));
    }
    if flag("enable") == Some(true) && texts(alarms, "alarmNames").is_empty() {
        return Err(invalid(
            "alarms: alarmNames must not be empty when alarms are enabled.",
        ));
    }
    Ok(())
}

fn check_breaker(breaker: &Value) -> Result<(), AwsError> {
    let flag = |member: &str| breaker.get(member).and_then(Value::as_bool);
    if flag("enable").is_none() || flag("rollback").is_none() {
        return Err(invalid(
            "deploymentCircuitBreaker: enable and rollback must be specified.",
        ));
    }
    let Some(threshold) = breaker
        .get("thresholdConfiguration")
        .filter(|given| !given.is_null())
    else {
        return Ok(());
    };
    let value = number(threshold, "value").unwrap_or(0);
    match text(threshold, "type") {
        Some("COUNT") if value >= 1 => Ok(()),
        Some("BOUNDED_PERCENT" | "UNBOUNDED_PERCENT") if (1..=100).contains(&value) => Ok(()),
        Some("COUNT" | "BOUNDED_PERCENT" | "UNBOUNDED_PERCENT") => Err(invalid(format!(
            "thresholdConfiguration: {value} is not a value of this type."
        ))),
        other => Err(invalid(format!(
            "thresholdConfiguration: type {} is not one of BOUNDED_PERCENT, UNBOUNDED_PERCENT, COUNT.",
            other.unwrap_or("null")
        ))),
    }
}

//! What ECS looks at before it accepts a service.

use serde_json::Value;

use super::model::{Service, TaskDefinition};
use crate::{
    AwsError,
    wire::json::{number, text},
    world::Region,
};

/// Whether the service could run the task definition.
///
/// # Errors
/// `InvalidParameterException`, in ECS's words.
pub fn check(region: &Region, service: &Service, definition: &TaskDefinition) -> Result<(), AwsError> {
    if service.uses_fargate() {
        let compatible = definition.body.get("compatibilities").and_then(Value::as_array);
        if !compatible.is_some_and(|list| list.iter().any(|one| one == "FARGATE")) {
            return Err(invalid("Task definition does not support launch_type FARGATE."));
        }
    }
    check_network(region, service, definition)?;
    service
        .load_balancers()
        .iter()
        .try_for_each(|linked| check_load_balancer(region, linked, definition))
}

fn check_network(region: &Region, service: &Service, definition: &TaskDefinition) -> Result<(), AwsError> {
    let awsvpc = definition.network_mode() == "awsvpc";
    let subnets = service.subnets();
    if awsvpc && subnets.is_empty() {
        return Err(invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    if !awsvpc && !subnets.is_empty() {
        return Err(invalid(
            "Network Configuration is not valid for the given networkMode of this task definition.",
        ));
    }
    let known_subnet = |id: &String| region.network.subnets.iter().any(|subnet| subnet.id == *id);
    if let Some(unknown) = subnets.iter().find(|id| !known_subnet(id)) {
        return Err(invalid(format!(
            "Error retrieving subnet information for [{unknown}]: The subnet ID '{unknown}' does not exist (ErrorCode: InvalidSubnetID.NotFound)"
        )));
    }
    let groups = service
        .setting("networkConfiguration")
        .and_then(|network| network.get("awsvpcConfiguration"))
        .map(|awsvpc| crate::wire::json::texts(awsvpc, "securityGroups"))
        .unwrap_or_default();
    let known_group = |id: &String| region.network.security_groups.iter().any(|group| group.id == *id);
    match groups.iter().find(|id| !known_group(id)) {
        Some(unknown) => Err(invalid(format!(
            "Error retrieving security group information for [{unknown}]: The security group '{unknown}' does not exist (ErrorCode: InvalidGroup.NotFound)"
        ))),
        None => Ok(()),
    }
}

fn check_load_balancer(region: &Region, linked: &Value, definition: &TaskDefinition) -> Result<(), AwsError> {
    let arn = text(linked, "targetGroupArn").unwrap_or_default();
    let container = text(linked, "containerName").unwrap_or_default();
    let port = number(linked, "containerPort").unwrap_or(0);
    let group = region.elb.target_groups.get(arn).ok_or_else(|| {
        invalid(format!(
            "The target group with targetGroupArn {arn} does not exist."
        ))
    })?;
    if group.load_balancer.is_none() {
        return Err(invalid(format!(
            "The target group with targetGroupArn {arn} does not have an associated load balancer."
        )));
    }
    let wanted_type = if definition.network_mode() == "awsvpc" {
        "ip"
    } else {
        "instance"
    };
    if group.target_type != wanted_type {
        return Err(invalid(format!(
            "The provided target group {arn} has target type {}, which is incompatible with the {} network mode specified in the task definition.",
            group.target_type,
            definition.network_mode()
        )));
    }
    if !definition.has_container(container) {
        return Err(invalid(format!(
            "The container {container} does not exist in the task definition."
        )));
    }
    let exposes = definition
        .containers()
        .filter(|one| text(one, "name") == Some(container))
        .flat_map(|one| {
            one.get("portMappings")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        })
        .any(|mapping| number(mapping, "containerPort") == Some(port));
    if exposes {
        Ok(())
    } else {
        Err(invalid(format!(
            "The container {container} did not have a container port {port} defined."
        )))
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterException", message)
}

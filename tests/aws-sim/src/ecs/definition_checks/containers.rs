//! One container definition, and what the containers ask for together.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{invalid, is_name, list, name_of, refuse};
use crate::{
    AwsError,
    wire::json::{number, text},
};

pub fn check(container: &Value, body: &Value) -> Result<(), AwsError> {
    let name =
        text(container, "name").ok_or_else(|| refuse("Container.name should not be null or empty."))?;
    if name.len() > 255 || !is_name(name) {
        return Err(refuse("Container.name contains invalid characters."));
    }
    let image =
        text(container, "image").ok_or_else(|| refuse("Container.image should not be null or empty."))?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.:/@#".contains(c);
    if !image.chars().all(legal) {
        return Err(refuse("Container.image contains invalid characters."));
    }
    check_memory(container, body)?;
    check_ports(container)?;
    check_variables(container)?;
    check_health_check(container)?;
    check_timeouts(container)?;
    check_restart_policy(container)
}

fn check_memory(container: &Value, body: &Value) -> Result<(), AwsError> {
    let name = name_of(container);
    let (hard, soft) = (
        number(container, "memory"),
        number(container, "memoryReservation"),
    );
    if hard.is_none() && soft.is_none() && body.get("memory").is_none() {
        return Err(refuse(format!(
            "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
        )));
    }
    match (hard, soft) {
        (Some(hard), _) if hard < 6 => Err(refuse(format!(
            "Invalid 'memory' setting for container '{name}'. The minimum is 6 MiB."
        ))),
        (Some(hard), Some(soft)) if hard <= soft => Err(refuse(format!(
            "Invalid setting for container '{name}'. 'memory' must be greater than 'memoryReservation'."
        ))),
        _ => Ok(()),
    }
}

/// What the containers reserve together must fit into the task.
pub fn check_sums(containers: &[Value], body: &Value) -> Result<(), AwsError> {
    let task = |member: &str| text(body, member).and_then(|amount| amount.parse::<i64>().ok());
    let cpu: i64 = containers.iter().filter_map(|c| number(c, "cpu")).sum();
    if task("cpu").is_some_and(|limit| cpu > limit) {
        return Err(refuse(
            "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.",
        ));
    }
    let reserved = |c: &Value| number(c, "memoryReservation").or_else(|| number(c, "memory"));
    let memory: i64 = containers.iter().filter_map(reserved).sum();
    let Some(limit) = task("memory") else {
        return Ok(());
    };
    if let Some(large) = containers
        .iter()
        .find(|c| number(c, "memory").is_some_and(|memory| memory > limit))
    {
        return Err(refuse(format!(
            "Invalid 'memory' setting for container '{}'. It is greater than the task's memory.",
            name_of(large)
        )));
    }
    if memory > limit {
        return Err(refuse(
            "The sum of all container 'memoryReservation' values cannot be greater than the value of the task 'memory'.",
        ));
    }
    Ok(())
}

fn check_ports(container: &Value) -> Result<(), AwsError> {
    let mut names = BTreeSet::new();
    for mapping in list(container, "portMappings") {
        let port = number(mapping, "containerPort").unwrap_or(0);
        if mapping.get("containerPortRange").is_none() && !(1..=65_535).contains(&port) {
            return Err(invalid(format!(
                "Port mapping container port '{port}' is not in the range 1 to 65535."
            )));
        }
        if !matches!(text(mapping, "protocol"), None | Some("tcp" | "udp")) {
            return Err(invalid("Protocol of a port mapping must be tcp or udp."));
        }
        let name = text(mapping, "name");
        if let Some(name) = name
            && !names.insert(name.to_owned())
        {
            return Err(refuse(format!("PortMapping names must be unique: '{name}'.")));
        }
        match text(mapping, "appProtocol") {
            None => {}
            Some("http" | "http2" | "grpc") if name.is_some() => {}
            Some("http" | "http2" | "grpc") => {
                return Err(refuse("PortMapping with an appProtocol must have a name."));
            }
            Some(other) => {
                return Err(invalid(format!(
                    "appProtocol {other} is not one of http, http2, grpc."
                )));
            }
        }
    }
    Ok(())
}

fn check_variables(container: &Value) -> Result<(), AwsError> {
    let mut names: BTreeSet<&str> = list(container, "environment")
        .filter_map(|one| text(one, "name"))
        .collect();
    for secret in list(container, "secrets") {
        let name = text(secret, "name").unwrap_or_default();
        if text(secret, "valueFrom").is_none() {
            return Err(refuse("Secret valueFrom should not be null or empty."));
        }
        if !names.insert(name) {
            return Err(refuse(format!(
                "The secret name must be unique and not shared with any new or existing environment variables set on the container, such as '{name}'."
            )));
        }
    }
    let files = list(container, "environmentFiles").count();
    if files > 10 {
        return Err(invalid(
            "The maximum number of environment files per container is 10.",
        ));
    }
    for file in list(container, "environmentFiles") {
        let value = text(file, "value").unwrap_or_default();
        let is_object = value.starts_with("arn:") && value.contains(":s3:::");
        if text(file, "type") != Some("s3") || !is_object || !value.ends_with(".env") {
            return Err(invalid(format!(
                "The environment file '{value}' must be the ARN of an Amazon S3 object whose name ends with .env."
            )));
        }
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html>
fn check_health_check(container: &Value) -> Result<(), AwsError> {
    let Some(check) = container.get("healthCheck") else {
        return Ok(());
    };
    let command = crate::wire::json::texts(check, "command");
    let name = name_of(container);
    match command.first().map(String::as_str) {
        Some("CMD") if command.len() > 1 => {}
        Some("CMD-SHELL") if command.len() > 1 => {}
        Some("NONE") => {}
        _ => {
            return Err(invalid(format!(
                "The health check command of container '{name}' must begin with CMD or CMD-SHELL."
            )));
        }
    }
    let ranges = [
        ("interval", 5, 300),
        ("timeout", 2, 60),
        ("retries", 1, 10),
        ("startPeriod", 0, 300),
    ];
    for (member, least, most) in ranges {
        if number(check, member).is_some_and(|value| !(least..=most).contains(&value)) {
            return Err(invalid(format!(
                "The health check {member} of container '{name}' must be between {least} and {most}."
            )));
        }
    }
    Ok(())
}

fn check_timeouts(container: &Value) -> Result<(), AwsError> {
    for (member, least) in [("startTimeout", 2), ("stopTimeout", 2)] {
        let value = number(container, member);
        if value.is_some_and(|value| value < least) {
            return Err(refuse(format!(
                "Invalid '{member}' setting for container '{}'. The minimum is {least}.",
                name_of(container)
            )));
        }
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerRestartPolicy.html>
fn check_restart_policy(container: &Value) -> Result<(), AwsError> {
    let Some(policy) = container.get("restartPolicy") else {
        return Ok(());
    };
    if policy.get("enabled").and_then(Value::as_bool).is_none() {
        return Err(invalid("restartPolicy.enabled must be specified."));
    }
    if number(policy, "restartAttemptPeriod").is_some_and(|period| !(60..=1800).contains(&period)) {
        return Err(invalid(
            "restartAttemptPeriod must be between 60 and 1800 seconds.",
        ));
    }
    if list(policy, "ignoredExitCodes").count() > 50 {
        return Err(invalid("The maximum number of ignored exit codes is 50."));
    }
    Ok(())
}

/// What a task with a network interface of its own does not allow.
pub fn check_awsvpc(containers: &[Value]) -> Result<(), AwsError> {
    let mut taken: BTreeSet<(i64, String)> = BTreeSet::new();
    for container in containers {
        for (member, words) in [
            ("links", "Links are"),
            ("hostname", "hostname is"),
            ("extraHosts", "extraHosts is"),
            ("dnsServers", "dnsServers are"),
            ("dnsSearchDomains", "dnsSearchDomains are"),
        ] {
            let is_set = container.get(member).is_some_and(|value| {
                !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
            });
            if is_set && member == "links" {
                return Err(refuse("Links are not supported when networkMode=awsvpc."));
            }
            if is_set {
                return Err(refuse(format!(
                    "{words} not supported on container when networkMode=awsvpc."
                )));
            }
        }
        if container.get("disableNetworking").and_then(Value::as_bool) == Some(true) {
            return Err(refuse(
                "disableNetworking is not supported on container when networkMode=awsvpc.",
            ));
        }
        for mapping in list(container, "portMappings") {
            let port = number(mapping, "containerPort").unwrap_or(0);
            let host = number(mapping, "hostPort").unwrap_or(0);
            if host != 0 && host != port {
                return Err(refuse(
                    "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
                ));
            }
            let protocol = text(mapping, "protocol").unwrap_or("tcp").to_owned();
            if port != 0 && !taken.insert((port, protocol)) {
                return Err(refuse(format!(
                    "Duplicate port mapping: container port {port} is used more than once in the task."
                )));
            }
        }
    }
    Ok(())
}

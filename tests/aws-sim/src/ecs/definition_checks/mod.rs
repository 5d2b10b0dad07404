//! What ECS looks at before it registers a task definition, in the order in
//! which it refuses: names, containers, what depends on what, and what Fargate
//! does not allow.
//!
//! Start at [`check`]. The words are AWS's where users have reported them, else
//! of the same kind; sources are the RegisterTaskDefinition and
//! ContainerDefinition pages of the ECS API reference.

mod containers;
mod dependencies;
mod fargate;
#[cfg(test)]
mod tests;
mod volumes;

use serde_json::{Map, Value};

use crate::{AwsError, wire::json::text};

/// What ECS computes and does not take back.
const COMPUTED: [&str; 8] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
];

pub fn refuse(message: impl Into<String>) -> AwsError {
    AwsError::client("ClientException", message)
}

/// A parameter whose value is outside of what the parameter takes.
fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterException", message)
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const LONGEST: usize = 65_536;

/// Whether ECS takes the task definition.
///
/// # Errors
/// `ClientException` or `InvalidParameterException` for the first fault.
pub fn check(body: &Map<String, Value>) -> Result<(), AwsError> {
    let whole = Value::Object(body.clone());
    if let Some(computed) = COMPUTED.iter().find(|member| body.contains_key(**member)) {
        return Err(invalid(format!("Unknown parameter in input: \"{computed}\"")));
    }
    let length = whole.to_string().len();
    if length > LONGEST {
        return Err(refuse(format!(
            "Actual length: '{length}'. Max allowed length is '{LONGEST}' bytes."
        )));
    }
    let family = text(&whole, "family").ok_or_else(|| refuse("Family should not be null or empty."))?;
    if family.len() > 255 || !is_name(family) {
        return Err(refuse("Family contains invalid characters."));
    }
    let containers = body.get("containerDefinitions").and_then(Value::as_array);
    let containers = containers.filter(|containers| !containers.is_empty());
    let containers = containers.ok_or_else(|| refuse("Container list cannot be empty."))?;
    let names: std::collections::BTreeSet<&str> =
        containers.iter().filter_map(|one| text(one, "name")).collect();
    if names.len() < containers.len() {
        return Err(refuse("Container names must be unique."));
    }
    for container in containers {
        containers::check(container, &whole)?;
    }
    containers::check_sums(containers, &whole)?;
    if !containers.iter().any(is_essential) {
        return Err(refuse(
            "A task definition must have at least one essential container.",
        ));
    }
    dependencies::check(containers)?;
    volumes::check(&whole, containers)?;
    if text(&whole, "networkMode") == Some("awsvpc") {
        containers::check_awsvpc(containers)?;
    }
    if needs_fargate(body) {
        fargate::check(&whole, containers)?;
    }
    Ok(())
}

/// Whether the task definition asks to be fit for Fargate.
pub fn needs_fargate(body: &Map<String, Value>) -> bool {
    body.get("requiresCompatibilities")
        .and_then(Value::as_array)
        .is_some_and(|list| list.iter().any(|one| one == "FARGATE"))
}

fn is_name(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn is_essential(container: &Value) -> bool {
    container.get("essential").and_then(Value::as_bool) != Some(false)
}

fn name_of(container: &Value) -> &str {
    text(container, "name").unwrap_or_default()
}

/// The objects of a member that is a list.
fn list<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    let items = value.get(member).and_then(Value::as_array);
    items.into_iter().flatten()
}

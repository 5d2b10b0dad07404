//! `dependsOn`: who waits for whom, and for what.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html>.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{invalid, is_essential, list, name_of, refuse};
use crate::{AwsError, wire::json::text};

pub fn check(containers: &[Value]) -> Result<(), AwsError> {
    let by_name: BTreeMap<&str, &Value> = containers.iter().map(|one| (name_of(one), one)).collect();
    for container in containers {
        for dependency in list(container, "dependsOn") {
            check_one(container, dependency, &by_name)?;
        }
    }
    let mut safe: Vec<&str> = Vec::new();
    loop {
        let ready = containers
            .iter()
            .map(|one| (name_of(one), one))
            .find(|(name, one)| {
                !safe.contains(name)
                    && list(one, "dependsOn")
                        .all(|on| safe.contains(&text(on, "containerName").unwrap_or_default()))
            });
        match ready {
            Some((name, _)) => safe.push(name),
            None if safe.len() == containers.len() => return Ok(()),
            None => {
                let caught: Vec<&str> = by_name
                    .keys()
                    .filter(|name| !safe.contains(name))
                    .copied()
                    .collect();
                return Err(refuse(format!(
                    "Cyclic container dependency detected: [{}].",
                    caught.join(", ")
                )));
            }
        }
    }
}

fn check_one(
    container: &Value,
    dependency: &Value,
    by_name: &BTreeMap<&str, &Value>,
) -> Result<(), AwsError> {
    let name = name_of(container);
    let on = text(dependency, "containerName").unwrap_or_default();
    let Some(other) = by_name.get(on) else {
        return Err(refuse(format!(
            "Container '{name}' depends on container '{on}', which is not in the task definition."
        )));
    };
    match text(dependency, "condition").unwrap_or_default() {
        "START" => Ok(()),
        "COMPLETE" | "SUCCESS" if is_essential(other) => Err(refuse(
            "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
        )),
        "COMPLETE" | "SUCCESS" => Ok(()),
        "HEALTHY" if other.get("healthCheck").is_none() => Err(refuse(format!(
            "Container '{name}' has a HEALTHY dependency on container '{on}', which has no health check."
        ))),
        "HEALTHY" => Ok(()),
        condition => Err(invalid(format!(
            "Dependency condition '{condition}' is not one of START, COMPLETE, SUCCESS, HEALTHY."
        ))),
    }
}

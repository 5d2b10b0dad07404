//! How requests name things, and what ECS says when there is no such thing.

use serde_json::Value;

use super::model::{Lifecycle, Service, TaskDefinition};
use crate::{AwsError, wire::json::text, world::Region};

/// The last part of an ARN or path.
pub fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The cluster that the input's `cluster` (a name or an ARN; `default` when absent) names.
pub fn cluster_name(region: &Region, input: &Value) -> Result<String, AwsError> {
    let name = last_part(text(input, "cluster").unwrap_or("default"));
    if region.ecs.clusters.contains_key(name) {
        Ok(name.to_owned())
    } else {
        Err(no_cluster())
    }
}

pub fn no_cluster() -> AwsError {
    AwsError::client("ClusterNotFoundException", "Cluster not found.")
}

pub fn no_service() -> AwsError {
    AwsError::client("ServiceNotFoundException", "Service not found.")
}

/// Cluster and name of the service that the input's `service` names.
pub fn service_key(region: &Region, input: &Value) -> Result<(String, String), AwsError> {
    let cluster = cluster_name(region, input)?;
    let named = text(input, "service")
        .ok_or_else(|| AwsError::client("InvalidParameterException", "Service cannot be empty."))?;
    let key = (cluster, last_part(named).to_owned());
    if region.ecs.services.contains_key(&key) {
        Ok(key)
    } else {
        Err(no_service())
    }
}

/// Takes the service out of the region, to be put back by the caller with [`put_service`].
pub fn take_service(region: &mut Region, key: &(String, String)) -> Result<Service, AwsError> {
    region.ecs.services.remove(key).ok_or_else(no_service)
}

pub fn put_service(region: &mut Region, service: Service) {
    region.ecs.services.insert(service.key(), service);
}

/// A task definition by family (its latest ACTIVE revision), `family:revision` or ARN.
pub fn find_task_definition<'a>(region: &'a Region, reference: &str) -> Option<&'a TaskDefinition> {
    if reference.starts_with("arn:") && !reference.starts_with(&region.arn("ecs", "task-definition/")) {
        return None;
    }
    let short = last_part(reference);
    match short.rsplit_once(':') {
        Some((family, revision)) => {
            let revision: u64 = revision.parse().ok()?;
            region
                .ecs
                .families
                .get(family)?
                .iter()
                .find(|definition| definition.revision == revision)
        }
        None => region
            .ecs
            .families
            .get(short)?
            .iter()
            .rev()
            .find(|definition| definition.status == Lifecycle::Active),
    }
}

/// A revision that a service may run.
pub fn active_task_definition<'a>(
    region: &'a Region,
    reference: &str,
) -> Result<&'a TaskDefinition, AwsError> {
    let definition = find_task_definition(region, reference)
        .ok_or_else(|| AwsError::client("ClientException", "TaskDefinition not found."))?;
    if definition.status == Lifecycle::Active {
        Ok(definition)
    } else {
        Err(AwsError::client("ClientException", "TaskDefinition is inactive"))
    }
}

/// One page of a list: the items from `nextToken` on, and the next token.
pub fn page<T: Clone>(input: &Value, items: &[T], most: usize) -> (Vec<T>, Option<String>) {
    let start = text(input, "nextToken")
        .and_then(|token| token.parse::<usize>().ok())
        .unwrap_or(0)
        .min(items.len());
    let size = crate::wire::json::number(input, "maxResults")
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| *size > 0)
        .unwrap_or(most)
        .min(most);
    let end = (start + size).min(items.len());
    let next = (end < items.len()).then(|| end.to_string());
    (items[start..end].to_vec(), next)
}

//! Amazon ECS: the actions of its API and, in [`engine`], what moves its
//! services and tasks as time passes.
//!
//! Start at [`call`]; the state is [`model::Ecs`]. What always holds: a
//! service's deployments, service deployments, revisions, tasks and events are
//! changed together, by `deployments` and `engine` alone, so that no two
//! answers contradict each other.

mod clusters;
mod definition_checks;
mod deployments;
pub mod engine;
mod limits;
mod model;
mod protection;
mod references;
mod rollout;
mod run_task;
mod service_checks;
mod service_deployments;
mod service_reads;
mod service_settings;
mod services;
mod tags;
mod task;
mod task_definitions;
mod tasks;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use limits::{Buckets, bucket_of};
pub use model::{Cluster, ContainerInstance, Ecs, Provider, Service};
pub use task::Task;
pub use task_definitions::concurrent as concurrent_registration;

use crate::{
    AwsError,
    world::{CallContext, Region, SimTime},
};

/// One action: the wire's JSON in, the wire's JSON out. CloudFormation makes
/// its resources through this same door.
pub fn call(region: &mut Region, ctx: &CallContext, action: &str, input: &Value) -> Result<Value, AwsError> {
    if !action.starts_with("Describe") && !action.starts_with("List") {
        region.ecs.at_rest_until = SimTime::default();
    }
    match action {
        "RegisterTaskDefinition" => task_definitions::register(region, ctx, input),
        "DeregisterTaskDefinition" => task_definitions::deregister(region, ctx, input),
        "DescribeTaskDefinition" => task_definitions::describe(region, input),
        "ListTaskDefinitions" => task_definitions::list(region, input),
        "ListTaskDefinitionFamilies" => task_definitions::list_families(region, input),
        "CreateCluster" => clusters::create(region, input),
        "DescribeClusters" => clusters::describe(region, input),
        "ListClusters" => clusters::list(region, input),
        "ListContainerInstances" => clusters::list_instances(region, input),
        "DescribeContainerInstances" => clusters::describe_instances(region, input),
        "DescribeCapacityProviders" => Ok(clusters::describe_providers(region, input)),
        "GetTaskProtection" => protection::get(region, ctx, input),
        "UpdateTaskProtection" => protection::update(region, ctx, input),
        "CreateService" => services::create(region, ctx, input),
        "UpdateService" => services::update(region, ctx, input),
        "DeleteService" => services::delete(region, ctx, input),
        "DescribeServices" => service_reads::describe(region, input),
        "ListServices" => service_reads::list(region, input),
        "ListTasks" => tasks::list(region, input),
        "DescribeTasks" => tasks::describe(region, input),
        "RunTask" => run_task::run(region, ctx, input),
        "StopTask" => tasks::stop(region, ctx, input),
        "ListServiceDeployments" => service_deployments::list(region, input),
        "DescribeServiceDeployments" => service_deployments::describe(region, input),
        "DescribeServiceRevisions" => service_deployments::describe_revisions(region, input),
        "StopServiceDeployment" => service_deployments::stop(region, ctx, input),
        "TagResource" => tags::add(region, input),
        "UntagResource" => tags::remove(region, input),
        "ListTagsForResource" => tags::list(region, input),
        _ => Err(AwsError::unknown_action(action)),
    }
}

/// The request that registered a revision (`family:revision` or an ARN), byte for byte.
pub fn registered_bytes(region: &Region, revision: &str) -> Option<bytes::Bytes> {
    references::find_task_definition(region, revision)?.raw.clone()
}

/// A service as DescribeServices answers it, tags included.
pub fn service_view(region: &Region, service: &Service) -> Value {
    service_reads::view(region, service, true)
}

/// What the effect log names as the subject of a call.
pub fn subject(input: &Value) -> String {
    const NAMING: [&str; 9] = [
        "serviceName",
        "service",
        "family",
        "taskDefinition",
        "serviceDeploymentArn",
        "clusterName",
        "familyPrefix",
        "resourceArn",
        "task",
    ];
    const LISTING: [&str; 5] = [
        "services",
        "tasks",
        "serviceDeploymentArns",
        "serviceRevisionArns",
        "clusters",
    ];
    let named = NAMING
        .iter()
        .find_map(|member| crate::wire::json::text(input, member));
    let short = |text: &str| match text
        .split_once(":service/")
        .or_else(|| text.split_once(":task-definition/"))
    {
        Some((_, rest)) => rest.rsplit('/').next().unwrap_or(rest).to_owned(),
        None => text.to_owned(),
    };
    match named {
        Some(name) => short(name),
        None => LISTING
            .iter()
            .map(|member| crate::wire::json::texts(input, member))
            .find(|listed| !listed.is_empty())
            .map(|listed| listed.iter().map(|one| short(one)).collect::<Vec<_>>().join(","))
            .unwrap_or_default(),
    }
}

//! DescribeServices and ListServices.

use serde_json::{Value, json};

use super::{
    deployments::revision_summary,
    model::{Deployment, DeploymentStatus, Rollout, Service, ServiceStatus},
    references::{cluster_name, last_part, page},
    task::{Stage, Task},
};
use crate::{
    AwsError,
    wire::json::{text, texts},
    world::Region,
};

/// Running and pending tasks, and how many of all are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: i64,
    pub pending: i64,
    pub wanted: i64,
}

/// Counts the tasks of a service that `which` accepts.
pub fn count(region: &Region, service: &Service, which: impl Fn(&Task) -> bool) -> Counts {
    let mut counts = Counts::default();
    for task in region.ecs.tasks_of(service).filter(|task| which(task)) {
        if task.is_running() {
            counts.running += 1;
        } else if task.stage < Stage::Running && !task.stopping {
            counts.pending += 1;
        }
        if task.is_wanted() {
            counts.wanted += 1;
        }
    }
    counts
}

/// Answers at most this many services (DescribeServices).
const MOST_DESCRIBED: usize = 10;

pub fn describe(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let cluster = cluster_name(region, input)?;
    let wanted = texts(input, "services");
    if wanted.is_empty() {
        return Err(AwsError::client(
            "InvalidParameterException",
            "Services cannot be empty.",
        ));
    }
    if wanted.len() > MOST_DESCRIBED {
        return Err(AwsError::client(
            "InvalidParameterException",
            "service names can have at most 10 items.",
        ));
    }
    let with_tags = texts(input, "include").contains(&"TAGS".to_owned());
    let mut services = Vec::new();
    let mut failures = Vec::new();
    for name in wanted {
        let key = (cluster.clone(), last_part(&name).to_owned());
        match region.ecs.services.get(&key) {
            Some(service) => services.push(view(region, service, with_tags)),
            None => {
                let arn = region.arn("ecs", &format!("service/{cluster}/{}", last_part(&name)));
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({ "services": services, "failures": failures }))
}

/// One service as DescribeServices answers it.
pub fn view(region: &Region, service: &Service, with_tags: bool) -> Value {
    let all = count(region, service, |_| true);
    let controlled = service.controller() == "ECS";
    let mut view = json!({
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "status": service.status.word(),
        "desiredCount": service.desired,
        "runningCount": all.running,
        "pendingCount": all.pending,
        "taskDefinition": service.task_definition,
        "deployments": service.deployments.iter()
            .map(|deployment| deployment_view(region, service, deployment))
            .collect::<Vec<_>>(),
        "events": service.events.iter()
            .map(|event| json!({
                "id": event.id,
                "createdAt": event.at.epoch_seconds(),
                "message": event.message,
            }))
            .collect::<Vec<_>>(),
        "createdAt": service.created.epoch_seconds(),
        "createdBy": service.created_by,
    });
    for (member, value) in &service.settings {
        if !matches!(
            member.as_str(),
            "role" | "serviceConnectConfiguration" | "volumeConfigurations"
        ) {
            view[member] = value.clone();
        }
    }
    if !controlled {
        // Its task sets are somebody else's to make and shift.
        view["taskSets"] = service
            .primary()
            .map(|one| task_set(region, service, one))
            .into_iter()
            .collect();
        view["deployments"] = json!([]);
    }
    if with_tags {
        view["tags"] = Value::from(service.tags.clone());
    }
    if let (true, Some(primary)) = (controlled, service.primary()) {
        view["currentServiceDeployment"] = json!(primary.service_deployment);
        let current = service
            .deployments
            .iter()
            .filter(|one| one.status != DeploymentStatus::Inactive);
        view["currentServiceRevisions"] = current
            .map(|one| {
                let counts = count(region, service, |task| task.deployment == one.id);
                revision_summary(
                    &one.revision,
                    desired(service, one, counts.wanted),
                    counts.running,
                    counts.pending,
                )
            })
            .collect();
    }
    view
}

/// The only task set that a service of another controller has here.
fn task_set(region: &Region, service: &Service, deployment: &Deployment) -> Value {
    let counts = count(region, service, |task| task.deployment == deployment.id);
    let id = deployment.id.replace('/', "/0");
    let path = format!("task-set/{}/{}/{id}", service.cluster, service.name);
    json!({
        "id": id,
        "taskSetArn": region.arn("ecs", &path),
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "status": "PRIMARY",
        "taskDefinition": deployment.task_definition,
        "computedDesiredCount": service.desired,
        "pendingCount": counts.pending,
        "runningCount": counts.running,
        "createdAt": deployment.created.epoch_seconds(),
        "updatedAt": deployment.updated.epoch_seconds(),
        "loadBalancers": service.load_balancers(),
        "serviceRegistries": [],
        "scale": {"value": 100.0, "unit": "PERCENT"},
        "stabilityStatus": if service.steady { "STEADY_STATE" } else { "STABILIZING" },
        "stabilityStatusAt": deployment.updated.epoch_seconds(),
        "tags": [],
    })
}

/// How many tasks a deployment is meant to have.
fn desired(service: &Service, deployment: &Deployment, wanted: i64) -> i64 {
    if deployment.status == DeploymentStatus::Primary && !deployment.halted {
        service.desired
    } else if deployment.rollout == Rollout::Failed {
        0
    } else {
        wanted
    }
}

fn deployment_view(region: &Region, service: &Service, deployment: &Deployment) -> Value {
    let counts = count(region, service, |task| task.deployment == deployment.id);
    let mut view = json!({
        "id": deployment.id,
        "status": deployment.status.word(),
        "taskDefinition": deployment.task_definition,
        "desiredCount": desired(service, deployment, counts.wanted),
        "pendingCount": counts.pending,
        "runningCount": counts.running,
        "failedTasks": deployment.failed_tasks,
        "createdAt": deployment.created.epoch_seconds(),
        "updatedAt": deployment.updated.epoch_seconds(),
        "rolloutState": deployment.rollout.word(),
        "rolloutStateReason": deployment.reason,
    });
    let frozen = service
        .revision(&deployment.revision)
        .map(|revision| &revision.settings);
    for (member, value) in frozen.into_iter().flatten() {
        if !matches!(member.as_str(), "loadBalancers" | "serviceRegistries") {
            view[member] = value.clone();
        }
    }
    view
}

pub fn list(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let cluster = cluster_name(region, input)?;
    let launch_type = text(input, "launchType");
    let strategy = text(input, "schedulingStrategy");
    let arns: Vec<String> = region
        .ecs
        .services
        .values()
        .filter(|service| service.cluster == cluster && service.status != ServiceStatus::Inactive)
        .filter(|service| launch_type.is_none_or(|wanted| service.setting_text("launchType") == wanted))
        .filter(|service| strategy.is_none_or(|wanted| service.setting_text("schedulingStrategy") == wanted))
        .map(|service| service.arn.clone())
        .collect();
    // ListServices answers ten by default.
    let sized = if input.get("maxResults").is_some() {
        100
    } else {
        10
    };
    let (arns, next) = page(input, &arns, sized);
    let mut answer = json!({ "serviceArns": arns });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

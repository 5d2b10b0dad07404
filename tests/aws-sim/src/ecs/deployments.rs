//! How deployments begin and end: one place changes a service's deployment,
//! its service deployment and its service revision together.

use serde_json::{Map, Value, json};

use super::model::{
    Deployment, DeploymentStatus, Rollback, Rollout, Service, ServiceDeployment, ServiceDeploymentStatus,
    ServiceRevision, WatchedAlarms,
};
use super::references::find_task_definition;
use crate::{
    cloudwatch,
    images::Reference,
    wire::json::{text, texts},
    world::{Region, SimTime},
};

/// What a service revision freezes of its service.
const FROZEN: [&str; 10] = [
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "platformFamily",
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// Starts a deployment of the service as it now is: a new PRIMARY, with its
/// revision and its service deployment.
pub fn start(region: &mut Region, service: &mut Service, now: SimTime, words: &str) {
    let revision = new_revision(region, service, now);
    let source_revisions = service
        .deployments
        .iter()
        .map(|deployment| deployment.revision.clone())
        .collect();
    let breaker = service.breaker();
    let path = format!("service-deployment/{}/{}", service.cluster, service.name);
    let number = region.ids.hex("service-deployment", 21);
    let record = ServiceDeployment {
        arn: region.arn("ecs", &format!("{path}/{number}")),
        status: if service.controller() == "ECS" {
            ServiceDeploymentStatus::InProgress
        } else {
            ServiceDeploymentStatus::Pending
        },
        reason: None,
        created: now,
        started: Some(now),
        finished: None,
        stopped: None,
        updated: now,
        target_revision: revision.clone(),
        source_revisions,
        configuration: service
            .setting("deploymentConfiguration")
            .cloned()
            .unwrap_or_default(),
        rollback: None,
        failures: 0,
        threshold: breaker.threshold,
        breaker_enabled: breaker.enabled,
        breaker_triggered: false,
        alarms: watched_alarms(region, service),
    };
    let service_deployment = record.arn.clone();
    service.service_deployments.insert(0, record);
    service.service_deployments.truncate(100);
    let id = new_primary(region, service, now, revision, service_deployment);
    if let Some(primary) = service.primary_mut() {
        primary.reason = format!("{words} {id} in progress.");
    }
}

/// The deployment alarms of a service that has them enabled. While one of them is
/// in ALARM a new deployment goes unwatched, so that it can be the remedy.
fn watched_alarms(region: &Region, service: &Service) -> Option<WatchedAlarms> {
    let alarms = service.setting("deploymentConfiguration")?.get("alarms")?;
    if alarms.get("enable").and_then(Value::as_bool) != Some(true) {
        return None;
    }
    let names = texts(alarms, "alarmNames");
    let is_ignored = !in_alarm(region, &names).is_empty();
    Some(WatchedAlarms {
        names,
        rolls_back: alarms.get("rollback").and_then(Value::as_bool) == Some(true),
        is_ignored,
        triggered: Vec::new(),
    })
}

/// Those of the alarms that are in ALARM now.
pub fn in_alarm(region: &Region, names: &[String]) -> Vec<String> {
    let is_raised = |name: &&String| {
        let alarm = region.alarms.get(*name);
        alarm.is_some_and(|alarm| alarm.state == cloudwatch::State::Alarm)
    };
    names.iter().filter(is_raised).cloned().collect()
}

/// Makes a PRIMARY of a revision and hands the older ones down to ACTIVE.
fn new_primary(
    region: &mut Region,
    service: &mut Service,
    now: SimTime,
    revision: String,
    service_deployment: String,
) -> String {
    let id = format!("ecs-svc/{}", region.ids.digits("deployment", 19));
    for older in &mut service.deployments {
        if older.status == DeploymentStatus::Primary {
            older.status = DeploymentStatus::Active;
            older.updated = now;
        }
    }
    let task_definition = service
        .revision(&revision)
        .map(|revision| revision.task_definition.clone())
        .unwrap_or_default();
    service.task_definition.clone_from(&task_definition);
    let primary = Deployment {
        id: id.clone(),
        status: DeploymentStatus::Primary,
        task_definition,
        revision,
        service_deployment,
        failed_tasks: 0,
        rollout: Rollout::InProgress,
        reason: String::new(),
        created: now,
        updated: now,
        halted: false,
        is_rollback: false,
    };
    service.deployments.insert(0, primary);
    service.settled_since = None;
    service.steady = false;
    service.start_failures = 0;
    service.next_start = now.plus_s(region.timing.reschedule_s);
    id
}

fn new_revision(region: &mut Region, service: &mut Service, now: SimTime) -> String {
    let path = format!("service-revision/{}/{}", service.cluster, service.name);
    let number = region.ids.digits("service-revision", 19);
    let arn = region.arn("ecs", &format!("{path}/{number}"));
    let mut settings = Map::new();
    for member in FROZEN {
        if let Some(value) = service.setting(member) {
            settings.insert(member.to_owned(), value.clone());
        }
    }
    service.revisions.insert(
        0,
        ServiceRevision {
            arn: arn.clone(),
            task_definition: service.task_definition.clone(),
            created: now,
            settings,
            images: resolve_images(region, &service.task_definition),
            completed: false,
        },
    );
    arn
}

/// ECS pins each container's tag to a digest once per service deployment.
fn resolve_images(region: &Region, task_definition: &str) -> Vec<(String, String, Option<String>)> {
    let definition = find_task_definition(region, task_definition);
    definition
        .into_iter()
        .flat_map(super::model::TaskDefinition::containers)
        .map(|container| {
            let image = text(container, "image").unwrap_or_default();
            let found = region.images.find(&Reference::parse(image));
            (
                text(container, "name").unwrap_or_default().to_owned(),
                image.to_owned(),
                found.map(|image| image.digest()),
            )
        })
        .collect()
}

/// Ends the rollout that is going on, because another takes its place.
pub fn supersede(service: &mut Service, now: SimTime) {
    let Some(primary) = service.primary().cloned() else {
        return;
    };
    if let Some(record) = service.service_deployment_mut(&primary.service_deployment)
        && !record.status.is_over()
    {
        record.status = ServiceDeploymentStatus::Stopped;
        record.reason =
            Some("Service deployment was stopped because a newer service deployment was created.".into());
        record.stopped = Some(now);
        record.finished = Some(now);
        record.updated = now;
    }
}

/// The newest revision before the current one that has completed and can still be run.
pub fn rollback_target(region: &Region, service: &Service) -> Option<String> {
    let current = service.primary().map(|primary| primary.revision.as_str());
    service
        .revisions
        .iter()
        .filter(|revision| revision.completed && Some(revision.arn.as_str()) != current)
        .find(|revision| super::references::active_task_definition(region, &revision.task_definition).is_ok())
        .map(|revision| revision.arn.clone())
}

/// Fails the PRIMARY and brings back `target` as a new PRIMARY, which adopts
/// the tasks of that revision that still run. Returns the new deployment's id.
pub fn roll_back(
    region: &mut Region,
    service: &mut Service,
    now: SimTime,
    target: String,
    failure: &str,
    reason: &str,
) -> String {
    let guard = failure.split_once(':').map_or(failure, |(guard, _)| guard);
    let service_deployment = fail(service, now, failure);
    if let Some(record) = service.service_deployment_mut(&service_deployment) {
        record.status = ServiceDeploymentStatus::RollbackInProgress;
        record.reason = Some(reason.to_owned());
        record.updated = now;
        record.rollback = Some(Rollback {
            reason: reason.to_owned(),
            started: now,
            revision: target.clone(),
        });
    }
    let came_from = service
        .deployments
        .iter()
        .find(|deployment| deployment.revision == target)
        .map(|deployment| deployment.id.clone());
    let frozen = service
        .revision(&target)
        .map(|revision| revision.settings.clone());
    service.settings.extend(frozen.unwrap_or_default());
    let id = new_primary(region, service, now, target.clone(), service_deployment);
    let shown = came_from.unwrap_or_else(|| id.clone());
    if let Some(primary) = service.primary_mut() {
        primary.is_rollback = true;
        primary.reason = format!("{guard}: rolling back to deploymentId {shown}.");
    }
    let adopted: Vec<String> = service
        .deployments
        .iter()
        .filter(|deployment| deployment.revision == target)
        .map(|deployment| deployment.id.clone())
        .collect();
    for task in region.ecs.tasks.values_mut() {
        let ours = task.service == service.name && task.cluster == service.cluster;
        if ours && task.is_wanted() && adopted.contains(&task.deployment) {
            task.deployment.clone_from(&id);
        }
    }
    shown
}

/// A rollback that StopServiceDeployment asked for is under way at the next step.
pub fn begin_requested_rollback(service: &mut Service, now: SimTime) {
    for record in &mut service.service_deployments {
        if record.status == ServiceDeploymentStatus::RollbackRequested {
            record.status = ServiceDeploymentStatus::RollbackInProgress;
            record.updated = now;
        }
    }
}

/// Marks the PRIMARY's rollout FAILED; it starts no more tasks. Returns its service deployment.
pub fn fail(service: &mut Service, now: SimTime, failure: &str) -> String {
    let Some(primary) = service.primary_mut() else {
        return String::new();
    };
    primary.rollout = Rollout::Failed;
    primary.reason = failure.to_owned();
    primary.halted = true;
    primary.updated = now;
    primary.service_deployment.clone()
}

/// The PRIMARY has what it wants: COMPLETED, as its records say.
pub fn complete(service: &mut Service, now: SimTime) {
    let Some(primary) = service.primary_mut() else {
        return;
    };
    primary.rollout = Rollout::Completed;
    primary.reason = format!("ECS deployment {} completed.", primary.id);
    primary.updated = now;
    let (revision, service_deployment, is_rollback) = (
        primary.revision.clone(),
        primary.service_deployment.clone(),
        primary.is_rollback,
    );
    if let Some(revision) = service.revisions.iter_mut().find(|one| one.arn == revision) {
        revision.completed = true;
    }
    if let Some(record) = service.service_deployment_mut(&service_deployment)
        && !record.status.is_over()
    {
        record.status = if is_rollback {
            ServiceDeploymentStatus::RollbackSuccessful
        } else {
            ServiceDeploymentStatus::Successful
        };
        record.finished = Some(now);
        record.updated = now;
    }
    service
        .deployments
        .retain(|deployment| deployment.status == DeploymentStatus::Primary);
}

/// A service revision as answers refer to it.
pub fn revision_summary(arn: &str, requested: i64, running: i64, pending: i64) -> Value {
    json!({
        "arn": arn,
        "requestedTaskCount": requested,
        "runningTaskCount": running,
        "pendingTaskCount": pending,
    })
}

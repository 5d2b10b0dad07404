//! Service deployments and service revisions: the record of what a service
//! was told to run, and how that ended.

use serde_json::{Value, json};

use super::{
    deployments::{self, revision_summary},
    engine::events,
    model::{Service, ServiceDeployment, ServiceDeploymentStatus, ServiceRevision},
    references::{page, put_service, service_key, take_service},
    service_reads::count,
};
use crate::{
    AwsError,
    wire::json::{text, texts},
    world::{CallContext, Region},
};

pub fn list(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let key = service_key(region, input)?;
    let service = &region.ecs.services[&key];
    let statuses = texts(input, "status");
    let moment = |side: &str| {
        input
            .get("createdAt")
            .and_then(|window| window.get(side)?.as_f64())
    };
    let (after, before) = (moment("after"), moment("before"));
    let listed: Vec<Value> = service
        .service_deployments
        .iter()
        .filter(|record| statuses.is_empty() || statuses.iter().any(|one| one == record.status.word()))
        .filter(|record| {
            let created = record.created.epoch_seconds().as_f64().unwrap_or_default();
            after.is_none_or(|after| created >= after) && before.is_none_or(|before| created <= before)
        })
        .map(|record| brief(service, record))
        .collect();
    let (listed, next) = page(input, &listed, 100);
    let mut answer = json!({ "serviceDeployments": listed });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn brief(service: &Service, record: &ServiceDeployment) -> Value {
    let mut brief = json!({
        "serviceDeploymentArn": record.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "createdAt": record.created.epoch_seconds(),
        "targetServiceRevisionArn": record.target_revision,
        "status": record.status.word(),
    });
    set_moments(&mut brief, record, false);
    if let Some(reason) = &record.reason {
        brief["statusReason"] = json!(reason);
    }
    brief
}

fn set_moments(view: &mut Value, record: &ServiceDeployment, with_stopped: bool) {
    let stopped = record.stopped.filter(|_| with_stopped);
    for (member, at) in [
        ("startedAt", record.started),
        ("finishedAt", record.finished),
        ("stoppedAt", stopped),
    ] {
        if let Some(at) = at {
            view[member] = at.epoch_seconds();
        }
    }
}

/// DescribeServiceDeployments takes at most this many ARNs.
const MOST_DESCRIBED: usize = 20;

pub fn describe(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let wanted = texts(input, "serviceDeploymentArns");
    if wanted.len() > MOST_DESCRIBED {
        return Err(AwsError::client(
            "InvalidParameterException",
            "serviceDeploymentArns can have at most 20 items.",
        ));
    }
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for arn in wanted {
        let record = region.ecs.services.values().find_map(|service| {
            let record = service
                .service_deployments
                .iter()
                .find(|record| record.arn == arn)?;
            Some(view(region, service, record))
        });
        match record {
            Some(record) => found.push(record),
            None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
        }
    }
    Ok(json!({ "serviceDeployments": found, "failures": failures }))
}

fn alarms(record: &ServiceDeployment) -> Value {
    let Some(alarms) = &record.alarms else {
        return json!({"status": "DISABLED", "alarmNames": [], "triggeredAlarmNames": []});
    };
    let status = if alarms.is_ignored {
        "DISABLED"
    } else if !alarms.triggered.is_empty() {
        "TRIGGERED"
    } else if record.status.is_over() {
        "MONITORING_COMPLETE"
    } else {
        "MONITORING"
    };
    json!({"status": status, "alarmNames": alarms.names, "triggeredAlarmNames": alarms.triggered})
}

/// The counts of a revision's tasks now.
fn summary(region: &Region, service: &Service, revision: &str) -> Value {
    let ids: Vec<&str> = service
        .deployments
        .iter()
        .filter(|deployment| deployment.revision == revision)
        .map(|deployment| deployment.id.as_str())
        .collect();
    let counts = count(region, service, |task| ids.contains(&task.deployment.as_str()));
    let is_current = service
        .primary()
        .is_some_and(|primary| primary.revision == revision && !primary.halted);
    let requested = if is_current {
        service.desired
    } else {
        counts.wanted
    };
    revision_summary(revision, requested, counts.running, counts.pending)
}

fn view(region: &Region, service: &Service, record: &ServiceDeployment) -> Value {
    let sources: Vec<Value> = record
        .source_revisions
        .iter()
        .map(|revision| summary(region, service, revision))
        .collect();
    let breaker = if !record.breaker_enabled {
        "DISABLED"
    } else if record.breaker_triggered {
        "TRIGGERED"
    } else if record.status.is_over() {
        "MONITORING_COMPLETE"
    } else {
        "MONITORING"
    };
    let mut view = json!({
        "serviceDeploymentArn": record.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "createdAt": record.created.epoch_seconds(),
        "updatedAt": record.updated.epoch_seconds(),
        "sourceServiceRevisions": sources,
        "targetServiceRevision": summary(region, service, &record.target_revision),
        "status": record.status.word(),
        "deploymentConfiguration": record.configuration,
        "deploymentCircuitBreaker": {
            "status": breaker,
            "failureCount": record.failures,
            "threshold": record.threshold,
        },
    });
    view["alarms"] = alarms(record);
    set_moments(&mut view, record, true);
    if let Some(reason) = &record.reason {
        view["statusReason"] = json!(reason);
    }
    if let Some(rollback) = &record.rollback {
        view["rollback"] = json!({
            "reason": rollback.reason,
            "startedAt": rollback.started.epoch_seconds(),
            "serviceRevisionArn": rollback.revision,
        });
    }
    view
}

pub fn describe_revisions(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for arn in texts(input, "serviceRevisionArns") {
        let revision = region
            .ecs
            .services
            .values()
            .find_map(|service| Some(revision_view(service, service.revision(&arn)?)));
        match revision {
            Some(revision) => found.push(revision),
            None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
        }
    }
    Ok(json!({ "serviceRevisions": found, "failures": failures }))
}

fn revision_view(service: &Service, revision: &ServiceRevision) -> Value {
    let images: Vec<Value> = revision
        .images
        .iter()
        .map(|(name, image, digest)| {
            let mut container = json!({"containerName": name, "image": image});
            if let Some(digest) = digest {
                container["imageDigest"] = json!(digest);
            }
            container
        })
        .collect();
    let mut view = json!({
        "serviceRevisionArn": revision.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinition": revision.task_definition,
        "containerImages": images,
        "guardDutyEnabled": false,
        "createdAt": revision.created.epoch_seconds(),
    });
    for (member, value) in &revision.settings {
        view[member] = value.clone();
    }
    view
}

/// Whether the service deployment is the one that goes on, and is no rollback yet.
fn may_be_stopped(service: &Service, arn: &str) -> bool {
    let is_current = service
        .primary()
        .is_some_and(|primary| primary.service_deployment == arn && !primary.is_rollback);
    let goes_on = |record: &ServiceDeployment| {
        matches!(
            record.status,
            ServiceDeploymentStatus::Pending | ServiceDeploymentStatus::InProgress
        )
    };
    is_current
        && service
            .service_deployments
            .iter()
            .any(|record| record.arn == arn && goes_on(record))
}

pub fn stop(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let arn = text(input, "serviceDeploymentArn").unwrap_or_default().to_owned();
    let key = region
        .ecs
        .services
        .values()
        .find(|service| service.service_deployments.iter().any(|record| record.arn == arn))
        .map(Service::key)
        .ok_or_else(|| {
            AwsError::client(
                "ServiceDeploymentNotFoundException",
                "Service deployment not found.",
            )
        })?;
    if text(input, "stopType") == Some("ABORT") {
        return Err(AwsError::client(
            "UnsupportedFeatureException",
            "Stop type ABORT is not supported.",
        ));
    }
    let service = &region.ecs.services[&key];
    if !may_be_stopped(service, &arn) {
        return Err(AwsError::client(
            "ConflictException",
            "The service deployment is not in progress and cannot be stopped.",
        ));
    }
    let target = deployments::rollback_target(region, service).ok_or_else(|| {
        AwsError::client(
            "InvalidParameterException",
            "There is no previously completed service revision to roll back to.",
        )
    })?;
    let mut service = take_service(region, &key)?;
    let shown = deployments::roll_back(
        region,
        &mut service,
        ctx.now,
        target,
        "Service deployment rolled back by StopServiceDeployment.",
        "Service deployment was stopped and rolled back by a StopServiceDeployment request.",
    );
    if let Some(primary) = service.primary_mut() {
        primary.reason = format!("ECS deployment stopped by user: rolling back to deploymentId {shown}.");
    }
    if let Some(record) = service.service_deployment_mut(&arn) {
        record.status = ServiceDeploymentStatus::RollbackRequested;
    }
    events::add(
        region,
        &mut service,
        ctx.now,
        &format!("rolling back to deployment {shown}."),
    );
    put_service(region, service);
    Ok(json!({ "serviceDeploymentArn": arn }))
}

//! What was observed in the account, in the words of the wire. Values in, values out.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use towline_agent_domain::fargate::{
    plan::{Plan, PlanAction},
    preflight::{Finding, Severity},
};
use towline_agent_domain::observed::{
    Controller, Deployment, LoggedLine, ObservedService, ServiceEvent, Stack, StackEvent, StoppedTask,
    TaskDefinition, TaskDefinitionArn,
};
use towline_agent_domain::rollout::{diagnosis::Diagnosis, targets::TargetCount};
use towline_agent_domain::update::{
    diff::DefinitionChange,
    plan::{UpdateAction, UpdatePlan},
};
use towline_proto::agent::v1 as proto;

use crate::time::to_proto;

/// A service as it is; `definition` is what its PRIMARY deployment runs.
pub fn service(
    cluster: &str,
    observed: &ObservedService,
    definition: Option<&TaskDefinition>,
) -> proto::ServiceDescription {
    let containers = definition.map(TaskDefinition::images).unwrap_or_default();
    proto::ServiceDescription {
        name: observed.name.clone(),
        arn: observed.arn.clone(),
        cluster: cluster.to_owned(),
        status: observed.status.as_str().to_owned(),
        task_definition: observed
            .primary()
            .map_or(&observed.task_definition, |primary| &primary.task_definition)
            .0
            .clone(),
        desired: observed.desired,
        running: observed.running,
        pending: observed.pending,
        deployments: observed.deployments.iter().map(deployment).collect(),
        containers: containers
            .into_iter()
            .map(|(name, image)| proto::ContainerDescription { name, image })
            .collect(),
        launch_type: observed.launch_type.clone().unwrap_or_default(),
        task_definition_tags: definition.map(tags).unwrap_or_default(),
        deployment_controller: match &observed.controller {
            Controller::Rolling | Controller::OtherStrategy(_) => "ECS".to_owned(),
            Controller::Other(word) => word.clone(),
        },
        deployment_strategy: match &observed.controller {
            Controller::OtherStrategy(word) => word.clone(),
            Controller::Rolling | Controller::Other(_) => String::new(),
        },
        task_definition_registered_by: definition
            .and_then(|definition| definition.definition.get("registeredBy")?.as_str())
            .unwrap_or_default()
            .to_owned(),
        task_definition_register_time: definition.and_then(registered),
    }
}

/// ECS's JSON has seconds since 1970, with a fraction.
fn registered(definition: &TaskDefinition) -> Option<prost_types::Timestamp> {
    let seconds = definition.definition.get("registeredAt")?.as_f64()?;
    let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(since).ok().map(to_proto)
}

fn tags(definition: &TaskDefinition) -> HashMap<String, String> {
    let text = |tag: &serde_json::Value, member: &str| Some(tag.get(member)?.as_str()?.to_owned());
    let tags = definition.tags.iter();
    tags.filter_map(|tag| Some((text(tag, "key")?, text(tag, "value").unwrap_or_default())))
        .collect()
}

fn deployment(observed: &Deployment) -> proto::DeploymentDescription {
    proto::DeploymentDescription {
        id: observed.id.clone(),
        status: observed.status.as_str().to_owned(),
        task_definition: observed.task_definition.0.clone(),
        desired: observed.desired,
        running: observed.running,
        pending: observed.pending,
        failed: observed.failed,
        rollout_state: observed.rollout.as_str().to_owned(),
        create_time: Some(to_proto(observed.created)),
    }
}

/// A stack as it is.
pub fn stack(observed: &Stack) -> proto::StackDescription {
    proto::StackDescription {
        name: observed.name.clone(),
        id: observed.id.clone(),
        status: observed.status.clone(),
        status_reason: observed.status_reason.clone(),
        update_time: observed.updated.map(to_proto),
    }
}

/// How far all deployments of a service are; `ours` is the id of the operation's own,
/// `targets` what was last seen of its tasks' targets.
pub fn rollout(
    observed: &ObservedService,
    ours: Option<&str>,
    targets: &[proto::RolloutTargets],
) -> proto::Rollout {
    let deployments = observed.deployments.iter().map(|d| proto::RolloutDeployment {
        id: d.id.clone(),
        status: d.status.as_str().to_owned(),
        task_definition: d.task_definition.short().to_owned(),
        desired: d.desired,
        running: d.running,
        pending: d.pending,
        failed: d.failed,
        rollout_state: d.rollout.as_str().to_owned(),
        ours: ours == Some(d.id.as_str()),
    });
    proto::Rollout {
        deployments: deployments.collect(),
        targets: targets.to_vec(),
    }
}

/// The targets of our tasks.
pub fn targets(counted: &[TargetCount]) -> Vec<proto::RolloutTargets> {
    let of_group = |count: &TargetCount| proto::RolloutTargets {
        target_group: count.target_group.clone(),
        healthy: count.healthy,
        total: count.total,
    };
    counted.iter().map(of_group).collect()
}

pub fn service_event(observed: &ServiceEvent) -> proto::ServiceEvent {
    proto::ServiceEvent {
        id: observed.id.clone(),
        message: observed.message.clone(),
        time: Some(to_proto(observed.at)),
    }
}

pub fn stopped_task(observed: &StoppedTask) -> proto::TaskStopped {
    let containers = observed.containers.iter().map(|c| proto::ContainerExit {
        name: c.name.clone(),
        exit_code: c.exit_code,
        reason: c.reason.clone(),
    });
    proto::TaskStopped {
        task: observed.id.clone(),
        task_definition: observed.task_definition.short().to_owned(),
        stop_code: observed.stop_code.clone(),
        stopped_reason: observed.reason.clone(),
        containers: containers.collect(),
        time: observed.stopped.map(to_proto),
    }
}

pub fn log_line(task: &str, container: &str, line: &LoggedLine) -> proto::LogLine {
    proto::LogLine {
        task: task.to_owned(),
        container: container.to_owned(),
        time: Some(to_proto(line.at)),
        message: line.message.clone(),
    }
}

pub fn stack_event(observed: &StackEvent) -> proto::StackResource {
    proto::StackResource {
        logical_id: observed.logical_id.clone(),
        r#type: observed.resource_type.clone(),
        status: observed.status.clone(),
        status_reason: observed.reason.clone(),
        time: Some(to_proto(observed.at)),
    }
}

/// Why a rollout failed.
pub fn diagnosis(found: &Diagnosis) -> proto::Diagnosis {
    let lines = found.logs.iter().flat_map(|log| {
        log.lines
            .iter()
            .map(|line| log_line(&log.task, &log.container, line))
    });
    proto::Diagnosis {
        root_cause: found.root_cause.clone(),
        details: found.details.clone(),
        stopped_tasks: found.stopped_tasks.iter().map(stopped_task).collect(),
        log_lines: lines.collect(),
        failed_resources: found.failed_resources.iter().map(stack_event).collect(),
    }
}

/// What a deployment would do.
pub fn plan(plan: &Plan) -> proto::FargatePlan {
    let action = match plan.action {
        PlanAction::Create => proto::FargatePlanAction::Create,
        PlanAction::Update => proto::FargatePlanAction::Update,
        PlanAction::Unchanged => proto::FargatePlanAction::Unchanged,
        PlanAction::Repair => proto::FargatePlanAction::Repair,
        PlanAction::Force => proto::FargatePlanAction::Force,
        PlanAction::Refused => proto::FargatePlanAction::Refused,
        PlanAction::Recreate => proto::FargatePlanAction::Recreate,
    };
    let changes = plan.changes.iter().map(|change| proto::PlannedChange {
        action: change.action.clone(),
        logical_id: change.logical_id.clone(),
        r#type: change.resource_type.clone(),
        properties: change.properties.clone(),
        replacement: change.replacement,
        details: change.details.clone(),
    });
    proto::FargatePlan {
        action: action.into(),
        hash: plan.hash.clone(),
        summary: plan.summary.clone(),
        stack_name: plan.stack_name.clone(),
        changes: changes.collect(),
        findings: plan.findings.iter().map(finding).collect(),
        drifted: plan.drifted,
    }
}

/// What an update would do.
pub fn update_plan(plan: &UpdatePlan) -> proto::ServiceUpdatePlan {
    let action = match plan.action {
        UpdateAction::Register => proto::UpdatePlanAction::Register,
        UpdateAction::Reuse => proto::UpdatePlanAction::Reuse,
        UpdateAction::Unchanged => proto::UpdatePlanAction::Unchanged,
        UpdateAction::Force => proto::UpdatePlanAction::Force,
        UpdateAction::Refused => proto::UpdatePlanAction::Refused,
    };
    let arn = |arn: &Option<TaskDefinitionArn>| arn.as_ref().map(|arn| arn.0.clone()).unwrap_or_default();
    let images = plan.images.iter().map(|image| proto::PlannedImage {
        container: image.container.clone(),
        before: image.before.clone(),
        after: image.after.clone(),
        before_digest: image.before_digest.clone(),
        after_digest: image.after_digest.clone(),
    });
    proto::ServiceUpdatePlan {
        action: action.into(),
        hash: plan.hash.clone(),
        summary: plan.summary.clone(),
        running: arn(&plan.running),
        base: arn(&plan.base),
        reused: arn(&plan.reused),
        changes: plan.changes.iter().map(definition_change).collect(),
        base_changes: plan.base_changes.iter().map(definition_change).collect(),
        images: images.collect(),
        findings: plan.findings.iter().map(finding).collect(),
    }
}

fn definition_change(change: &DefinitionChange) -> proto::DefinitionChange {
    let json =
        |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    proto::DefinitionChange {
        path: change.path.clone(),
        before: json(&change.before),
        after: json(&change.after),
    }
}

/// What a look before the deployment found.
pub fn finding(found: &Finding) -> proto::Finding {
    proto::Finding {
        severity: severity(found.severity).into(),
        reason: found.reason.to_owned(),
        message: found.message.clone(),
        hint: found.hint.clone(),
    }
}

pub fn severity(severity: Severity) -> proto::Severity {
    match severity {
        Severity::Error => proto::Severity::Error,
        Severity::Warning => proto::Severity::Warning,
        Severity::Unknown => proto::Severity::Unknown,
        Severity::Note => proto::Severity::Info,
    }
}

//! What the engine answers, as the API's messages.

use std::collections::HashMap;

use jiff::Timestamp;
use towline_proto::orchestrator::v1 as pb;

use super::course;
use crate::{domain::import, engine};

/// An instant on the wire.
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    // The wire wants nanoseconds that count forward, also before 1970.
    let nanos = at.as_nanosecond();
    let billion = 1_000_000_000_i128;
    prost_types::Timestamp {
        seconds: i64::try_from(nanos.div_euclid(billion)).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos.rem_euclid(billion)).unwrap_or(0),
    }
}

pub fn project(view: engine::ProjectView) -> pb::Project {
    pb::Project {
        name: view.name,
        version: view.version,
        apply_time: Some(timestamp(view.applied_at)),
        applied_by: view.applied_by,
        services: view.services,
        environments: view.environments,
        channels: view.channels,
    }
}

pub fn project_status(view: engine::ProjectStatus) -> pb::ProjectStatus {
    pb::ProjectStatus {
        project: view.project,
        environments: view.environments.into_iter().map(environment_status).collect(),
    }
}

/// The stable word of an action.
fn plan_action(action: engine::PlanAction) -> &'static str {
    match action {
        engine::PlanAction::Create => "create",
        engine::PlanAction::Update => "update",
        engine::PlanAction::Register => "register",
        engine::PlanAction::Reuse => "reuse",
        engine::PlanAction::Unchanged => "unchanged",
        engine::PlanAction::Repair => "repair",
        engine::PlanAction::Force => "force",
        engine::PlanAction::Refused => "refused",
        engine::PlanAction::Recreate => "recreate",
        engine::PlanAction::Run => "run",
    }
}

pub fn service_plan(plan: engine::ServicePlan) -> pb::PlanServiceResponse {
    let engine::ServicePlan { of, planned } = plan;
    let mut told = pb::PlanServiceResponse {
        action: plan_action(planned.action).to_owned(),
        hash: planned.hash,
        summary: planned.summary,
        findings: planned.findings.into_iter().map(plan_finding).collect(),
        project: of.project,
        service: of.service,
        environment: of.environment,
        target: of.target,
        release: of.release,
        force: of.force,
        ..pb::PlanServiceResponse::default()
    };
    if let Some(fargate) = planned.fargate {
        told.stack_name = fargate.stack_name;
        told.changes = fargate.changes.into_iter().map(service_change).collect();
        told.drifted = fargate.drifted;
    }
    if let Some(update) = planned.update {
        let changes = |all: Vec<engine::DefinitionChange>| all.into_iter().map(definition_change).collect();
        told.running = update.running;
        told.base = update.base;
        told.reused = update.reused;
        told.definition_changes = changes(update.changes);
        told.base_changes = changes(update.base_changes);
        told.images = update.images.into_iter().map(planned_image).collect();
    }
    told
}

pub fn deployment_plan(plan: engine::DeploymentPlanView) -> pb::GetDeploymentPlanResponse {
    pb::GetDeploymentPlanResponse {
        deployment: plan.deployment,
        hash: plan.hash,
        make_time: Some(timestamp(plan.made_at)),
        plans: plan.plans.into_iter().map(service_plan).collect(),
    }
}

pub fn promotion_plan(plan: engine::PromotionPlan) -> pb::PlanReleaseResponse {
    let unplanned = |not: engine::Unplanned| pb::UnplannedOperation {
        service: not.service,
        target: not.target,
        reason: not.reason,
        hint: not.hint,
    };
    pb::PlanReleaseResponse {
        environment: plan.environment,
        plans: plan.plans.into_iter().map(service_plan).collect(),
        unplanned: plan.unplanned.into_iter().map(unplanned).collect(),
    }
}

fn definition_change(change: engine::DefinitionChange) -> pb::DefinitionChange {
    pb::DefinitionChange {
        path: change.path,
        before: change.before,
        after: change.after,
    }
}

fn planned_image(image: engine::PlannedImage) -> pb::PlannedImage {
    pb::PlannedImage {
        container: image.container,
        before: image.before,
        after: image.after,
        before_digest: image.before_digest,
        after_digest: image.after_digest,
    }
}

fn service_change(change: engine::ServiceChange) -> pb::ServiceChange {
    pb::ServiceChange {
        action: change.action,
        logical_id: change.logical_id,
        r#type: change.kind,
        properties: change.properties,
        replacement: change.replacement,
        details: change.details,
    }
}

fn plan_finding(finding: engine::PlanFinding) -> pb::PlanFinding {
    pb::PlanFinding {
        severity: match finding.severity {
            engine::FindingSeverity::Error => "error",
            engine::FindingSeverity::Warning => "warning",
            engine::FindingSeverity::Unknown => "unknown",
            engine::FindingSeverity::Note => "note",
        }
        .to_owned(),
        reason: finding.reason,
        message: finding.message,
        hint: finding.hint,
    }
}

fn environment_status(view: engine::EnvironmentStatus) -> pb::EnvironmentStatus {
    pb::EnvironmentStatus {
        environment: view.environment,
        cells: view.cells.into_iter().map(cell_status).collect(),
        active_deployment: view.active_deployment,
        waiting_on: view.waiting_on,
    }
}

fn cell_status(view: engine::CellStatus) -> pb::CellStatus {
    pb::CellStatus {
        service: view.service,
        target: view.target,
        release: view.release,
        verdict: verdict(view.verdict),
        last_release: view.last_release,
        images: view.images.into_iter().collect::<HashMap<_, _>>(),
        observe_time: view.observed_at.map(timestamp),
        reason: view.reason,
        drift: view.drift.map(super::drift::drift),
        check_time: view.checked_at.map(timestamp),
        check_problem: view.check_problem,
    }
}

fn moved_tag(moved: engine::MovedTagView) -> pb::MovedTag {
    pb::MovedTag {
        repository: moved.repository,
        digest: moved.digest,
        seen_time: Some(timestamp(moved.seen_at)),
    }
}

pub fn release(view: engine::ReleaseView) -> pb::Release {
    let image = |image: engine::ReleaseImageView| pb::ReleaseImage {
        image: image.image,
        tag: image.tag,
        digest: image.digest,
        repository: image.repository,
        push_time: image.pushed_at.map(timestamp),
        moved: image.moved.into_iter().map(moved_tag).collect(),
    };
    pb::Release {
        project: view.project,
        version: view.version,
        channel: view.channel,
        images: view.images.into_iter().map(image).collect(),
        project_version: view.project_version,
        create_time: Some(timestamp(view.created_at)),
        created_by: view.created_by,
        notes: view.notes,
        build_url: view.build_url,
        commit: view.commit,
        block: view.standing.blocked.map(|block| pb::ReleaseBlock {
            by: block.by,
            because: block.because,
            time: Some(timestamp(block.at)),
        }),
        archive_time: view.standing.archived.map(timestamp),
    }
}

fn freeze_override(it: engine::FreezeOverride) -> pb::FreezeOverride {
    pb::FreezeOverride {
        operator: it.operator,
        because: it.because,
        time: Some(timestamp(it.at)),
        freezes: it.freezes.iter().map(|it| it.freeze.to_string()).collect(),
    }
}

pub fn deployment(view: engine::DeploymentView) -> pb::Deployment {
    let approval = |approval: engine::ApprovalView| pb::Approval {
        operator: approval.operator,
        note: approval.note,
        time: Some(timestamp(approval.at)),
        plan_hash: approval.plan_hash,
    };
    let told = pb::Deployment {
        id: view.id,
        project: view.project,
        release: view.release,
        environment: view.environment,
        phase: view.phase,
        state: deployment_state(view.state).into(),
        operations: view.operations.into_iter().map(operation).collect(),
        approvals: view.approvals.into_iter().map(approval).collect(),
        waiting_on: view.waiting_on,
        create_time: Some(timestamp(view.created_at)),
        start_time: view.started_at.map(timestamp),
        end_time: view.ended_at.map(timestamp),
        deadline: view.deadline.map(timestamp),
        created_by: view.created_by,
        cancel_requested: view.cancel_requested,
        force: view.force,
        plan_hash: view.plan_hash,
        plan_time: view.planned_at.map(timestamp),
        approval_rule: view.approval_rule.map(|rule| pb::ApprovalRule {
            role: rule.role,
            count: rule.count,
            not_author: rule.not_author,
            authors: rule.authors,
        }),
        approval_expire_time: view.approval_expires.map(timestamp),
        not_before: view.not_before.map(timestamp),
        expire_time: Some(timestamp(view.expires)),
        superseded_by: view.superseded_by,
        superseded_by_release: view.superseded_by_release,
        freeze_overrides: view.freeze_overrides.into_iter().map(freeze_override).collect(),
        end_reason: view.end_reason,
        end_summary: view.end_summary,
        ..pb::Deployment::default()
    };
    course::with_course(told, view.course)
}

fn operation(view: engine::OperationView) -> pb::Operation {
    let state = match view.state {
        engine::OperationState::Pending => pb::OperationState::Pending,
        engine::OperationState::Running => pb::OperationState::Running,
        engine::OperationState::Ended => pb::OperationState::Ended,
        engine::OperationState::Skipped => pb::OperationState::Skipped,
    };
    pb::Operation {
        id: view.id,
        service: view.service,
        target: view.target,
        agent: view.agent,
        wave: view.wave,
        state: state.into(),
        verdict: verdict(view.verdict),
        reason: view.reason,
        summary: view.summary,
        hint: view.hint,
        diagnosis: view.diagnosis,
        waiting_on: view.waiting_on,
        outputs: view.outputs.into_iter().collect(),
        plan_hash: view.plan_hash,
        kind: course::operation_kind(view.kind).into(),
        attempt: view.attempt,
        roll_back_of: course::roll_back_of(view.kind),
        intervention: course::decided(view.decided).into(),
    }
}

fn deployment_state(state: engine::DeploymentState) -> pb::DeploymentState {
    match state {
        engine::DeploymentState::Queued => pb::DeploymentState::Queued,
        engine::DeploymentState::AwaitingApproval => pb::DeploymentState::AwaitingApproval,
        engine::DeploymentState::Running => pb::DeploymentState::Running,
        engine::DeploymentState::AwaitingIntervention => pb::DeploymentState::AwaitingIntervention,
        engine::DeploymentState::Succeeded => pb::DeploymentState::Succeeded,
        engine::DeploymentState::Failed => pb::DeploymentState::Failed,
        engine::DeploymentState::Errored => pb::DeploymentState::Errored,
        engine::DeploymentState::Cancelled => pb::DeploymentState::Cancelled,
    }
}

fn verdict(verdict: Option<engine::Verdict>) -> String {
    match verdict {
        None => "",
        Some(engine::Verdict::Succeeded) => "succeeded",
        Some(engine::Verdict::Unchanged) => "unchanged",
        Some(engine::Verdict::Failed) => "failed",
        Some(engine::Verdict::Errored) => "errored",
        Some(engine::Verdict::Cancelled) => "cancelled",
    }
    .to_owned()
}

pub fn watch_item(item: engine::WatchItem) -> pb::WatchReleaseResponse {
    match item {
        engine::WatchItem::Event(event) => pb::WatchReleaseResponse {
            cursor: event.cursor,
            event: Some(deployment_event(event)),
            settled: None,
        },
        engine::WatchItem::Settled(settled) => pb::WatchReleaseResponse {
            cursor: settled.cursor,
            event: None,
            settled: Some(pb::Settled {
                state: optional_state(settled.state),
                waiting_on: settled.waiting_on,
                outcome: optional_state(settled.outcome),
            }),
        },
    }
}

fn deployment_event(view: engine::EventView) -> pb::DeploymentEvent {
    pb::DeploymentEvent {
        cursor: view.cursor,
        deployment: view.deployment,
        environment: view.environment,
        time: Some(timestamp(view.at)),
        kind: view.kind,
        message: view.message,
        service: view.service,
        target: view.target,
        state: optional_state(view.state),
        verdict: verdict(view.verdict),
    }
}

fn optional_state(state: Option<engine::DeploymentState>) -> i32 {
    state
        .map_or(pb::DeploymentState::Unspecified, deployment_state)
        .into()
}

pub fn agent(view: engine::AgentView) -> pb::Agent {
    let state = match view.state {
        engine::AgentState::Invited => pb::AgentState::Invited,
        engine::AgentState::Connected => pb::AgentState::Connected,
        engine::AgentState::Offline => pb::AgentState::Offline,
    };
    pb::Agent {
        name: view.name,
        mode: agent_mode(view.mode).into(),
        address: view.address.unwrap_or_default(),
        state: state.into(),
        since: Some(timestamp(view.since)),
        account: view.account,
        version: view.version,
        regions: view.regions,
        reason: view.reason,
    }
}

pub fn agent_mode(mode: engine::AgentMode) -> pb::AgentMode {
    match mode {
        engine::AgentMode::Polling => pb::AgentMode::Polling,
        engine::AgentMode::Listening => pb::AgentMode::Listening,
    }
}

pub fn operator(view: engine::OperatorView) -> pb::Operator {
    pb::Operator {
        name: view.name,
        role: role(view.role).into(),
        joined: view.joined,
    }
}

pub fn role(role: engine::Role) -> pb::OperatorRole {
    match role {
        engine::Role::Viewer => pb::OperatorRole::Viewer,
        engine::Role::Deployer => pb::OperatorRole::Deployer,
        engine::Role::Approver => pb::OperatorRole::Approver,
        engine::Role::Admin => pb::OperatorRole::Admin,
    }
}

/// The role that a message names; `None` for none of ours.
pub fn role_of_wire(role: i32) -> Option<engine::Role> {
    match pb::OperatorRole::try_from(role).ok()? {
        pb::OperatorRole::Unspecified => None,
        pb::OperatorRole::Viewer => Some(engine::Role::Viewer),
        pb::OperatorRole::Deployer => Some(engine::Role::Deployer),
        pb::OperatorRole::Approver => Some(engine::Role::Approver),
        pb::OperatorRole::Admin => Some(engine::Role::Admin),
    }
}

/// The mode that a message names; `None` for none of ours.
pub fn mode_of_wire(mode: i32) -> Option<engine::AgentMode> {
    match pb::AgentMode::try_from(mode).ok()? {
        pb::AgentMode::Unspecified => None,
        pb::AgentMode::Polling => Some(engine::AgentMode::Polling),
        pb::AgentMode::Listening => Some(engine::AgentMode::Listening),
    }
}

pub fn import_question(asked: pb::ImportProjectRequest) -> engine::ImportQuestion {
    engine::ImportQuestion {
        project: asked.project,
        agents: asked.agents,
        clusters: asked.clusters,
        services: asked.services,
        environments: asked
            .environments
            .into_iter()
            .map(|it| (it.agent, it.environment))
            .collect(),
    }
}

pub fn imported(import: engine::Import) -> pb::ImportProjectResponse {
    let place = |place: import::Place| pb::ImportedPlace {
        environment: place.environment.to_string(),
        target: place.target.to_string(),
        ecs_service: place.ecs_service.to_string(),
    };
    let service = |service: import::ImportedService| pb::ImportedService {
        service: service.key.to_string(),
        containers: service.containers,
        places: service.places.into_iter().map(place).collect(),
    };
    let note = |note: import::Note| pb::ImportNote {
        reason: note.reason.as_str().to_owned(),
        service: note.service,
        message: note.message,
    };
    let unreached = |(agent, reason)| pb::UnreachedAgent { agent, reason };
    let engine::Import {
        imported,
        unreached: not,
    } = import;
    pb::ImportProjectResponse {
        definition: imported.definition,
        services: imported.services.into_iter().map(service).collect(),
        notes: imported.notes.into_iter().map(note).collect(),
        unreached: not.into_iter().map(unreached).collect(),
    }
}

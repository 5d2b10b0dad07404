//! What an agent plans, in the engine's words.

use towline_proto::agent::v1 as agent;

use crate::engine::{
    DefinitionChange, FargatePlan, FindingSeverity, PlanAction, PlanFinding, Planned, PlannedImage,
    ServiceChange, ServiceTemplate, UpdatePlan,
};

pub fn service_template(answer: agent::GetFargateTemplateResponse) -> ServiceTemplate {
    ServiceTemplate {
        stack_name: answer.stack_name,
        template: answer.template,
        parameters: answer.parameters.into_iter().collect(),
    }
}

/// `None` for an answer without a plan, or with an action that this program
/// does not know.
pub fn fargate_plan(answer: agent::PlanFargateServiceResponse) -> Option<Planned> {
    let plan = answer.plan?;
    let action = match plan.action() {
        agent::FargatePlanAction::Unspecified => return None,
        agent::FargatePlanAction::Create => PlanAction::Create,
        agent::FargatePlanAction::Update => PlanAction::Update,
        agent::FargatePlanAction::Unchanged => PlanAction::Unchanged,
        agent::FargatePlanAction::Repair => PlanAction::Repair,
        agent::FargatePlanAction::Force => PlanAction::Force,
        agent::FargatePlanAction::Refused => PlanAction::Refused,
        agent::FargatePlanAction::Recreate => PlanAction::Recreate,
    };
    Some(Planned {
        action,
        hash: plan.hash,
        summary: plan.summary,
        findings: findings(plan.findings),
        fargate: Some(FargatePlan {
            stack_name: plan.stack_name,
            changes: plan.changes.into_iter().map(change).collect(),
            drifted: plan.drifted,
        }),
        update: None,
    })
}

/// As [`fargate_plan`], of an existing service.
pub fn update_plan(answer: agent::PlanServiceUpdateResponse) -> Option<Planned> {
    let plan = answer.plan?;
    let action = match plan.action() {
        agent::UpdatePlanAction::Unspecified => return None,
        agent::UpdatePlanAction::Register => PlanAction::Register,
        agent::UpdatePlanAction::Reuse => PlanAction::Reuse,
        agent::UpdatePlanAction::Unchanged => PlanAction::Unchanged,
        agent::UpdatePlanAction::Force => PlanAction::Force,
        agent::UpdatePlanAction::Refused => PlanAction::Refused,
    };
    Some(Planned {
        action,
        hash: plan.hash,
        summary: plan.summary,
        findings: findings(plan.findings),
        fargate: None,
        update: Some(UpdatePlan {
            running: plan.running,
            base: plan.base,
            reused: plan.reused,
            changes: plan.changes.into_iter().map(definition_change).collect(),
            base_changes: plan.base_changes.into_iter().map(definition_change).collect(),
            images: plan.images.into_iter().map(image).collect(),
        }),
    })
}

fn findings(told: Vec<agent::Finding>) -> Vec<PlanFinding> {
    let mut findings: Vec<PlanFinding> = told.into_iter().map(finding).collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn change(change: agent::PlannedChange) -> ServiceChange {
    ServiceChange {
        action: change.action,
        logical_id: change.logical_id,
        kind: change.r#type,
        properties: change.properties,
        replacement: change.replacement,
        details: change.details,
    }
}

fn definition_change(change: agent::DefinitionChange) -> DefinitionChange {
    DefinitionChange {
        path: change.path,
        before: change.before,
        after: change.after,
    }
}

fn image(image: agent::PlannedImage) -> PlannedImage {
    PlannedImage {
        container: image.container,
        before: image.before,
        after: image.after,
        before_digest: image.before_digest,
        after_digest: image.after_digest,
    }
}

fn finding(finding: agent::Finding) -> PlanFinding {
    PlanFinding {
        severity: match finding.severity() {
            agent::Severity::Error => FindingSeverity::Error,
            agent::Severity::Warning => FindingSeverity::Warning,
            agent::Severity::Info => FindingSeverity::Note,
            agent::Severity::Unknown | agent::Severity::Unspecified => FindingSeverity::Unknown,
        },
        reason: finding.reason,
        message: finding.message,
        hint: finding.hint,
    }
}

//! What an agent plans, in the engine's words.

use towline_proto::agent::v1 as agent;

use crate::engine::{FindingSeverity, PlanAction, PlanFinding, ServiceChange, ServicePlan, ServiceTemplate};

pub fn service_template(answer: agent::GetFargateTemplateResponse) -> ServiceTemplate {
    ServiceTemplate {
        stack_name: answer.stack_name,
        template: answer.template,
        parameters: answer.parameters.into_iter().collect(),
    }
}

/// `None` for an answer without a plan, or with an action that this program
/// does not know.
pub fn service_plan(answer: agent::PlanFargateServiceResponse) -> Option<ServicePlan> {
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
    let mut findings: Vec<PlanFinding> = plan.findings.into_iter().map(finding).collect();
    findings.sort_by_key(|finding| finding.severity);
    Some(ServicePlan {
        action,
        hash: plan.hash,
        summary: plan.summary,
        stack_name: plan.stack_name,
        changes: plan.changes.into_iter().map(change).collect(),
        findings,
        drifted: plan.drifted,
    })
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

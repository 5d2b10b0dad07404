//! Plans before approvals, and approvals before the start. Start at
//! [`before_turn`], which is asked at once, and [`at_turn`], asked when nothing
//! else holds the deployment back.

use jiff::Timestamp;

use super::{Decision, Snapshot, absence_of, queue};
use crate::domain::{
    approval::Planning,
    deployment::{Deployment, DeploymentState, NoStart},
    name::AgentName,
    waiting_on::WaitingOn,
};

/// What comes first: a plan, then people. `None`: everybody has approved, or
/// nobody is asked.
pub fn before_turn(snapshot: &Snapshot, deployment: &Deployment, now: Timestamp) -> Option<Decision> {
    let id = deployment.id;
    if let Some(planning) = &deployment.planning {
        return Some(planned(snapshot, deployment, planning, now));
    }
    if deployment.is_approved() {
        return None;
    }
    if deployment.is_bound() && deployment.plan.is_none() {
        return Some(Decision::RequestPlan { deployment: id });
    }
    if deployment.state == DeploymentState::Queued {
        return Some(Decision::AwaitApproval { deployment: id });
    }
    approval_missing(deployment).map(|on| queue::waits(deployment, on, deployment.approve_until))
}

/// Its turn has come: the plan is made once more, unless it just was.
pub fn at_turn(deployment: &Deployment, now: Timestamp) -> Option<Decision> {
    let stale = deployment.is_bound() && !deployment.plan.as_ref().is_some_and(|plan| plan.is_fresh(now));
    stale.then_some(Decision::RequestPlan {
        deployment: deployment.id,
    })
}

/// The wait for people, with how many have approved.
pub fn approval_missing(deployment: &Deployment) -> Option<WaitingOn> {
    let rule = deployment
        .approval_rule
        .as_ref()
        .filter(|_| !deployment.is_approved())?;
    Some(WaitingOn::Approval {
        role: rule.role,
        have: rule.count - deployment.missing_approvals(),
        need: rule.count,
    })
}

/// Agents are being asked.
fn planned(snapshot: &Snapshot, deployment: &Deployment, planning: &Planning, now: Timestamp) -> Decision {
    let id = deployment.id;
    let absent = absent(snapshot, deployment);
    let until = planning.until();
    if now >= until {
        let why = match (&absent, &planning.trouble) {
            (Some((_, on)), _) => on.brief(),
            (None, Some(trouble)) => trouble.to_string(),
            (None, None) => "its agents gave no answer".to_owned(),
        };
        let why = NoStart::PlanNotMade { at: until, why };
        return Decision::GiveUpStart { deployment: id, why };
    }
    let under_way = snapshot.planning.contains(&id);
    let on = match (absent, &planning.trouble) {
        (Some((agent, on)), _) => WaitingOn::Plan {
            agent: Some(agent),
            why: on.brief(),
            hint: on.hint(),
        },
        (None, _) if !under_way => return Decision::MakePlan { deployment: id },
        (None, Some(trouble)) => WaitingOn::Plan {
            agent: Some(trouble.agent.clone()),
            why: trouble.to_string(),
            hint: trouble.hint.clone(),
        },
        (None, None) => WaitingOn::Plan {
            agent: None,
            why: "its agents are asked".to_owned(),
            hint: String::new(),
        },
    };
    let until = until.min(deadline_of_people(deployment).unwrap_or(until));
    queue::waits(deployment, on, Some(until))
}

/// The first agent that cannot be asked.
fn absent(snapshot: &Snapshot, deployment: &Deployment) -> Option<(AgentName, WaitingOn)> {
    let mut agents = deployment.operations.iter().map(|it| &it.slot.agent);
    agents.find_map(|agent| {
        let on = absence_of(&snapshot.agents, agent)?;
        Some((agent.clone(), on))
    })
}

/// Until when people may approve; `None` when they have, or nobody is asked.
pub fn deadline_of_people(deployment: &Deployment) -> Option<Timestamp> {
    deployment.approve_until.filter(|_| !deployment.is_approved())
}

/// Not everybody has approved in time.
pub fn expired(deployment: &Deployment, now: Timestamp) -> Option<NoStart> {
    let at = deadline_of_people(deployment).filter(|at| now >= *at)?;
    let rule = deployment.approval_rule.as_ref()?;
    Some(NoStart::ApprovalExpired {
        at,
        have: rule.count - deployment.missing_approvals(),
        need: rule.count,
    })
}

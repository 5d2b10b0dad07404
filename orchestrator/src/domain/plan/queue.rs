//! Deployments that have not started: what each of them waits for.

use jiff::Timestamp;

use super::{Decision, Snapshot, Subject, running};
use crate::domain::{
    deployment::{Deployment, DeploymentState},
    name::OperationId,
    waiting_on::WaitingOn,
};

pub fn queued(snapshot: &Snapshot, index: usize, deployment: &Deployment, now: Timestamp) -> Decision {
    let id = deployment.id;
    if deployment.cancel.is_some() {
        return stop_before_start(deployment);
    }
    if !deployment.is_approved() {
        return Decision::AwaitApproval { deployment: id };
    }
    if let Some(other) = snapshot.holder_of_environment(index, deployment) {
        let on = WaitingOn::EnvironmentBusy {
            environment: other.environment.clone(),
            deployment: other.id,
            release: other.release.clone(),
            state: other.state,
        };
        return Decision::Wait {
            subject: Subject::Deployment(id),
            on,
            until: None,
        };
    }
    let deadline = now.checked_add(deployment.time_limit).unwrap_or(Timestamp::MAX);
    Decision::StartDeployment {
        deployment: id,
        deadline,
    }
}

pub fn awaiting_approval(deployment: &Deployment) -> Decision {
    if deployment.cancel.is_some() {
        return stop_before_start(deployment);
    }
    let subject = Subject::Deployment(deployment.id);
    match approval_missing(deployment) {
        Some(on) => Decision::Wait {
            subject,
            on,
            until: None,
        },
        // `apply` leaves this state with the last approval: not reached by any log.
        None => Decision::AwaitApproval {
            deployment: deployment.id,
        },
    }
}

pub fn approval_missing(deployment: &Deployment) -> Option<WaitingOn> {
    let rule = deployment
        .approval_rule
        .as_ref()
        .filter(|_| !deployment.is_approved())?;
    let have = rule.count - deployment.missing_approvals();
    Some(WaitingOn::Approval {
        role: rule.role,
        have,
        need: rule.count,
    })
}

fn stop_before_start(deployment: &Deployment) -> Decision {
    let open = deployment
        .operations
        .iter()
        .filter(|operation| !operation.state.is_over());
    let operations: Vec<OperationId> = open.map(|operation| operation.slot.id).collect();
    if operations.is_empty() {
        return Decision::FinishDeployment {
            deployment: deployment.id,
            state: DeploymentState::Cancelled,
        };
    }
    Decision::SkipRemaining {
        deployment: deployment.id,
        operations,
        because: running::cancel_words(deployment),
    }
}

impl Snapshot {
    /// Who runs in the environment, or is ready and stands before this one in the queue.
    fn holder_of_environment(&self, index: usize, deployment: &Deployment) -> Option<&Deployment> {
        let same =
            |other: &&Deployment| other.id != deployment.id && other.environment == deployment.environment;
        let running = self
            .deployments
            .iter()
            .filter(same)
            .find(|other| other.state == DeploymentState::Running);
        let ready = |other: &&Deployment| {
            other.state == DeploymentState::Queued && other.is_approved() && other.cancel.is_none()
        };
        running.or_else(|| self.deployments.iter().take(index).filter(same).find(ready))
    }
}

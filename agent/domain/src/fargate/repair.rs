//! The stack has nothing to change, and its service does: it runs something else
//! than its stack says, or a new deployment was asked for. One UpdateService to
//! the stack's own revision, the expected state checked first; the only write
//! outside CloudFormation.

use crate::observed::{ObservedService, ServiceDeployment, TaskDefinitionArn};
use crate::update::start::{ExpectedService, StartDecision, StartView, is_stable, start};
use crate::verdict::{Reason, Refusal};

/// All that the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct RepairView<'a> {
    /// The service's name, for messages.
    pub name: &'a str,
    pub service: Option<&'a ObservedService>,
    /// The stack's own revision ([`crate::fargate::stack::task_definition_of`]).
    pub revision: &'a TaskDefinitionArn,
    /// A new deployment also when the service runs the revision.
    pub force: bool,
    /// `None`: the caller expects nothing, what is observed is where it starts from.
    pub expected: Option<&'a ExpectedService>,
    /// Newest first. `None`: not read.
    pub service_deployments: Option<&'a [ServiceDeployment]>,
    /// The operation was sent before.
    pub repeated_send: bool,
    /// The account was observed for as long as AWS may lag.
    pub settled: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairDecision {
    /// The service is as the stack says. Nothing to write.
    Unchanged { deployment_id: String },
    /// The service's deployment of the stack's revision is under way, or ours: follow it.
    Follow { deployment_id: String },
    /// One UpdateService to the stack's revision.
    Repair,
    /// One UpdateService to the stack's revision with forceNewDeployment.
    Force,
    /// An earlier send's rollout was rolled back.
    RolledBack { status_reason: String },
    /// An earlier send's rollout was replaced by another revision.
    Superseded { by: TaskDefinitionArn },
    /// Read the service's deployments and decide again.
    ReadServiceDeployments,
    /// Wait a little, observe and decide again.
    KeepObserving { why: String },
    /// End here; nothing was written.
    Refuse(Refusal),
}

/// Decides how the service is put right.
pub fn decide(view: &RepairView<'_>) -> RepairDecision {
    let wanted = [view.revision.clone()];
    let decision = start(&StartView {
        name: view.name,
        service: view.service,
        expected: view.expected,
        with_wanted_content: &wanted,
        service_deployments: view.service_deployments,
        repeated_send: view.repeated_send,
        settled: view.settled,
    });
    match decision {
        StartDecision::Unchanged { deployment_id, .. } if view.force => forced(view, deployment_id),
        StartDecision::Reattach { deployment_id, .. } if view.force => reattached(view, deployment_id),
        StartDecision::Unchanged { deployment_id, .. } => RepairDecision::Unchanged { deployment_id },
        StartDecision::Reattach { deployment_id, .. } => RepairDecision::Follow { deployment_id },
        StartDecision::Update { .. } | StartDecision::Register if view.force => RepairDecision::Force,
        StartDecision::Update { .. } | StartDecision::Register => RepairDecision::Repair,
        StartDecision::RolledBack { status_reason, .. } => RepairDecision::RolledBack { status_reason },
        StartDecision::Superseded { by, .. } => RepairDecision::Superseded { by },
        StartDecision::ReadServiceDeployments => RepairDecision::ReadServiceDeployments,
        StartDecision::KeepObserving { why } => RepairDecision::KeepObserving { why },
        StartDecision::Refuse(refusal) => RepairDecision::Refuse(refusal),
    }
}

/// The service runs the revision, stable, in the expected deployment.
fn forced(view: &RepairView<'_>, deployment_id: String) -> RepairDecision {
    if !view.repeated_send {
        return RepairDecision::Force;
    }
    match view.expected.and_then(|expected| expected.deployment_id.as_ref()) {
        // PRIMARY is still the expected one: an earlier send's deployment would be another.
        Some(_) if view.settled => RepairDecision::Force,
        Some(_) => RepairDecision::KeepObserving {
            why: format!(
                "whether an earlier send already started a deployment of service {} may not show yet",
                view.name
            ),
        },
        None => RepairDecision::Refuse(Refusal::new(
            Reason::Unknown,
            format!(
                "whether deployment {deployment_id} of service {} is this operation's cannot be told: it was \
                 sent without the deployment that it starts from",
                view.name
            ),
            "look at the service's deployments; to force another one, deploy again with force",
        )),
    }
}

/// The service runs the revision, in another deployment than the expected one or one under way.
fn reattached(view: &RepairView<'_>, deployment_id: String) -> RepairDecision {
    let expected = view.expected.and_then(|expected| expected.deployment_id.as_ref());
    match expected {
        // Under way since before this operation: a forced one would be a second at once.
        Some(expected) if *expected == deployment_id => busy(view, deployment_id),
        Some(_) => RepairDecision::Follow { deployment_id },
        None => busy(view, deployment_id),
    }
}

fn busy(view: &RepairView<'_>, deployment_id: String) -> RepairDecision {
    let stable = view
        .service
        .and_then(|service| service.primary().map(|primary| is_stable(service, primary)));
    if stable == Some(true) {
        return forced(view, deployment_id);
    }
    RepairDecision::Refuse(Refusal::new(
        Reason::DeploymentInProgress,
        format!(
            "service {} is being deployed already (deployment {deployment_id})",
            view.name
        ),
        "wait until that deployment has ended, then force another one",
    ))
}

#[cfg(test)]
mod tests;

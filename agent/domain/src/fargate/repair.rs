//! The stack has nothing to change, and its service does: it runs something else
//! than its stack says, or a new deployment was asked for. One UpdateService to
//! the stack's own revision, the expected state checked first; the only write
//! outside CloudFormation.

use crate::observed::{ObservedService, ServiceDeployment, TaskDefinitionArn};
use crate::update::start::{ExpectedService, StartDecision, StartView, start};
use crate::verdict::Refusal;

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
    /// An earlier send's rollout was rolled back. `record`: its ARN, where its revision
    /// is also that of what was put back.
    RolledBack {
        status_reason: String,
        record: Option<String>,
    },
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
        with_expected_content: &[],
        service_deployments: view.service_deployments,
        // Dead tasks are looked at by the stack's own judge.
        stopped: Some(&[]),
        force: view.force,
        repeated_send: view.repeated_send,
        settled: view.settled,
        landed: view.settled,
    });
    match decision {
        StartDecision::Unchanged { deployment_id, .. } => RepairDecision::Unchanged { deployment_id },
        StartDecision::Reattach { deployment_id, .. } => RepairDecision::Follow { deployment_id },
        StartDecision::Update { .. } | StartDecision::Register if view.force => RepairDecision::Force,
        StartDecision::Update { .. } | StartDecision::Register => RepairDecision::Repair,
        StartDecision::Force { .. } => RepairDecision::Force,
        StartDecision::RolledBack {
            status_reason,
            record,
            ..
        } => RepairDecision::RolledBack {
            status_reason,
            record,
        },
        StartDecision::Superseded { by, .. } | StartDecision::PutBack { by, .. } => {
            RepairDecision::Superseded { by }
        }
        StartDecision::ReadServiceDeployments | StartDecision::ReadStoppedTasks => {
            RepairDecision::ReadServiceDeployments
        }
        StartDecision::KeepObserving { why } => RepairDecision::KeepObserving { why },
        StartDecision::Refuse(refusal) => RepairDecision::Refuse(refusal),
    }
}

#[cfg(test)]
mod tests;

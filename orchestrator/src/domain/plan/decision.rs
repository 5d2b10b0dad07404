//! What [`decide`](super::decide) answers, and the events that carry it out.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::{
    deployment::{CancelMode, DeploymentState, Event, EventKind, NoStart, Outcome, Verdict},
    lifecycle::NextStop,
    name::{DeploymentId, OperationId, ReleaseVersion},
    waiting_on::WaitingOn,
};

/// One thing to do or to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Create the deployment of an automatic phase, under a new id.
    CreateNextDeployment { release: ReleaseVersion, stop: NextStop },
    /// Record that its agents are asked for the plan.
    RequestPlan { deployment: DeploymentId },
    /// Ask them.
    MakePlan { deployment: DeploymentId },
    /// Record that people are asked.
    AwaitApproval { deployment: DeploymentId },
    /// Record that it will not start any more, and why.
    GiveUpStart { deployment: DeploymentId, why: NoStart },
    StartDeployment {
        deployment: DeploymentId,
        deadline: Timestamp,
    },
    /// Store the intent, then send for the first time.
    Dispatch {
        deployment: DeploymentId,
        operation: OperationId,
    },
    /// Send or watch again: it may have been sent and nobody follows it.
    Reattach {
        deployment: DeploymentId,
        operation: OperationId,
    },
    /// Only watch, never send: learn what became of one that was given up on.
    LearnTruth {
        deployment: DeploymentId,
        operation: OperationId,
    },
    /// Until the agent has confirmed it: the engine sends one at a time.
    RequestCancel {
        deployment: DeploymentId,
        operation: OperationId,
        mode: CancelMode,
    },
    /// The deadline passed: end it as errored with these words.
    ExpireOperation {
        deployment: DeploymentId,
        operation: OperationId,
        reason: String,
        summary: String,
        hint: String,
    },
    SkipRemaining {
        deployment: DeploymentId,
        operations: Vec<OperationId>,
        because: String,
    },
    /// Ask people how to go on after operations ended badly.
    AskForIntervention {
        deployment: DeploymentId,
        until: Timestamp,
    },
    /// Nobody said so in time.
    ExpireIntervention { deployment: DeploymentId },
    /// Somebody did, or it stops.
    Resume {
        deployment: DeploymentId,
        deadline: Timestamp,
    },
    /// Put back what a failed deployment had changed: the engine knows what ran before.
    BeginRollBack {
        deployment: DeploymentId,
        deadline: Timestamp,
    },
    FinishDeployment {
        deployment: DeploymentId,
        state: DeploymentState,
        aftermath: String,
    },
    /// Why something does not move. `until`: decide again then, at the latest.
    Wait {
        subject: Subject,
        on: WaitingOn,
        until: Option<Timestamp>,
    },
}

/// What waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Release(ReleaseVersion),
    Deployment(DeploymentId),
    Operation(DeploymentId, OperationId),
}

impl Decision {
    /// The events that carry out a decision which needs nobody else; empty for
    /// `CreateNextDeployment` and `BeginRollBack`, for what agents are asked, and
    /// for `Wait`.
    pub fn events(&self, now: Timestamp) -> Vec<(DeploymentId, Event)> {
        let one = |deployment: &DeploymentId, kind: EventKind| vec![(*deployment, kind.at(now))];
        match self {
            Self::RequestPlan { deployment } => one(deployment, EventKind::PlanRequested),
            Self::AwaitApproval { deployment } => one(deployment, EventKind::ApprovalRequested),
            Self::GiveUpStart { deployment, why } => {
                one(deployment, EventKind::StartGivenUp { why: why.clone() })
            }
            Self::StartDeployment { deployment, deadline } => {
                one(deployment, EventKind::DeploymentStarted { deadline: *deadline })
            }
            Self::ExpireOperation {
                deployment,
                operation,
                reason,
                summary,
                hint,
            } => {
                let outcome = Outcome {
                    verdict: Verdict::Errored,
                    reason: reason.clone(),
                    summary: summary.clone(),
                    hint: hint.clone(),
                    diagnosis: Vec::new(),
                    outputs: BTreeMap::new(),
                };
                one(
                    deployment,
                    EventKind::OperationFinished {
                        operation: *operation,
                        outcome,
                    },
                )
            }
            Self::SkipRemaining {
                deployment,
                operations,
                because,
            } => operations
                .iter()
                .map(|operation| {
                    let kind = EventKind::OperationSkipped {
                        operation: *operation,
                        because: because.clone(),
                    };
                    (*deployment, kind.at(now))
                })
                .collect(),
            Self::AskForIntervention { deployment, until } => {
                one(deployment, EventKind::InterventionRequested { until: *until })
            }
            Self::ExpireIntervention { deployment } => one(deployment, EventKind::InterventionExpired),
            Self::Resume { deployment, deadline } => {
                one(deployment, EventKind::DeploymentResumed { deadline: *deadline })
            }
            Self::FinishDeployment {
                deployment,
                state,
                aftermath,
            } => one(
                deployment,
                EventKind::DeploymentFinished {
                    state: *state,
                    aftermath: aftermath.clone(),
                },
            ),
            Self::CreateNextDeployment { .. }
            | Self::MakePlan { .. }
            | Self::BeginRollBack { .. }
            | Self::Dispatch { .. }
            | Self::Reattach { .. }
            | Self::LearnTruth { .. }
            | Self::RequestCancel { .. }
            | Self::Wait { .. } => Vec::new(),
        }
    }
}

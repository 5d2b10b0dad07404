//! What happens to a deployment: the lines of the append-only log.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Author, CancelMode, DeploymentState, ExpectedState, OperationSlot, Outcome};
use crate::domain::{
    name::{EnvironmentName, OperationId, PhaseName, ProjectName, ReleaseVersion},
    project::ApprovalRule,
};

/// One line of the log of one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The orchestrator's time.
    pub at: Timestamp,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. The serialised tag is the stable kind that the API shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// Always the first event, and only the first.
    DeploymentCreated {
        project: ProjectName,
        release: ReleaseVersion,
        environment: EnvironmentName,
        phase: PhaseName,
        by: Author,
        time_limit: SignedDuration,
        approval_rule: Option<ApprovalRule>,
        #[serde(default)]
        force: bool,
        operations: Vec<OperationSlot>,
    },
    ApprovalRequested,
    Approved {
        operator: String,
        note: String,
    },
    DeploymentStarted {
        deadline: Timestamp,
    },
    /// Stored before the first send, in one transaction with what it expects.
    OperationIntended {
        operation: OperationId,
        expected: Option<ExpectedState>,
    },
    /// Stored before every later send of the same operation.
    OperationReattached {
        operation: OperationId,
    },
    /// The agent's first word. `found`: it found what an earlier send had done.
    OperationStarted {
        operation: OperationId,
        found: bool,
    },
    OperationProgress {
        operation: OperationId,
        message: String,
    },
    OperationFinished {
        operation: OperationId,
        outcome: Outcome,
    },
    OperationSkipped {
        operation: OperationId,
        because: String,
    },
    CancelRequested {
        operator: String,
        note: String,
        mode: CancelMode,
    },
    /// The agent took the cancel request of this operation.
    CancelConfirmed {
        operation: OperationId,
    },
    DeploymentFinished {
        state: DeploymentState,
    },
    /// What really became of an operation that was given up on.
    LateTruth {
        operation: OperationId,
        outcome: Outcome,
    },
}

impl EventKind {
    pub fn at(self, at: Timestamp) -> Event {
        Event { at, kind: self }
    }

    /// The stable kind: "deployment_created".
    pub fn name(&self) -> &'static str {
        match self {
            Self::DeploymentCreated { .. } => "deployment_created",
            Self::ApprovalRequested => "approval_requested",
            Self::Approved { .. } => "approved",
            Self::DeploymentStarted { .. } => "deployment_started",
            Self::OperationIntended { .. } => "operation_intended",
            Self::OperationReattached { .. } => "operation_reattached",
            Self::OperationStarted { .. } => "operation_started",
            Self::OperationProgress { .. } => "operation_progress",
            Self::OperationFinished { .. } => "operation_finished",
            Self::OperationSkipped { .. } => "operation_skipped",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::CancelConfirmed { .. } => "cancel_confirmed",
            Self::DeploymentFinished { .. } => "deployment_finished",
            Self::LateTruth { .. } => "late_truth",
        }
    }

    /// The operation that it is about.
    pub fn operation(&self) -> Option<OperationId> {
        match self {
            Self::OperationIntended { operation, .. }
            | Self::OperationReattached { operation }
            | Self::OperationStarted { operation, .. }
            | Self::OperationProgress { operation, .. }
            | Self::OperationFinished { operation, .. }
            | Self::OperationSkipped { operation, .. }
            | Self::CancelConfirmed { operation }
            | Self::LateTruth { operation, .. } => Some(*operation),
            _ => None,
        }
    }

    /// One line for a person. Of an operation's event the service and target
    /// are shown beside it, and are not repeated here.
    pub fn message(&self) -> String {
        match self {
            Self::DeploymentCreated {
                release,
                environment,
                by,
                force,
                operations,
                ..
            } => {
                let forced = if *force { ", forced" } else { "" };
                let planned = operations.iter().filter(|slot| slot.plan.is_some()).count();
                let planned = match planned {
                    0 => String::new(),
                    some if some == operations.len() => ", only as planned".to_owned(),
                    some => format!(", {some} of {} operations only as planned", operations.len()),
                };
                format!("release {release} into {environment}, created by {by}{forced}{planned}")
            }
            Self::ApprovalRequested => "waits for approval".to_owned(),
            Self::Approved { operator, note } => with_note(format!("approved by {operator}"), note),
            Self::DeploymentStarted { deadline } => {
                format!("started; deadline {}", deadline.strftime("%Y-%m-%d %H:%M:%SZ"))
            }
            Self::OperationIntended { .. } => "sent to the agent".to_owned(),
            Self::OperationReattached { .. } => "sent to the agent again, to go on".to_owned(),
            Self::OperationStarted { found: false, .. } => "the agent started".to_owned(),
            Self::OperationStarted { found: true, .. } => "the agent found it under way".to_owned(),
            Self::OperationProgress { message, .. } => message.clone(),
            Self::OperationFinished { outcome, .. } => outcome.line(),
            Self::OperationSkipped { because, .. } => format!("not started: {because}"),
            Self::CancelRequested {
                operator,
                note,
                mode: CancelMode::RollBack,
            } => with_note(format!("cancel asked by {operator}"), note),
            Self::CancelRequested {
                operator,
                note,
                mode: CancelMode::Detach,
            } => with_note(format!("cancel without rolling back asked by {operator}"), note),
            Self::CancelConfirmed { .. } => "the agent took the cancel".to_owned(),
            Self::DeploymentFinished { state } => state.to_string(),
            Self::LateTruth { outcome, .. } => format!("learned late: {}", outcome.line()),
        }
    }
}

fn with_note(text: String, note: &str) -> String {
    if note.is_empty() {
        text
    } else {
        format!("{text}: {note}")
    }
}

//! One release into one environment, as a state machine.
//!
//! Start at [`Deployment::apply`]: one match on state and event. What always
//! holds: the state is the fold of the events; a terminal state stays; approvals
//! come before the start; an intent is recorded before its request is sent; the
//! final state is the worst verdict of the operations.

mod apply;
mod event;
mod operation;

pub use apply::IllegalTransition;
pub use event::{Event, EventKind};
pub use operation::*;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    name::{DeploymentId, EnvironmentName, OperationId, PhaseName, ProjectName, ReleaseVersion},
    project::ApprovalRule,
};

/// A deployment as its events made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub id: DeploymentId,
    pub project: ProjectName,
    pub release: ReleaseVersion,
    pub environment: EnvironmentName,
    pub phase: PhaseName,
    pub state: DeploymentState,
    /// An operator's name, or the lifecycle.
    pub created_by: Author,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// Set when it starts: `started` + `time_limit`.
    pub deadline: Option<Timestamp>,
    pub time_limit: SignedDuration,
    pub approval_rule: Option<ApprovalRule>,
    /// Start new ECS deployments also where nothing changed.
    #[serde(default)]
    pub force: bool,
    pub approvals: Vec<Approval>,
    pub cancel: Option<CancelRequest>,
    /// In the order of waves, targets and services.
    pub operations: Vec<Operation>,
}

/// Who caused something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    Operator(String),
    /// An automatic phase.
    Lifecycle,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => f.write_str(name),
            Self::Lifecycle => f.write_str("lifecycle"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// Created; waits for its turn.
    Queued,
    /// Waits for people.
    AwaitingApproval,
    Running,
    Succeeded,
    /// The release is bad.
    Failed,
    /// We could not act, or cannot know.
    Errored,
    /// A person said stop.
    Cancelled,
}

impl DeploymentState {
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Errored | Self::Cancelled
        )
    }

    /// The stable word: "awaiting_approval".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Errored => "errored",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for DeploymentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub operator: String,
    pub note: String,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    pub operator: String,
    pub note: String,
    pub mode: CancelMode,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelMode {
    RollBack,
    /// Stop following; ECS carries on.
    Detach,
}

impl Deployment {
    pub fn operation(&self, id: OperationId) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.slot.id == id)
    }

    /// Every approval that its phase asks for is there.
    pub fn is_approved(&self) -> bool {
        self.missing_approvals() == 0
    }

    /// How many approvals are missing.
    pub fn missing_approvals(&self) -> u32 {
        let given = u32::try_from(self.approvals.len()).unwrap_or(u32::MAX);
        self.approval_rule
            .as_ref()
            .map_or(0, |rule| rule.count.saturating_sub(given))
    }

    /// Operations that the orchestrator gave up on (past the deadline) and whose
    /// truth the agent has not told since.
    pub fn open_questions(&self) -> impl Iterator<Item = &Operation> {
        self.operations
            .iter()
            .filter(|operation| operation.is_open_question())
    }
}

/// The reasons that the orchestrator itself gives.
pub mod reason {
    /// The orchestrator waited until the deadline and cannot know.
    pub const DEADLINE_EXCEEDED: &str = "deadline_exceeded";
    /// Never sent: the agent was not there until the deadline.
    pub const AGENT_OFFLINE: &str = "agent_offline";
}

/// The state that a deployment ends in: the worst verdict of its operations.
/// `None` while an operation is not over. One of which a part was skipped is
/// never a success: it is cancelled when a person said stop, else errored.
pub fn final_state(deployment: &Deployment) -> Option<DeploymentState> {
    if deployment
        .operations
        .iter()
        .any(|operation| !operation.state.is_over())
    {
        return None;
    }
    let worst = deployment
        .operations
        .iter()
        .filter_map(|operation| operation.state.verdict())
        .max();
    let skipped = deployment
        .operations
        .iter()
        .any(|it| matches!(it.state, OperationState::Skipped { .. }));
    Some(match worst {
        Some(Verdict::Failed) => DeploymentState::Failed,
        Some(Verdict::Errored) => DeploymentState::Errored,
        Some(Verdict::Cancelled) => DeploymentState::Cancelled,
        Some(Verdict::Succeeded | Verdict::Unchanged) if !skipped => DeploymentState::Succeeded,
        Some(Verdict::Succeeded | Verdict::Unchanged) | None if deployment.cancel.is_some() => {
            DeploymentState::Cancelled
        }
        Some(Verdict::Succeeded | Verdict::Unchanged) | None => DeploymentState::Errored,
    })
}

#[cfg(test)]
mod tests;

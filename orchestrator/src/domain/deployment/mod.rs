//! One release into one environment, as a state machine.
//!
//! Start at [`Deployment::apply`]: one match on state and event. What always
//! holds: the state is the fold of the events; a terminal state stays; approvals
//! come before the start; an intent is recorded before its request is sent; the
//! final state is the worst verdict of the operations.

mod aftermath;
mod apply;
mod event;
mod intervening;
mod manner;
mod operation;
mod planning;
mod start;

pub use aftermath::final_state;
pub use apply::IllegalTransition;
pub use event::{Choice, Event, EventKind, LeftAsIs};
pub use manner::{Manner, Origin};
pub use operation::*;
pub use start::*;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    approval::{DeploymentPlan, Planning},
    name::{DeploymentId, EnvironmentName, OperationId, PhaseName, PlanHash, ProjectName, ReleaseVersion},
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
    /// Who made it and its release. Absent in logs from before approvals were of
    /// a plan: such a deployment is not planned.
    #[serde(default)]
    pub authors: Option<Vec<String>>,
    /// The newest plan; what approvals are of.
    #[serde(default)]
    pub plan: Option<DeploymentPlan>,
    /// Its agents are asked for a plan.
    #[serde(default)]
    pub planning: Option<Planning>,
    /// Until when everybody has to have approved.
    #[serde(default)]
    pub approve_until: Option<Timestamp>,
    pub cancel: Option<CancelRequest>,
    /// What is said of its start before it starts.
    #[serde(default)]
    pub start: Start,
    /// Why it was made, and what it does about failures.
    #[serde(default)]
    pub manner: Manner,
    /// What people decided after operations had ended badly, oldest first.
    #[serde(default)]
    pub interventions: Vec<Intervention>,
    /// Until when such a decision is waited for; set in `AwaitingIntervention`.
    #[serde(default)]
    pub intervention_until: Option<Timestamp>,
    /// Nothing more starts: a person aborted it, or nobody decided in time.
    #[serde(default)]
    pub stop: Option<Stop>,
    /// What it had changed is put back.
    #[serde(default)]
    pub roll_back: Option<GroupRollBack>,
    /// In the order of waves, targets and services; then, as they came, retries
    /// and roll-backs.
    pub operations: Vec<Operation>,
}

/// A person's decision about operations that had ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervention {
    pub operator: String,
    pub note: String,
    pub at: Timestamp,
    pub choice: Choice,
}

/// Why nothing more starts after operations had ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// `None`: nobody decided until the deadline.
    pub by: Option<String>,
    pub note: String,
    pub at: Timestamp,
}

/// That what a deployment had changed is put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRollBack {
    pub since: Timestamp,
    /// What cannot be put back, and why.
    pub left: Vec<LeftAsIs>,
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
    /// Operations ended badly; a person says how it goes on.
    AwaitingIntervention,
    Succeeded,
    /// The release is bad.
    Failed,
    /// We could not act, or cannot know.
    Errored,
    /// A person said stop.
    Cancelled,
}

impl DeploymentState {
    /// Started and not ended: nothing else may run in its environment.
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Running | Self::AwaitingIntervention)
    }

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
            Self::AwaitingIntervention => "awaiting_intervention",
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
    /// The plan that was approved.
    #[serde(default)]
    pub plan_hash: Option<PlanHash>,
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
    /// Never sent: an image did not come into the target's own repository.
    pub const REPLICA_MISSING: &str = "replica_missing";
    /// Never sent: an image is gone from the repository in which it was resolved.
    pub const IMAGE_EXPIRED: &str = "image_expired";
}

#[cfg(test)]
mod tests;

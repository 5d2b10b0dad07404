//! What a deployment consists of: its operations, as planned and as they went.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reason;
use crate::domain::name::{AgentName, OperationId, PlanHash, ServiceName, TargetId};

/// How an operation ended. In the order of severity: of many, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was so already; nothing was changed.
    Unchanged,
    Succeeded,
    Cancelled,
    Errored,
    Failed,
}

impl Verdict {
    /// Succeeded or unchanged.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Succeeded | Self::Unchanged)
    }

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Succeeded => "succeeded",
            Self::Cancelled => "cancelled",
            Self::Errored => "errored",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the state machine knows of a planned operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationSlot {
    pub id: OperationId,
    pub service: ServiceName,
    pub target: TargetId,
    pub agent: AgentName,
    /// 0 is the first wave.
    pub wave: u32,
    /// Operations that must have ended well before.
    pub after: Vec<OperationId>,
    /// It is executed only as planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanHash>,
    #[serde(default)]
    pub kind: SlotKind,
    /// From 1; a retry is the next one.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
}

/// What an operation is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotKind {
    /// To put the release on a service.
    #[default]
    Service,
    /// To run a one-off task; the slot's service is its name.
    Task,
    /// To put back what this operation of the same deployment changed.
    RollBackOf(OperationId),
}

fn first_attempt() -> u32 {
    1
}

impl OperationSlot {
    pub fn is_roll_back(&self) -> bool {
        matches!(self.kind, SlotKind::RollBackOf(_))
    }
}

/// What a person decided about an operation that had ended badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// Another operation tries it again.
    Retried { by: OperationId },
    /// Go on as if it had ended well.
    Ignored,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub slot: OperationSlot,
    pub state: OperationState,
    /// The state that it starts from, as stored with its intent.
    pub expected: Option<ExpectedState>,
    /// How often it may have been sent; 0 before its intent.
    pub sends: u32,
    /// When it may have been sent for the first time.
    #[serde(default)]
    pub first_sent: Option<Timestamp>,
    /// The newest line of its progress.
    pub progress: String,
    /// The agent took the cancel request.
    pub cancel_confirmed: bool,
    /// What the agent said after the orchestrator had given up.
    pub late_truth: Option<Outcome>,
    /// How a person let it go on after it had ended badly.
    #[serde(default)]
    pub decided: Option<Decided>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    Pending,
    /// Its intent is stored: the request may or may not have reached the agent.
    Intended {
        since: Timestamp,
    },
    /// The agent executes it.
    Running {
        since: Timestamp,
    },
    Ended {
        at: Timestamp,
        outcome: Outcome,
    },
    /// Not started, because the deployment ended before.
    Skipped {
        because: String,
    },
}

impl OperationState {
    /// Ended or skipped.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Ended { .. } | Self::Skipped { .. })
    }

    /// Sent, as far as can be known, and not over.
    pub fn is_out(&self) -> bool {
        matches!(self, Self::Intended { .. } | Self::Running { .. })
    }

    /// Ended well.
    pub fn is_good(&self) -> bool {
        self.verdict().is_some_and(Verdict::is_good)
    }

    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Ended { outcome, .. } => Some(outcome.verdict),
            _ => None,
        }
    }
}

/// How an operation ended, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Stable: "completed", "rolled_back", "deadline_exceeded".
    pub reason: String,
    /// One sentence for a person.
    pub summary: String,
    /// The next step; empty where there is none.
    pub hint: String,
    /// Root cause first.
    pub diagnosis: Vec<String>,
    pub outputs: BTreeMap<String, String>,
}

impl Outcome {
    /// One line for a person.
    pub fn line(&self) -> String {
        let Self {
            verdict,
            reason,
            summary,
            ..
        } = self;
        match (reason.as_str(), summary.as_str()) {
            ("", "") => verdict.to_string(),
            (reason, "") => format!("{verdict} ({reason})"),
            (_, summary) => format!("{verdict}: {summary}"),
        }
    }
}

/// The state that an operation expects to start from; mirrors the wire's
/// `towline.agent.v1.ExpectedState`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedState {
    pub task_definition: String,
    pub deployment_id: String,
    pub stack_id: String,
    pub absent: bool,
}

impl Operation {
    /// Given up on after it may have been sent, with no truth since.
    pub fn is_open_question(&self) -> bool {
        let given_up = matches!(&self.state, OperationState::Ended { outcome, .. } if outcome.reason == reason::DEADLINE_EXCEEDED);
        given_up && self.sends > 0 && self.late_truth.is_none()
    }
    /// When it ended; `None` for one that did not, or was skipped.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match &self.state {
            OperationState::Ended { at, .. } => Some(*at),
            _ => None,
        }
    }
}

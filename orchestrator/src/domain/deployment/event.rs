//! What happens to a deployment: the lines of the append-only log.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Author, CancelMode, DeploymentState, ExpectedState, Manner, NoStart, OperationSlot, Outcome,
    OverriddenFreeze, start::schedule_words,
};
use crate::domain::{
    approval::{FindingSeverity, OperationPlan, PlanTrouble},
    name::{EnvironmentName, OperationId, PhaseName, PlanHash, ProjectName, ReleaseVersion},
    operation::FixedValue,
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
        #[serde(default)]
        manner: Manner,
        /// Who made it and its release; see [`Deployment::authors`](super::Deployment::authors).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authors: Option<Vec<String>>,
        operations: Vec<OperationSlot>,
    },
    /// Agents are asked for the plan: before people are, and once more before the start.
    PlanRequested,
    /// An attempt brought no plan; it is tried again.
    PlanningFailed {
        trouble: PlanTrouble,
    },
    /// What an approval is of, from now on.
    DeploymentPlanned {
        hash: PlanHash,
        operations: Vec<OperationPlan>,
    },
    /// It was made again, and is the same.
    PlanConfirmed {
        hash: PlanHash,
    },
    /// The plan is not any more what this person approved.
    ApprovalVoided {
        operator: String,
        why: String,
    },
    ApprovalRequested,
    Approved {
        operator: String,
        note: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan_hash: Option<PlanHash>,
    },
    /// When it may start, as a person said who promoted.
    DeploymentScheduled {
        not_before: Option<Timestamp>,
        expires: Option<Timestamp>,
    },
    /// It may start in spite of freezes: for as long as each is in force now.
    FreezeOverridden {
        operator: String,
        because: String,
        freezes: Vec<OverriddenFreeze>,
    },
    /// It will not start any more; its operations are then skipped.
    StartGivenUp {
        why: NoStart,
    },
    DeploymentStarted {
        deadline: Timestamp,
    },
    /// What its agent read for it: every send has these values.
    ValuesRead {
        operation: OperationId,
        values: Vec<FixedValue>,
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
    /// People are asked how to go on after operations ended badly.
    InterventionRequested {
        until: Timestamp,
    },
    /// A person has said so.
    Intervened {
        operator: String,
        note: String,
        choice: Choice,
    },
    /// Nobody has said so until the deadline.
    InterventionExpired,
    /// It goes on after a decision, or stops.
    DeploymentResumed {
        deadline: Timestamp,
    },
    /// What was changed is put back, after the deployment had failed.
    RollBackBegan {
        deadline: Timestamp,
        operations: Vec<OperationSlot>,
        left: Vec<LeftAsIs>,
    },
    DeploymentFinished {
        state: DeploymentState,
        /// What was done about a failure, for a person; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        aftermath: String,
    },
    /// What really became of an operation that was given up on.
    LateTruth {
        operation: OperationId,
        outcome: Outcome,
    },
}

/// How a deployment goes on after operations ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// A new operation tries it again.
    Retry {
        operation: OperationId,
        again: OperationSlot,
    },
    /// As if it had ended well; its verdict stays what it is.
    Ignore { operation: OperationId },
    /// Nothing more starts.
    Abort,
}

/// What a roll-back leaves as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAsIs {
    pub operation: OperationId,
    pub because: String,
}

impl EventKind {
    pub fn at(self, at: Timestamp) -> Event {
        Event { at, kind: self }
    }

    /// The stable kind: "deployment_created".
    pub fn name(&self) -> &'static str {
        match self {
            Self::DeploymentCreated { .. } => "deployment_created",
            Self::PlanRequested => "plan_requested",
            Self::PlanningFailed { .. } => "planning_failed",
            Self::DeploymentPlanned { .. } => "deployment_planned",
            Self::PlanConfirmed { .. } => "plan_confirmed",
            Self::ApprovalVoided { .. } => "approval_voided",
            Self::ApprovalRequested => "approval_requested",
            Self::Approved { .. } => "approved",
            Self::DeploymentScheduled { .. } => "deployment_scheduled",
            Self::FreezeOverridden { .. } => "freeze_overridden",
            Self::StartGivenUp { .. } => "start_given_up",
            Self::DeploymentStarted { .. } => "deployment_started",
            Self::ValuesRead { .. } => "values_read",
            Self::OperationIntended { .. } => "operation_intended",
            Self::OperationReattached { .. } => "operation_reattached",
            Self::OperationStarted { .. } => "operation_started",
            Self::OperationProgress { .. } => "operation_progress",
            Self::OperationFinished { .. } => "operation_finished",
            Self::OperationSkipped { .. } => "operation_skipped",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::CancelConfirmed { .. } => "cancel_confirmed",
            Self::InterventionRequested { .. } => "intervention_requested",
            Self::Intervened { .. } => "intervened",
            Self::InterventionExpired => "intervention_expired",
            Self::DeploymentResumed { .. } => "deployment_resumed",
            Self::RollBackBegan { .. } => "roll_back_began",
            Self::DeploymentFinished { .. } => "deployment_finished",
            Self::LateTruth { .. } => "late_truth",
        }
    }

    /// The operation that it is about.
    pub fn operation(&self) -> Option<OperationId> {
        match self {
            Self::ValuesRead { operation, .. }
            | Self::OperationIntended { operation, .. }
            | Self::OperationReattached { operation }
            | Self::OperationStarted { operation, .. }
            | Self::OperationProgress { operation, .. }
            | Self::OperationFinished { operation, .. }
            | Self::OperationSkipped { operation, .. }
            | Self::CancelConfirmed { operation }
            | Self::Intervened {
                choice: Choice::Retry { operation, .. } | Choice::Ignore { operation },
                ..
            }
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
                manner,
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
                let origin = manner.origin.words();
                let text =
                    format!("release {release} into {environment}{origin}, created by {by}{forced}{planned}");
                with_note(text, &manner.note)
            }
            Self::PlanRequested => "asks its agents for the plan".to_owned(),
            Self::PlanningFailed { trouble } => trouble.to_string(),
            Self::DeploymentPlanned { hash, operations } => planned_words(hash, operations),
            Self::PlanConfirmed { hash } => format!("plan {hash} made again: it is the same"),
            Self::ApprovalVoided { operator, why } => {
                format!("the approval of {operator} is void: {why}")
            }
            Self::ApprovalRequested => "waits for approval".to_owned(),
            Self::Approved { operator, note, .. } => with_note(format!("approved by {operator}"), note),
            Self::DeploymentScheduled { not_before, expires } => schedule_words(*not_before, *expires),
            Self::FreezeOverridden {
                operator,
                because,
                freezes,
            } => {
                let names: Vec<&str> = freezes.iter().map(|it| it.freeze.as_str()).collect();
                format!("freeze {} overridden by {operator}: {because}", names.join(", "))
            }
            Self::StartGivenUp { why } => why.to_string(),
            Self::DeploymentStarted { deadline } => {
                format!("started; deadline {}", moment(*deadline))
            }
            Self::ValuesRead { values, .. } => {
                let read: Vec<String> = values.iter().map(|value| value.source.to_string()).collect();
                format!("the agent read {}", read.join(", "))
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
            Self::InterventionRequested { until } => {
                format!("waits until {} for a person to say how to go on", moment(*until))
            }
            Self::Intervened {
                operator,
                note,
                choice,
            } => {
                let text = match choice {
                    Choice::Retry { .. } => format!("tried again, says {operator}"),
                    Choice::Ignore { .. } => format!("ignored, says {operator}"),
                    Choice::Abort => format!("aborted by {operator}"),
                };
                with_note(text, note)
            }
            Self::InterventionExpired => "nobody has said how to go on".to_owned(),
            Self::DeploymentResumed { deadline } => format!("goes on; deadline {}", moment(*deadline)),
            Self::RollBackBegan { operations, left, .. } => match left.len() {
                0 => format!("rolls back {}", count(operations.len())),
                some => format!(
                    "rolls back {}; leaves {some} as it is: {}",
                    count(operations.len()),
                    left.iter()
                        .map(|it| it.because.as_str())
                        .collect::<Vec<_>>()
                        .join("; ")
                ),
            },
            Self::DeploymentFinished { state, aftermath } if aftermath.is_empty() => state.to_string(),
            Self::DeploymentFinished { state, aftermath } => format!("{state}, {aftermath}"),
            Self::LateTruth { outcome, .. } => format!("learned late: {}", outcome.line()),
        }
    }
}

fn moment(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M:%SZ")
}

fn count(operations: usize) -> String {
    match operations {
        1 => "1 operation".to_owned(),
        some => format!("{some} operations"),
    }
}

fn planned_words(hash: &PlanHash, operations: &[OperationPlan]) -> String {
    let bad = |plan: &&OperationPlan| {
        plan.findings
            .iter()
            .any(|finding| finding.severity == FindingSeverity::Error)
    };
    let refused = match operations.iter().filter(bad).count() {
        0 => String::new(),
        some => format!(", {some} of which would be refused"),
    };
    let count = match operations.len() {
        1 => "1 operation".to_owned(),
        many => format!("{many} operations"),
    };
    format!("plan {hash}: {count}{refused}")
}

fn with_note(text: String, note: &str) -> String {
    if note.is_empty() {
        text
    } else {
        format!("{text}: {note}")
    }
}

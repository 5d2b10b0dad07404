//! The one match that is the state machine.

use super::{
    CancelRequest, Deployment, DeploymentState, Event, EventKind, FreezeOverride, Operation, OperationSlot,
    OperationState, Start, final_state,
};
use crate::domain::name::{DeploymentId, OperationId, PlanHash};

/// An event that cannot follow: a fault of the caller, never of the outside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    #[error("{event} cannot follow while the deployment is {state}")]
    State {
        event: &'static str,
        state: DeploymentState,
    },
    #[error("{event}: operation {operation} is not of this deployment")]
    UnknownOperation {
        event: &'static str,
        operation: OperationId,
    },
    #[error("{event} cannot follow in the state of operation {operation}")]
    Operation {
        event: &'static str,
        operation: OperationId,
    },
    #[error("{operator} has approved already")]
    ApprovedTwice { operator: String },
    #[error("{operator} made the deployment or its release, and may not approve it")]
    OwnApproval { operator: String },
    #[error("an approval is of the current plan")]
    OtherPlan { current: Option<PlanHash> },
    #[error("a plan is of every operation")]
    Unplanned,
    #[error("the log does not begin with deployment_created")]
    NotCreated,
    #[error("the deployment cannot end as {state}: its operations say otherwise")]
    WrongEnd { state: DeploymentState },
}

impl Deployment {
    /// The deployment that its first event makes.
    ///
    /// # Errors
    /// Any event but `DeploymentCreated`.
    pub fn create(id: DeploymentId, first: &Event) -> Result<Self, IllegalTransition> {
        let EventKind::DeploymentCreated {
            project,
            release,
            environment,
            phase,
            by,
            time_limit,
            approval_rule,
            force,
            manner,
            authors,
            operations,
        } = &first.kind
        else {
            return Err(IllegalTransition::NotCreated);
        };
        let mut created = Self {
            id,
            project: project.clone(),
            release: release.clone(),
            environment: environment.clone(),
            phase: phase.clone(),
            state: DeploymentState::Queued,
            created_by: by.clone(),
            created: first.at,
            started: None,
            ended: None,
            deadline: None,
            time_limit: *time_limit,
            approval_rule: approval_rule.clone(),
            force: *force,
            approvals: Vec::new(),
            authors: authors.clone(),
            plan: None,
            planning: None,
            approve_until: None,
            cancel: None,
            start: Start::default(),
            manner: manner.clone(),
            interventions: Vec::new(),
            intervention_until: None,
            stop: None,
            roll_back: None,
            operations: operations.iter().map(Operation::new).collect(),
        };
        created.approve_until = created.approve_until(first.at);
        Ok(created)
    }

    /// The state that a log of events makes.
    ///
    /// # Errors
    /// An event that cannot follow the ones before.
    pub fn fold<'a>(
        id: DeploymentId,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Self, IllegalTransition> {
        let mut events = events.into_iter();
        let first = events.next().ok_or(IllegalTransition::NotCreated)?;
        events.try_fold(Self::create(id, first)?, |deployment, event| {
            deployment.apply(event)
        })
    }

    /// The next state.
    ///
    /// | in | event | if | then |
    /// |---|---|---|---|
    /// | Queued | `ApprovalRequested` | approvals are missing | AwaitingApproval |
    /// | Queued, AwaitingApproval | `Approved` | not cancelled; a person once | Queued with the last one |
    /// | Queued, AwaitingApproval | planning, schedule, freeze override, `StartGivenUp` | not cancelled or given up | stays |
    /// | Queued | `DeploymentStarted` | approved, its time has come | Running |
    /// | Running | `OperationIntended` | neither cancelled nor stopped; a roll-back only once that began | stays |
    /// | Running | what else happens to an operation | its own state allows it | stays |
    /// | Running | `Intervened` | guided, something ended badly | stays |
    /// | Running | `InterventionRequested` | the same, and nothing is out | AwaitingIntervention |
    /// | AwaitingIntervention | `Intervened` | something is undecided | stays |
    /// | AwaitingIntervention | `InterventionExpired` | the time is over | stays, stopped |
    /// | AwaitingIntervention | `DeploymentResumed` | all is decided, or stopped, or cancelled | Running |
    /// | Running | `RollBackBegan` | failed, all is over, `on_failure: roll_back` | stays, with the roll-backs |
    /// | any but the terminal ones | `CancelRequested` | once | stays |
    /// | Queued, AwaitingApproval, Running | `OperationSkipped` | it is pending | stays |
    /// | Queued, AwaitingApproval, Running | `DeploymentFinished` | it says what [`final_state`] says | Succeeded, Failed, Errored or Cancelled |
    /// | any | `LateTruth` | the operation was given up on | stays |
    ///
    /// # Errors
    /// The event cannot follow; nothing changed.
    pub fn apply(&self, event: &Event) -> Result<Self, IllegalTransition> {
        use DeploymentState::{AwaitingApproval, AwaitingIntervention, Queued, Running};
        use EventKind as E;
        if let Some(taken) = self.take_approving(event) {
            return taken;
        }
        let mut next = self.clone();
        match (self.state, &event.kind) {
            (Queued | AwaitingApproval, E::DeploymentScheduled { not_before, expires }) if !self.is_off() => {
                next.start.not_before = *not_before;
                next.start.expires = *expires;
            }
            (
                Queued | AwaitingApproval,
                E::FreezeOverridden {
                    operator,
                    because,
                    freezes,
                },
            ) if !self.is_off() => next.start.overrides.push(FreezeOverride {
                operator: operator.clone(),
                because: because.clone(),
                at: event.at,
                freezes: freezes.clone(),
            }),
            (Queued | AwaitingApproval, E::StartGivenUp { why }) if !self.is_off() => {
                next.start.given_up = Some(why.clone());
            }
            (Queued, E::DeploymentStarted { deadline })
                if self.is_approved() && self.is_confirmed() && self.may_start(event.at) =>
            {
                next.state = Running;
                next.started = Some(event.at);
                next.deadline = Some(*deadline);
            }
            (
                Queued | AwaitingApproval | Running | AwaitingIntervention,
                E::CancelRequested { operator, note, mode },
            ) if self.cancel.is_none() => {
                let (operator, note) = (operator.clone(), note.clone());
                next.cancel = Some(CancelRequest {
                    operator,
                    note,
                    mode: *mode,
                    at: event.at,
                });
            }
            (Running, E::OperationIntended { operation, .. }) if !self.may_begin(*operation) => {
                return Err(self.illegal(event));
            }
            (
                Running,
                E::OperationIntended { operation, .. }
                | E::OperationReattached { operation }
                | E::OperationStarted { operation, .. }
                | E::OperationProgress { operation, .. }
                | E::OperationFinished { operation, .. }
                | E::CancelConfirmed { operation },
            )
            | (Queued | AwaitingApproval | Running, E::OperationSkipped { operation, .. }) => {
                next.operation_mut(*operation, event)?.take(event)?;
            }
            (Running, E::InterventionRequested { until }) => next.request_intervention(*until, event)?,
            (
                Running | AwaitingIntervention,
                E::Intervened {
                    operator,
                    note,
                    choice,
                },
            ) => next.intervene((operator, note), choice, event)?,
            (AwaitingIntervention, E::InterventionExpired) => next.expire_intervention(event)?,
            (AwaitingIntervention, E::DeploymentResumed { deadline }) => next.resume(*deadline, event)?,
            (
                Running,
                E::RollBackBegan {
                    deadline,
                    operations,
                    left,
                },
            ) => next.begin_roll_back((*deadline, operations), left, event)?,
            (Queued | AwaitingApproval | Running, E::DeploymentFinished { state, .. }) => {
                if final_state(self) != Some(*state) {
                    return Err(IllegalTransition::WrongEnd { state: *state });
                }
                next.state = *state;
                next.ended = Some(event.at);
            }
            (_, E::LateTruth { operation, .. }) => next.operation_mut(*operation, event)?.take(event)?,
            _ => return Err(self.illegal(event)),
        }
        Ok(next)
    }

    pub(super) fn illegal(&self, event: &Event) -> IllegalTransition {
        IllegalTransition::State {
            event: event.kind.name(),
            state: self.state,
        }
    }

    pub(super) fn operation_mut(
        &mut self,
        id: OperationId,
        event: &Event,
    ) -> Result<&mut Operation, IllegalTransition> {
        let unknown = IllegalTransition::UnknownOperation {
            event: event.kind.name(),
            operation: id,
        };
        self.operations
            .iter_mut()
            .find(|operation| operation.slot.id == id)
            .ok_or(unknown)
    }
}

impl Operation {
    pub(super) fn new(slot: &OperationSlot) -> Self {
        Self {
            slot: slot.clone(),
            state: OperationState::Pending,
            expected: None,
            sends: 0,
            first_sent: None,
            progress: String::new(),
            cancel_confirmed: false,
            late_truth: None,
            decided: None,
        }
    }

    fn take(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        use EventKind as E;
        use OperationState::{Ended, Intended, Pending, Running, Skipped};
        let at = event.at;
        match (&self.state, &event.kind) {
            (Pending, E::OperationIntended { expected, .. }) => {
                self.expected = expected.clone();
                self.sends = 1;
                self.first_sent = Some(at);
                self.state = Intended { since: at };
            }
            (Intended { .. } | Running { .. }, E::OperationReattached { .. }) => {
                self.sends = self.sends.saturating_add(1);
                // Who is asked again may be an agent that never heard of the cancel.
                self.cancel_confirmed = false;
            }
            (Intended { .. }, E::OperationStarted { .. }) => self.state = Running { since: at },
            // Every re-attachment begins with the agent's first word.
            (Running { .. }, E::OperationStarted { .. }) => {}
            (Intended { .. }, E::OperationProgress { message, .. }) => {
                self.progress = message.clone();
                self.state = Running { since: at };
            }
            (Running { .. }, E::OperationProgress { message, .. }) => self.progress = message.clone(),
            (Intended { .. } | Running { .. }, E::CancelConfirmed { .. }) => self.cancel_confirmed = true,
            // A pending one ends when it could not be sent at all.
            (Pending | Intended { .. } | Running { .. }, E::OperationFinished { outcome, .. }) => {
                self.state = Ended {
                    at,
                    outcome: outcome.clone(),
                };
            }
            (Pending, E::OperationSkipped { because, .. }) => {
                self.state = Skipped {
                    because: because.clone(),
                }
            }
            (Ended { .. }, E::LateTruth { outcome, .. }) if self.is_open_question() => {
                self.late_truth = Some(outcome.clone());
            }
            _ => {
                let (event, operation) = (event.kind.name(), self.slot.id);
                return Err(IllegalTransition::Operation { event, operation });
            }
        }
        Ok(())
    }
}

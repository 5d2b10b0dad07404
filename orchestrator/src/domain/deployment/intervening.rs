//! The transitions that follow operations that ended badly; [`Deployment::apply`]
//! calls them. Each refuses what its rule does not allow.

use jiff::Timestamp;

use super::{
    Choice, Decided, Deployment, DeploymentState, Event, EventKind, GroupRollBack, IllegalTransition,
    Intervention, LeftAsIs, Operation, OperationSlot, SlotKind, Stop,
};
use crate::domain::{name::OperationId, project::OnFailure};

impl Deployment {
    pub(super) fn request_intervention(
        &mut self,
        until: Timestamp,
        event: &Event,
    ) -> Result<(), IllegalTransition> {
        let is_out = self.operations.iter().any(|it| it.state.is_out());
        if is_out || !self.needs_decision() {
            return Err(self.illegal(event));
        }
        self.state = DeploymentState::AwaitingIntervention;
        self.intervention_until = Some(until);
        Ok(())
    }

    /// Takes a decision. What comes of it is seen when it goes on.
    pub(super) fn intervene(
        &mut self,
        (operator, note): (&str, &str),
        choice: &Choice,
        event: &Event,
    ) -> Result<(), IllegalTransition> {
        if !self.needs_decision() {
            return Err(self.illegal(event));
        }
        match choice {
            Choice::Retry { operation, again } => {
                self.check_retry(*operation, again, event)?;
                self.decide(*operation, Decided::Retried { by: again.id }, event)?;
                self.operations.push(Operation::new(again));
            }
            Choice::Ignore { operation } => self.decide(*operation, Decided::Ignored, event)?,
            Choice::Abort => {
                self.stop = Some(Stop {
                    by: Some(operator.to_owned()),
                    note: note.to_owned(),
                    at: event.at,
                });
            }
        }
        self.interventions.push(Intervention {
            operator: operator.to_owned(),
            note: note.to_owned(),
            at: event.at,
            choice: choice.clone(),
        });
        Ok(())
    }

    /// A retry does the same again, under a new id.
    fn check_retry(
        &self,
        id: OperationId,
        again: &OperationSlot,
        event: &Event,
    ) -> Result<(), IllegalTransition> {
        let same = self.operation(id).is_some_and(|first| {
            let first = &first.slot;
            (&again.service, &again.target, &again.agent, again.kind)
                == (&first.service, &first.target, &first.agent, first.kind)
                && (again.wave, &again.after) == (first.wave, &first.after)
                && again.attempt == first.attempt.saturating_add(1)
        });
        match same && self.operation(again.id).is_none() {
            true => Ok(()),
            false => Err(self.illegal(event)),
        }
    }

    fn decide(&mut self, id: OperationId, decided: Decided, event: &Event) -> Result<(), IllegalTransition> {
        let illegal = IllegalTransition::Operation {
            event: event.kind.name(),
            operation: id,
        };
        let operation = self.operation_mut(id, event)?;
        if !operation.is_undecided() {
            return Err(illegal);
        }
        operation.decided = Some(decided);
        Ok(())
    }

    pub(super) fn expire_intervention(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let is_over = self.intervention_until.is_some_and(|until| event.at >= until);
        if !is_over || !self.needs_decision() {
            return Err(self.illegal(event));
        }
        self.stop = Some(Stop {
            by: None,
            note: String::new(),
            at: event.at,
        });
        Ok(())
    }

    pub(super) fn resume(&mut self, deadline: Timestamp, event: &Event) -> Result<(), IllegalTransition> {
        if self.needs_decision() {
            return Err(self.illegal(event));
        }
        self.state = DeploymentState::Running;
        self.intervention_until = None;
        self.deadline = Some(deadline);
        Ok(())
    }

    /// Adds the roll-backs. All that it was there for is over by then.
    pub(super) fn begin_roll_back(
        &mut self,
        (deadline, slots): (Timestamp, &[OperationSlot]),
        left: &[LeftAsIs],
        event: &Event,
    ) -> Result<(), IllegalTransition> {
        if self.manner.failures.on_failure != OnFailure::RollBack
            || !self.is_all_over()
            || !self.owes_roll_back()
        {
            return Err(self.illegal(event));
        }
        for slot in slots {
            let SlotKind::RollBackOf(of) = slot.kind else {
                return Err(self.illegal(event));
            };
            let changed = self.operation(of).is_some_and(Operation::changed_a_service);
            let twice = self.roll_backs().any(|it| it.slot.kind == slot.kind);
            if !changed || twice || self.operation(slot.id).is_some() {
                return Err(IllegalTransition::Operation {
                    event: event.kind.name(),
                    operation: of,
                });
            }
            self.operations.push(Operation::new(slot));
        }
        self.roll_back = Some(GroupRollBack {
            since: event.at,
            left: left.to_vec(),
        });
        self.deadline = Some(deadline);
        Ok(())
    }

    /// An intent is recorded only for what may begin.
    pub(super) fn may_begin(&self, id: OperationId) -> bool {
        if self.cancel.is_some() || self.stop.is_some() && self.roll_back.is_none() {
            return false;
        }
        let is_roll_back = self.operation(id).is_some_and(|it| it.slot.is_roll_back());
        is_roll_back == self.roll_back.is_some()
    }
}

impl EventKind {
    /// The operations that it adds.
    pub fn added(&self) -> &[OperationSlot] {
        match self {
            Self::Intervened {
                choice: Choice::Retry { again, .. },
                ..
            } => std::slice::from_ref(again),
            Self::RollBackBegan { operations, .. } => operations,
            _ => &[],
        }
    }
}

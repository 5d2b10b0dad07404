//! The part of the state machine that is about plans and approvals.

use jiff::Timestamp;

use super::{
    Approval, Deployment, DeploymentState, Event, EventKind, IllegalTransition, Operation, OperationState,
};
use crate::domain::{approval::DeploymentPlan, name::PlanHash};

impl Deployment {
    /// Approvals are of a plan, and only that plan runs.
    pub fn is_bound(&self) -> bool {
        self.approval_rule.is_some() && self.authors.is_some()
    }

    /// Everybody has approved the newest plan, and it was made again since, with
    /// the same result.
    pub fn is_confirmed(&self) -> bool {
        !self.is_bound() || self.plan.as_ref().is_some_and(|plan| plan.confirmed.is_some())
    }

    /// Those who may be asked not to approve because they made it or its release.
    pub fn authors(&self) -> &[String] {
        self.authors.as_deref().unwrap_or_default()
    }

    /// Until when people may approve, counted from this moment.
    pub(super) fn approve_until(&self, from: Timestamp) -> Option<Timestamp> {
        let rule = self.approval_rule.as_ref().filter(|_| self.is_bound())?;
        Some(from.checked_add(rule.expires).unwrap_or(Timestamp::MAX))
    }

    /// The events of plans and approvals: `None` for another event.
    pub(super) fn take_approving(&self, event: &Event) -> Option<Result<Self, IllegalTransition>> {
        use EventKind as E;
        let mut next = self.clone();
        let taken = match &event.kind {
            E::PlanRequested => next.request_plan(event),
            E::PlanningFailed { trouble } => match next.planning.as_mut() {
                Some(planning) if !self.is_off() => {
                    planning.trouble = Some(trouble.clone());
                    Ok(())
                }
                _ => Err(self.illegal(event)),
            },
            E::DeploymentPlanned { hash, operations } => {
                let plan = DeploymentPlan {
                    hash: hash.clone(),
                    made: event.at,
                    confirmed: None,
                    operations: operations.clone(),
                };
                next.take_plan(plan, event)
            }
            E::PlanConfirmed { hash } => next.confirm_plan(hash, event),
            E::ApprovalVoided { operator, .. } => next.void_approval(operator, event),
            E::ApprovalRequested => next.ask_people(event),
            E::Approved {
                operator,
                note,
                plan_hash,
            } => next.approve((operator, note), plan_hash.as_ref(), event),
            // Only what was never sent may still be made different.
            E::ValuesRead { operation, .. } => {
                let pending = |it: &Operation| it.state == OperationState::Pending;
                match self.operation(*operation).is_some_and(pending) && !self.is_bound() {
                    true => Ok(()),
                    false => Err(self.illegal(event)),
                }
            }
            _ => return None,
        };
        Some(taken.map(|()| next))
    }

    /// Before people are asked, and once more when they have approved.
    fn request_plan(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let waits = self.is_bound() && !self.is_off() && self.planning.is_none();
        let state = match self.plan {
            None => matches!(
                self.state,
                DeploymentState::Queued | DeploymentState::AwaitingApproval
            ),
            Some(_) => self.state == DeploymentState::Queued && self.is_approved(),
        };
        if !(waits && state) {
            return Err(self.illegal(event));
        }
        self.planning = Some(crate::domain::approval::Planning {
            since: event.at,
            trouble: None,
        });
        Ok(())
    }

    /// Nobody has approved anything else before.
    fn take_plan(&mut self, plan: DeploymentPlan, event: &Event) -> Result<(), IllegalTransition> {
        if self.planning.is_none() || self.is_off() || !self.approvals.is_empty() {
            return Err(self.illegal(event));
        }
        for operation in &plan.operations {
            let found = self
                .operations
                .iter_mut()
                .find(|it| it.slot.id == operation.operation);
            match found {
                Some(found) => found.slot.plan = Some(operation.hash.clone()),
                None => {
                    return Err(IllegalTransition::UnknownOperation {
                        event: event.kind.name(),
                        operation: operation.operation,
                    });
                }
            }
        }
        if self.operations.iter().any(|it| it.slot.plan.is_none()) {
            return Err(IllegalTransition::Unplanned);
        }
        self.plan = Some(plan);
        self.planning = None;
        Ok(())
    }

    fn confirm_plan(&mut self, hash: &PlanHash, event: &Event) -> Result<(), IllegalTransition> {
        let stands = self.planning.is_some() && self.is_approved() && !self.is_off();
        let illegal = self.illegal(event);
        match self.plan.as_mut().filter(|plan| stands && plan.hash == *hash) {
            Some(plan) => {
                plan.confirmed = Some(event.at);
                self.planning = None;
                Ok(())
            }
            None => Err(illegal),
        }
    }

    fn void_approval(&mut self, operator: &str, event: &Event) -> Result<(), IllegalTransition> {
        let there = self.approvals.iter().position(|it| it.operator == operator);
        match there.filter(|_| self.planning.is_some() && !self.is_off()) {
            Some(index) => {
                self.approvals.remove(index);
                // People have their whole time again.
                self.approve_until = self.approve_until(event.at);
                Ok(())
            }
            None => Err(self.illegal(event)),
        }
    }

    fn ask_people(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let ready = !self.is_bound() || (self.plan.is_some() && self.planning.is_none());
        if self.state != DeploymentState::Queued || self.is_approved() || !ready {
            return Err(self.illegal(event));
        }
        self.state = DeploymentState::AwaitingApproval;
        Ok(())
    }

    /// The last approval that is needed puts it back into the queue.
    fn approve(
        &mut self,
        (operator, note): (&str, &str),
        plan_hash: Option<&PlanHash>,
        event: &Event,
    ) -> Result<(), IllegalTransition> {
        let waits = matches!(
            self.state,
            DeploymentState::Queued | DeploymentState::AwaitingApproval
        );
        if !waits || self.is_approved() || self.is_off() {
            return Err(self.illegal(event));
        }
        if self.is_bound() {
            let current = self.plan.as_ref().filter(|_| self.planning.is_none());
            let current = current.map(|plan| &plan.hash);
            if current.is_none() || current != plan_hash {
                return Err(IllegalTransition::OtherPlan {
                    current: current.cloned(),
                });
            }
            let barred = self.approval_rule.as_ref().is_some_and(|rule| rule.not_author);
            if barred && self.authors().iter().any(|author| author == operator) {
                return Err(IllegalTransition::OwnApproval {
                    operator: operator.to_owned(),
                });
            }
        }
        if self.approvals.iter().any(|it| it.operator == operator) {
            return Err(IllegalTransition::ApprovedTwice {
                operator: operator.to_owned(),
            });
        }
        self.approvals.push(Approval {
            operator: operator.to_owned(),
            note: note.to_owned(),
            at: event.at,
            plan_hash: plan_hash.cloned(),
        });
        if self.is_approved() {
            self.state = DeploymentState::Queued;
        }
        Ok(())
    }
}

//! What follows from operations that ended badly: whether a deployment stops,
//! who has to decide, what is put back, and which state it ends in. Start at
//! [`final_state`].

use super::{Deployment, DeploymentState, Operation, OperationState, Stop, Verdict};
use crate::domain::{
    name::OperationId,
    project::{OnFailure, StopAt},
};

/// The state that a deployment ends in: the worst verdict of its operations.
/// `None` while an operation is not over, a person has to decide, or what it
/// changed has still to be put back. One of which a part was skipped is never a
/// success: it is cancelled when a person said stop, else errored.
///
/// Operations that were tried again do not count, their last attempt does; those
/// that a person ignored count only where nothing else does. Roll-backs say what
/// was done about a failure, not how the release is: they do not count.
pub fn final_state(deployment: &Deployment) -> Option<DeploymentState> {
    if !deployment.is_all_over() || deployment.needs_decision() || deployment.owes_roll_back() {
        return None;
    }
    let counting = || deployment.operations.iter().filter(|it| it.counts());
    let worst = counting().filter_map(|it| it.state.verdict()).max();
    let ignored = || {
        deployment
            .forward()
            .filter(|it| it.decided == Some(super::Decided::Ignored))
    };
    let worst = match counting().next() {
        Some(_) => worst,
        None => ignored().filter_map(|it| it.state.verdict()).max(),
    };
    let skipped = counting().any(|it| matches!(it.state, OperationState::Skipped { .. }));
    if let (None, Some(why)) = (worst, &deployment.start.given_up) {
        return Some(why.ends_as());
    }
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

impl Deployment {
    /// What it is there for: services and tasks, without roll-backs.
    pub fn forward(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|it| !it.slot.is_roll_back())
    }

    /// The roll-backs of what it had changed.
    pub fn roll_backs(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|it| it.slot.is_roll_back())
    }

    pub fn is_all_over(&self) -> bool {
        self.operations.iter().all(|it| it.state.is_over())
    }

    /// The operations that ended badly and of which nobody has said how to go on.
    pub fn undecided(&self) -> impl Iterator<Item = &Operation> {
        self.forward().filter(|it| it.is_undecided())
    }

    /// The last attempt at what this operation was there for.
    pub fn last_attempt(&self, id: OperationId) -> Option<&Operation> {
        let mut operation = self.operation(id)?;
        // Each retry is a later operation of the list: this ends.
        while let Some(super::Decided::Retried { by }) = operation.decided {
            operation = self.operation(by)?;
        }
        Some(operation)
    }

    /// Enough has ended badly for nothing more to start.
    pub fn is_stop_reached(&self) -> bool {
        let bad = self.undecided().count();
        if bad == 0 {
            return false;
        }
        let of = self.operations.iter().filter(|it| it.counts()).count();
        match self.manner.failures.stop_at {
            StopAt::First => true,
            StopAt::Count(count) => bad >= usize::try_from(count).unwrap_or(usize::MAX),
            StopAt::Share(percent) => bad.saturating_mul(100) >= of.saturating_mul(percent.into()),
        }
    }

    /// A person may still say how it goes on.
    pub fn is_guided(&self) -> bool {
        self.manner.failures.guided.is_some()
            && self.stop.is_none()
            && self.cancel.is_none()
            && self.roll_back.is_none()
    }

    /// Something ended badly, and a person has to say how it goes on.
    pub fn needs_decision(&self) -> bool {
        self.is_guided() && self.undecided().next().is_some()
    }

    /// It ended badly and has to put back what it changed, which has not begun.
    pub fn owes_roll_back(&self) -> bool {
        let wanted = self.manner.failures.on_failure == OnFailure::RollBack;
        let bad = self
            .undecided()
            .any(|it| matches!(it.state.verdict(), Some(Verdict::Failed | Verdict::Errored)));
        wanted && bad && self.cancel.is_none() && self.roll_back.is_none() && !self.needs_decision()
    }

    /// The operations whose work a roll-back puts back, the last one first.
    pub fn to_put_back(&self) -> Vec<&Operation> {
        let mut changed: Vec<&Operation> = self.forward().filter(|it| it.changed_a_service()).collect();
        changed.sort_by_key(|it| std::cmp::Reverse(it.ended_at()));
        changed
    }

    /// What was done about a failure, for a person; empty when nothing was.
    pub fn aftermath(&self) -> String {
        let mut told = Vec::new();
        let ignored: Vec<&str> = self
            .forward()
            .filter(|it| it.decided == Some(super::Decided::Ignored))
            .map(|it| it.slot.service.as_str())
            .collect();
        if !ignored.is_empty() {
            told.push(format!("ignored: {}", ignored.join(", ")));
        }
        if let Some(Stop { by: Some(by), .. }) = &self.stop {
            told.push(format!("aborted by {by}"));
        } else if self.stop.is_some() {
            told.push("nobody decided how to go on".to_owned());
        }
        if let Some(roll_back) = &self.roll_back {
            told.push(self.roll_back_words(roll_back));
        }
        told.join("; ")
    }

    fn roll_back_words(&self, roll_back: &super::GroupRollBack) -> String {
        let all = self.roll_backs().count();
        let good = self.roll_backs().filter(|it| it.state.is_good()).count();
        let left = roll_back.left.len();
        match (all, good, left) {
            (0, _, 0) => "nothing to roll back".to_owned(),
            (0, _, left) => format!("not rolled back: {left} left as they are"),
            (all, good, 0) if all == good => "rolled back".to_owned(),
            (all, good, 0) => format!("{good} of {all} rolled back"),
            (all, good, left) => format!("{good} of {} rolled back", all + left),
        }
    }
}

impl Operation {
    /// Whether the deployment's end depends on it.
    pub fn counts(&self) -> bool {
        !self.slot.is_roll_back() && self.decided.is_none()
    }

    /// It ended badly, and nobody has said how to go on.
    pub fn is_undecided(&self) -> bool {
        self.counts() && self.state.verdict().is_some_and(|verdict| !verdict.is_good())
    }

    /// What follows it may begin.
    pub fn is_satisfied(&self) -> bool {
        self.state.is_good() || self.decided == Some(super::Decided::Ignored)
    }

    /// It put something on a service that was not there before.
    pub fn changed_a_service(&self) -> bool {
        self.slot.kind == super::SlotKind::Service && self.state.verdict() == Some(Verdict::Succeeded)
    }
}

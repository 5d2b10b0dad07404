//! What the small world checks with every event, and how it carries out what
//! follows from operations that ended badly.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::world::World;
use crate::domain::{
    deployment::{Choice, Deployment, DeploymentState, Event, EventKind, IllegalTransition},
    name::{DeploymentId, OperationId},
    operation::{self, Changed, PlannedOperation},
};

impl World {
    /// Each log folds to what is stored, also from its text, and no success is a lie.
    pub fn check_logs(&self) {
        for deployment in &self.snapshot.deployments {
            let log = &self.logs[&deployment.id];
            let folded = Deployment::fold(deployment.id, log).unwrap();
            assert_eq!(folded, *deployment, "the log folds to what is stored");
            let stored = serde_json::to_string(log).unwrap();
            assert_eq!(serde_json::from_str::<Vec<Event>>(&stored).unwrap(), *log);
            let mut counting = deployment.operations.iter().filter(|it| it.counts()).peekable();
            let all_good = counting.peek().is_some() && counting.all(|it| it.state.is_good());
            assert_eq!(
                deployment.state == DeploymentState::Succeeded,
                deployment.state.is_terminal() && all_good
            );
        }
    }

    /// Every roll-back goes to what the release before had put there.
    pub fn begin_roll_back(&mut self, id: DeploymentId, deadline: Timestamp) {
        let deployment = self.snapshot.deployments.iter().find(|it| it.id == id).unwrap();
        let known = |it: &PlannedOperation| Changed {
            planned: it.clone(),
            before: Some(it.clone()),
        };
        let changed: BTreeMap<OperationId, Changed> = deployment
            .to_put_back()
            .iter()
            .map(|it| (it.slot.id, known(&self.planned[&it.slot.id])))
            .collect();
        let (planned, left) = operation::roll_backs(deployment, &changed);
        let began = EventKind::RollBackBegan {
            deadline,
            operations: planned.iter().map(PlannedOperation::slot).collect(),
            left,
        };
        self.planned.extend(planned.into_iter().map(|it| (it.id, it)));
        self.record(id, began.at(self.now)).expect("a roll-back is legal");
    }

    /// A person decides about everything that waits for it.
    pub fn decide_about_all(&mut self, id: DeploymentId, how: u8) -> Result<(), IllegalTransition> {
        let deployment = self.snapshot.deployments.iter().find(|it| it.id == id).unwrap();
        let undecided: Vec<OperationId> = deployment.undecided().map(|it| it.slot.id).collect();
        let choices: Vec<Choice> = match how % 4 {
            0 => vec![Choice::Abort],
            1 => undecided
                .into_iter()
                .map(|operation| Choice::Ignore { operation })
                .collect(),
            _ => undecided
                .into_iter()
                .map(|operation| self.retry(id, operation))
                .collect(),
        };
        for choice in choices {
            let (operator, note) = ("ann".to_owned(), "seen".to_owned());
            let intervened = EventKind::Intervened {
                operator,
                note,
                choice,
            };
            self.record(id, intervened.at(self.now))?;
        }
        Ok(())
    }

    fn retry(&mut self, id: DeploymentId, operation: OperationId) -> Choice {
        let planned = operation::next_attempt(id, &self.planned[&operation]);
        let deployment = self.snapshot.deployments.iter().find(|it| it.id == id).unwrap();
        let mut again = planned.slot();
        // What was approved is what is tried again.
        again.plan = deployment.operation(operation).unwrap().slot.plan.clone();
        self.planned.insert(planned.id, planned);
        Choice::Retry { operation, again }
    }
}

/// Never before an earlier wave, something that it follows, or after enough has
/// ended badly; nothing is put back before all is over, nor out of its order.
pub fn check_order(deployment: &Deployment, id: OperationId) {
    let slot = &deployment.operation(id).unwrap().slot;
    let name = &slot.service;
    if slot.is_roll_back() {
        assert!(
            deployment.forward().all(|it| it.state.is_over()),
            "{name} is put back too early"
        );
        for other in deployment.roll_backs() {
            if other.slot.wave < slot.wave || slot.after.contains(&other.slot.id) {
                assert!(other.state.is_over(), "{name} is put back out of its order");
            }
        }
        return;
    }
    assert!(!deployment.is_stop_reached(), "{name} starts after a failure");
    for before in deployment.forward().filter(|it| it.slot.wave < slot.wave) {
        assert!(before.state.is_over(), "{name} starts before its wave");
    }
    for before in &slot.after {
        let before = deployment.last_attempt(*before).unwrap();
        assert!(
            before.is_satisfied(),
            "{name} starts before {}",
            before.slot.service
        );
    }
}

//! Whose turn it is where limits hold operations back: what is out over all
//! projects, what waits elsewhere, and who is woken when there is room again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Engine, EngineError, lock};
use crate::{
    domain::{
        name::{AgentName, OperationId},
        plan::{Limits, Load, Waiting},
    },
    store::history::operations_out,
};

#[derive(Default)]
pub(super) struct Turns {
    /// Operations that are about to be sent for the first time, and are not out yet.
    beginning: BTreeMap<OperationId, AgentName>,
    /// What waits for its turn, by project, as it was last decided.
    waiting: HashMap<String, Vec<Waiting>>,
}

impl Engine {
    /// What is out in all projects, and what waits in the others.
    pub(super) async fn load(
        &self,
        connection: &mut SqliteConnection,
        project: &str,
    ) -> Result<Load, EngineError> {
        let limits = self.0.limits;
        if limits == Limits::default() {
            return Ok(Load::default());
        }
        let mut operations = operations_out(connection).await?;
        let turns = lock(&self.0.turns);
        operations.extend(turns.beginning.iter().map(|(id, agent)| (*id, agent.clone())));
        let mut out: BTreeMap<AgentName, u32> = BTreeMap::new();
        for agent in operations.into_values() {
            let count = out.entry(agent).or_default();
            *count = count.saturating_add(1);
        }
        let elsewhere = turns.waiting.iter().filter(|(other, _)| *other != project);
        let waiting = elsewhere.flat_map(|(_, waiting)| waiting.iter().cloned());
        Ok(Load {
            limits,
            out,
            waiting: waiting.collect(),
        })
    }

    /// An operation is about to be sent for the first time.
    pub(super) fn take_turn(&self, operation: OperationId, agent: AgentName) {
        if self.0.limits != Limits::default() {
            lock(&self.0.turns).beginning.insert(operation, agent);
        }
    }

    /// It is stored as sent, and counts as such.
    pub(super) fn has_begun(&self, operation: OperationId) {
        lock(&self.0.turns).beginning.remove(&operation);
    }

    /// Nobody sends it any more. Where it never was, its turn is another's.
    pub(super) fn give_turn_back(&self, operation: OperationId) {
        let agent = lock(&self.0.turns).beginning.remove(&operation);
        if let Some(agent) = agent {
            self.offer_room(&BTreeSet::from([agent]));
        }
    }

    /// Keeps what of a project waits for its turn. Where it became less, others
    /// may have theirs.
    pub(super) fn note_waiting(&self, project: &str, waiting: Vec<Waiting>) {
        let mut turns = lock(&self.0.turns);
        let now: BTreeSet<&AgentName> = waiting.iter().map(|it| &it.agent).collect();
        let before = turns.waiting.get(project);
        let less = before.is_some_and(|before| before.len() > waiting.len());
        let gone: BTreeSet<AgentName> = before
            .into_iter()
            .flatten()
            .map(|it| it.agent.clone())
            .filter(|agent| less || !now.contains(agent))
            .collect();
        match waiting.is_empty() {
            true => turns.waiting.remove(project),
            false => turns.waiting.insert(project.to_owned(), waiting),
        };
        drop(turns);
        if !gone.is_empty() {
            self.offer_room(&gone);
        }
    }

    /// There is room at these agents: wakes who waits for it longest.
    pub(super) fn offer_room(&self, agents: &BTreeSet<AgentName>) {
        let projects = lock(&self.0.turns).next(agents);
        for project in projects {
            self.wake(&project);
        }
    }
}

impl Turns {
    /// The projects that wait longest: for each of the agents, and for anything.
    fn next(&self, agents: &BTreeSet<AgentName>) -> BTreeSet<String> {
        let mut oldest: BTreeMap<Option<&AgentName>, (Timestamp, &str)> = BTreeMap::new();
        for (project, waiting) in &self.waiting {
            for one in waiting {
                let own = agents.contains(&one.agent).then_some(Some(&one.agent));
                for key in [Some(None), own].into_iter().flatten() {
                    let candidate = (one.since, project.as_str());
                    let best = oldest.entry(key).or_insert(candidate);
                    *best = candidate.min(*best);
                }
            }
        }
        oldest
            .into_values()
            .map(|(_, project)| project.to_owned())
            .collect()
    }
}

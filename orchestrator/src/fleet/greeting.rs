//! The first call on a new link: who the agent says it is, and what it serves.

use std::time::Duration;

use towline_link::identity::AgentName;
use towline_proto::agent::v1::{GetAgentRequest, GetAgentResponse};

use super::{Fleet, Link};
use crate::store::{AgentFacts, CommitPoint, StoreError};

/// An agent that takes longer has a link that is no use.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

impl Fleet {
    pub(super) fn greet(&self, name: AgentName, generation: u64) {
        let fleet = self.clone();
        self.0.tasks.spawn(async move {
            let Some(mut client) = fleet.client(&name) else {
                return;
            };
            let asked = fleet
                .0
                .seams
                .clock
                .timeout(PATIENCE, client.get_agent(GetAgentRequest {}));
            match asked.await {
                Some(Ok(answer)) => fleet.take_answer(&name, generation, answer.into_inner()).await,
                Some(Err(status)) => {
                    tracing::warn!(agent = %name, status = status.message(), "the agent does not say who it is");
                }
                None => tracing::warn!(agent = %name, "the agent does not say who it is within {PATIENCE:?}"),
            }
        });
    }

    async fn take_answer(&self, name: &AgentName, generation: u64, answer: GetAgentResponse) {
        let facts = AgentFacts {
            account: answer.account,
            version: answer.version,
            regions: answer.regions.into_iter().map(|region| region.region).collect(),
        };
        let told = facts.clone();
        let mut since = None;
        self.update(name, |agent| {
            if let Link::Up {
                since: up_since,
                generation: current,
                incarnation,
            } = &mut agent.link
                && *current == generation
            {
                *incarnation = Some(answer.incarnation);
                since = Some(*up_since);
            }
            agent.row.account = told.account;
            agent.row.version = told.version;
            agent.row.regions = told.regions;
            true
        });
        let Some(since) = since else {
            return;
        };
        let noted: Result<(), StoreError> = async {
            let mut tx = self.0.store.begin().await?;
            tx.note_agent_facts(name, &facts).await?;
            tx.note_agent_link(name, true, since, "").await?;
            self.0.store.commit(tx, CommitPoint::AgentSeen).await
        }
        .await;
        if let Err(error) = noted {
            tracing::error!(agent = %name, error = ?error, "could not store what the agent said");
        }
    }
}

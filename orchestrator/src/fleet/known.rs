//! What is known of one agent.

use jiff::Timestamp;

use crate::{
    domain::plan::Connectivity,
    engine::{AgentState, AgentView},
    store::AgentRow,
};

/// What the store has of an agent, and its link.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub row: AgentRow,
    pub link: Link,
}

#[derive(Clone, Debug)]
pub(super) enum Link {
    Up {
        since: Timestamp,
        generation: u64,
        /// Known after the agent's first answer.
        incarnation: Option<String>,
    },
    Down {
        since: Timestamp,
        reason: String,
    },
}

impl Known {
    pub fn generation(&self) -> Option<u64> {
        match self.link {
            Link::Up { generation, .. } => Some(generation),
            Link::Down { .. } => None,
        }
    }

    pub fn connectivity(&self, in_vain: Option<String>) -> Connectivity {
        match &self.link {
            Link::Up { since, .. } => Connectivity::Connected { since: *since },
            Link::Down { .. } if self.row.joined_at.is_none() => Connectivity::NeverJoined,
            Link::Down { since, reason } => Connectivity::Offline {
                since: *since,
                reason: in_vain.unwrap_or_else(|| reason.clone()),
            },
        }
    }

    pub fn view(&self, in_vain: Option<String>) -> AgentView {
        let (state, since, reason) = match &self.link {
            Link::Up { since, .. } => (AgentState::Connected, *since, String::new()),
            Link::Down { since, .. } if self.row.joined_at.is_none() => {
                (AgentState::Invited, *since, String::new())
            }
            Link::Down { since, reason } => (
                AgentState::Offline,
                *since,
                in_vain.unwrap_or_else(|| reason.clone()),
            ),
        };
        AgentView {
            name: self.row.name.to_string(),
            mode: self.row.mode,
            address: self.row.address.clone(),
            state,
            since,
            account: self.row.account.clone(),
            version: self.row.version.clone(),
            regions: self.row.regions.clone(),
            reason,
        }
    }
}

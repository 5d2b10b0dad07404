//! The orchestrator's links: of each agent the newest one.

use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    channel::LinkChannel,
    credentials::Credentials,
    identity::AgentName,
    io::{EndReason, LinkStream, LinkTiming},
    seams::Seams,
};

/// A link came or went.
#[derive(Clone, Debug)]
pub struct LinkChange {
    pub agent: AgentName,
    pub at: Timestamp,
    pub state: LinkState,
}

/// Whether an agent can be called. A generation that is lower than one seen
/// before is old news.
#[derive(Clone, Debug)]
pub enum LinkState {
    Up { generation: u64 },
    Down { generation: u64, reason: EndReason },
}

/// The newest link of each agent. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    changes: broadcast::Sender<LinkChange>,
}

impl Links {
    pub fn new(seams: Seams, timing: LinkTiming) -> Self {
        let _ = (seams, timing);
        Self {
            changes: broadcast::channel(1024).0,
        }
    }

    /// Takes a finished connection of an agent. An older link of the same agent
    /// ends, with all its streams.
    pub async fn add(&self, agent: AgentName, stream: LinkStream) -> Result<LinkChannel, Status> {
        let _ = (agent, stream);
        Err(Status::unavailable("not connected"))
    }

    /// The agent's link; `None` while it has none.
    pub fn get(&self, agent: &AgentName) -> Option<LinkChannel> {
        let _ = agent;
        None
    }

    /// Every link that is up, by name.
    pub fn all(&self) -> Vec<(AgentName, LinkChannel)> {
        Vec::new()
    }

    /// Changes from now on. Who lags behind reads [`Links::all`] again.
    pub fn subscribe(&self) -> broadcast::Receiver<LinkChange> {
        self.changes.subscribe()
    }

    /// Ends the agent's link; false when it has none.
    pub fn kill(&self, agent: &AgentName, reason: &str) -> bool {
        let _ = (agent, reason);
        false
    }

    /// Ends every link and waits for their tasks.
    pub async fn shut_down(&self, reason: &str) {
        let _ = reason;
    }
}

/// Keeps a link to one listening agent.
pub struct ListeningDialer {
    pub seams: Seams,
    pub credentials: Credentials,
    pub agent: AgentName,
    /// The agent's `host:port`.
    pub address: String,
    pub proxy: Option<String>,
    pub links: Links,
}

impl ListeningDialer {
    /// Dials again and again until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let _ = stop;
    }
}

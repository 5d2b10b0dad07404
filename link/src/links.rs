//! The orchestrator's links: of each agent the newest one. A link is replaced
//! by a newer one of the same agent, because the newer one can arrive before
//! the older is known to be dead.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;

use crate::{
    channel::LinkChannel,
    credentials::Credentials,
    dial::{Destination, Protocol, Retry, dial},
    identity::{AgentName, Identity},
    io::{EndReason, LinkEnd, LinkStream, LinkTiming},
    seams::Seams,
};

/// A link came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    pub agent: AgentName,
    pub at: Timestamp,
    pub state: LinkState,
}

/// Whether an agent can be called. The changes of one agent come in the order
/// of their generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    Up { generation: u64 },
    Down { generation: u64, reason: EndReason },
}

/// A listening agent was dialled in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    pub at: Timestamp,
    pub error: String,
}

/// The newest link of each agent. Cheap to clone.
#[derive(Clone)]
pub struct Links(Arc<Shared>);

struct Shared {
    seams: Seams,
    timing: LinkTiming,
    tasks: TaskTracker,
    newest: Mutex<Newest>,
    changes: broadcast::Sender<LinkChange>,
}

#[derive(Default)]
struct Newest {
    generation: u64,
    links: HashMap<AgentName, Link>,
    unreachable: HashMap<AgentName, Unreachable>,
}

#[derive(Clone)]
struct Link {
    generation: u64,
    channel: LinkChannel,
}

/// Changes that a subscriber may lag behind.
const BACKLOG: usize = 4096;

impl Links {
    pub fn new(seams: Seams, timing: LinkTiming) -> Self {
        Self(Arc::new(Shared {
            seams,
            timing,
            tasks: TaskTracker::new(),
            newest: Mutex::default(),
            changes: broadcast::channel(BACKLOG).0,
        }))
    }

    /// Takes a finished connection of an agent. An older link of the same agent
    /// ends, with all its streams.
    pub async fn add(&self, agent: AgentName, stream: LinkStream) -> Result<LinkChannel, Status> {
        let channel = LinkChannel::open(stream, self.0.timing, &self.0.tasks).await?;
        let generation = self.put(&agent, &channel);
        tracing::info!(%agent, generation, remote = %channel.peer().remote, "link up");
        let (links, watched) = (self.clone(), channel.clone());
        self.0.tasks.spawn(async move {
            let end = links.end_of(&watched).await;
            links.take(&agent, generation, end);
        });
        Ok(channel)
    }

    /// A link ends with its certificate at the latest.
    async fn end_of(&self, channel: &LinkChannel) -> LinkEnd {
        let expiry = async {
            match channel.peer().certificate_expires {
                Some(at) => self.0.seams.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            end = channel.closed() => return end,
            () = expiry => channel.kill("the agent's certificate has expired"),
        }
        channel.closed().await
    }

    fn put(&self, agent: &AgentName, channel: &LinkChannel) -> u64 {
        let mut newest = self.newest();
        newest.generation += 1;
        let link = Link {
            generation: newest.generation,
            channel: channel.clone(),
        };
        let generation = link.generation;
        newest.unreachable.remove(agent);
        if let Some(older) = newest.links.insert(agent.clone(), link) {
            older.channel.handle().finish(EndReason::Replaced);
            self.announce_end(agent, &older);
        }
        self.announce(agent, LinkState::Up { generation });
        generation
    }

    /// Forgets a link that ended, unless a newer one took its place.
    fn take(&self, agent: &AgentName, generation: u64, end: LinkEnd) {
        let mut newest = self.newest();
        if newest
            .links
            .get(agent)
            .is_some_and(|link| link.generation == generation)
        {
            newest.links.remove(agent);
            let reason = end.reason;
            self.announce(agent, LinkState::Down { generation, reason });
        }
    }

    /// The agent's link; `None` while it has none.
    pub fn get(&self, agent: &AgentName) -> Option<LinkChannel> {
        let newest = self.newest();
        let channel = &newest.links.get(agent)?.channel;
        (!channel.handle().is_ended()).then(|| channel.clone())
    }

    /// Why the agent has no link, when the last try to dial it failed.
    pub fn unreachable(&self, agent: &AgentName) -> Option<Unreachable> {
        self.newest().unreachable.get(agent).cloned()
    }

    /// Every link that is up, by name.
    pub fn all(&self) -> Vec<(AgentName, LinkChannel)> {
        let newest = self.newest();
        let mut all: Vec<_> = newest
            .links
            .iter()
            .map(|(agent, link)| (agent.clone(), link.channel.clone()))
            .collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// Changes from now on. Who lags behind reads [`Links::all`] again.
    pub fn subscribe(&self) -> broadcast::Receiver<LinkChange> {
        self.0.changes.subscribe()
    }

    /// Ends the agent's link; false when it has none.
    pub fn kill(&self, agent: &AgentName, reason: &str) -> bool {
        match self.get(agent) {
            Some(channel) => {
                channel.kill(reason);
                true
            }
            None => false,
        }
    }

    /// Ends every link and waits for their tasks. Stop what adds links before.
    pub async fn shut_down(&self, reason: &str) {
        for (_, channel) in self.all() {
            channel.close(reason);
        }
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn dialled_in_vain(&self, agent: &AgentName, error: String) {
        let at = self.0.seams.clock.now();
        let failure = Unreachable { at, error };
        self.newest().unreachable.insert(agent.clone(), failure);
    }

    fn announce_end(&self, agent: &AgentName, link: &Link) {
        if let Some(end) = link.channel.handle().end() {
            let (generation, reason) = (link.generation, end.reason);
            self.announce(agent, LinkState::Down { generation, reason });
        }
    }

    fn announce(&self, agent: &AgentName, state: LinkState) {
        // Nobody has to listen.
        let _ = self.0.changes.send(LinkChange {
            agent: agent.clone(),
            at: self.0.seams.clock.now(),
            state,
        });
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.0.newest.lock().unwrap_or_else(PoisonError::into_inner)
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
        let destination = Destination {
            address: self.address.clone(),
            protocol: Protocol::Api,
            expected: Identity::Agent(self.agent.clone()),
            proxy: self.proxy.clone(),
        };
        let mut retry = Retry::new(&self.seams);
        loop {
            let Some(linked) = stop.run_until_cancelled(self.link(&destination)).await else {
                return;
            };
            match linked {
                Ok(channel) => {
                    let Some(end) = stop.run_until_cancelled(channel.closed()).await else {
                        channel.close("the orchestrator stops dialling");
                        return;
                    };
                    retry.ended(channel.handle(), &end);
                }
                Err(error) => {
                    tracing::warn!(agent = %self.agent, address = %self.address, error, "no link");
                    self.links.dialled_in_vain(&self.agent, error);
                }
            }
            if retry.wait(&stop).await.is_none() {
                return;
            }
        }
    }

    async fn link(&self, destination: &Destination) -> Result<LinkChannel, String> {
        let stream = dial(&self.seams, &self.credentials, destination)
            .await
            .map_err(|error| error.to_string())?;
        self.links
            .add(self.agent.clone(), stream)
            .await
            .map_err(|status| status.message().to_owned())
    }
}

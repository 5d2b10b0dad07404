//! The agents as the orchestrator reaches them: links that polling agents
//! opened, and links that it keeps to listening ones. Start with [`Fleet`].
//! Which agents exist is the store's word; whether one can be called, and since
//! when it cannot, is known here, and every change of that wakes who waits.

mod greeting;
mod known;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};
use tokio_util::sync::CancellationToken;
use towline_link::{
    channel::LinkChannel,
    credentials::Credentials,
    identity::AgentName,
    io::{LinkStream, LinkTiming},
    links::{LinkChange, LinkState, Links, ListeningDialer},
    seams::Seams,
};
use towline_proto::agent::v1::agent_service_client::AgentServiceClient;

use known::{Known, Link};

use crate::{
    domain::plan::Connectivity,
    engine::{AgentMode, AgentView},
    store::{AgentRow, CommitPoint, Store, StoreError},
    tasks::Tasks,
};

/// All links to agents. A handle: clones share the links.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

struct Inner {
    links: Links,
    store: Store,
    seams: Seams,
    credentials: Arc<Credentials>,
    known: Mutex<BTreeMap<AgentName, Known>>,
    dialled: Mutex<HashMap<AgentName, Dialled>>,
    /// Listened to from the start, so that no change is missed before `run`.
    link_changes: Mutex<Option<Receiver<LinkChange>>>,
    changed: watch::Sender<u64>,
    tasks: Tasks,
    stop: CancellationToken,
}

struct Dialled {
    address: String,
    stop: CancellationToken,
}

impl Fleet {
    /// The fleet as the store has it; nobody is connected yet.
    pub async fn open(
        store: Store,
        seams: Seams,
        credentials: Arc<Credentials>,
        timing: LinkTiming,
    ) -> Result<Self, StoreError> {
        let started = seams.clock.now();
        let known = store.agents().await?.into_iter().map(|row| {
            let link = match row.connected {
                true => Link::Down {
                    since: started,
                    reason: "the orchestrator was started anew".to_owned(),
                },
                false => Link::Down {
                    since: row.since,
                    reason: row.reason.clone(),
                },
            };
            (row.name.clone(), Known { row, link })
        });
        let links = Links::new(seams.clone(), timing);
        Ok(Self(Arc::new(Inner {
            link_changes: Mutex::new(Some(links.subscribe())),
            links,
            known: Mutex::new(known.collect()),
            dialled: Mutex::default(),
            changed: watch::Sender::new(0),
            tasks: Tasks::new(),
            stop: CancellationToken::new(),
            store,
            seams,
            credentials,
        })))
    }

    /// Takes a link that the polling agent `name` opened.
    pub fn accept_link(&self, stream: LinkStream, name: AgentName) {
        if !lock(&self.0.known).contains_key(&name) {
            tracing::warn!(agent = %name, "refused a link: no agent of this name was invited");
            stream.handle().kill("no agent of this name was invited");
            return;
        }
        let links = self.0.links.clone();
        self.0.tasks.spawn(async move {
            if let Err(status) = links.add(name.clone(), stream).await {
                tracing::warn!(agent = %name, status = status.message(), "a link did not come up");
            }
        });
    }

    /// A client of the agent; `None` while it has no link.
    pub fn client(&self, name: &AgentName) -> Option<AgentServiceClient<LinkChannel>> {
        self.0.links.get(name).map(AgentServiceClient::new)
    }

    /// The incarnation behind the agent's link. A new link's agent is about to
    /// say it ([`greeting`]), and is waited for; `None` when the link is lost or
    /// the agent does not say it.
    pub async fn incarnation(&self, name: &AgentName) -> Option<String> {
        let mut changes = self.changes();
        let said = async {
            loop {
                if let Some(said) = self.said_incarnation(name) {
                    return Some(said);
                }
                self.0.links.get(name)?;
                changes.changed().await.ok()?;
            }
        };
        self.0.seams.clock.timeout(greeting::PATIENCE, said).await?
    }

    fn said_incarnation(&self, name: &AgentName) -> Option<String> {
        match &lock(&self.0.known).get(name)?.link {
            Link::Up { incarnation, .. } => incarnation.clone(),
            Link::Down { .. } => None,
        }
    }

    /// Whether each agent can be called, as the domain wants to know it.
    pub fn connectivity(&self) -> BTreeMap<crate::domain::name::AgentName, Connectivity> {
        let known = lock(&self.0.known);
        known
            .iter()
            .filter_map(|(name, agent)| {
                let connectivity = agent.connectivity(self.dialled_in_vain(name));
                Some((name.as_str().parse().ok()?, connectivity))
            })
            .collect()
    }

    /// All agents, by name.
    pub fn views(&self) -> Vec<AgentView> {
        let known = lock(&self.0.known);
        known
            .iter()
            .map(|(name, agent)| agent.view(self.dialled_in_vain(name)))
            .collect()
    }

    /// Why a listening agent cannot be reached, as the last try found it.
    fn dialled_in_vain(&self, name: &AgentName) -> Option<String> {
        self.0.links.unreachable(name).map(|tried| tried.error)
    }

    /// Changes whenever an agent comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// An agent was invited, or joined: what the store has of it now.
    pub fn put(&self, row: AgentRow) {
        let name = row.name.clone();
        {
            let mut known = lock(&self.0.known);
            match known.get_mut(&name) {
                Some(agent) => agent.row = row,
                None => {
                    let link = Link::Down {
                        since: row.since,
                        reason: String::new(),
                    };
                    known.insert(name.clone(), Known { row, link });
                }
            }
        }
        self.dial_those_who_listen();
        self.announce();
    }

    /// Follows the links until `stop`, then ends them.
    pub async fn run(&self, stop: CancellationToken) {
        let Some(mut changes) = lock(&self.0.link_changes).take() else {
            tracing::error!("the fleet is run already");
            return;
        };
        self.dial_those_who_listen();
        loop {
            let change = tokio::select! {
                () = stop.cancelled() => break,
                change = changes.recv() => change,
            };
            match change {
                Ok(change) => self.take_change(change),
                Err(RecvError::Lagged(_)) => self.look_again(),
                Err(RecvError::Closed) => break,
            }
        }
        self.0.stop.cancel();
        self.0.links.shut_down("the orchestrator stops").await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn take_change(&self, change: LinkChange) {
        let LinkChange {
            agent: name,
            at,
            state,
        } = change;
        match state {
            LinkState::Up { generation } => {
                let taken = self.update(&name, |agent| {
                    let newer = agent.generation().is_none_or(|known| known < generation);
                    if newer {
                        agent.link = Link::Up {
                            since: at,
                            generation,
                            incarnation: None,
                        };
                    }
                    newer
                });
                if taken {
                    tracing::debug!(agent = %name, generation, "connected");
                    self.greet(name, generation);
                }
            }
            LinkState::Down { generation, reason } => {
                let reason = reason.to_string();
                let taken = self.update(&name, |agent| {
                    let current = agent.generation().is_some_and(|known| known <= generation);
                    if current {
                        agent.link = Link::Down {
                            since: at,
                            reason: reason.clone(),
                        };
                    }
                    current
                });
                if taken {
                    tracing::debug!(agent = %name, generation, reason, "offline");
                    self.note_offline(name, at, reason);
                }
            }
        }
    }

    /// Some changes were missed: what is up now is what counts.
    fn look_again(&self) {
        let at = self.0.seams.clock.now();
        let up: BTreeMap<_, _> = self.0.links.all().into_iter().collect();
        let names: Vec<_> = lock(&self.0.known).keys().cloned().collect();
        for name in names {
            let is_up = up.contains_key(&name);
            self.update(&name, |agent| match (&agent.link, is_up) {
                (Link::Up { .. }, false) => {
                    agent.link = Link::Down {
                        since: at,
                        reason: "the link was lost".to_owned(),
                    };
                    true
                }
                (Link::Down { .. }, true) => {
                    agent.link = Link::Up {
                        since: at,
                        // Any change that still comes is newer.
                        generation: 0,
                        incarnation: None,
                    };
                    true
                }
                _ => false,
            });
        }
    }

    fn update(&self, name: &AgentName, change: impl FnOnce(&mut Known) -> bool) -> bool {
        let changed = lock(&self.0.known).get_mut(name).is_some_and(change);
        if changed {
            self.announce();
        }
        changed
    }

    fn announce(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    fn note_offline(&self, name: AgentName, at: Timestamp, reason: String) {
        let fleet = self.clone();
        self.0.tasks.spawn(async move {
            let noted = async {
                let mut tx = fleet.0.store.begin().await?;
                tx.note_agent_link(&name, false, at, &reason).await?;
                fleet.0.store.commit(tx, CommitPoint::AgentSeen).await
            };
            if let Err(error) = noted.await {
                tracing::error!(agent = %name, error = ?error, "could not store that the agent went offline");
            }
        });
    }

    fn dial_those_who_listen(&self) {
        let wanted: Vec<(AgentName, String)> = lock(&self.0.known)
            .values()
            .filter(|agent| agent.row.joined_at.is_some() && agent.row.mode == AgentMode::Listening)
            .filter_map(|agent| Some((agent.row.name.clone(), agent.row.address.clone()?)))
            .collect();
        let mut dialled = lock(&self.0.dialled);
        dialled.retain(|name, dialled| {
            let keep = wanted.contains(&(name.clone(), dialled.address.clone()));
            if !keep {
                dialled.stop.cancel();
            }
            keep
        });
        for (name, address) in wanted {
            dialled
                .entry(name.clone())
                .or_insert_with(|| self.dial(name, address));
        }
    }

    fn dial(&self, agent: AgentName, address: String) -> Dialled {
        let stop = self.0.stop.child_token();
        let dialer = ListeningDialer {
            seams: self.0.seams.clone(),
            credentials: Credentials::clone(&self.0.credentials),
            agent,
            address: address.clone(),
            proxy: None,
            links: self.0.links.clone(),
        };
        self.0.tasks.spawn(dialer.run(stop.clone()));
        Dialled { address, stop }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

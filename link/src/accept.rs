//! Taking connections: one port, an accept loop with bounds, and the choice by
//! ClientHello of what a connection is for. A connection that comes out of here
//! has passed its handshake and the check of its role; all others are closed
//! with a TLS alert where TLS has one, counted, and logged with the reason.

mod hello;
mod incoming;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hello::Purpose;
use rustls::server::Acceptor as HelloReader;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::{LazyConfigAcceptor, TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use incoming::{Incoming, incoming};

use crate::{
    Serial,
    certificate::Leaf,
    counters::Counters,
    credentials::Credentials,
    identity::{AgentName, Identity},
    io::{LinkHandle, LinkStream, LinkTiming, Loss, PeerInfo, tune},
    seams::{Clock, Listener, Seams, Stream},
    tls::{self, Judge, Trust},
};

/// A connection that passed its handshake and the check of its role.
pub enum Accepted {
    /// A polling agent's link: speak HTTP/2 as the client on it.
    Link(LinkStream, AgentName),
    /// Enrolment: the peer has no identity yet.
    Join(LinkStream),
    /// The API: an operator (at the orchestrator), or the orchestrator or an
    /// operator (at a listening agent).
    Api(LinkStream, Identity),
    /// Web pages: the peer has no identity.
    Pages(LinkStream),
}

/// May refuse a peer whose certificate is good otherwise: true means revoked.
pub type Revoked = Arc<dyn Fn(&Identity, &Serial) -> bool + Send + Sync>;

/// The bounds of an acceptor.
#[derive(Clone)]
pub struct AcceptSettings {
    /// From the TCP connection to the end of the handshake.
    pub handshake_deadline: Duration,
    pub pending_handshakes: usize,
    /// Of peers with an identity.
    pub connections: usize,
    /// Connections without an identity: enrolment and pages. Counted apart, so
    /// that strangers cannot keep agents out.
    pub strangers: usize,
    /// For a listening agent: the silence after which the orchestrator is lost.
    pub timing: LinkTiming,
    pub revoked: Option<Revoked>,
}

impl Default for AcceptSettings {
    fn default() -> Self {
        Self {
            handshake_deadline: Duration::from_secs(10),
            pending_handshakes: 256,
            connections: 20_000,
            strangers: 512,
            timing: LinkTiming::default(),
            revoked: None,
        }
    }
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error(
        "{address} is in use by another program\nhint: stop that program, or listen on another port (`ss -ltnp` shows who has it)"
    )]
    InUse { address: String },
    #[error("cannot listen on {address}: {error}")]
    Listen { address: String, error: io::Error },
    #[error("{0} does not take connections\nhint: use the credentials of an orchestrator or an agent")]
    Identity(Identity),
}

/// A stranger who says nothing for a minute makes room for another.
const STRANGERS_TIMING: LinkTiming = LinkTiming {
    busy_check: STRANGERS_SILENCE,
    busy_limit: STRANGERS_SILENCE,
    idle_check: STRANGERS_SILENCE,
    idle_limit: STRANGERS_SILENCE,
};
const STRANGERS_SILENCE: Duration = Duration::from_secs(60);

/// Whose door it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Orchestrator,
    Agent,
}

/// Listens, and gives out connections. Whose credentials it has decides what it
/// takes: an orchestrator all four kinds, an agent [`Accepted::Api`] alone.
pub struct Acceptor {
    door: Arc<Door>,
    listener: Listener,
    address: SocketAddr,
}

/// What all handshakes share.
struct Door {
    clock: Clock,
    host: Host,
    credentials: Credentials,
    settings: AcceptSettings,
    counters: Counters,
    pending: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Acceptor {
    /// Listens on `address` (`host:port`).
    pub async fn bind(
        seams: &Seams,
        address: &str,
        credentials: &Credentials,
        settings: AcceptSettings,
        counters: Counters,
    ) -> Result<Self, AcceptError> {
        let host = match credentials.identity() {
            Identity::Orchestrator => Host::Orchestrator,
            Identity::Agent(_) => Host::Agent,
            Identity::Operator(_) => return Err(AcceptError::Identity(credentials.identity().clone())),
        };
        let refused = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => AcceptError::InUse {
                address: address.to_owned(),
            },
            _ => AcceptError::Listen {
                address: address.to_owned(),
                error,
            },
        };
        let listener = seams.network.listen(address).await.map_err(refused)?;
        let local = listener.local_addr().map_err(refused)?;
        Ok(Self {
            door: Arc::new(Door {
                clock: seams.clock,
                host,
                credentials: credentials.clone(),
                pending: Arc::new(Semaphore::new(settings.pending_handshakes)),
                connections: Arc::new(Semaphore::new(settings.connections)),
                strangers: Arc::new(Semaphore::new(settings.strangers)),
                settings,
                counters,
            }),
            listener,
            address: local,
        })
    }

    /// Where it listens; the real port when 0 was asked for.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The counters given to [`Acceptor::bind`].
    pub fn counters(&self) -> &Counters {
        &self.door.counters
    }

    /// Accepts until `stop`, or until nobody receives any more.
    pub async fn run(self, accepted: mpsc::Sender<Accepted>, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let accepting = async {
            while let Some(pending) = self.door.room().await {
                let (tcp, remote) = self.next().await;
                let (door, accepted) = (self.door.clone(), accepted.clone());
                let admit = async move {
                    if let Some(connection) = door.admit(tcp, remote).await {
                        drop(pending);
                        // Nobody receives any more only when all stops.
                        let _ = accepted.send(connection).await;
                    }
                };
                let stop = stop.clone();
                tasks.spawn(async move { stop.run_until_cancelled(admit).await });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop.cancelled() => {}
            () = accepted.closed() => {}
        }
        tasks.close();
        tasks.wait().await;
    }

    /// The next connection. When the system has none to give (EMFILE), trying
    /// again at once would only burn the processor.
    async fn next(&self) -> (Stream, SocketAddr) {
        let mut pause = Duration::from_millis(5);
        loop {
            match self.listener.accept().await {
                Ok(connection) => return connection,
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, pause_ms = pause.as_millis(), "cannot accept connections");
                    self.door.clock.sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Why a connection was closed before it was one.
struct Turned {
    identity: Option<Identity>,
    reason: String,
}

impl Turned {
    fn away(reason: impl Into<String>) -> Self {
        Self {
            identity: None,
            reason: reason.into(),
        }
    }
}

impl Door {
    /// Waits until one more handshake may be under way.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.pending.clone().acquire_owned().await.ok()
    }

    async fn admit(&self, tcp: Stream, remote: SocketAddr) -> Option<Accepted> {
        let handshake = self.handshake(tcp, remote);
        let outcome = match self
            .clock
            .timeout(self.settings.handshake_deadline, handshake)
            .await
        {
            Some(outcome) => outcome,
            None => Err(Turned::away("the handshake took too long")),
        };
        match outcome {
            Ok(connection) => {
                self.counters.accept();
                Some(connection)
            }
            Err(turned) => {
                self.counters.refuse();
                let identity = turned.identity.map(|identity| identity.to_string());
                tracing::warn!(%remote, identity, reason = turned.reason, "connection refused");
                None
            }
        }
    }

    async fn handshake(&self, tcp: Stream, remote: SocketAddr) -> Result<Accepted, Turned> {
        tune(&tcp).map_err(|error| Turned::away(error.to_string()))?;
        let start = LazyConfigAcceptor::new(HelloReader::default(), tcp)
            .await
            .map_err(|error| Turned::away(format!("no TLS: {error}")))?;
        let offered = start.client_hello().alpn().into_iter().flatten();
        let purpose = Purpose::of(self.host, offered)
            .ok_or_else(|| Turned::away("it offers no protocol (ALPN) that is spoken here"))?;
        let permit = self.place(purpose)?;
        let judge = purpose.rule(self.host).map(|rule| {
            let trust = Trust::Ca {
                roots: self.credentials.roots(),
                domain: self.credentials.trust_domain().clone(),
            };
            Judge::new(trust, rule, self.settings.revoked.clone())
        });
        let config = tls::server(self.clock, judge.as_ref(), &self.credentials, purpose.alpn())
            .map_err(|error| Turned::away(error.to_string()))?;
        let secured = start.into_stream(config).await;
        let leaf = judged(judge.as_deref())?;
        let secured = secured.map_err(|error| Turned {
            identity: leaf.as_ref().map(|leaf| leaf.identity.clone()),
            reason: error.to_string(),
        })?;
        let stream = self.stream(TlsStream::Server(secured), remote, purpose, leaf.as_ref());
        let identity = leaf.map(|leaf| leaf.identity);
        self.sort(purpose, identity, stream.holding(permit))
    }

    fn place(&self, purpose: Purpose) -> Result<OwnedSemaphorePermit, Turned> {
        let (places, most) = match purpose {
            Purpose::Link | Purpose::Api => (&self.connections, self.settings.connections),
            Purpose::Join | Purpose::Pages => (&self.strangers, self.settings.strangers),
        };
        places.clone().try_acquire_owned().map_err(|_| {
            Turned::away(format!(
                "{most} connections of its kind are open, the most that are allowed"
            ))
        })
    }

    fn stream(
        &self,
        secured: TlsStream<Stream>,
        remote: SocketAddr,
        purpose: Purpose,
        leaf: Option<&Leaf>,
    ) -> LinkStream {
        let from_orchestrator = leaf.is_some_and(|leaf| leaf.identity == Identity::Orchestrator);
        let loss = match purpose {
            Purpose::Link => Loss::Matters,
            Purpose::Api if from_orchestrator => Loss::Matters,
            Purpose::Api | Purpose::Join | Purpose::Pages => Loss::IsNormal,
        };
        let label = match leaf {
            Some(leaf) => leaf.identity.to_string(),
            None => remote.to_string(),
        };
        let peer = PeerInfo {
            identity: leaf.map(|leaf| leaf.identity.clone()),
            remote,
            certificate_expires: leaf.map(|leaf| leaf.not_after),
            certificate_serial: leaf.map(|leaf| leaf.serial.clone()),
            link: LinkHandle::new(self.clock, label, loss),
        };
        let stream = LinkStream::tls(secured, peer);
        match purpose {
            // The orchestrator tries its links; operators do not.
            Purpose::Api if from_orchestrator => stream.watched(self.settings.timing),
            Purpose::Api | Purpose::Link => stream,
            Purpose::Join | Purpose::Pages => stream.watched(STRANGERS_TIMING),
        }
    }

    fn sort(
        &self,
        purpose: Purpose,
        identity: Option<Identity>,
        stream: LinkStream,
    ) -> Result<Accepted, Turned> {
        match (purpose, identity) {
            (Purpose::Link, Some(Identity::Agent(name))) => Ok(Accepted::Link(stream, name)),
            (Purpose::Api, Some(identity)) => Ok(Accepted::Api(stream, identity)),
            (Purpose::Join, None) => Ok(Accepted::Join(stream)),
            (Purpose::Pages, None) => Ok(Accepted::Pages(stream)),
            (Purpose::Link | Purpose::Api | Purpose::Join | Purpose::Pages, identity) => Err(Turned {
                identity,
                reason: "its certificate does not fit what it asks for".to_owned(),
            }),
        }
    }
}

/// The peer's certificate, where one was asked for and found good.
fn judged(judge: Option<&Judge>) -> Result<Option<Leaf>, Turned> {
    match judge.and_then(Judge::verdict) {
        None => Ok(None),
        Some(Ok(leaf)) => Ok(Some(leaf)),
        Some(Err(refusal)) => Err(Turned {
            identity: refusal.claimed,
            reason: refusal.reason,
        }),
    }
}

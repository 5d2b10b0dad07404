//! Taking connections: one port, an accept loop with bounds, and the choice by
//! ClientHello of what a connection is for.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    Serial,
    counters::Counters,
    credentials::Credentials,
    identity::{AgentName, Identity},
    io::{LinkStream, LinkTiming},
    seams::Seams,
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
    pub connections: usize,
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
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// Listens, and gives out connections. Whose credentials it has decides what it
/// takes: an orchestrator all four kinds, an agent [`Accepted::Api`] alone.
pub struct Acceptor {
    counters: Counters,
    address: SocketAddr,
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
        let _ = (seams, settings, counters, credentials);
        Err(AcceptError::Tls(address.to_owned()))
    }

    /// Where it listens; the real port when 0 was asked for.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The counters given to [`Acceptor::bind`].
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Accepts until `stop`, or until nobody receives any more.
    pub async fn run(self, accepted: mpsc::Sender<Accepted>, stop: CancellationToken) {
        let _ = (accepted, stop);
    }
}

/// Finished connections for tonic's `serve_with_incoming`: a dialer and an
/// acceptor push into the sender.
pub fn incoming(capacity: usize) -> (mpsc::Sender<LinkStream>, Incoming) {
    let (sender, receiver) = mpsc::channel(capacity);
    (sender, Incoming(receiver))
}

/// The stream that tonic serves from. Ends when every sender is gone.
pub struct Incoming(mpsc::Receiver<LinkStream>);

impl tokio_stream::Stream for Incoming {
    type Item = io::Result<LinkStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|stream| stream.map(Ok))
    }
}

//! Opening connections: one ([`dial`]), or an agent's link that is kept up for
//! ever ([`PollingDialer`]).

use std::io;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    credentials::Credentials,
    identity::Identity,
    io::{LinkStream, LinkTiming},
    seams::Seams,
};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A polling agent's link, ALPN `towline-link/1`.
    Link,
    /// Enrolment, ALPN `towline-join/1`.
    Join,
    /// gRPC called by the dialler, ALPN `h2`.
    Api,
}

/// Why a connection was not made.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("cannot reach {address}: {error}")]
    Unreachable { address: String, error: io::Error },
    #[error("the proxy {proxy} did not connect to {address}: {reason}")]
    Proxy {
        proxy: String,
        address: String,
        reason: String,
    },
    #[error("{address} is not to be trusted: {reason}")]
    Untrusted { address: String, reason: String },
    #[error("{address} did not finish the handshake: {reason}")]
    Handshake { address: String, reason: String },
    #[error("cannot use the credentials: {0}")]
    Credentials(String),
}

/// Where to connect to, and who must be there.
#[derive(Clone, Debug)]
pub struct Destination {
    /// `host:port`.
    pub address: String,
    pub protocol: Protocol,
    pub expected: Identity,
    /// `http://[user:password@]host:port` of an HTTP CONNECT proxy.
    pub proxy: Option<String>,
}

/// Makes one connection by mutual TLS. Note that with TLS 1.3 it succeeds
/// before the other end has judged our certificate.
pub async fn dial(
    seams: &Seams,
    credentials: &Credentials,
    destination: &Destination,
) -> Result<LinkStream, DialError> {
    let _ = (seams, credentials);
    Err(DialError::Handshake {
        address: destination.address.clone(),
        reason: "not tried".to_owned(),
    })
}

/// Keeps a polling agent's link to one orchestrator. Each connection goes, when
/// it is made, into `streams`, from where the agent's server serves it.
pub struct PollingDialer {
    pub seams: Seams,
    pub credentials: Credentials,
    /// The orchestrator's `host:port`.
    pub address: String,
    pub proxy: Option<String>,
    pub timing: LinkTiming,
    pub streams: mpsc::Sender<LinkStream>,
}

impl PollingDialer {
    /// Dials again and again until `stop`, or until nobody takes the streams.
    pub async fn run(self, stop: CancellationToken) {
        let _ = stop;
    }
}

//! Opening connections: one ([`dial`]), or an agent's link that is kept up for
//! ever ([`PollingDialer`]).

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls_pki_types::ServerName;
use tokio::sync::mpsc;
use tokio_rustls::{TlsConnector, TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{
    Fingerprint,
    backoff::Backoff,
    credentials::Credentials,
    identity::Identity,
    io::{LinkEnd, LinkHandle, LinkStream, LinkTiming, Loss, PeerInfo, tune},
    proxy,
    seams::{Clock, Seams, Stream},
    tls::{self, Judge, Rule, Trust},
};

/// From the first packet to the end of the handshake.
const DEADLINE: Duration = Duration::from_secs(10);

/// A link that was let in and lived this long is dialled again at once. A shorter
/// life may be two agents of one name, who throw each other out.
const STEADY: Duration = Duration::from_secs(1);

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

impl Protocol {
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Link => tls::ALPN_LINK,
            Self::Join => tls::ALPN_JOIN,
            Self::Api => tls::ALPN_H2,
        }
    }
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
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Where to connect to, and who must be there.
#[derive(Clone, Debug)]
pub struct Destination {
    /// `host:port`.
    pub address: String,
    pub protocol: Protocol,
    pub expected: Identity,
    /// `http://[user:password@]host[:port]` of an HTTP CONNECT proxy.
    pub proxy: Option<String>,
}

/// Makes one connection by mutual TLS. Note that with TLS 1.3 it succeeds
/// before the other end has judged our certificate.
pub async fn dial(
    seams: &Seams,
    credentials: &Credentials,
    destination: &Destination,
) -> Result<LinkStream, DialError> {
    let trust = Trust::Ca {
        roots: credentials.roots(),
        domain: credentials.trust_domain().clone(),
    };
    let judge = Judge::new(trust, Rule::Only(destination.expected.clone()), None);
    within_deadline(seams.clock, seams, Some(credentials), destination, judge).await
}

/// Connects for enrolment: without a certificate, to an orchestrator of the CA
/// with this fingerprint.
pub(crate) async fn dial_to_join(
    seams: &Seams,
    address: &str,
    ca: Fingerprint,
    proxy: Option<&str>,
) -> Result<LinkStream, DialError> {
    let judge = Judge::new(Trust::Pinned(ca), Rule::Only(Identity::Orchestrator), None);
    let destination = Destination {
        address: address.to_owned(),
        protocol: Protocol::Join,
        expected: Identity::Orchestrator,
        proxy: proxy.map(str::to_owned),
    };
    within_deadline(seams.clock, seams, None, &destination, judge).await
}

async fn within_deadline(
    clock: Clock,
    seams: &Seams,
    credentials: Option<&Credentials>,
    destination: &Destination,
    judge: Arc<Judge>,
) -> Result<LinkStream, DialError> {
    let connecting = connect(seams, credentials, destination, judge);
    match clock.timeout(DEADLINE, connecting).await {
        Some(result) => result,
        None => Err(DialError::Handshake {
            address: destination.address.clone(),
            reason: format!("it took longer than {} s", DEADLINE.as_secs()),
        }),
    }
}

async fn connect(
    seams: &Seams,
    credentials: Option<&Credentials>,
    destination: &Destination,
    judge: Arc<Judge>,
) -> Result<LinkStream, DialError> {
    let address = &destination.address;
    let alpn = destination.protocol.alpn();
    let config = tls::client(seams.clock, &judge, credentials, alpn)?;
    let tcp = reach(seams, destination).await?;
    let remote = tcp
        .peer_addr()
        .unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let secured = TlsConnector::from(config)
        .connect(server_name(address), tcp)
        .await;
    let leaf = match judge.verdict() {
        Some(Err(refusal)) => {
            return Err(DialError::Untrusted {
                address: address.clone(),
                reason: refusal.reason,
            });
        }
        Some(Ok(leaf)) => Some(leaf),
        None => None,
    };
    let handshake = |reason: String| DialError::Handshake {
        address: address.clone(),
        reason,
    };
    let secured = secured.map_err(|error| handshake(error.to_string()))?;
    let leaf = leaf.ok_or_else(|| handshake("it showed no certificate".to_owned()))?;
    if secured.get_ref().1.alpn_protocol() != Some(alpn) {
        return Err(handshake(format!(
            "it does not speak {}",
            String::from_utf8_lossy(alpn)
        )));
    }
    // An operator's own connection ends when the command does.
    let loss = match (destination.protocol, &leaf.identity) {
        (Protocol::Link, _) | (Protocol::Api, Identity::Agent(_)) => Loss::Matters,
        (Protocol::Api | Protocol::Join, _) => Loss::IsNormal,
    };
    let peer = PeerInfo {
        remote,
        link: LinkHandle::new(seams.clock, leaf.identity.to_string(), loss),
        certificate_expires: Some(leaf.not_after),
        certificate_serial: Some(leaf.serial),
        identity: Some(leaf.identity),
    };
    Ok(LinkStream::tls(TlsStream::Client(secured), peer))
}

async fn reach(seams: &Seams, destination: &Destination) -> Result<Stream, DialError> {
    let address = &destination.address;
    let unreachable = |error| DialError::Unreachable {
        address: address.clone(),
        error,
    };
    let stream = match &destination.proxy {
        None => seams.network.connect(address).await.map_err(unreachable)?,
        Some(url) => proxy::connect(&seams.network, url, address)
            .await
            .map_err(|reason| DialError::Proxy {
                proxy: proxy::without_password(url).to_owned(),
                address: address.clone(),
                reason,
            })?,
    };
    tune(&stream).map_err(unreachable)?;
    Ok(stream)
}

/// The name for SNI. It proves nothing, a load balancer may route by it.
fn server_name(address: &str) -> ServerName<'static> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).unwrap_or(ServerName::IpAddress(
        std::net::IpAddr::from(Ipv4Addr::UNSPECIFIED).into(),
    ))
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
        let destination = Destination {
            address: self.address.clone(),
            protocol: Protocol::Link,
            expected: Identity::Orchestrator,
            proxy: self.proxy.clone(),
        };
        let mut retry = Retry::new(&self.seams);
        while !self.streams.is_closed() {
            let dialling = dial(&self.seams, &self.credentials, &destination);
            let Some(dialled) = stop.run_until_cancelled(dialling).await else {
                return;
            };
            match dialled {
                Ok(stream) => {
                    let handle = stream.handle().clone();
                    tracing::info!(orchestrator = %self.address, "link made");
                    if self.streams.send(stream.watched(self.timing)).await.is_err() {
                        return;
                    }
                    let Some(end) = stop.run_until_cancelled(handle.ended()).await else {
                        handle.close("the agent stops");
                        return;
                    };
                    retry.ended(&handle, &end);
                }
                Err(error) => tracing::warn!(orchestrator = %self.address, %error, "no link"),
            }
            if retry.wait(&stop).await.is_none() {
                return;
            }
        }
    }
}

/// When to dial again.
pub(crate) struct Retry<'a> {
    seams: &'a Seams,
    backoff: Backoff,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(seams: &'a Seams) -> Self {
        Self {
            seams,
            backoff: Backoff::default(),
        }
    }

    /// A handshake alone proves nothing: with TLS 1.3 it is over before the
    /// acceptor has judged our certificate.
    pub(crate) fn ended(&mut self, handle: &LinkHandle, end: &LinkEnd) {
        if handle.received() > 0 && end.uptime >= STEADY {
            self.backoff.reset();
        }
    }

    /// `None` when `stop` came first.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) -> Option<()> {
        let pause = self.backoff.next(&self.seams.random);
        stop.run_until_cancelled(self.seams.clock.sleep(pause)).await
    }
}

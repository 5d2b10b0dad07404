//! TLS 1.3 over aws-lc-rs, and nothing else. A configuration is made for each
//! connection, around the one [`Judge`] who decides about that connection's
//! peer and remembers why. Sessions are never resumed: every connection is
//! judged anew, so that an expired or revoked certificate opens none.

mod judge;

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, client::Resumption,
    client::verify_server_cert_signed_by_trust_anchor, crypto::CryptoProvider,
    server::NoServerSessionStorage, server::ParsedCertificate, time_provider::TimeProvider, version::TLS13,
};
use rustls_pki_types::{CertificateDer, UnixTime};

pub(crate) use judge::{Judge, Rule, Trust};

use crate::{certificate::unix_time, credentials::Credentials, seams::Clock};

pub(crate) const ALPN_LINK: &[u8] = b"towline-link/1";
pub(crate) const ALPN_JOIN: &[u8] = b"towline-join/1";
pub(crate) const ALPN_H2: &[u8] = b"h2";
pub(crate) const ALPN_HTTP1: &[u8] = b"http/1.1";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Certificates are judged by the time of day that the rest of the program has.
#[derive(Debug)]
struct SeamTime(Clock);

impl TimeProvider for SeamTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

pub(crate) fn roots<'a>(
    certificates: impl IntoIterator<Item = CertificateDer<'a>>,
) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Whether a certificate that can serve was signed by one of `roots`.
pub(crate) fn check_chain(
    leaf: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let algorithms = provider().signature_verification_algorithms;
    let parsed = ParsedCertificate::try_from(leaf)?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, chain, now, algorithms.all)
}

/// For the end that dials. Without credentials no certificate is sent.
pub(crate) fn client(
    clock: Clock,
    judge: &Arc<Judge>,
    credentials: Option<&Credentials>,
    alpn: &[u8],
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_details(provider(), Arc::new(SeamTime(clock)))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(judge.clone());
    let mut config = match credentials {
        Some(credentials) => config.with_client_cert_resolver(credentials.key()),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// For the end that listens. Without a judge no client certificate is asked.
pub(crate) fn server(
    clock: Clock,
    judge: Option<&Arc<Judge>>,
    credentials: &Credentials,
    alpn: &[u8],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = ServerConfig::builder_with_details(provider(), Arc::new(SeamTime(clock)))
        .with_protocol_versions(&[&TLS13])?;
    let config = match judge {
        Some(judge) => config.with_client_cert_verifier(judge.clone()),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_cert_resolver(credentials.key());
    config.alpn_protocols = vec![alpn.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

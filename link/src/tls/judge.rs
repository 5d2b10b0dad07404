use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{check_chain, provider, roots};
use crate::{
    Fingerprint, Serial,
    certificate::Leaf,
    identity::{Identity, TrustDomain},
};

/// Which certificates can be true at all.
#[derive(Debug)]
pub(crate) enum Trust {
    /// Those of our own CA and trust domain.
    Ca {
        roots: Arc<RootCertStore>,
        domain: TrustDomain,
    },
    /// Those of the CA that a join token names. It comes with the peer's chain.
    Pinned(Fingerprint),
}

/// Which identities may be at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Only(Identity),
    AnyAgent,
    AnyOperator,
    OrchestratorOrOperator,
}

impl Rule {
    fn admits(&self, identity: &Identity) -> bool {
        match self {
            Self::Only(expected) => identity == expected,
            Self::AnyAgent => matches!(identity, Identity::Agent(_)),
            Self::AnyOperator => matches!(identity, Identity::Operator(_)),
            Self::OrchestratorOrOperator => !matches!(identity, Identity::Agent(_)),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only(identity) => write!(f, "{identity}"),
            Self::AnyAgent => f.write_str("an agent"),
            Self::AnyOperator => f.write_str("an operator"),
            Self::OrchestratorOrOperator => f.write_str("the orchestrator or an operator"),
        }
    }
}

/// Why a peer's certificate was refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// What the certificate says; proven only where the reason is the role.
    pub claimed: Option<Identity>,
    pub reason: String,
}

pub(crate) type RevokedCheck = Arc<dyn Fn(&Identity, &Serial) -> bool + Send + Sync>;

/// Decides about the peer of one connection.
pub(crate) struct Judge {
    trust: Trust,
    rule: Rule,
    revoked: Option<RevokedCheck>,
    provider: Arc<CryptoProvider>,
    verdict: Mutex<Option<Result<Leaf, Refusal>>>,
}

impl Judge {
    pub(crate) fn new(trust: Trust, rule: Rule, revoked: Option<RevokedCheck>) -> Arc<Self> {
        Arc::new(Self {
            trust,
            rule,
            revoked,
            provider: provider(),
            verdict: Mutex::new(None),
        })
    }

    /// What was decided; `None` when the peer showed no certificate.
    pub(crate) fn verdict(&self) -> Option<Result<Leaf, Refusal>> {
        self.verdict
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn judge(&self, certificate: &CertificateDer<'_>, chain: Result<(), Error>) -> Result<(), Error> {
        let leaf = Leaf::read(certificate);
        // Two CAs of one trust domain have one name: then the signature is what
        // is wrong, and to the peer that must not look like a broken channel.
        let chain = chain.map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::BadSignature) => {
                CertificateError::UnknownIssuer.into()
            }
            error => error,
        });
        let outcome = match (chain, leaf) {
            (Err(error), leaf) => Err((describe(&error, leaf.as_ref().ok()), leaf.ok(), error)),
            (Ok(()), Err(reason)) => Err((reason, None, CertificateError::BadEncoding.into())),
            (Ok(()), Ok(leaf)) => match self.refuse(&leaf) {
                None => Ok(leaf),
                Some((reason, error)) => Err((reason, Some(leaf), error.into())),
            },
        };
        let (verdict, result) = match outcome {
            Ok(leaf) => (Ok(leaf), Ok(())),
            Err((reason, leaf, error)) => {
                let claimed = leaf.map(|leaf| leaf.identity);
                (Err(Refusal { claimed, reason }), Err(error))
            }
        };
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        result
    }

    /// About a certificate that the right CA has signed.
    fn refuse(&self, leaf: &Leaf) -> Option<(String, CertificateError)> {
        if let Trust::Ca { domain, .. } = &self.trust
            && leaf.domain != *domain
        {
            let reason = format!("it belongs to the trust domain {}, not {domain}", leaf.domain);
            return Some((reason, CertificateError::ApplicationVerificationFailure));
        }
        if !self.rule.admits(&leaf.identity) {
            let reason = format!(
                "it is the certificate of {}, expected {}",
                leaf.identity, self.rule
            );
            return Some((reason, CertificateError::ApplicationVerificationFailure));
        }
        let revoked = self.revoked.as_ref()?;
        revoked(&leaf.identity, &leaf.serial)
            .then(|| (format!("{} is revoked", leaf.identity), CertificateError::Revoked))
    }
}

fn describe(error: &Error, leaf: Option<&Leaf>) -> String {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext, UnknownIssuer};
    match (error, leaf) {
        (Error::InvalidCertificate(Expired | ExpiredContext { .. }), Some(leaf)) => {
            format!("the certificate expired at {}", leaf.not_after)
        }
        (Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }), Some(leaf)) => {
            format!("the certificate is good only from {}", leaf.not_before)
        }
        (Error::InvalidCertificate(UnknownIssuer), _) => {
            "the certificate was signed by another CA".to_owned()
        }
        (error, _) => error.to_string(),
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge")
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Judge {
    /// The name that was dialled plays no part: the identity does.
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = match &self.trust {
            Trust::Ca { roots, .. } => check_chain(certificate, intermediates, roots, now),
            Trust::Pinned(fingerprint) => intermediates
                .iter()
                .find(|candidate| Fingerprint::of(candidate) == *fingerprint)
                .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))
                .and_then(|ca| roots([ca.clone()]))
                .and_then(|roots| check_chain(certificate, intermediates, &roots, now)),
        };
        self.judge(certificate, chain)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain = match &self.trust {
            Trust::Ca { roots, .. } => {
                WebPkiClientVerifier::builder_with_provider(roots.clone(), self.provider.clone())
                    .build()
                    .map_err(|error| Error::General(error.to_string()))?
                    .verify_client_cert(certificate, intermediates, now)
                    .map(|_| ())
            }
            // Only who dials knows its peer by a token.
            Trust::Pinned(_) => Err(CertificateError::UnknownIssuer.into()),
        };
        self.judge(certificate, chain)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

//! The installation's own certificate authority. It signs what the enrolment
//! allows and decides nothing: of a request only the public key is used.

use std::{path::Path, time::Duration};

use jiff::Timestamp;

use crate::{
    Fingerprint,
    identity::{Identity, TrustDomain},
};

/// How long a leaf certificate is good unless said otherwise: a year.
pub const LEAF_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);

/// A certificate authority with its private key.
pub struct Ca {
    domain: TrustDomain,
}

/// What went wrong with the CA or a request to it.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("the certificate request is not usable: {0}")]
    Request(String),
    #[error("the CA in {dir} cannot be used: {reason}\nhint: {hint}")]
    Stored {
        dir: String,
        reason: String,
        hint: String,
    },
    #[error("signing failed: {0}")]
    Signing(String),
}

impl Ca {
    /// A new CA, good for ten years from five minutes before `now`.
    pub fn create(domain: TrustDomain, now: Timestamp) -> Result<Self, CaError> {
        let _ = now;
        Ok(Self { domain })
    }

    /// Reads `ca-key.pem` and `ca.pem` in a directory.
    pub fn load(dir: &Path) -> Result<Self, CaError> {
        Err(CaError::Signing(format!("not read: {}", dir.display())))
    }

    /// Writes `ca-key.pem` (mode 0600) and `ca.pem`; replaces nothing.
    pub fn save(&self, dir: &Path) -> Result<(), CaError> {
        Err(CaError::Signing(format!("not written: {}", dir.display())))
    }

    /// Signs a leaf for the public key of `request_pem` (PKCS #10). Returns the
    /// chain in PEM: the leaf, then the CA.
    pub fn issue(
        &self,
        request_pem: &str,
        identity: &Identity,
        names: &[String],
        now: Timestamp,
        validity: Duration,
    ) -> Result<String, CaError> {
        let _ = (request_pem, identity, names, now, validity);
        Err(CaError::Signing("not signed".to_owned()))
    }

    /// The trust domain of everything that this CA signs.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The CA's certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        ""
    }

    /// SHA-256 of the CA's certificate in DER; what a join token carries.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(b"")
    }
}

/// A new private key and a request for a certificate of it, both in PEM.
pub struct CertificateRequest {
    pub key_pem: String,
    pub request_pem: String,
}

/// Makes a new key (ECDSA P-256) and a request for a certificate.
pub fn certificate_request() -> Result<CertificateRequest, CaError> {
    Err(CaError::Signing("no key".to_owned()))
}

//! What an identity holds to prove itself: private key, certificate chain, and
//! the CA that it trusts. Once loaded they fit together and are in date.

use std::path::Path;

use jiff::Timestamp;

use crate::identity::{Identity, TrustDomain};

/// A private key with its certificate and the CA's certificate.
#[derive(Clone)]
pub struct Credentials {
    identity: Identity,
    domain: TrustDomain,
    expires: Timestamp,
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("{file} is missing\nhint: {hint}")]
    Missing { file: String, hint: String },
    #[error("the certificate of {identity} in {place} expired at {at}\nhint: {hint}")]
    Expired {
        identity: Identity,
        place: String,
        at: Timestamp,
        hint: String,
    },
    #[error(
        "the certificate of {identity} in {place} is good only from {at}\nhint: check this machine's clock"
    )]
    NotYetValid {
        identity: Identity,
        place: String,
        at: Timestamp,
    },
    #[error("the certificate in {place} was not signed by the CA beside it\nhint: {hint}")]
    OtherCa { place: String, hint: String },
    #[error("the key in {place} does not belong to the certificate beside it\nhint: {hint}")]
    OtherKey { place: String, hint: String },
    #[error("{place} cannot be used: {reason}")]
    Unusable { place: String, reason: String },
}

impl Credentials {
    /// Reads `key.pem`, `cert.pem` and `ca.pem` in a directory and checks that
    /// they fit together and are good at `now`.
    pub fn load(dir: &Path, now: Timestamp) -> Result<Self, CredentialsError> {
        let _ = now;
        Err(CredentialsError::Missing {
            file: dir.join("cert.pem").display().to_string(),
            hint: "join first".to_owned(),
        })
    }

    /// The same from texts; `place` says in errors where they came from.
    pub fn from_pem(
        place: &str,
        key_pem: &str,
        chain_pem: &str,
        ca_pem: &str,
        now: Timestamp,
    ) -> Result<Self, CredentialsError> {
        let _ = (key_pem, chain_pem, ca_pem, now);
        Err(CredentialsError::Unusable {
            place: place.to_owned(),
            reason: "not read".to_owned(),
        })
    }

    /// Writes the three files; the key has mode 0600. Makes the directory.
    pub fn save(&self, dir: &Path) -> Result<(), CredentialsError> {
        Err(CredentialsError::Unusable {
            place: dir.display().to_string(),
            reason: "not written".to_owned(),
        })
    }

    /// Whose they are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The trust domain of the identity and of every peer.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// When the certificate stops being good.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

//! What an identity holds to prove itself: private key, certificate chain, and
//! the CA that it trusts. Once loaded they fit together and are in date.

use std::{fmt, fs, path::Path, sync::Arc};

use jiff::Timestamp;
use rustls::{
    CertificateError, RootCertStore,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::{
    Fingerprint,
    certificate::{Leaf, unix_time},
    files::{self, Readers},
    identity::{Identity, TrustDomain},
    tls,
};

const KEY_FILE: &str = "key.pem";
const CHAIN_FILE: &str = "cert.pem";
const CA_FILE: &str = "ca.pem";
const JOIN_AGAIN: &str = "join again with a new token (`towline agent invite` or `towline operator invite`); an orchestrator: `towline init`";

/// A private key with its certificate and the CA's certificate. Cheap to clone.
#[derive(Clone)]
pub struct Credentials(Arc<Parts>);

struct Parts {
    leaf: Leaf,
    key: Arc<SingleCertAndKey>,
    roots: Arc<RootCertStore>,
    ca: Fingerprint,
    key_pem: String,
    chain_pem: String,
    ca_pem: String,
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
        let read = |file: &str| {
            let path = dir.join(file);
            fs::read_to_string(&path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => CredentialsError::Missing {
                    file: path.display().to_string(),
                    hint: JOIN_AGAIN.to_owned(),
                },
                _ => unusable(&path.display().to_string(), error),
            })
        };
        Self::from_pem(
            &dir.display().to_string(),
            &read(KEY_FILE)?,
            &read(CHAIN_FILE)?,
            &read(CA_FILE)?,
            now,
        )
    }

    /// The same from texts; `place` says in errors where they came from.
    pub fn from_pem(
        place: &str,
        key_pem: &str,
        chain_pem: &str,
        ca_pem: &str,
        now: Timestamp,
    ) -> Result<Self, CredentialsError> {
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| unusable(place, format!("the key: {error:?}")))?;
        let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(place, format!("the certificate: {error:?}")))?;
        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .map_err(|error| unusable(place, format!("the CA: {error:?}")))?;
        let Some(own) = chain.first() else {
            return Err(unusable(place, "the certificate is empty"));
        };
        let leaf = Leaf::read(own).map_err(|reason| unusable(place, reason))?;
        check_dates(place, &leaf, now)?;
        let roots = tls::roots([ca.clone()]).map_err(|error| unusable(place, error))?;
        tls::check_chain(own, &chain, &roots, unix_time(now)).map_err(|error| match error {
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => CredentialsError::OtherCa {
                place: place.to_owned(),
                hint: JOIN_AGAIN.to_owned(),
            },
            error => unusable(place, error),
        })?;
        let key = CertifiedKey::from_der(chain, key, &tls::provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => CredentialsError::OtherKey {
                place: place.to_owned(),
                hint: JOIN_AGAIN.to_owned(),
            },
            error => unusable(place, error),
        })?;
        Ok(Self(Arc::new(Parts {
            leaf,
            key: Arc::new(key.into()),
            roots: Arc::new(roots),
            ca: Fingerprint::of(&ca),
            key_pem: key_pem.to_owned(),
            chain_pem: chain_pem.to_owned(),
            ca_pem: ca_pem.to_owned(),
        })))
    }

    /// Writes the three files; the key has mode 0600. Makes the directory.
    pub fn save(&self, dir: &Path) -> Result<(), CredentialsError> {
        let write = |file: &str, text: &str, readers| {
            let path = dir.join(file);
            files::replace(&path, text, readers).map_err(|error| unusable(&path.display().to_string(), error))
        };
        files::make_directory(dir).map_err(|error| unusable(&dir.display().to_string(), error))?;
        write(CA_FILE, &self.0.ca_pem, Readers::Everyone)?;
        write(CHAIN_FILE, &self.0.chain_pem, Readers::Everyone)?;
        write(KEY_FILE, &self.0.key_pem, Readers::Owner)
    }

    /// Whose they are.
    pub fn identity(&self) -> &Identity {
        &self.0.leaf.identity
    }

    /// The trust domain of the identity and of every peer.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.0.leaf.domain
    }

    /// When the certificate stops being good.
    pub fn expires(&self) -> Timestamp {
        self.0.leaf.not_after
    }

    /// Of the CA that is trusted.
    pub fn ca_fingerprint(&self) -> Fingerprint {
        self.0.ca
    }

    pub(crate) fn key(&self) -> Arc<SingleCertAndKey> {
        self.0.key.clone()
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        self.0.roots.clone()
    }
}

/// Never shows the key.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("identity", self.identity())
            .field("expires", &self.expires())
            .finish_non_exhaustive()
    }
}

fn check_dates(place: &str, leaf: &Leaf, now: Timestamp) -> Result<(), CredentialsError> {
    if now > leaf.not_after {
        return Err(CredentialsError::Expired {
            identity: leaf.identity.clone(),
            place: place.to_owned(),
            at: leaf.not_after,
            hint: JOIN_AGAIN.to_owned(),
        });
    }
    if now < leaf.not_before {
        return Err(CredentialsError::NotYetValid {
            identity: leaf.identity.clone(),
            place: place.to_owned(),
            at: leaf.not_before,
        });
    }
    Ok(())
}

fn unusable(place: &str, reason: impl ToString) -> CredentialsError {
    CredentialsError::Unusable {
        place: place.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ca::{Ca, certificate_request};

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn later(seconds: u64) -> Timestamp {
        now().checked_add(Duration::from_secs(seconds)).unwrap()
    }

    struct Texts {
        key: String,
        chain: String,
        ca: String,
    }

    fn texts() -> Texts {
        let ca = Ca::create("example.test".parse().unwrap(), now()).unwrap();
        let asked = certificate_request().unwrap();
        let identity = Identity::Agent("dev".parse().unwrap());
        let hour = Duration::from_secs(3600);
        Texts {
            chain: ca.issue(&asked.request_pem, &identity, &[], now(), hour).unwrap(),
            key: asked.key_pem,
            ca: ca.certificate_pem().to_owned(),
        }
    }

    fn read(key: &str, chain: &str, ca: &str, now: Timestamp) -> Result<Credentials, CredentialsError> {
        Credentials::from_pem("here", key, chain, ca, now)
    }

    #[test]
    fn saved_credentials_load_again_and_say_whose_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let own = texts();
        let credentials = read(&own.key, &own.chain, &own.ca, now()).unwrap();
        credentials.save(dir.path()).unwrap();
        credentials.save(dir.path()).unwrap();
        let loaded = Credentials::load(dir.path(), now()).unwrap();
        assert_eq!(loaded.identity().to_string(), "agent dev");
        assert_eq!(loaded.expires(), later(3600));
    }

    #[test]
    fn what_does_not_fit_together_is_told_apart() {
        let (own, other) = (texts(), texts());
        let fault = |key: &str, chain: &str, ca: &str, now| read(key, chain, ca, now).unwrap_err();
        assert!(matches!(
            fault(&own.key, &own.chain, &own.ca, later(3601)),
            CredentialsError::Expired { .. }
        ));
        assert!(matches!(
            fault(
                &own.key,
                &own.chain,
                &own.ca,
                now().checked_sub(Duration::from_secs(3600)).unwrap()
            ),
            CredentialsError::NotYetValid { .. }
        ));
        assert!(matches!(
            fault(&own.key, &own.chain, &other.ca, now()),
            CredentialsError::OtherCa { .. }
        ));
        assert!(matches!(
            fault(&other.key, &own.chain, &own.ca, now()),
            CredentialsError::OtherKey { .. }
        ));
        let empty = tempfile::tempdir().unwrap();
        let missing = Credentials::load(empty.path(), now()).unwrap_err().to_string();
        assert!(
            missing.contains("key.pem is missing") && missing.contains("hint:"),
            "{missing}"
        );
    }
}

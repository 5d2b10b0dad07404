//! The installation's own certificate authority. It signs what enrolment allows
//! and decides nothing: of a request only the public key is used.

use std::{fs, path::Path, time::Duration};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
    SerialNumber,
};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::{
    Fingerprint,
    certificate::{public_key_of, read_ca},
    files::{self, Readers},
    identity::{Identity, TrustDomain},
};

/// How long a leaf certificate is good unless said otherwise: a year.
pub const LEAF_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);

const CA_VALIDITY: Duration = Duration::from_secs(3652 * 24 * 3600);

/// Clocks differ: a certificate is good a little before it was made.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

const KEY_FILE: &str = "ca-key.pem";
const CERTIFICATE_FILE: &str = "ca.pem";

/// A certificate authority with its private key.
pub struct Ca {
    domain: TrustDomain,
    not_after: Timestamp,
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    key_pem: String,
    issuer: Issuer<'static, KeyPair>,
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

fn signing(error: impl ToString) -> CaError {
    CaError::Signing(error.to_string())
}

fn request(error: impl ToString) -> CaError {
    CaError::Request(error.to_string())
}

impl Ca {
    /// A new CA, good for ten years from five minutes before `now`.
    pub fn create(domain: TrustDomain, now: Timestamp) -> Result<Self, CaError> {
        let key = KeyPair::generate().map_err(signing)?;
        let mut params = CertificateParams::default();
        params.not_before = date(now, |now| now.checked_sub(CLOCK_TOLERANCE))?;
        params.not_after = date(now, |now| now.checked_add(CA_VALIDITY))?;
        params.serial_number = Some(serial(&[key.public_key_raw(), now.to_string().as_bytes()]));
        params.distinguished_name = common_name(&format!("Towline CA of {domain}"));
        params.subject_alt_names = vec![uri(&domain.uri())?];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(signing)?;
        Self::from_pem(&key.serialize_pem(), &certificate.pem()).map_err(CaError::Signing)
    }

    fn from_pem(key_pem: &str, certificate_pem: &str) -> Result<Self, String> {
        let certificate =
            CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|error| error.to_string())?;
        let (domain, not_after) = read_ca(&certificate)?;
        let key = KeyPair::from_pem(key_pem).map_err(|error| format!("{KEY_FILE}: {error}"))?;
        if public_key_of(&certificate)? != key.subject_public_key_info() {
            return Err(format!("{KEY_FILE} does not belong to {CERTIFICATE_FILE}"));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| error.to_string())?;
        Ok(Self {
            domain,
            not_after,
            certificate_pem: certificate_pem.to_owned(),
            certificate,
            key_pem: key_pem.to_owned(),
            issuer,
        })
    }

    /// Reads `ca-key.pem` and `ca.pem` in a directory.
    pub fn load(dir: &Path) -> Result<Self, CaError> {
        let read = |file: &str| {
            fs::read_to_string(dir.join(file)).map_err(|error| {
                stored(
                    dir,
                    format!("{file}: {error}"),
                    "`towline init` makes a CA; an existing one comes from your backup",
                )
            })
        };
        let (key, certificate) = (read(KEY_FILE)?, read(CERTIFICATE_FILE)?);
        Self::from_pem(&key, &certificate)
            .map_err(|reason| stored(dir, reason, "restore both files from one backup"))
    }

    /// Writes `ca-key.pem` (mode 0600) and `ca.pem`; replaces nothing.
    pub fn save(&self, dir: &Path) -> Result<(), CaError> {
        let fault = |file: &str, error: std::io::Error| {
            stored(
                dir,
                format!("{file}: {error}"),
                "choose a directory that is writable and holds no CA yet",
            )
        };
        files::make_directory(dir).map_err(|error| fault("", error))?;
        files::create(&dir.join(KEY_FILE), &self.key_pem, Readers::Owner)
            .map_err(|error| fault(KEY_FILE, error))?;
        files::create(
            &dir.join(CERTIFICATE_FILE),
            &self.certificate_pem,
            Readers::Everyone,
        )
        .map_err(|error| fault(CERTIFICATE_FILE, error))
    }

    /// Signs a leaf for the public key of `request_pem` (PKCS #10), good for
    /// client and server, from five minutes before `now` and no longer than the
    /// CA itself. `names` are DNS names and IP addresses. Returns the chain in
    /// PEM: the leaf, then the CA.
    pub fn issue(
        &self,
        request_pem: &str,
        identity: &Identity,
        names: &[String],
        now: Timestamp,
        validity: Duration,
    ) -> Result<String, CaError> {
        let asked = CertificateSigningRequestParams::from_pem(request_pem).map_err(request)?;
        let identity_uri = identity.uri(&self.domain);
        let mut params = CertificateParams::default();
        params.not_before = date(now, |now| now.checked_sub(CLOCK_TOLERANCE))?;
        params.not_after = date(now, |now| {
            now.checked_add(validity).map(|end| end.min(self.not_after))
        })?;
        params.serial_number = Some(serial(&[
            &asked.public_key.subject_public_key_info(),
            identity_uri.as_bytes(),
            now.to_string().as_bytes(),
        ]));
        params.distinguished_name = common_name(&identity.to_string());
        params.subject_alt_names = vec![uri(&identity_uri)?];
        for name in names {
            params.subject_alt_names.push(host(name)?);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let leaf = params
            .signed_by(&asked.public_key, &self.issuer)
            .map_err(signing)?;
        Ok(format!("{}{}", leaf.pem(), self.certificate_pem))
    }

    /// The trust domain of everything that this CA signs.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The CA's certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// SHA-256 of the CA's certificate in DER; what a join token carries.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }
}

/// A new private key and a request for a certificate of it, both in PEM.
pub struct CertificateRequest {
    pub key_pem: String,
    pub request_pem: String,
}

/// Makes a new key (ECDSA P-256) and a request for a certificate.
pub fn certificate_request() -> Result<CertificateRequest, CaError> {
    let key = KeyPair::generate().map_err(signing)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let asked = params.serialize_request(&key).map_err(signing)?;
    Ok(CertificateRequest {
        key_pem: key.serialize_pem(),
        request_pem: asked.pem().map_err(signing)?,
    })
}

fn stored(dir: &Path, reason: String, hint: &str) -> CaError {
    CaError::Stored {
        dir: dir.display().to_string(),
        reason,
        hint: hint.to_owned(),
    }
}

fn date(
    now: Timestamp,
    of: impl FnOnce(Timestamp) -> Result<Timestamp, jiff::Error>,
) -> Result<OffsetDateTime, CaError> {
    let at = of(now).map_err(signing)?;
    OffsetDateTime::from_unix_timestamp(at.as_second()).map_err(signing)
}

/// 16 bytes that no other certificate of this CA has.
fn serial(parts: &[&[u8]]) -> SerialNumber {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut bytes = hash.finalize()[..16].to_vec();
    // A serial number is positive and has no leading zero (RFC 5280, 4.1.2.2).
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from(bytes)
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn uri(text: &str) -> Result<SanType, CaError> {
    text.try_into().map(SanType::URI).map_err(signing)
}

fn host(name: &str) -> Result<SanType, CaError> {
    let no_name = || CaError::Request(format!("`{name}` is no DNS name and no IP address"));
    match ServerName::try_from(name).map_err(|_| no_name())? {
        ServerName::IpAddress(address) => Ok(SanType::IpAddress(std::net::IpAddr::from(address))),
        _ => name.try_into().map(SanType::DnsName).map_err(|_| no_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Leaf;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn leaf(chain: &str) -> Leaf {
        Leaf::read(&CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_stored_ca_signs_as_before_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::create("example.test".parse().unwrap(), now()).unwrap();
        ca.save(dir.path()).unwrap();
        assert!(matches!(ca.save(dir.path()), Err(CaError::Stored { .. })));
        let again = Ca::load(dir.path()).unwrap();
        assert_eq!(again.fingerprint(), ca.fingerprint());
        assert_eq!(again.trust_domain(), ca.trust_domain());
        let identity = Identity::Agent("dev".parse().unwrap());
        let asked = certificate_request().unwrap();
        let chain = again
            .issue(
                &asked.request_pem,
                &identity,
                &["10.0.0.1".to_owned()],
                now(),
                LEAF_VALIDITY,
            )
            .unwrap();
        let leaf = leaf(&chain);
        assert_eq!(leaf.identity, identity);
        assert_eq!(leaf.not_after, now().checked_add(LEAF_VALIDITY).unwrap());
    }

    #[test]
    fn a_leaf_never_outlives_its_ca() {
        let ca = Ca::create("example.test".parse().unwrap(), now()).unwrap();
        let asked = certificate_request().unwrap();
        let chain = ca
            .issue(
                &asked.request_pem,
                &Identity::Orchestrator,
                &[],
                now(),
                CA_VALIDITY * 2,
            )
            .unwrap();
        assert_eq!(leaf(&chain).not_after, ca.not_after);
    }

    #[test]
    fn a_request_that_is_none_is_refused_and_so_is_a_bad_name() {
        let ca = Ca::create("example.test".parse().unwrap(), now()).unwrap();
        let issue = |request: &str, name: &str| {
            let names = [name.to_owned()];
            ca.issue(request, &Identity::Orchestrator, &names, now(), LEAF_VALIDITY)
        };
        assert!(matches!(issue("nonsense", "a"), Err(CaError::Request(_))));
        let asked = certificate_request().unwrap();
        assert!(matches!(
            issue(&asked.request_pem, "not a name"),
            Err(CaError::Request(_))
        ));
    }

    #[test]
    fn the_key_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::create("example.test".parse().unwrap(), now()).unwrap();
        ca.save(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

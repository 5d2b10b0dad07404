//! Reading certificates: whose, until when, and which one.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use rustls_pki_types::UnixTime;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::identity::{Identity, TrustDomain};

/// SHA-256 of a certificate's DER form; hex as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate's DER form.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// A certificate's serial number; hex as text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Serial(Vec<u8>);

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a leaf certificate says. Reading it proves nothing about who signed it.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub domain: TrustDomain,
    pub identity: Identity,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub serial: Serial,
}

impl Leaf {
    /// Reads a certificate that must carry exactly one URI, an identity.
    pub(crate) fn read(der: &[u8]) -> Result<Self, String> {
        let certificate = parse(der)?;
        let uris = uris(&certificate)?;
        let [uri] = uris.as_slice() else {
            return Err(format!(
                "the certificate carries {} URIs instead of one identity",
                uris.len()
            ));
        };
        let (domain, identity) = Identity::from_uri(uri).map_err(|error| error.to_string())?;
        let validity = certificate.validity();
        Ok(Self {
            domain,
            identity,
            not_before: timestamp(validity.not_before.timestamp())?,
            not_after: timestamp(validity.not_after.timestamp())?,
            serial: Serial(certificate.raw_serial().to_vec()),
        })
    }
}

/// The trust domain and end of a CA certificate.
pub(crate) fn read_ca(der: &[u8]) -> Result<(TrustDomain, Timestamp), String> {
    let certificate = parse(der)?;
    let uris = uris(&certificate)?;
    let [uri] = uris.as_slice() else {
        return Err("the CA certificate does not name one trust domain".to_owned());
    };
    let domain = uri
        .strip_prefix("spiffe://")
        .ok_or_else(|| format!("`{uri}` is no trust domain"))?
        .parse::<TrustDomain>()
        .map_err(|error| error.to_string())?;
    Ok((domain, timestamp(certificate.validity().not_after.timestamp())?))
}

/// The certificate's SubjectPublicKeyInfo in DER.
pub(crate) fn public_key_of(der: &[u8]) -> Result<Vec<u8>, String> {
    Ok(parse(der)?.public_key().raw.to_vec())
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(format!("the certificate cannot be read: {error}")),
    }
}

fn uris<'a>(certificate: &X509Certificate<'a>) -> Result<Vec<&'a str>, String> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| format!("the certificate's names cannot be read: {error}"))?;
    let uri = |name: &GeneralName<'a>| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    };
    Ok(names
        .map(|names| names.value.general_names.iter().filter_map(uri).collect())
        .unwrap_or_default())
}

fn timestamp(seconds: i64) -> Result<Timestamp, String> {
    Timestamp::from_second(seconds).map_err(|error| format!("a date of the certificate: {error}"))
}

pub(crate) fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0)))
}

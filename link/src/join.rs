//! Enrolment: how someone with a one-time join token gets a certificate. The
//! token names the CA by its fingerprint, so the first connection is already
//! to the right orchestrator, and nobody is trusted on first use.

use std::{fmt, str::FromStr};

use towline_proto::orchestrator::v1::AgentMode;

use crate::{
    Fingerprint,
    credentials::Credentials,
    dial::DialError,
    seams::{Random, Seams},
};

/// What a token's holder becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    Agent,
    Operator,
}

/// The one-time secret of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinSecret([u8; 32]);

impl JoinSecret {
    /// A new secret.
    pub fn generate(random: &Random) -> Self {
        Self(random.bytes())
    }

    /// The text that travels in `EnrolRequest.secret`.
    pub fn text(&self) -> String {
        hex::encode(self.0)
    }

    /// What is stored instead of the secret: hex of the SHA-256 of its text.
    pub fn hash(&self) -> String {
        hash_secret(&self.text())
    }
}

/// What is stored instead of a secret that arrived as text.
pub fn hash_secret(text: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(text.as_bytes()))
}

/// Never shows the secret.
impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(..)")
    }
}

/// Everything that is needed to enrol, as one text `tl1-…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// `host:port`.
    pub orchestrator: String,
    /// Of the orchestrator's CA.
    pub ca: Fingerprint,
    pub secret: JoinSecret,
    pub kind: JoinKind,
    /// The agent's or operator's name.
    pub name: String,
}

/// Why a text is no join token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no join token: {0}\nhint: copy the whole text that `invite` printed, from `tl1-` on")]
pub struct TokenError(&'static str);

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tl1-")
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(_: &str) -> Result<Self, TokenError> {
        Err(TokenError("it does not start with `tl1-`"))
    }
}

/// What enrolment gave.
pub struct Enrolled {
    /// Not stored yet.
    pub credentials: Credentials,
    /// Unspecified for an operator.
    pub mode: AgentMode,
    pub name: String,
}

/// Why enrolment failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the orchestrator refused: {}", .0.message())]
    Refused(tonic::Status),
    #[error("the orchestrator's answer is not usable: {0}")]
    Answer(String),
    #[error("no key could be made: {0}")]
    Key(String),
}

/// Makes a key, exchanges the token for a certificate of it, and checks the
/// answer. `listen_names` are the DNS names and IP addresses by which a
/// listening agent is called; `proxy` is an HTTP CONNECT proxy. The token is
/// used up when this succeeds.
pub async fn enrol(
    seams: &Seams,
    token: &JoinToken,
    listen_names: &[String],
    proxy: Option<&str>,
) -> Result<Enrolled, EnrolError> {
    let _ = (seams, token, listen_names, proxy);
    Err(EnrolError::Key("not tried".to_owned()))
}

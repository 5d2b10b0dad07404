//! Enrolment: how someone with a one-time join token gets a certificate. The
//! token ([`JoinToken`]) names the CA by its fingerprint, so that already the
//! first connection is to the right orchestrator, and nobody is trusted on
//! first use. [`enrol`] is the side of the newcomer.

mod token;

use tokio_util::task::TaskTracker;
use towline_proto::orchestrator::v1::{
    AgentMode, EnrolRequest, EnrolResponse, enrolment_service_client::EnrolmentServiceClient,
};

pub use token::{JoinKind, JoinSecret, JoinToken, TokenError, hash_secret};

use crate::{
    ca::{CaError, certificate_request},
    channel::LinkChannel,
    credentials::{Credentials, CredentialsError},
    dial::{DialError, dial_to_join},
    seams::Seams,
    status::Details,
};

/// What enrolment gave.
#[derive(Debug)]
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
    #[error(
        "{0}\nhint: the token names the orchestrator's address and its CA; ask for a new token when either has changed"
    )]
    Dial(#[from] DialError),
    #[error("the orchestrator refused: {}{}", .0.message(), hint_of(.0))]
    Refused(tonic::Status),
    #[error("the orchestrator's answer is not usable: {0}")]
    Answer(String),
    #[error("no key could be made: {0}")]
    Key(#[from] CaError),
}

fn hint_of(status: &tonic::Status) -> String {
    match Details::of(status).hint {
        Some(hint) => format!("\nhint: {hint}"),
        None => String::new(),
    }
}

impl From<CredentialsError> for EnrolError {
    fn from(error: CredentialsError) -> Self {
        Self::Answer(error.to_string())
    }
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
    let own = certificate_request()?;
    let stream = dial_to_join(seams, &token.orchestrator, token.ca, proxy).await?;
    let request = EnrolRequest {
        secret: token.secret.text(),
        certificate_request: own.request_pem,
        listen_names: listen_names.to_vec(),
    };
    let tasks = TaskTracker::new();
    let channel = LinkChannel::unwatched(stream, &tasks)
        .await
        .map_err(EnrolError::Refused)?;
    let answer = EnrolmentServiceClient::new(channel.clone()).enrol(request).await;
    channel.close("enrolment is over");
    tasks.close();
    tasks.wait().await;
    let answer = answer.map_err(EnrolError::Refused)?.into_inner();
    check(seams, token, &own.key_pem, &answer)
}

fn check(
    seams: &Seams,
    token: &JoinToken,
    key_pem: &str,
    answer: &EnrolResponse,
) -> Result<Enrolled, EnrolError> {
    let credentials = Credentials::from_pem(
        "the answer",
        key_pem,
        &answer.certificate_chain,
        &answer.ca_certificate,
        seams.clock.now(),
    )?;
    if credentials.ca_fingerprint() != token.ca {
        return Err(EnrolError::Answer(
            "it trusts another CA than the token names".to_owned(),
        ));
    }
    let expected = token
        .identity()
        .map_err(|error| EnrolError::Answer(error.to_string()))?;
    if *credentials.identity() != expected {
        return Err(EnrolError::Answer(format!(
            "it is a certificate of {}, expected {expected}",
            credentials.identity()
        )));
    }
    Ok(Enrolled {
        credentials,
        mode: answer.mode(),
        name: token.name.clone(),
    })
}

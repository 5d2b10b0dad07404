//! Who may come in, and how: invitations, enrolment, roles.

use std::time::Duration;

use anyhow::Context as _;
use towline_link::{
    ca::{CaError, LEAF_VALIDITY},
    identity::{AgentName, Identity, OperatorName},
    join::{JoinKind, JoinSecret, JoinToken},
};

use super::{AgentMode, Caller, Engine, EngineError, Enrolled, Invitation, Role};
use crate::store::{AuditedCall, CommitPoint, Invited, TokenUse, WriteTx};

/// How long a token is good when nobody says.
const TOKEN_VALIDITY: Duration = Duration::from_secs(24 * 3600);
/// The longest that a token may be good.
const LONGEST_VALIDITY: Duration = Duration::from_secs(30 * 24 * 3600);

impl Engine {
    /// Makes a one-time join token for an agent; `valid_for` is 24 h when
    /// `None`. An earlier token for the same name that was not used ends.
    pub async fn invite_agent(
        &self,
        caller: &Caller,
        name: &AgentName,
        mode: AgentMode,
        address: Option<&str>,
        valid_for: Option<Duration>,
    ) -> Result<Invitation, EngineError> {
        let address = match (mode, address) {
            (AgentMode::Polling, _) => None,
            (AgentMode::Listening, Some(address)) => Some(check_address(address)?),
            (AgentMode::Listening, None) => {
                return Err(EngineError::invalid(
                    "address",
                    "a listening agent needs its host:port",
                ));
            }
        };
        let mut tx = self.0.store.begin().await?;
        tx.put_agent(name, mode, address, self.now()).await?;
        let invited = Invited::Agent(name.clone());
        let invitation = self.invite(&mut tx, caller, &invited, valid_for).await?;
        let row = tx
            .agent(name)
            .await?
            .context("the agent that was just invited is gone")?;
        self.0.store.commit(tx, CommitPoint::AgentInvited).await?;
        self.0.fleet.put(row);
        Ok(invitation)
    }

    /// Makes a one-time join token for an operator with a role. For a name that
    /// is there already the role changes at once.
    pub async fn invite_operator(
        &self,
        caller: &Caller,
        name: &OperatorName,
        role: Role,
        valid_for: Option<Duration>,
    ) -> Result<Invitation, EngineError> {
        let mut tx = self.0.store.begin().await?;
        tx.put_operator(name, role, self.now()).await?;
        let invited = Invited::Operator(name.clone());
        let invitation = self.invite(&mut tx, caller, &invited, valid_for).await?;
        self.0.store.commit(tx, CommitPoint::OperatorInvited).await?;
        super::lock(&self.0.roles).insert(name.clone(), role);
        Ok(invitation)
    }

    async fn invite(
        &self,
        tx: &mut WriteTx,
        caller: &Caller,
        invited: &Invited,
        valid_for: Option<Duration>,
    ) -> Result<Invitation, EngineError> {
        let valid_for = valid_for.unwrap_or(TOKEN_VALIDITY);
        if valid_for.is_zero() || valid_for > LONGEST_VALIDITY {
            return Err(EngineError::invalid(
                "valid_for",
                "must be more than nothing and at most 30 days",
            ));
        }
        let now = self.now();
        let expires_at = now
            .saturating_add(valid_for)
            .context("a token's end lies beyond time")?;
        let secret = JoinSecret::generate(&self.0.seams.random);
        tx.put_token(&secret, invited, caller.operator.as_str(), now, expires_at)
            .await?;
        let (kind, name) = match invited {
            Invited::Agent(name) => (JoinKind::Agent, name.to_string()),
            Invited::Operator(name) => (JoinKind::Operator, name.to_string()),
        };
        let token = JoinToken {
            orchestrator: self.0.public_address.clone(),
            ca: self.0.ca.fingerprint(),
            secret,
            kind,
            name,
        };
        Ok(Invitation {
            token: token.to_string(),
            expires_at,
        })
    }

    /// Exchanges a join token's secret and a certificate request for a
    /// certificate. The token is used up exactly when this succeeds.
    pub async fn enrol(
        &self,
        secret: &str,
        csr: &str,
        listen_names: &[String],
    ) -> Result<Enrolled, EngineError> {
        let now = self.now();
        let mut tx = self.0.store.begin().await?;
        let invited = match tx.use_token(secret, now).await? {
            TokenUse::Taken(invited) => invited,
            TokenUse::Unknown => return Err(bad_token("token_unknown", "this join token is not known here")),
            TokenUse::UsedBefore(at) => {
                return Err(bad_token(
                    "token_used",
                    &format!("this join token was used already, at {at}"),
                ));
            }
            TokenUse::Expired(at) => {
                return Err(bad_token(
                    "token_expired",
                    &format!("this join token expired at {at}"),
                ));
            }
        };
        let (identity, agent) = match &invited {
            Invited::Agent(name) => {
                let row = tx.agent(name).await?.context("the agent of a token is gone")?;
                (Identity::Agent(name.clone()), Some(row))
            }
            Invited::Operator(name) => (Identity::Operator(name.clone()), None),
        };
        AuditedCall::identify(match &invited {
            Invited::Agent(name) => format!("agent {name}"),
            Invited::Operator(name) => format!("operator {name}"),
        });
        let mode = agent.as_ref().map(|agent| agent.mode);
        let names = match mode {
            Some(AgentMode::Listening) => listen_names,
            _ => &[],
        };
        let certificate_chain = self
            .0
            .ca
            .issue(csr, &identity, names, now, LEAF_VALIDITY)
            .map_err(|error| match error {
                CaError::Request(why) => EngineError::invalid("certificate_request", why),
                error => EngineError::Internal(error.into()),
            })?;
        self.0.store.commit(tx, CommitPoint::TokenUsed).await?;
        if let Some(row) = agent {
            self.0.fleet.put(row);
        }
        tracing::info!(identity = %identity, "enrolled");
        Ok(Enrolled {
            certificate_chain,
            ca_certificate: self.0.ca.certificate_pem().to_owned(),
            name: identity.name().unwrap_or_default().to_owned(),
            mode,
        })
    }

    /// `None` for a stranger. Answers from memory: it is asked for every call.
    pub async fn role_of(&self, operator: &OperatorName) -> Option<Role> {
        super::lock(&self.0.roles).get(operator).copied()
    }

    /// The installation's trust domain.
    pub fn trust_domain(&self) -> &towline_link::identity::TrustDomain {
        &self.0.trust_domain
    }
}

fn check_address(address: &str) -> Result<&str, EngineError> {
    let whole = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
    if whole {
        Ok(address)
    } else {
        Err(EngineError::invalid(
            "address",
            format!("{address:?} is not host:port"),
        ))
    }
}

fn bad_token(reason: &'static str, message: &str) -> EngineError {
    EngineError::Denied {
        reason,
        message: message.to_owned(),
        hint: "an admin makes a new one with `towline agent invite` or `towline operator invite`".to_owned(),
    }
}

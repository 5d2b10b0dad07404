//! Operators, agents and the join tokens with which both enrol.

use jiff::Timestamp;
use towline_link::{
    identity::{AgentName, OperatorName},
    join::{JoinSecret, hash_secret},
};

use super::{Store, StoreError, WriteTx, corrupt, from_micros, to_micros};
use crate::engine::{AgentMode, OperatorView, Role};

/// An agent as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRow {
    pub name: AgentName,
    pub mode: AgentMode,
    pub address: Option<String>,
    pub joined_at: Option<Timestamp>,
    pub account: String,
    pub version: String,
    pub regions: Vec<String>,
    /// Of the last change that was seen, and why it went offline.
    pub connected: bool,
    pub since: Timestamp,
    pub reason: String,
}

/// What an agent says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFacts {
    pub account: String,
    pub version: String,
    pub regions: Vec<String>,
}

/// Whom a join token lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invited {
    Agent(AgentName),
    Operator(OperatorName),
}

/// What became of a join token that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenUse {
    /// It was good and is used up now.
    Taken(Invited),
    Unknown,
    UsedBefore(Timestamp),
    Expired(Timestamp),
}

impl Store {
    /// All agents by name.
    pub async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        let rows: Vec<StoredAgent> = sqlx::query_as("SELECT * FROM agents ORDER BY name")
            .fetch_all(&mut *self.reader().await?)
            .await?;
        rows.into_iter().map(AgentRow::try_from).collect()
    }

    /// All operators by name.
    pub async fn operators(&self) -> Result<Vec<OperatorView>, StoreError> {
        let rows: Vec<(String, String, Option<i64>)> =
            sqlx::query_as("SELECT name, role, joined_at FROM operators ORDER BY name")
                .fetch_all(&mut *self.reader().await?)
                .await?;
        rows.into_iter()
            .map(|(name, role, joined)| {
                Ok(OperatorView {
                    name,
                    role: Role::parse(&role).ok_or_else(|| corrupt("a role", &role))?,
                    joined: joined.is_some(),
                })
            })
            .collect()
    }
}

impl WriteTx {
    /// Adds an agent, or changes how a known one is reached.
    pub async fn put_agent(
        &mut self,
        name: &AgentName,
        mode: AgentMode,
        address: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO agents (name, mode, address, invited_at, since) VALUES (?1, ?2, ?3, ?4, ?4)
             ON CONFLICT (name) DO UPDATE SET mode = ?2, address = ?3, invited_at = ?4",
        )
        .bind(name.to_string())
        .bind(mode.name())
        .bind(address)
        .bind(to_micros(now))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// What a connected agent says about itself.
    pub async fn note_agent_facts(&mut self, name: &AgentName, facts: &AgentFacts) -> Result<(), StoreError> {
        sqlx::query("UPDATE agents SET account = ?2, version = ?3, regions = ?4 WHERE name = ?1")
            .bind(name.to_string())
            .bind(&facts.account)
            .bind(&facts.version)
            .bind(serde_json::Value::from(facts.regions.clone()).to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// That a link to an agent came up or went down.
    pub async fn note_agent_link(
        &mut self,
        name: &AgentName,
        connected: bool,
        since: Timestamp,
        reason: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE agents SET connected = ?2, since = ?3, reason = ?4 WHERE name = ?1")
            .bind(name.to_string())
            .bind(connected)
            .bind(to_micros(since))
            .bind(reason)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds an operator, or gives a known one another role.
    pub async fn put_operator(
        &mut self,
        name: &OperatorName,
        role: Role,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO operators (name, role, invited_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET role = ?2",
        )
        .bind(name.to_string())
        .bind(role.name())
        .bind(to_micros(now))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Remembers a token by the hash of its secret. Older unused ones of the same name end.
    pub async fn put_token(
        &mut self,
        secret: &JoinSecret,
        invited: &Invited,
        created_by: &str,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<(), StoreError> {
        let (kind, name) = invited.parts();
        sqlx::query(
            "UPDATE join_tokens SET expires_at = ?3 WHERE kind = ?1 AND name = ?2 AND used_at IS NULL",
        )
        .bind(kind)
        .bind(&name)
        .bind(to_micros(now))
        .execute(self.connection())
        .await?;
        sqlx::query(
            "INSERT INTO join_tokens (secret_hash, kind, name, created_at, created_by, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(secret.hash())
        .bind(kind)
        .bind(&name)
        .bind(to_micros(now))
        .bind(created_by)
        .bind(to_micros(expires))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Uses a token up, when it is good, and marks its holder as joined.
    pub async fn use_token(&mut self, secret: &str, now: Timestamp) -> Result<TokenUse, StoreError> {
        let row: Option<(String, String, i64, Option<i64>)> =
            sqlx::query_as("SELECT kind, name, expires_at, used_at FROM join_tokens WHERE secret_hash = ?1")
                .bind(hash_secret(secret))
                .fetch_optional(self.connection())
                .await?;
        let Some((kind, name, expires, used)) = row else {
            return Ok(TokenUse::Unknown);
        };
        if let Some(used) = used {
            return Ok(TokenUse::UsedBefore(from_micros(used)?));
        }
        if expires <= to_micros(now) {
            return Ok(TokenUse::Expired(from_micros(expires)?));
        }
        let invited = Invited::parse(&kind, &name)?;
        sqlx::query("UPDATE join_tokens SET used_at = ?2 WHERE secret_hash = ?1")
            .bind(hash_secret(secret))
            .bind(to_micros(now))
            .execute(self.connection())
            .await?;
        let joined = match invited {
            Invited::Agent(_) => "UPDATE agents SET joined_at = ?2, since = ?2 WHERE name = ?1",
            Invited::Operator(_) => "UPDATE operators SET joined_at = ?2 WHERE name = ?1",
        };
        sqlx::query(joined)
            .bind(&name)
            .bind(to_micros(now))
            .execute(self.connection())
            .await?;
        Ok(TokenUse::Taken(invited))
    }

    /// Marks an operator as joined without a token: the first admin.
    pub async fn note_operator_joined(
        &mut self,
        name: &OperatorName,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE operators SET joined_at = ?2 WHERE name = ?1")
            .bind(name.to_string())
            .bind(to_micros(now))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// One agent, inside the transaction.
    pub async fn agent(&mut self, name: &AgentName) -> Result<Option<AgentRow>, StoreError> {
        let row: Option<StoredAgent> = sqlx::query_as("SELECT * FROM agents WHERE name = ?1")
            .bind(name.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.map(AgentRow::try_from).transpose()
    }
}

impl Invited {
    fn parts(&self) -> (&'static str, String) {
        match self {
            Self::Agent(name) => ("agent", name.to_string()),
            Self::Operator(name) => ("operator", name.to_string()),
        }
    }

    fn parse(kind: &str, name: &str) -> Result<Self, StoreError> {
        match kind {
            "agent" => name
                .parse()
                .map(Self::Agent)
                .map_err(|_| corrupt("an agent's name", name)),
            "operator" => name
                .parse()
                .map(Self::Operator)
                .map_err(|_| corrupt("an operator's name", name)),
            _ => Err(corrupt("a kind of token", kind)),
        }
    }
}

#[derive(sqlx::FromRow)]
struct StoredAgent {
    name: String,
    mode: String,
    address: Option<String>,
    joined_at: Option<i64>,
    account: String,
    version: String,
    regions: String,
    connected: bool,
    since: i64,
    reason: String,
}

impl TryFrom<StoredAgent> for AgentRow {
    type Error = StoreError;

    fn try_from(row: StoredAgent) -> Result<Self, StoreError> {
        Ok(Self {
            name: row
                .name
                .parse()
                .map_err(|_| corrupt("an agent's name", &row.name))?,
            mode: AgentMode::parse(&row.mode).ok_or_else(|| corrupt("an agent's mode", &row.mode))?,
            address: row.address,
            joined_at: row.joined_at.map(from_micros).transpose()?,
            account: row.account,
            version: row.version,
            regions: serde_json::from_str(&row.regions)
                .map_err(|_| corrupt("a list of regions", &row.regions))?,
            connected: row.connected,
            since: from_micros(row.since)?,
            reason: row.reason,
        })
    }
}

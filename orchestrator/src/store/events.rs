//! The append-only log, and what agents told, once each.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, WriteTx, from_micros, of_word, to_micros};
use crate::engine::EventView;

/// A line to append. The log gives it its cursor.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub release: i64,
    pub deployment: Option<String>,
    pub operation: Option<String>,
    /// Stable: `deployment_created`, `operation_progress`, ...
    pub kind: &'static str,
    /// One line for a person.
    pub message: String,
    pub state: Option<&'static str>,
    pub verdict: Option<&'static str>,
    pub payload: serde_json::Value,
    pub at: Timestamp,
}

/// An agent's event as it came over the wire.
#[derive(Clone, Copy, Debug)]
pub struct AgentMessage<'a> {
    pub operation: &'a str,
    pub incarnation: &'a str,
    pub sequence: u64,
    pub message: &'a [u8],
}

impl WriteTx {
    /// Appends a line to the log.
    pub async fn append(&mut self, event: &NewEvent) -> Result<(), StoreError> {
        let appended = sqlx::query(
            "INSERT INTO events (release, deployment, operation, kind, message, state, verdict, payload, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(event.release)
        .bind(&event.deployment)
        .bind(&event.operation)
        .bind(event.kind)
        .bind(&event.message)
        .bind(event.state)
        .bind(event.verdict)
        .bind(event.payload.to_string())
        .bind(to_micros(event.at))
        .execute(self.connection())
        .await?;
        self.trace
            .note(appended.last_insert_rowid(), event.deployment.as_ref());
        Ok(())
    }

    /// Keeps an agent's event; false when it was there already.
    pub async fn keep_agent_message(&mut self, kept: AgentMessage<'_>) -> Result<bool, StoreError> {
        let sequence = i64::try_from(kept.sequence).map_err(|_| StoreError::Corrupt {
            what: "an agent's sequence number",
            value: kept.sequence.to_string(),
        })?;
        let done = sqlx::query(
            "INSERT INTO operation_events (operation, incarnation, sequence, message) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )
        .bind(kept.operation)
        .bind(kept.incarnation)
        .bind(sequence)
        .bind(kept.message)
        .execute(&mut *self.connection())
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE operations SET incarnation = ?2, last_sequence = ?3 WHERE id = ?1")
            .bind(kept.operation)
            .bind(kept.incarnation)
            .bind(sequence)
            .execute(self.connection())
            .await?;
        Ok(true)
    }
}

/// The lines of a release after a cursor, oldest first.
pub async fn events_after(
    connection: &mut SqliteConnection,
    release: i64,
    after: i64,
    limit: u32,
) -> Result<Vec<EventView>, StoreError> {
    let rows: Vec<StoredEvent> = sqlx::query_as(
        "SELECT e.cursor, e.deployment, d.environment, e.at, e.kind, e.message, o.service, o.target, e.state, e.verdict
         FROM events e
         LEFT JOIN operations o ON o.id = e.operation
         LEFT JOIN deployments d ON d.id = COALESCE(e.deployment, o.deployment)
         WHERE e.release = ?1 AND e.cursor > ?2 ORDER BY e.cursor LIMIT ?3",
    )
    .bind(release)
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(EventView::try_from).collect()
}

#[derive(sqlx::FromRow)]
struct StoredEvent {
    cursor: i64,
    deployment: Option<String>,
    environment: Option<String>,
    at: i64,
    kind: String,
    message: String,
    service: Option<String>,
    target: Option<String>,
    state: Option<String>,
    verdict: Option<String>,
}

impl TryFrom<StoredEvent> for EventView {
    type Error = StoreError;

    fn try_from(row: StoredEvent) -> Result<Self, StoreError> {
        Ok(Self {
            cursor: row.cursor,
            deployment: row.deployment.unwrap_or_default(),
            environment: row.environment.unwrap_or_default(),
            at: from_micros(row.at)?,
            kind: row.kind,
            message: row.message,
            service: row.service.unwrap_or_default(),
            target: row.target.unwrap_or_default(),
            state: row
                .state
                .as_deref()
                .map(|word| of_word("a state", word))
                .transpose()?,
            verdict: row
                .verdict
                .as_deref()
                .map(|word| of_word("a verdict", word))
                .transpose()?,
        })
    }
}

//! What ran where, and when it came there: the end of each operation in the
//! cells, and the order in which good ones followed one another.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{StoreError, WriteTx, corrupt, of_json, to_micros};
use crate::domain::{
    deployment::{Deployment, Event, EventKind, Operation, Outcome, SlotKind},
    name::{AgentName, DeploymentId, OperationId},
    operation::PlannedOperation,
};

/// What runs in a cell after an operation's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// What ran before.
    AsBefore,
    /// The payload of this operation.
    Since(OperationId),
    /// Something that Towline had not put there.
    Unknown,
}

/// What an operation's end says about its cell.
struct Noted<'a> {
    deployment: &'a Deployment,
    operation: &'a Operation,
    runs: Runs,
    at: i64,
}

impl WriteTx {
    /// What is known of one service on one target, after an operation's end or a
    /// later truth. A truth that comes after newer operations changes nothing here.
    pub(super) async fn note_end(
        &mut self,
        deployment: &Deployment,
        (operation, outcome): (OperationId, &Outcome),
        event: &Event,
    ) -> Result<(), StoreError> {
        let Some(operation) = deployment.operation(operation) else {
            return Ok(());
        };
        let is_late = matches!(event.kind, EventKind::LateTruth { .. });
        if operation.slot.kind == SlotKind::Task || is_late && !self.is_newest(deployment, operation).await? {
            return Ok(());
        }
        let runs = match (operation.slot.kind, outcome.verdict.is_good()) {
            (_, false) => Runs::AsBefore,
            (SlotKind::RollBackOf(_), true) => ran_before(self.connection(), deployment, operation)
                .await?
                .map_or(Runs::Unknown, |before| Runs::Since(before.id)),
            (_, true) => Runs::Since(operation.slot.id),
        };
        let noted = Noted {
            deployment,
            operation,
            runs,
            at: to_micros(event.at),
        };
        self.note_cell(&noted).await?;
        self.note_good_end(&noted).await
    }

    /// No other operation has ended in its cell since.
    async fn is_newest(
        &mut self,
        deployment: &Deployment,
        operation: &Operation,
    ) -> Result<bool, StoreError> {
        let slot = &operation.slot;
        let last: Option<String> = sqlx::query_scalar(
            "SELECT last_operation FROM cells
             WHERE project = ?1 AND environment = ?2 AND service = ?3 AND target = ?4",
        )
        .bind(deployment.project.as_str())
        .bind(deployment.environment.as_str())
        .bind(slot.service.as_str())
        .bind(slot.target.as_str())
        .fetch_optional(self.connection())
        .await?;
        Ok(last.is_none_or(|last| last == slot.id.to_string()))
    }

    async fn note_cell(&mut self, noted: &Noted<'_>) -> Result<(), StoreError> {
        let slot = &noted.operation.slot;
        let good = match noted.runs {
            Runs::Since(id) => Some(id.to_string()),
            Runs::AsBefore | Runs::Unknown => None,
        };
        sqlx::query(
            "INSERT INTO cells (project, environment, service, target, last_operation, good_operation, observed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (project, environment, service, target) DO UPDATE
             SET last_operation = ?5, observed_at = ?7,
                 good_operation = CASE WHEN ?8 THEN good_operation ELSE ?6 END",
        )
        .bind(noted.deployment.project.as_str())
        .bind(noted.deployment.environment.as_str())
        .bind(slot.service.as_str())
        .bind(slot.target.as_str())
        .bind(slot.id.to_string())
        .bind(good)
        .bind(noted.at)
        .bind(noted.runs == Runs::AsBefore)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn note_good_end(&mut self, noted: &Noted<'_>) -> Result<(), StoreError> {
        let Runs::Since(runs) = noted.runs else {
            return Ok(());
        };
        let slot = &noted.operation.slot;
        sqlx::query(
            "INSERT INTO good_ends (project, environment, service, target, deployment, operation, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(noted.deployment.project.as_str())
        .bind(noted.deployment.environment.as_str())
        .bind(slot.service.as_str())
        .bind(slot.target.as_str())
        .bind(noted.deployment.id.to_string())
        .bind(runs.to_string())
        .bind(noted.at)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

/// What ended well in the cell of an operation before its deployment touched it.
pub async fn ran_before(
    connection: &mut SqliteConnection,
    deployment: &Deployment,
    operation: &Operation,
) -> Result<Option<PlannedOperation>, StoreError> {
    let slot = &operation.slot;
    let payload: Option<String> = sqlx::query_scalar(
        "SELECT o.payload FROM good_ends g JOIN operations o ON o.id = g.operation
         WHERE g.project = ?1 AND g.environment = ?2 AND g.service = ?3 AND g.target = ?4
           AND g.deployment <> ?5
         ORDER BY g.number DESC LIMIT 1",
    )
    .bind(deployment.project.as_str())
    .bind(deployment.environment.as_str())
    .bind(slot.service.as_str())
    .bind(slot.target.as_str())
    .bind(deployment.id.to_string())
    .fetch_optional(connection)
    .await?;
    payload
        .map(|payload| of_json("an operation's payload", &payload))
        .transpose()
}

/// What all operations of a deployment send.
pub async fn payloads_of(
    connection: &mut SqliteConnection,
    deployment: DeploymentId,
) -> Result<BTreeMap<OperationId, PlannedOperation>, StoreError> {
    let payloads: Vec<String> =
        sqlx::query_scalar("SELECT payload FROM operations WHERE deployment = ?1 ORDER BY ordinal")
            .bind(deployment.to_string())
            .fetch_all(connection)
            .await?;
    payloads
        .iter()
        .map(|payload| {
            let planned: PlannedOperation = of_json("an operation's payload", payload)?;
            Ok((planned.id, planned))
        })
        .collect()
}

/// The operations that are out, over all projects.
pub async fn operations_out(
    connection: &mut SqliteConnection,
) -> Result<BTreeMap<OperationId, AgentName>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT id, agent FROM operations WHERE is_out = 1")
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|(id, agent)| {
            let known = id.parse().map_err(|_| corrupt("an operation's id", &id))?;
            let at = agent.parse().map_err(|_| corrupt("an agent's name", &agent))?;
            Ok((known, at))
        })
        .collect()
}

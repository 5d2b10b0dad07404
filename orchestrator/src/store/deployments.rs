//! Deployments and their operations. Start with [`WriteTx::record`]: it folds
//! events into the stored state and appends them to the log, in one transaction.

use sqlx::{QueryBuilder, SqliteConnection};

use super::{NewEvent, StoreError, WriteTx, as_json, of_json};
use crate::domain::{
    deployment::{Deployment, Event, EventKind, Operation},
    name::{DeploymentId, OperationId},
    operation::PlannedOperation,
};

/// A deployment with its place in the order of creation, and its release's number.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDeployment {
    pub number: i64,
    pub release: i64,
    pub deployment: Deployment,
}

/// One operation with what is sent, and how far its agent has told.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredOperation {
    pub deployment: DeploymentId,
    pub planned: PlannedOperation,
    pub operation: Operation,
    /// Empty before the agent's first word.
    pub incarnation: String,
    pub last_sequence: u64,
}

impl WriteTx {
    /// Stores a new deployment from its first event, with what its operations will send.
    pub async fn create_deployment(
        &mut self,
        release: i64,
        id: DeploymentId,
        created: &Event,
        planned: &[PlannedOperation],
    ) -> Result<StoredDeployment, StoreError> {
        let deployment = Deployment::create(id, created)?;
        let number = sqlx::query_scalar(
            "INSERT INTO deployments (id, release, project, environment, state, doc, open)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1) RETURNING number",
        )
        .bind(id.to_string())
        .bind(release)
        .bind(deployment.project.as_str())
        .bind(deployment.environment.as_str())
        .bind(deployment.state.as_str())
        .bind(as_json(&bare(&deployment))?)
        .fetch_one(self.connection())
        .await?;
        for (ordinal, operation) in (0_i64..).zip(&deployment.operations) {
            let payload = planned.iter().find(|planned| planned.id == operation.slot.id);
            self.insert_operation(id, ordinal, operation, payload).await?;
        }
        self.set_at_rest(release, false).await?;
        self.append(&line(release, None, &deployment, created)?).await?;
        Ok(StoredDeployment {
            number,
            release,
            deployment,
        })
    }

    async fn insert_operation(
        &mut self,
        deployment: DeploymentId,
        ordinal: i64,
        operation: &Operation,
        planned: Option<&PlannedOperation>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO operations (id, deployment, ordinal, service, target, agent, payload, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(operation.slot.id.to_string())
        .bind(deployment.to_string())
        .bind(ordinal)
        .bind(operation.slot.service.as_str())
        .bind(operation.slot.target.as_str())
        .bind(operation.slot.agent.as_str())
        .bind(as_json(&planned)?)
        .bind(as_json(operation)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Folds events into a stored deployment and appends them to the log. When
    /// one cannot follow, nothing of it may be committed.
    pub async fn record(
        &mut self,
        id: DeploymentId,
        events: &[Event],
    ) -> Result<StoredDeployment, StoreError> {
        self.record_adding(id, events, &[]).await
    }

    /// As [`Self::record`], of events that add operations: `planned` is what those send.
    pub async fn record_adding(
        &mut self,
        id: DeploymentId,
        events: &[Event],
        planned: &[PlannedOperation],
    ) -> Result<StoredDeployment, StoreError> {
        let before = deployment(self.connection(), id)
            .await?
            .ok_or_else(|| super::corrupt("a reference to a deployment", &id.to_string()))?;
        let mut now = before.deployment.clone();
        for event in events {
            let next = now.apply(event)?;
            self.insert_added(&now, &next, planned).await?;
            self.append(&line(before.release, Some(&now), &next, event)?)
                .await?;
            if let EventKind::OperationFinished { operation, outcome }
            | EventKind::LateTruth { operation, outcome } = &event.kind
            {
                self.note_end(&next, (*operation, outcome), event).await?;
            }
            now = next;
        }
        self.write_changes(&before.deployment, &now).await?;
        Ok(StoredDeployment {
            deployment: now,
            ..before
        })
    }

    /// The operations that an event has added.
    async fn insert_added(
        &mut self,
        before: &Deployment,
        now: &Deployment,
        planned: &[PlannedOperation],
    ) -> Result<(), StoreError> {
        for (ordinal, operation) in (0_i64..).zip(&now.operations).skip(before.operations.len()) {
            let id = operation.slot.id;
            let payload = planned.iter().find(|planned| planned.id == id);
            let payload =
                payload.ok_or_else(|| super::corrupt("an operation without a payload", &id.to_string()))?;
            self.insert_operation(now.id, ordinal, operation, Some(payload))
                .await?;
        }
        Ok(())
    }

    async fn write_changes(&mut self, before: &Deployment, now: &Deployment) -> Result<(), StoreError> {
        for (index, new) in now.operations.iter().enumerate() {
            // One that was added meanwhile may have changed since, as well.
            if before.operations.get(index) != Some(new) {
                sqlx::query("UPDATE operations SET doc = ?2, is_out = ?3 WHERE id = ?1")
                    .bind(new.slot.id.to_string())
                    .bind(as_json(new)?)
                    .bind(new.state.is_out())
                    .execute(self.connection())
                    .await?;
            }
        }
        let (old_doc, new_doc) = (bare(before), bare(now));
        let (was_open, is_open) = (is_open(before), is_open(now));
        if old_doc != new_doc || was_open != is_open {
            sqlx::query("UPDATE deployments SET state = ?2, doc = ?3, open = ?4 WHERE id = ?1")
                .bind(now.id.to_string())
                .bind(now.state.as_str())
                .bind(as_json(&new_doc)?)
                .bind(is_open)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }
}

/// One deployment.
pub async fn deployment(
    connection: &mut SqliteConnection,
    id: DeploymentId,
) -> Result<Option<StoredDeployment>, StoreError> {
    let row: Option<Row> = sqlx::query_as("SELECT number, release, doc FROM deployments WHERE id = ?1")
        .bind(id.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ok(Some(complete(connection, row).await?)),
        None => Ok(None),
    }
}

/// The open deployments of a project, oldest first.
pub async fn open_deployments(
    connection: &mut SqliteConnection,
    project: &str,
) -> Result<Vec<StoredDeployment>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT number, release, doc FROM deployments WHERE project = ?1 AND open = 1 ORDER BY number",
    )
    .bind(project)
    .fetch_all(&mut *connection)
    .await?;
    complete_all(connection, rows).await
}

/// The deployments of a release, oldest first.
pub async fn deployments_of(
    connection: &mut SqliteConnection,
    release: i64,
) -> Result<Vec<StoredDeployment>, StoreError> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT number, release, doc FROM deployments WHERE release = ?1 ORDER BY number")
            .bind(release)
            .fetch_all(&mut *connection)
            .await?;
    complete_all(connection, rows).await
}

/// A part of the list of deployments, newest first. Empty texts match all.
pub async fn deployments_before(
    connection: &mut SqliteConnection,
    (project, release, environment): (&str, &str, &str),
    before: i64,
    limit: u32,
) -> Result<Vec<StoredDeployment>, StoreError> {
    // Only what is asked for stands in the query: so each has its index.
    let mut query =
        QueryBuilder::new("SELECT d.number, d.release, d.doc FROM deployments d WHERE d.number < ");
    query.push_bind(before);
    for (column, wanted) in [("project", project), ("environment", environment)] {
        if !wanted.is_empty() {
            query.push(format_args!(" AND d.{column} = ")).push_bind(wanted);
        }
    }
    if !release.is_empty() {
        query.push(" AND d.release IN (SELECT number FROM releases WHERE version = ");
        query.push_bind(release);
        if !project.is_empty() {
            query.push(" AND project = ").push_bind(project);
        }
        query.push(")");
    }
    query.push(" ORDER BY d.number DESC LIMIT ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(&mut *connection).await?;
    complete_all(connection, rows).await
}

/// One operation with its payload.
pub async fn operation(
    connection: &mut SqliteConnection,
    id: OperationId,
) -> Result<Option<StoredOperation>, StoreError> {
    let row: Option<(String, String, String, String, i64)> = sqlx::query_as(
        "SELECT deployment, payload, doc, incarnation, last_sequence FROM operations WHERE id = ?1",
    )
    .bind(id.to_string())
    .fetch_optional(connection)
    .await?;
    row.map(|(deployment, payload, doc, incarnation, last_sequence)| {
        let operation: Operation = of_json("an operation", &doc)?;
        Ok(StoredOperation {
            deployment: deployment
                .parse()
                .map_err(|_| super::corrupt("a deployment's id", &deployment))?,
            planned: only_as_approved(of_json("an operation's payload", &payload)?, &operation),
            operation,
            incarnation,
            last_sequence: u64::try_from(last_sequence).unwrap_or_default(),
        })
    })
    .transpose()
}

/// The plan that was approved stands with the state, which events make.
fn only_as_approved(planned: PlannedOperation, operation: &Operation) -> PlannedOperation {
    PlannedOperation {
        plan: operation.slot.plan.clone(),
        ..planned
    }
}

/// What is known of one service on one target.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct CellRow {
    pub environment: String,
    pub service: String,
    pub target: String,
    pub last_operation: String,
    /// The version of the release that `last_operation` belongs to.
    pub last_release: String,
    pub good_operation: Option<String>,
    pub good_release: Option<String>,
    pub observed_at: i64,
}

/// All cells of a project in which an operation has ended.
pub async fn cells(connection: &mut SqliteConnection, project: &str) -> Result<Vec<CellRow>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT c.environment, c.service, c.target, c.last_operation, lr.version AS last_release,
                c.good_operation, gr.version AS good_release, c.observed_at
         FROM cells c
         JOIN operations lo ON lo.id = c.last_operation
         JOIN deployments ld ON ld.id = lo.deployment
         JOIN releases lr ON lr.number = ld.release
         LEFT JOIN operations go ON go.id = c.good_operation
         LEFT JOIN deployments gd ON gd.id = go.deployment
         LEFT JOIN releases gr ON gr.number = gd.release
         WHERE c.project = ?1",
    )
    .bind(project)
    .fetch_all(connection)
    .await?)
}

type Row = (i64, i64, String);

async fn complete_all(
    connection: &mut SqliteConnection,
    rows: Vec<Row>,
) -> Result<Vec<StoredDeployment>, StoreError> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.push(complete(connection, row).await?);
    }
    Ok(all)
}

async fn complete(
    connection: &mut SqliteConnection,
    (number, release, doc): Row,
) -> Result<StoredDeployment, StoreError> {
    let mut deployment: Deployment = of_json("a deployment", &doc)?;
    let docs: Vec<String> =
        sqlx::query_scalar("SELECT doc FROM operations WHERE deployment = ?1 ORDER BY ordinal")
            .bind(deployment.id.to_string())
            .fetch_all(connection)
            .await?;
    deployment.operations = docs
        .iter()
        .map(|doc| of_json("an operation", doc))
        .collect::<Result<_, _>>()?;
    Ok(StoredDeployment {
        number,
        release,
        deployment,
    })
}

/// Operations have their own rows.
fn bare(deployment: &Deployment) -> Deployment {
    Deployment {
        operations: Vec::new(),
        ..deployment.clone()
    }
}

fn is_open(deployment: &Deployment) -> bool {
    !deployment.state.is_terminal() || deployment.open_questions().next().is_some()
}

/// The log's line of an event that led from `before` to `after`.
fn line(
    release: i64,
    before: Option<&Deployment>,
    after: &Deployment,
    event: &Event,
) -> Result<NewEvent, StoreError> {
    let changed = before.is_none_or(|before| before.state != after.state);
    let verdict = match &event.kind {
        EventKind::OperationFinished { outcome, .. } | EventKind::LateTruth { outcome, .. } => {
            Some(outcome.verdict.as_str())
        }
        _ => None,
    };
    Ok(NewEvent {
        release,
        deployment: Some(after.id.to_string()),
        operation: event.kind.operation().map(|id| id.to_string()),
        kind: event.kind.name(),
        message: event.kind.message(),
        state: changed.then(|| after.state.as_str()),
        verdict,
        payload: serde_json::to_value(event).map_err(StoreError::Unwritable)?,
        at: event.at,
    })
}

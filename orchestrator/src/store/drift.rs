//! What was found to run in each cell, compared with what was released there.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, WriteTx, as_json, from_micros, of_json, to_micros};
use crate::domain::drift::{Baseline, Drift};

/// One service on one target of an environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    pub project: String,
    pub environment: String,
    pub service: String,
    pub target: String,
}

/// What is known of a cell's drift.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftRow {
    pub cell: CellKey,
    /// The operation that put there what it is compared with.
    pub good_operation: String,
    pub drift: Option<Drift>,
    /// When this drift was found first.
    pub since: Option<Timestamp>,
    pub baseline: Option<Baseline>,
    /// When the account was last asked, and answered.
    pub checked_at: Option<Timestamp>,
    /// Why it could not be asked since; empty when it could.
    pub problem: String,
}

impl WriteTx {
    /// Stores what a check found.
    pub async fn put_drift(&mut self, row: &DriftRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO drift (project, environment, service, target, good_operation, drift, since, baseline,
                                checked_at, problem)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (project, environment, service, target) DO UPDATE
             SET good_operation = ?5, drift = ?6, since = ?7, baseline = ?8, checked_at = ?9, problem = ?10",
        )
        .bind(&row.cell.project)
        .bind(&row.cell.environment)
        .bind(&row.cell.service)
        .bind(&row.cell.target)
        .bind(&row.good_operation)
        .bind(row.drift.as_ref().map(as_json).transpose()?)
        .bind(row.since.map(to_micros))
        .bind(row.baseline.as_ref().map(as_json).transpose()?)
        .bind(row.checked_at.map(to_micros))
        .bind(&row.problem)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

/// What is known of the cells of a project.
pub async fn drift_of(connection: &mut SqliteConnection, project: &str) -> Result<Vec<DriftRow>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM drift WHERE project = ?1")
        .bind(project)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(DriftRow::try_from).collect()
}

/// The newest line of the log of events.
pub async fn newest_cursor(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(cursor) FROM events")
        .fetch_one(connection)
        .await?;
    Ok(newest.unwrap_or(0))
}

/// The projects of which a deployment has ended after a cursor.
pub async fn projects_with_ends(
    connection: &mut SqliteConnection,
    after: i64,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT DISTINCT d.project FROM events e JOIN deployments d ON d.id = e.deployment
         WHERE e.cursor > ?1 AND e.kind IN ('deployment_finished', 'late_truth')",
    )
    .bind(after)
    .fetch_all(connection)
    .await?)
}

/// The release's number and version that an operation belongs to.
pub async fn release_of(
    connection: &mut SqliteConnection,
    operation: &str,
) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT d.release FROM operations o JOIN deployments d ON d.id = o.deployment WHERE o.id = ?1",
    )
    .bind(operation)
    .fetch_optional(connection)
    .await?)
}

#[derive(sqlx::FromRow)]
struct Row {
    project: String,
    environment: String,
    service: String,
    target: String,
    good_operation: String,
    drift: Option<String>,
    since: Option<i64>,
    baseline: Option<String>,
    checked_at: Option<i64>,
    problem: String,
}

impl TryFrom<Row> for DriftRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            cell: CellKey {
                project: row.project,
                environment: row.environment,
                service: row.service,
                target: row.target,
            },
            good_operation: row.good_operation,
            drift: row
                .drift
                .as_deref()
                .map(|text| of_json("a drift", text))
                .transpose()?,
            since: row.since.map(from_micros).transpose()?,
            baseline: row
                .baseline
                .as_deref()
                .map(|text| of_json("a baseline", text))
                .transpose()?,
            checked_at: row.checked_at.map(from_micros).transpose()?,
            problem: row.problem,
        })
    }
}

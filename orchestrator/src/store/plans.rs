//! Plans that people approve, with all that an approver sees, and operations
//! whose values have been read.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, WriteTx, as_json, corrupt, from_micros, of_json, to_micros};
use crate::domain::{
    approval::ServicePlan,
    name::{DeploymentId, PlanHash},
    operation::PlannedOperation,
};

/// The newest plan of a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPlan {
    pub hash: PlanHash,
    pub made: Timestamp,
    /// In the order of waves, targets and services.
    pub plans: Vec<ServicePlan>,
}

impl WriteTx {
    /// Keeps a plan as the newest of its deployment.
    pub async fn put_plan(&mut self, deployment: DeploymentId, plan: &StoredPlan) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO deployment_plans (deployment, ordinal, hash, made_at, doc)
             SELECT ?1, COALESCE(MAX(ordinal), 0) + 1, ?2, ?3, ?4 FROM deployment_plans WHERE deployment = ?1",
        )
        .bind(deployment.to_string())
        .bind(plan.hash.as_str())
        .bind(to_micros(plan.made))
        .bind(as_json(&plan.plans)?)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// What an operation sends, now that its agent has read what it needs. Before
    /// its intent only: what may have been sent never changes.
    pub async fn fix_operation(&mut self, planned: &PlannedOperation) -> Result<(), StoreError> {
        sqlx::query("UPDATE operations SET payload = ?2 WHERE id = ?1")
            .bind(planned.id.to_string())
            .bind(as_json(planned)?)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

/// The newest plan of a deployment; `None` before there is one.
pub async fn newest_plan(
    connection: &mut SqliteConnection,
    deployment: DeploymentId,
) -> Result<Option<StoredPlan>, StoreError> {
    let row: Option<(String, i64, String)> = sqlx::query_as(
        "SELECT hash, made_at, doc FROM deployment_plans WHERE deployment = ?1 ORDER BY ordinal DESC LIMIT 1",
    )
    .bind(deployment.to_string())
    .fetch_optional(connection)
    .await?;
    row.map(|(hash, made_at, doc)| {
        Ok(StoredPlan {
            hash: hash.parse().map_err(|_| corrupt("a plan's hash", &hash))?,
            made: from_micros(made_at)?,
            plans: of_json("a plan", &doc)?,
        })
    })
    .transpose()
}

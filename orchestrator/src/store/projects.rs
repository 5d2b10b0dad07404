//! Projects, their versions as they were applied, and which ECS services each claims.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Store, StoreError, WriteTx, as_json, corrupt, from_micros, to_micros};
use crate::domain::project::{Claim, Project};

/// One version of a project, as its file was applied.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectVersion {
    pub project: String,
    pub version: i64,
    pub definition: String,
    pub parsed: Project,
    pub applied_at: Timestamp,
    pub applied_by: String,
}

/// A claim that another project holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub claim: Claim,
    pub by: String,
}

impl Store {
    /// The newest version of a project.
    pub async fn newest_version(&self, project: &str) -> Result<Option<ProjectVersion>, StoreError> {
        newest_version(&mut *self.reader().await?, project).await
    }

    /// The newest versions of projects, by name, after `after`.
    pub async fn newest_versions(&self, after: &str, limit: u32) -> Result<Vec<ProjectVersion>, StoreError> {
        let rows: Vec<StoredVersion> = sqlx::query_as(
            "SELECT v.* FROM projects p JOIN project_versions v
               ON v.project = p.name AND v.version = p.newest_version
             WHERE p.name > ?1 ORDER BY p.name LIMIT ?2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.into_iter().map(ProjectVersion::try_from).collect()
    }

    /// Those of `claims` that another project holds.
    pub async fn taken(&self, project: &str, claims: &[Claim]) -> Result<Vec<Taken>, StoreError> {
        taken(&mut *self.reader().await?, project, claims).await
    }
}

impl WriteTx {
    /// The newest version, inside the transaction.
    pub async fn newest_version(&mut self, project: &str) -> Result<Option<ProjectVersion>, StoreError> {
        newest_version(self.connection(), project).await
    }

    /// Stores a version as the newest one of its project.
    pub async fn put_version(&mut self, version: &ProjectVersion) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO projects (name, newest_version) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET newest_version = ?2",
        )
        .bind(&version.project)
        .bind(version.version)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "INSERT INTO project_versions (project, version, definition, parsed, applied_at, applied_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(&version.project)
        .bind(version.version)
        .bind(&version.definition)
        .bind(as_json(&version.parsed)?)
        .bind(to_micros(version.applied_at))
        .bind(&version.applied_by)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Gives `claims` to the project, in place of those it had. When others
    /// hold some of them nothing is changed, and those come back.
    pub async fn claim(&mut self, project: &str, claims: &[Claim]) -> Result<Vec<Taken>, StoreError> {
        let others = taken(self.connection(), project, claims).await?;
        if !others.is_empty() {
            return Ok(others);
        }
        sqlx::query("DELETE FROM claims WHERE project = ?1")
            .bind(project)
            .execute(self.connection())
            .await?;
        for claim in claims {
            sqlx::query(
                "INSERT INTO claims (account, region, cluster, ecs_service, project) VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .bind(claim.account.as_str())
            .bind(claim.region.as_str())
            .bind(claim.cluster.as_str())
            .bind(claim.ecs_service.as_str())
            .bind(project)
            .execute(self.connection())
            .await?;
        }
        Ok(Vec::new())
    }
}

/// A version that a release snapshotted.
pub async fn project_version(
    connection: &mut SqliteConnection,
    project: &str,
    version: i64,
) -> Result<Option<ProjectVersion>, StoreError> {
    let row: Option<StoredVersion> =
        sqlx::query_as("SELECT * FROM project_versions WHERE project = ?1 AND version = ?2")
            .bind(project)
            .bind(version)
            .fetch_optional(connection)
            .await?;
    row.map(ProjectVersion::try_from).transpose()
}

async fn newest_version(
    connection: &mut SqliteConnection,
    project: &str,
) -> Result<Option<ProjectVersion>, StoreError> {
    let row: Option<StoredVersion> = sqlx::query_as(
        "SELECT v.* FROM projects p JOIN project_versions v
           ON v.project = p.name AND v.version = p.newest_version
         WHERE p.name = ?1",
    )
    .bind(project)
    .fetch_optional(connection)
    .await?;
    row.map(ProjectVersion::try_from).transpose()
}

async fn taken(
    connection: &mut SqliteConnection,
    project: &str,
    claims: &[Claim],
) -> Result<Vec<Taken>, StoreError> {
    let mut taken = Vec::new();
    for claim in claims {
        let by: Option<String> = sqlx::query_scalar(
            "SELECT project FROM claims
             WHERE account = ?1 AND region = ?2 AND cluster = ?3 AND ecs_service = ?4 AND project <> ?5",
        )
        .bind(claim.account.as_str())
        .bind(claim.region.as_str())
        .bind(claim.cluster.as_str())
        .bind(claim.ecs_service.as_str())
        .bind(project)
        .fetch_optional(&mut *connection)
        .await?;
        taken.extend(by.map(|by| Taken {
            claim: claim.clone(),
            by,
        }));
    }
    Ok(taken)
}

#[derive(sqlx::FromRow)]
struct StoredVersion {
    project: String,
    version: i64,
    definition: String,
    parsed: String,
    applied_at: i64,
    applied_by: String,
}

impl TryFrom<StoredVersion> for ProjectVersion {
    type Error = StoreError;

    fn try_from(row: StoredVersion) -> Result<Self, StoreError> {
        Ok(Self {
            project: row.project,
            version: row.version,
            parsed: serde_json::from_str(&row.parsed).map_err(|_| corrupt("a project", &row.parsed))?,
            definition: row.definition,
            applied_at: from_micros(row.applied_at)?,
            applied_by: row.applied_by,
        })
    }
}

//! Releases: immutable, so each is one document that is written once.

use sqlx::SqliteConnection;

use super::{StoreError, WriteTx, as_json, of_json};
use crate::domain::{lifecycle::Standing, release::Release};

/// A release with its place in the order of creation.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRelease {
    pub number: i64,
    pub release: Release,
    /// What was said of it since.
    pub standing: Standing,
}

impl WriteTx {
    /// Stores a new release.
    pub async fn put_release(&mut self, release: &Release) -> Result<StoredRelease, StoreError> {
        let number = sqlx::query_scalar(
            "INSERT INTO releases (project, version, project_version, doc) VALUES (?1, ?2, ?3, ?4) RETURNING number",
        )
        .bind(release.project.as_str())
        .bind(release.version.as_str())
        .bind(release.project_version)
        .bind(as_json(release)?)
        .fetch_one(self.connection())
        .await?;
        Ok(StoredRelease {
            number,
            release: release.clone(),
            standing: Standing::default(),
        })
    }

    /// Says whether the run loop need not look at a release before its next command.
    pub async fn set_at_rest(&mut self, release: i64, at_rest: bool) -> Result<(), StoreError> {
        sqlx::query("UPDATE releases SET at_rest = ?2 WHERE number = ?1 AND at_rest <> ?2")
            .bind(release)
            .bind(at_rest)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

/// One release by its version.
pub async fn release(
    connection: &mut SqliteConnection,
    project: &str,
    version: &str,
) -> Result<Option<StoredRelease>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as("SELECT number, doc, standing FROM releases WHERE project = ?1 AND version = ?2")
            .bind(project)
            .bind(version)
            .fetch_optional(connection)
            .await?;
    row.map(read).transpose()
}

/// The newest release of the same project and channel.
pub async fn newest_of_channel(
    connection: &mut SqliteConnection,
    like: &Release,
) -> Result<Option<StoredRelease>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT number, doc, standing FROM releases WHERE project = ?1 AND channel = ?2 ORDER BY number DESC LIMIT 1",
    )
    .bind(like.project.as_str())
    .bind(like.channel.as_str())
    .fetch_optional(connection)
    .await?;
    row.map(read).transpose()
}

/// The releases of a project that are not at rest, oldest first.
pub async fn moving_releases(
    connection: &mut SqliteConnection,
    project: &str,
) -> Result<Vec<StoredRelease>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT number, doc, standing FROM releases WHERE project = ?1 AND at_rest = 0 ORDER BY number",
    )
    .bind(project)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(read).collect()
}

/// The releases of a project that are in sight, or all, newest first.
pub async fn releases_of(
    connection: &mut SqliteConnection,
    project: &str,
    with_archived: bool,
) -> Result<Vec<StoredRelease>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(if with_archived {
        "SELECT number, doc, standing FROM releases WHERE project = ?1 ORDER BY number DESC"
    } else {
        "SELECT number, doc, standing FROM releases WHERE project = ?1 AND archived = 0 ORDER BY number DESC"
    })
    .bind(project)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(read).collect()
}

/// The releases of a project before the one of this number, newest first.
pub async fn releases_before(
    connection: &mut SqliteConnection,
    project: &str,
    with_archived: bool,
    before: i64,
    limit: u32,
) -> Result<Vec<StoredRelease>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(if with_archived {
        "SELECT number, doc, standing FROM releases
         WHERE project = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3"
    } else {
        "SELECT number, doc, standing FROM releases
         WHERE project = ?1 AND archived = 0 AND number < ?2 ORDER BY number DESC LIMIT ?3"
    })
    .bind(project)
    .bind(before)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(read).collect()
}

/// The projects in which something may move: what a start looks at.
pub async fn projects_in_motion(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT project FROM releases WHERE at_rest = 0 UNION SELECT project FROM deployments WHERE open = 1",
    )
    .fetch_all(connection)
    .await?)
}

type Row = (i64, String, String);

fn read((number, doc, standing): Row) -> Result<StoredRelease, StoreError> {
    Ok(StoredRelease {
        number,
        release: of_json("a release", &doc)?,
        standing: of_json("a release's standing", &standing)?,
    })
}

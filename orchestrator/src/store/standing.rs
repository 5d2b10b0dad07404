//! What is said of releases as a whole, and which of them are in use.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{NewEvent, StoreError, StoredRelease, WriteTx, as_json};
use crate::domain::lifecycle::{Standing, StandingEvent};

impl WriteTx {
    /// Stores a release's next standing with the line that explains it.
    pub async fn put_standing(
        &mut self,
        release: &StoredRelease,
        next: &Standing,
        event: &StandingEvent,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE releases SET standing = ?2, archived = ?3 WHERE number = ?1")
            .bind(release.number)
            .bind(as_json(next)?)
            .bind(next.archived.is_some())
            .execute(self.connection())
            .await?;
        let mut payload = serde_json::to_value(event).map_err(StoreError::Unwritable)?;
        if let Some(members) = payload.as_object_mut() {
            members.insert("at".to_owned(), at.to_string().into());
        }
        self.append(&NewEvent {
            release: release.number,
            deployment: None,
            operation: None,
            kind: event.name(),
            message: event.message(),
            state: None,
            verdict: None,
            payload,
            at,
        })
        .await
    }
}

/// The releases of a project that are in use: one with an open deployment, and
/// of each environment the release that it saw last, the one that last
/// succeeded there, the one that succeeded before it, and what runs.
pub async fn releases_in_use(
    connection: &mut SqliteConnection,
    project: &str,
) -> Result<BTreeSet<i64>, StoreError> {
    let mut used: BTreeSet<i64> = sqlx::query_scalar(
        "SELECT release FROM deployments WHERE project = ?1 AND open = 1
         UNION
         SELECT d.release FROM cells c JOIN operations o ON o.id IN (c.last_operation, c.good_operation)
           JOIN deployments d ON d.id = o.deployment WHERE c.project = ?1",
    )
    .bind(project)
    .fetch_all(&mut *connection)
    .await?
    .into_iter()
    .collect();
    let environments: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT environment FROM cells WHERE project = ?1")
            .bind(project)
            .fetch_all(&mut *connection)
            .await?;
    for environment in environments {
        let newest = newest_of(connection, (project, &environment), "", 0).await?;
        let good = newest_of(connection, (project, &environment), "succeeded", 0).await?;
        let before = match good {
            Some(good) => newest_of(connection, (project, &environment), "succeeded", good).await?,
            None => None,
        };
        used.extend([newest, good, before].into_iter().flatten());
    }
    Ok(used)
}

/// The release of the newest deployment into an environment, in a state (empty:
/// in any), that is not of one release.
async fn newest_of(
    connection: &mut SqliteConnection,
    (project, environment): (&str, &str),
    state: &str,
    but: i64,
) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT release FROM deployments
         WHERE project = ?1 AND environment = ?2 AND (?3 = '' OR state = ?3) AND release <> ?4
         ORDER BY number DESC LIMIT 1",
    )
    .bind(project)
    .bind(environment)
    .bind(state)
    .bind(but)
    .fetch_optional(connection)
    .await?)
}

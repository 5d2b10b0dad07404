//! Freezes: made and removed, never changed.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, WriteTx, as_json, of_json, to_micros};
use crate::domain::freeze::Freeze;

impl WriteTx {
    /// Stores a new freeze.
    pub async fn put_freeze(&mut self, freeze: &Freeze) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO freezes (name, doc, ends_at) VALUES (?1, ?2, ?3)")
            .bind(freeze.name.as_str())
            .bind(as_json(freeze)?)
            .bind(freeze.ends().map(to_micros))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Ends a freeze; false when there is none of this name.
    pub async fn remove_freeze(&mut self, name: &str, at: Timestamp, by: &str) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE freezes SET removed_at = ?2, removed_by = ?3 WHERE name = ?1 AND removed_at IS NULL",
        )
        .bind(name)
        .bind(to_micros(at))
        .bind(by)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }
}

/// One freeze that was not removed.
pub async fn freeze(connection: &mut SqliteConnection, name: &str) -> Result<Option<Freeze>, StoreError> {
    let doc: Option<String> =
        sqlx::query_scalar("SELECT doc FROM freezes WHERE name = ?1 AND removed_at IS NULL")
            .bind(name)
            .fetch_optional(connection)
            .await?;
    doc.map(|doc| of_json("a freeze", &doc)).transpose()
}

/// The freezes that were not removed and of which a window may come after a
/// moment, by name.
pub async fn freezes_after(
    connection: &mut SqliteConnection,
    moment: Timestamp,
) -> Result<Vec<Freeze>, StoreError> {
    let docs: Vec<String> = sqlx::query_scalar(
        "SELECT doc FROM freezes WHERE removed_at IS NULL AND (ends_at IS NULL OR ends_at > ?1) ORDER BY name",
    )
    .bind(to_micros(moment))
    .fetch_all(connection)
    .await?;
    docs.iter().map(|doc| of_json("a freeze", doc)).collect()
}

/// A part of the list of those that were not removed, by name.
pub async fn freezes_from(
    connection: &mut SqliteConnection,
    after: &str,
    limit: u32,
) -> Result<Vec<Freeze>, StoreError> {
    let docs: Vec<String> = sqlx::query_scalar(
        "SELECT doc FROM freezes WHERE removed_at IS NULL AND name > ?1 ORDER BY name LIMIT ?2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    docs.iter().map(|doc| of_json("a freeze", doc)).collect()
}

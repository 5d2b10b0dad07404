//! Tags that name something else than when their release was created, and the
//! sequence of a project's versions.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{StoreError, WriteTx, corrupt, from_micros, to_micros};
use crate::domain::name::{Digest, ImageKey};

/// Where a tag of a release was seen with another digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTag {
    pub image: ImageKey,
    /// registry/repository
    pub repository: String,
    pub digest: Digest,
    pub seen: Timestamp,
}

impl WriteTx {
    /// Notes what a tag names now. True when that is news.
    pub async fn note_moved_tag(&mut self, release: i64, moved: &MovedTag) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO moved_tags (release, image, repository, digest, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (release, image, repository) DO UPDATE SET digest = ?4, seen_at = ?5 WHERE digest <> ?4",
        )
        .bind(release)
        .bind(moved.image.as_str())
        .bind(&moved.repository)
        .bind(moved.digest.as_str())
        .bind(to_micros(moved.seen))
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that a tag names again what the release holds. True when that is news.
    pub async fn note_tag_is_back(
        &mut self,
        release: i64,
        image: &ImageKey,
        repository: &str,
    ) -> Result<bool, StoreError> {
        let done =
            sqlx::query("DELETE FROM moved_tags WHERE release = ?1 AND image = ?2 AND repository = ?3")
                .bind(release)
                .bind(image.as_str())
                .bind(repository)
                .execute(self.connection())
                .await?;
        Ok(done.rows_affected() > 0)
    }

    /// The next number of a project and day (YYYY-MM-DD, UTC), from 1.
    pub async fn next_in_sequence(&mut self, project: &str, day: &str) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(
            "INSERT INTO release_sequences (project, day, last) VALUES (?1, ?2, 1)
             ON CONFLICT (project, day) DO UPDATE SET last = last + 1 RETURNING last",
        )
        .bind(project)
        .bind(day)
        .fetch_one(self.connection())
        .await?)
    }
}

/// The tags of a release that were last seen with another digest.
pub async fn moved_tags(
    connection: &mut SqliteConnection,
    release: i64,
) -> Result<Vec<MovedTag>, StoreError> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT image, repository, digest, seen_at FROM moved_tags WHERE release = ?1 ORDER BY image, repository",
    )
    .bind(release)
    .fetch_all(connection)
    .await?;
    let read = |(image, repository, digest, seen): (String, String, String, i64)| {
        Ok(MovedTag {
            image: image.parse().map_err(|_| corrupt("an image", &image))?,
            digest: digest.parse().map_err(|_| corrupt("a digest", &digest))?,
            repository,
            seen: from_micros(seen)?,
        })
    };
    rows.into_iter().map(read).collect()
}

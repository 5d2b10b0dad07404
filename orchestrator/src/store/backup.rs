//! Copies of the database: made while it is in use ([`Store::copy_to`]), looked
//! into ([`inspect`]), and put in place of another one ([`restore`]).
//!
//! What always holds: a copy is the database at one moment, and only its owner
//! may read it; a restored database has a higher epoch than any orchestrator had
//! that served before, so that agents listen to it and to no other.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::json;
use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    AuditEntry, Store, StoreError,
    audit::{append, head},
    from_micros,
    open::{newest_known_schema, take_lock},
    to_micros,
};
use crate::domain::audit::{Hash, Outcome};

/// By so much a restored database's epoch is at least higher than the backup's.
const EPOCH_STEP: i64 = 1_000_000;

/// What a copy of the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFacts {
    /// When the copy was made; `None` of a database that is no copy.
    pub made_at: Option<Timestamp>,
    /// The number of the newest migration in it.
    pub schema: i64,
    pub epoch: i64,
    /// The last entry of its audit log.
    pub audit: (i64, Hash),
    pub bytes: u64,
}

/// Why a file is not restored. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum RestoreFault {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is no backup of a Towline orchestrator: {why}\nhint: `towline backup FILE` makes one")]
    NoBackup { path: PathBuf, why: String },
    #[error(
        "{path} was made by a newer towline (its schema is {found}, this program knows up to {known})\n\
         hint: install the version that made it"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "there is a database in {path} already\nhint: --force puts it aside under another name and restores over it"
    )]
    Exists { path: PathBuf },
    #[error("cannot write {path}: {source}")]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RestoreFault {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub facts: BackupFacts,
    pub epoch: i64,
    /// Where the database is that was there before.
    pub before: Option<PathBuf>,
}

impl Store {
    /// Writes a copy of the database, as it is at one moment, to a new file.
    /// Readers and the writer go on meanwhile.
    pub async fn copy_to(&self, to: &Path, now: Timestamp) -> Result<BackupFacts, StoreError> {
        let unwritable = |source| StoreError::Open {
            path: to.to_owned(),
            source,
        };
        private(to).map_err(unwritable)?;
        let text = to
            .to_str()
            .ok_or_else(|| unwritable(io::ErrorKind::InvalidFilename.into()))?;
        let mut from = SqliteConnection::connect_with(&self.options().read_only(true)).await?;
        sqlx::query("VACUUM INTO ?1")
            .bind(text)
            .execute(&mut from)
            .await?;
        from.close().await?;
        let mut copy = SqliteConnection::connect_with(&plain(to)).await?;
        sqlx::query("UPDATE meta SET value = ?1 WHERE key = 'backup_made_at'")
            .bind(to_micros(now))
            .execute(&mut copy)
            .await?;
        let facts = facts(&mut copy, to).await?;
        copy.close().await?;
        File::open(to)
            .and_then(|file| file.sync_all())
            .map_err(unwritable)?;
        Ok(facts)
    }
}

/// What a backup is; checks it as a whole.
pub async fn inspect(path: &Path) -> Result<BackupFacts, RestoreFault> {
    File::open(path).map_err(|source| RestoreFault::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let no_backup = |why: String| RestoreFault::NoBackup {
        path: path.to_owned(),
        why,
    };
    let options = plain(path).read_only(true);
    let mut backup = SqliteConnection::connect_with(&options)
        .await
        .map_err(|error| no_backup(error.to_string()))?;
    let whole: Result<String, _> = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&mut backup)
        .await;
    match whole {
        Ok(answer) if answer == "ok" => {}
        Ok(answer) => return Err(no_backup(answer)),
        Err(error) => return Err(no_backup(error.to_string())),
    }
    let found = facts(&mut backup, path)
        .await
        .map_err(|error| no_backup(error.to_string()))?;
    backup.close().await?;
    let known = newest_known_schema();
    if found.schema > known {
        return Err(RestoreFault::Newer {
            path: path.to_owned(),
            found: found.schema,
            known,
        });
    }
    Ok(found)
}

/// Puts a backup where the orchestrator's database is. A database that is there
/// already is put aside with `force`, and is an error without. Nobody may use it
/// meanwhile. `by` is who does it, for the audit log.
pub async fn restore(
    backup: &Path,
    database: &Path,
    force: bool,
    by: &str,
    now: Timestamp,
) -> Result<Restored, RestoreFault> {
    let _lock = take_lock(database)?;
    let found = inspect(backup).await?;
    if database.exists() && !force {
        return Err(RestoreFault::Exists {
            path: database.to_owned(),
        });
    }
    let fresh = beside(database, "restoring");
    let epoch = prepare(backup, &fresh, &found, by, now).await?;
    let before = match database.exists() {
        true => Some(put_aside(database, now).await?),
        false => None,
    };
    let unwritable = |source| RestoreFault::Unwritable {
        path: database.to_owned(),
        source,
    };
    fs::rename(&fresh, database).map_err(unwritable)?;
    if let Some(dir) = database.parent() {
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(unwritable)?;
    }
    Ok(Restored {
        facts: found,
        epoch,
        before,
    })
}

/// Makes the database that will be put in place: the backup's, of a higher epoch.
async fn prepare(
    backup: &Path,
    fresh: &Path,
    found: &BackupFacts,
    by: &str,
    now: Timestamp,
) -> Result<i64, RestoreFault> {
    let unwritable = |source| RestoreFault::Unwritable {
        path: fresh.to_owned(),
        source,
    };
    // Left behind by a restore that was killed.
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
        _ => {}
    }
    let mut to = private(fresh).map_err(unwritable)?;
    let mut from = File::open(backup).map_err(|source| RestoreFault::Unreadable {
        path: backup.to_owned(),
        source,
    })?;
    io::copy(&mut from, &mut to).map_err(unwritable)?;
    drop(to);
    // Orchestrators since the backup counted on from its epoch, once for each
    // start: none of them came as far as the clock in milliseconds.
    let epoch = now.as_millisecond().max(found.epoch.saturating_add(EPOCH_STEP));
    let mut database = SqliteConnection::connect_with(&plain(fresh)).await?;
    let mut tx = database.begin().await?;
    for (key, value) in [("epoch", epoch), ("restored_at", to_micros(now))] {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
        )
        .bind(key)
        .bind(value)
        .execute(&mut *tx)
        .await?;
    }
    // A token that was used since the backup would be good again.
    sqlx::query("UPDATE join_tokens SET used_at = ?1 WHERE used_at IS NULL")
        .bind(to_micros(now))
        .execute(&mut *tx)
        .await?;
    if found.audit.0 > 0 {
        let entry = AuditEntry {
            at: now,
            identity: by.to_owned(),
            rpc: "restore".to_owned(),
            request: json!({ "backup_made_at": found.made_at.map(|at| at.to_string()) }),
            outcome: Outcome::Done,
            result: json!({ "epoch": epoch }),
        };
        append(&mut tx, &entry).await?;
    }
    tx.commit().await?;
    database.close().await?;
    File::open(fresh)
        .and_then(|file| file.sync_all())
        .map_err(unwritable)?;
    Ok(epoch)
}

/// Gives the database that is there another name.
async fn put_aside(database: &Path, now: Timestamp) -> Result<PathBuf, RestoreFault> {
    // What its log holds is written back, where it can be read at all: then it is one file.
    if let Ok(mut old) = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(database)).await
    {
        let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut old)
            .await;
        let _ = old.close().await;
    }
    let name = format!("before-restore-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let aside = beside(database, &name);
    for side in ["", "-wal", "-shm"] {
        let with = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(side);
            PathBuf::from(name)
        };
        match fs::rename(with(database), with(&aside)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !side.is_empty() => {}
            Err(source) => {
                return Err(RestoreFault::Unwritable {
                    path: with(database),
                    source,
                });
            }
            Ok(()) => {}
        }
    }
    Ok(aside)
}

async fn facts(connection: &mut SqliteConnection, path: &Path) -> Result<BackupFacts, StoreError> {
    let schema = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await?;
    let epoch = meta(connection, "epoch").await?.unwrap_or(0);
    let made_at = meta(connection, "backup_made_at").await?.filter(|at| *at > 0);
    // Backups from before the audit log have none.
    let audited: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = 'audit'")
        .fetch_one(&mut *connection)
        .await?;
    Ok(BackupFacts {
        made_at: made_at.map(from_micros).transpose()?,
        schema,
        epoch,
        audit: match audited {
            0 => (0, Hash::NONE),
            _ => head(connection).await?,
        },
        bytes: fs::metadata(path).map(|file| file.len()).unwrap_or(0),
    })
}

/// A number that the database keeps of itself.
pub async fn meta(connection: &mut SqliteConnection, key: &str) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = ?1")
        .bind(key)
        .fetch_optional(connection)
        .await?)
}

/// A new file that only its owner may read.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
}

/// One file, without a log beside it.
fn plain(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

//! Opening the database: who may, with which settings, and which schemas are known.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use sqlx::{
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::watch;

use super::{CommitPoint, Store, StoreError, StoreSettings, lending::Connections};
use crate::{
    planted::{Bug, has},
    tasks::Tasks,
};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How many connections read at the same time.
const READERS: u32 = 4;

impl Store {
    /// Opens the file (and makes it), brings its schema up to date and raises
    /// the epoch. Another process on the file, or a newer schema, is an error.
    pub async fn open(settings: &StoreSettings) -> Result<Self, StoreError> {
        let path = &settings.path;
        let lock = take_lock(path)?;
        make_private(path).map_err(|source| cannot_open(path, source))?;
        let options = options(path);
        let writer = Connections::open(&options, 1).await?;
        MIGRATIONS
            .run(&mut *writer.lend().await?)
            .await
            .map_err(|error| migration_error(path, error))?;
        let readers = Connections::open(&options.read_only(true), READERS).await?;
        let mut store = Self {
            path: path.clone(),
            writer,
            readers,
            committed: watch::Sender::new(0),
            tasks: Tasks::new(),
            epoch: 0,
            #[cfg(feature = "planted-faults")]
            crasher: std::sync::Arc::new(super::planted::acting::Crasher::new(settings.planted.clone())),
            #[cfg(test)]
            death: super::death::Death::default(),
            _lock: std::sync::Arc::new(lock),
        };
        store.epoch = store.raise_epoch().await?;
        Ok(store)
    }

    /// How a connection to the database is made.
    pub(super) fn options(&self) -> SqliteConnectOptions {
        options(&self.path)
    }

    async fn raise_epoch(&self) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        let epoch =
            sqlx::query_scalar("UPDATE meta SET value = value + ?1 WHERE key = 'epoch' RETURNING value")
                .bind(i64::from(!has(Bug::EpochNotRaised)))
                .fetch_one(tx.connection())
                .await?;
        if has(Bug::TwoAtOnce) {
            sqlx::query("DROP INDEX IF EXISTS one_running_deployment")
                .execute(tx.connection())
                .await?;
        }
        self.commit(tx, CommitPoint::EpochRaised).await?;
        Ok(epoch)
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
}

/// The number of the newest migration that this program has.
pub(super) fn newest_known_schema() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// The lock lives as long as the file handle; the system frees it when the process ends, however it ends.
pub(super) fn take_lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|source| cannot_open(&lock_path, source))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse {
            path: path.to_owned(),
        }),
        Err(errno) => Err(cannot_open(&lock_path, errno.into())),
    }
}

/// Only the owner may read what an orchestrator knows. SQLite gives its side files the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))
}

fn cannot_open(path: &Path, source: io::Error) -> StoreError {
    StoreError::Open {
        path: path.to_owned(),
        source,
    }
}

fn migration_error(path: &Path, error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(version) => StoreError::NewerSchema {
            path: path.to_owned(),
            found: version,
            known: newest_known_schema(),
        },
        other => StoreError::Migrate {
            path: path.to_owned(),
            source: Box::new(other),
        },
    }
}

//! What the orchestrator remembers, in one SQLite file: one connection writes
//! (`BEGIN IMMEDIATE`, WAL, `synchronous=FULL`: what was committed is on disk),
//! a few read. Start with [`Store::open`], then [`Store::begin`] and
//! [`Store::commit`], through which every change goes. A state and the events
//! that explain it are always in the same transaction. One process at a time.

pub mod audit;
pub mod backup;
mod commit;
#[cfg(test)]
mod death;
pub mod deployments;
pub mod drift;
mod events;
pub mod freezes;
pub mod history;
mod lending;
pub mod moved_tags;
mod open;
pub mod outbox;
mod people;
pub mod plans;
mod planted;
mod projects;
pub mod releases;
pub mod standing;
#[cfg(test)]
mod tests;
mod trouble;

use std::{fs::File, io, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::tasks::Tasks;

pub use audit::{AuditEntry, AuditFilter, AuditedCall};
pub use commit::{CommitPoint, WriteTx};
pub use deployments::{StoredDeployment, StoredOperation};
pub use events::{AgentMessage, NewEvent, events_after};
pub use lending::Lent;
pub use moved_tags::MovedTag;
pub use people::{AgentFacts, AgentRow, Invited, TokenUse};
pub use plans::StoredPlan;
#[cfg(feature = "planted-faults")]
pub use planted::acting::{Fate, Moment, Witness};
pub use planted::{CrashAt, PlantedFaults, Side};
pub use projects::{ProjectVersion, Taken, project_version};
pub use releases::StoredRelease;
pub use trouble::Trouble;

/// Where the database is, and how it is opened.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The file; made with mode 0600 when it is not there.
    pub path: PathBuf,
    pub planted: PlantedFaults,
}

impl StoreSettings {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            planted: PlantedFaults::default(),
        }
    }
}

/// The open database. A handle: clones share the connections.
#[derive(Clone)]
pub struct Store {
    path: PathBuf,
    writer: lending::Connections,
    readers: lending::Connections,
    committed: watch::Sender<u64>,
    /// Commits under way.
    tasks: Tasks,
    epoch: i64,
    #[cfg(feature = "planted-faults")]
    crasher: Arc<planted::acting::Crasher>,
    #[cfg(test)]
    death: death::Death,
    _lock: Arc<File>,
}

impl Store {
    /// The fencing epoch of this start: higher than that of every start before.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// A connection to read with; several reads that must agree open a transaction on it.
    pub async fn reader(&self) -> Result<Lent, StoreError> {
        self.readers.lend().await
    }

    /// A view of the database at one moment.
    pub async fn read(&self) -> Result<Lent, StoreError> {
        self.readers.lend().await?.begin("BEGIN").await
    }

    /// Writes back what the log of SQLite holds and lets the file go.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Changes after every commit, so that a watcher looks again.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }
}

/// Why the database could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "another towline process uses {path}\nhint: stop it first, or give this one its own data directory"
    )]
    InUse { path: PathBuf },
    #[error(
        "{path} was written by a newer towline (its schema is {found}, this program knows up to {known})\n\
         hint: run the version that wrote it, or restore a backup from before"
    )]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error("{path} cannot be brought to this program's schema")]
    Migrate {
        path: PathBuf,
        source: Box<sqlx::migrate::MigrateError>,
    },
    #[error("{path} cannot be opened")]
    Open { path: PathBuf, source: io::Error },
    #[error("the database refused")]
    Sqlite(#[from] sqlx::Error),
    /// A row says what no version of this program writes.
    #[error("the database holds {what} that cannot be understood: {value:?}")]
    Corrupt { what: &'static str, value: String },
    #[error("a value cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
    /// The domain refuses what the caller wanted to record: nothing was changed.
    #[error(transparent)]
    Illegal(#[from] crate::domain::deployment::IllegalTransition),
    #[cfg(feature = "planted-faults")]
    #[error("the commit log cannot be written")]
    CommitLog(#[source] io::Error),
}

/// Times are stored as microseconds since 1970.
pub(crate) fn to_micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub(crate) fn from_micros(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Corrupt {
        what: "a time",
        value: micros.to_string(),
    })
}

/// The beginning of the value is enough to find it by.
fn corrupt(what: &'static str, value: &str) -> StoreError {
    const SHOWN: usize = 120;
    let mut shown: String = value.chars().take(SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    StoreError::Corrupt { what, value: shown }
}

fn as_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::Unwritable)
}

fn of_json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| corrupt(what, text))
}

/// Reads a choice that is stored as its word.
fn of_word<T: serde::de::DeserializeOwned>(what: &'static str, word: &str) -> Result<T, StoreError> {
    serde_json::from_value(word.into()).map_err(|_| corrupt(what, word))
}

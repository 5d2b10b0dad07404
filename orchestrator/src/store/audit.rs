//! The audit log in the database, and the call that is being answered: who
//! calls what stands in the task's own [`AuditedCall`], and the first commit
//! made for it carries the entry. So a handler that commits is audited in the
//! transaction of its change, whether its author thought of it or not.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sqlx::SqliteConnection;

use super::{CommitPoint, Store, StoreError, WriteTx, corrupt, from_micros, of_json, of_word, to_micros};
use crate::domain::audit::{Entry, Hash, Outcome};

/// An entry to append. The log gives it its number and its hash.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// "operator ann".
    pub identity: String,
    /// "ReleaseService/PromoteRelease".
    pub rpc: String,
    /// Without secrets (`domain::audit::shown`).
    pub request: Value,
    pub outcome: Outcome,
    pub result: Value,
}

/// An entry of the log with its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEntry {
    pub entry: Entry,
    pub previous: Hash,
    pub hash: Hash,
}

impl StoredEntry {
    /// Its line in an export.
    pub fn line(&self) -> String {
        self.entry.line(self.previous, self.hash)
    }
}

/// A call that leaves an entry. A handle: clones are the same call.
#[derive(Clone)]
pub struct AuditedCall(Arc<Mutex<Call>>);

struct Call {
    at: Timestamp,
    identity: String,
    rpc: String,
    request: Value,
    result: Map<String, Value>,
    /// It did what it was asked, without a commit of its own.
    done: bool,
    recorded: bool,
}

tokio::task_local! {
    static CALL: AuditedCall;
}

impl AuditedCall {
    /// `request` is without secrets.
    pub fn new(at: Timestamp, identity: String, rpc: String, request: Value) -> Self {
        Self(Arc::new(Mutex::new(Call {
            at,
            identity,
            rpc,
            request,
            result: Map::new(),
            done: false,
            recorded: false,
        })))
    }

    /// Answers the call: commits that are made meanwhile, by this very task,
    /// are this call's.
    pub async fn answer<F: Future>(&self, handler: F) -> F::Output {
        CALL.scope(self.clone(), handler).await
    }

    /// The call that this task answers.
    pub fn current() -> Option<Self> {
        CALL.try_with(Clone::clone).ok()
    }

    /// Who calls, where only the answering finds it out.
    pub fn identify(identity: impl Into<String>) {
        if let Some(call) = Self::current() {
            call.lock().identity = identity.into();
        }
    }

    /// Something that the entry is to tell of the result.
    pub fn tell(member: &str, value: impl Into<Value>) {
        if let Some(call) = Self::current() {
            call.lock().result.insert(member.to_owned(), value.into());
        }
    }

    /// What was asked was done, although nothing is committed for it.
    pub fn note_done() {
        if let Some(call) = Self::current() {
            call.lock().done = true;
        }
    }

    pub fn is_recorded(&self) -> bool {
        self.lock().recorded
    }

    pub(super) fn set_recorded(&self) {
        self.lock().recorded = true;
    }

    /// The entry of a change that a commit makes.
    pub(super) fn of_commit(&self, point: CommitPoint, trace: &Trace) -> AuditEntry {
        let call = self.lock();
        let mut result = call.result.clone();
        result.insert("commit".to_owned(), point.name().into());
        if let Some((first, last)) = trace.cursors {
            result.insert("events".to_owned(), json!([first, last]));
        }
        if !trace.deployments.is_empty() {
            result.insert("deployments".to_owned(), trace.deployments.clone().into());
        }
        call.entry(Outcome::Done, Value::Object(result))
    }

    /// The entry of a call for which nothing was committed.
    pub fn of_answer(&self, refusal: Option<Value>) -> AuditEntry {
        let call = self.lock();
        match refusal {
            Some(refusal) => call.entry(Outcome::Refused, refusal),
            None => {
                let outcome = if call.done {
                    Outcome::Done
                } else {
                    Outcome::Unchanged
                };
                call.entry(outcome, Value::Object(call.result.clone()))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    fn entry(&self, outcome: Outcome, result: Value) -> AuditEntry {
        AuditEntry {
            at: self.at,
            identity: self.identity.clone(),
            rpc: self.rpc.clone(),
            request: self.request.clone(),
            outcome,
            result,
        }
    }
}

/// What a transaction has written so far, as far as an entry tells of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    /// The first and the last line of the log of events.
    cursors: Option<(i64, i64)>,
    deployments: Vec<String>,
}

impl Trace {
    pub fn note(&mut self, cursor: i64, deployment: Option<&String>) {
        let first = self.cursors.map_or(cursor, |(first, _)| first);
        self.cursors = Some((first, cursor));
        if let Some(id) = deployment
            && !self.deployments.contains(id)
        {
            self.deployments.push(id.clone());
        }
    }
}

impl WriteTx {
    /// Appends an entry: it is true exactly when the transaction is.
    pub async fn audit(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        append(self.connection(), entry).await
    }
}

/// Appends an entry to the chain.
pub(super) async fn append(connection: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), StoreError> {
    let (last, previous) = head(connection).await?;
    let entry = Entry {
        number: last + 1,
        at: from_micros(to_micros(entry.at))?,
        identity: entry.identity.clone(),
        rpc: entry.rpc.clone(),
        request: entry.request.clone(),
        outcome: entry.outcome,
        result: entry.result.clone(),
    };
    let hash = entry.hash(previous);
    sqlx::query(
        "INSERT INTO audit (number, at, identity, rpc, request, outcome, result, previous, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .bind(entry.number)
    .bind(to_micros(entry.at))
    .bind(&entry.identity)
    .bind(&entry.rpc)
    .bind(entry.request.to_string())
    .bind(entry.outcome.as_str())
    .bind(entry.result.to_string())
    .bind(previous.to_string())
    .bind(hash.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Which entries of the log are wanted.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// "operator ann", or the name alone; empty for all.
    pub identity: String,
    /// "PromoteRelease", or with its service; empty for all.
    pub rpc: String,
    pub since: Option<Timestamp>,
}

impl Store {
    /// Entries below a number, newest first.
    pub async fn audit_before(
        &self,
        filter: &AuditFilter,
        before: i64,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT * FROM audit WHERE number < ?1 AND at >= ?2
               AND (?3 = '' OR identity = ?3 OR identity LIKE '% ' || ?3)
               AND (?4 = '' OR rpc = ?4 OR rpc LIKE '%/' || ?4)
             ORDER BY number DESC LIMIT ?5",
        )
        .bind(before)
        .bind(filter.since.map_or(i64::MIN, to_micros))
        .bind(&filter.identity)
        .bind(&filter.rpc)
        .bind(limit)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        rows.into_iter().map(StoredEntry::try_from).collect()
    }

    /// Entries above a number, oldest first, each with its number: one that
    /// cannot be read does not hide those beside it.
    pub async fn audit_after(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Result<StoredEntry, StoreError>)>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as("SELECT * FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2")
            .bind(after)
            .bind(limit)
            .fetch_all(&mut *self.reader().await?)
            .await?;
        Ok(rows.into_iter().map(|row| (row.number, row.try_into())).collect())
    }

    /// The number of the first entry at or after a time.
    pub async fn first_audit_since(&self, since: Timestamp) -> Result<Option<i64>, StoreError> {
        let first = sqlx::query_scalar("SELECT MIN(number) FROM audit WHERE at >= ?1")
            .bind(to_micros(since))
            .fetch_one(&mut *self.reader().await?)
            .await?;
        Ok(first)
    }

    /// How many entries were ever written, as the database counts them itself.
    pub async fn audit_ever(&self) -> Result<i64, StoreError> {
        let ever: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(ever.unwrap_or(0))
    }
}

/// The last entry: its number and hash.
pub async fn head(connection: &mut SqliteConnection) -> Result<(i64, Hash), StoreError> {
    let row: Option<(i64, String)> =
        sqlx::query_as("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
    match row {
        Some((number, hash)) => Ok((number, parse_hash(&hash)?)),
        None => Ok((0, Hash::NONE)),
    }
}

fn parse_hash(hex: &str) -> Result<Hash, StoreError> {
    Hash::parse(hex).ok_or_else(|| corrupt("a hash of the audit log", hex))
}

#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    at: i64,
    identity: String,
    rpc: String,
    request: String,
    outcome: String,
    result: String,
    previous: String,
    hash: String,
}

impl TryFrom<Row> for StoredEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            entry: Entry {
                number: row.number,
                at: from_micros(row.at)?,
                identity: row.identity,
                rpc: row.rpc,
                request: of_json("a request in the audit log", &row.request)?,
                outcome: of_word("an outcome in the audit log", &row.outcome)?,
                result: of_json("a result in the audit log", &row.result)?,
            },
            previous: parse_hash(&row.previous)?,
            hash: parse_hash(&row.hash)?,
        })
    }
}

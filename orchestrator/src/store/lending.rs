//! Connections to the database that are lent to one user at a time, and come
//! back by being dropped. What a user left half done is rolled back.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteTransactionManager},
};
use sqlx_core::{sql_str::SqlStr, transaction::TransactionManager as _};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::StoreError;

type Shared = Arc<AsyncMutex<SqliteConnection>>;

/// A handle: clones lend the same connections.
#[derive(Clone)]
pub(super) struct Connections {
    all: Arc<Mutex<Vec<Shared>>>,
    places: Arc<Semaphore>,
    count: u32,
    options: Arc<SqliteConnectOptions>,
}

impl Connections {
    pub async fn open(options: &SqliteConnectOptions, count: u32) -> Result<Self, StoreError> {
        #[cfg(feature = "planted-faults")]
        let _in_use = crate::tasks::undisturbed::InUse::begin();
        let mut all = Vec::new();
        for _ in 0..count {
            let connection = SqliteConnection::connect_with(options).await?;
            all.push(Arc::new(AsyncMutex::new(connection)));
        }
        Ok(Self {
            places: Arc::new(Semaphore::new(all.len())),
            all: Arc::new(Mutex::new(all)),
            count,
            options: Arc::new(options.clone()),
        })
    }

    /// Waits for a connection, in the order of asking.
    pub async fn lend(&self) -> Result<Lent, StoreError> {
        let closed = || StoreError::Sqlite(sqlx::Error::PoolClosed);
        let place = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = all
            .iter()
            .filter_map(|connection| connection.clone().try_lock_owned().ok());
        let connection = free.next().ok_or_else(closed)?;
        Ok(Lent {
            connection,
            options: self.options.clone(),
            in_transaction: false,
            #[cfg(feature = "planted-faults")]
            in_use: crate::tasks::undisturbed::InUse::begin(),
            _place: place,
        })
    }

    /// Waits for what is lent, then closes all.
    pub async fn close(&self) {
        let _every_place = self.places.acquire_many(self.count).await;
        self.places.close();
        #[cfg(feature = "planted-faults")]
        let _in_use = crate::tasks::undisturbed::InUse::begin();
        let all = std::mem::take(&mut *self.all.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in all {
            if let Some(connection) = Arc::into_inner(connection) {
                let _ = connection.into_inner().close().await;
            }
        }
    }
}

/// A connection, until it is dropped.
pub struct Lent {
    connection: OwnedMutexGuard<SqliteConnection>,
    options: Arc<SqliteConnectOptions>,
    in_transaction: bool,
    #[cfg(feature = "planted-faults")]
    pub(super) in_use: crate::tasks::undisturbed::InUse,
    _place: OwnedSemaphorePermit,
}

impl Lent {
    /// Begins a transaction with this statement.
    pub(super) async fn begin(mut self, statement: &'static str) -> Result<Self, StoreError> {
        let first = self.try_begin(statement).await;
        // SQLite ends a transaction by itself when the disk is full
        // (<https://www.sqlite.org/lang_transaction.html>, 3.1), and the driver's own
        // count of open transactions is then wrong for good: a new connection is not.
        if let Err(sqlx::Error::InvalidSavePointStatement) = first {
            *self.connection = SqliteConnection::connect_with(&self.options).await?;
            self.try_begin(statement).await?;
        } else {
            first?;
        }
        self.in_transaction = true;
        Ok(self)
    }

    async fn try_begin(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        SqliteTransactionManager::begin(&mut self.connection, Some(SqlStr::from_static(statement))).await
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        SqliteTransactionManager::commit(&mut self.connection).await?;
        self.in_transaction = false;
        Ok(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.in_transaction {
            SqliteTransactionManager::start_rollback(&mut self.connection);
        }
    }
}

impl Deref for Lent {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

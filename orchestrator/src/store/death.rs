//! For tests: a store that dies at a chosen commit. From then on nothing is
//! committed, and whoever tries waits until the test lets go: to the rest of
//! the process it is as if it had been killed there.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{CommitPoint, Side, Store, StoreError};

#[derive(Clone, Default)]
pub(super) struct Death(Arc<Inner>);

struct Inner {
    at: Mutex<Option<(usize, Side)>>,
    made: AtomicUsize,
    died: watch::Sender<Option<&'static str>>,
    let_go: CancellationToken,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            at: Mutex::default(),
            made: AtomicUsize::new(0),
            died: watch::Sender::new(None),
            let_go: CancellationToken::new(),
        }
    }
}

impl Death {
    pub async fn before(&self, point: CommitPoint) -> Result<(), StoreError> {
        let number = self.0.made.load(Ordering::SeqCst) + 1;
        self.pass(number, Side::Before, point).await
    }

    pub async fn after(&self, point: CommitPoint) -> Result<(), StoreError> {
        let number = self.0.made.fetch_add(1, Ordering::SeqCst) + 1;
        self.pass(number, Side::After, point).await
    }

    async fn pass(&self, number: usize, side: Side, point: CommitPoint) -> Result<(), StoreError> {
        if *self.0.at.lock().expect("a lock") == Some((number, side)) {
            self.0.died.send_replace(Some(point.name()));
        }
        if self.0.died.borrow().is_none() {
            return Ok(());
        }
        self.0.let_go.cancelled().await;
        Err(StoreError::Sqlite(sqlx::Error::PoolClosed))
    }
}

impl Store {
    /// Dies on this side of the commit of this number from now, the next is 1.
    pub fn die_at(&self, number: usize, side: Side) {
        self.death.0.made.store(0, Ordering::SeqCst);
        *self.death.0.at.lock().expect("a lock") = Some((number, side));
    }

    /// Waits for the death; the name of its commit.
    pub async fn died(&self) -> &'static str {
        let mut died = self.death.0.died.subscribe();
        let died = died.wait_for(Option::is_some).await.expect("a store");
        died.expect("it died")
    }

    /// Whoever waits for a dead store gets an error now.
    pub fn let_go(&self) {
        self.death.0.let_go.cancel();
    }
}

//! The one way into the database: every change is a transaction that
//! [`Store::begin`] opens and [`Store::commit`] ends, under a name.

use std::fmt;

use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::{Store, StoreError};

/// The commits that are made, by what they make true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitPoint {
    /// The fencing epoch of this start.
    EpochRaised,
    ProjectApplied,
    ReleaseCreated,
    /// A person's promotion.
    DeploymentCreated,
    DeploymentApproved,
    CancelRequested,
    /// What `decide` wanted: phases begun, deployments started, operations begun or skipped, ends.
    DecisionsRecorded,
    /// An operation's expected state, and that it is about to be sent.
    OperationIntended,
    /// That an operation is about to be sent once more.
    OperationSentAgain,
    OperationProgressed,
    OperationEnded,
    CancelSent,
    AgentInvited,
    AgentSeen,
    OperatorInvited,
    TokenUsed,
}

impl CommitPoint {
    /// The name as it stands in a commit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::EpochRaised => "epoch_raised",
            Self::ProjectApplied => "project_applied",
            Self::ReleaseCreated => "release_created",
            Self::DeploymentCreated => "deployment_created",
            Self::DeploymentApproved => "deployment_approved",
            Self::CancelRequested => "cancel_requested",
            Self::DecisionsRecorded => "decisions_recorded",
            Self::OperationIntended => "operation_intended",
            Self::OperationSentAgain => "operation_sent_again",
            Self::OperationProgressed => "operation_progressed",
            Self::OperationEnded => "operation_ended",
            Self::CancelSent => "cancel_sent",
            Self::AgentInvited => "agent_invited",
            Self::AgentSeen => "agent_seen",
            Self::OperatorInvited => "operator_invited",
            Self::TokenUsed => "token_used",
        }
    }
}

impl fmt::Display for CommitPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A transaction that writes. Dropped without a commit, it leaves no trace.
pub struct WriteTx(Transaction<'static, Sqlite>);

impl WriteTx {
    /// The connection, for statements inside the transaction.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}

impl Store {
    /// Opens a transaction that writes; waits for the one before it to end.
    pub async fn begin(&self) -> Result<WriteTx, StoreError> {
        Ok(WriteTx(self.writer.begin_with("BEGIN IMMEDIATE").await?))
    }

    /// Makes a transaction durable: it is on disk when this returns. Wakes
    /// watchers. Goes on when the caller is dropped: a call whose client went
    /// away must not leave a commit that nobody hears of.
    pub async fn commit(&self, tx: WriteTx, point: CommitPoint) -> Result<(), StoreError> {
        let store = self.clone();
        let made = self
            .tasks
            .spawn(async move { store.make_durable(tx, point).await });
        made.await
            .map_err(|_| StoreError::Sqlite(sqlx::Error::WorkerCrashed))?
    }

    async fn make_durable(&self, tx: WriteTx, point: CommitPoint) -> Result<(), StoreError> {
        #[cfg(feature = "planted-faults")]
        self.crasher.before(point);
        #[cfg(test)]
        self.death.before(point).await?;
        tx.0.commit().await?;
        #[cfg(feature = "planted-faults")]
        self.crasher.after(point).map_err(StoreError::CommitLog)?;
        #[cfg(test)]
        self.death.after(point).await?;
        tracing::trace!(%point, "committed");
        self.committed.send_modify(|count| *count += 1);
        Ok(())
    }
}

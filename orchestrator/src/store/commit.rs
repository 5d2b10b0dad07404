//! The one way into the database: every change is a transaction that
//! [`Store::begin`] opens and [`Store::commit`] ends, under a name.

use std::fmt;

use sqlx::SqliteConnection;

use crate::planted::{Bug, has};

#[cfg(feature = "planted-faults")]
use super::{Side, planted::acting::Moment};
use super::{
    Store, StoreError,
    audit::{AuditedCall, Trace},
    lending::Lent,
};

/// The commits that are made, by what they make true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitPoint {
    /// The fencing epoch of this start.
    EpochRaised,
    ProjectApplied,
    ReleaseCreated,
    /// What a tag of a release names now.
    TagMoved,
    /// A person's promotion.
    DeploymentCreated,
    DeploymentApproved,
    DeploymentRejected,
    /// What its agents planned: for people to approve, or the same once more.
    DeploymentPlanned,
    /// Why there is no plan yet.
    PlanningFailed,
    CancelRequested,
    FreezeChanged,
    FreezeOverridden,
    /// A release is blocked, or goes on.
    StandingChanged,
    /// What `decide` wanted: phases begun, deployments started, operations begun or skipped, ends.
    DecisionsRecorded,
    /// What an agent read for an operation: every send has these values.
    ValuesRead,
    /// An operation's expected state, and that it is about to be sent.
    OperationIntended,
    /// That an operation is about to be sent once more.
    OperationSentAgain,
    OperationProgressed,
    OperationEnded,
    CancelSent,
    /// A person's decision about a deployment in which operations ended badly.
    Intervened,
    AgentInvited,
    AgentSeen,
    OperatorInvited,
    TokenUsed,
    /// That a call changed nothing: it was refused, or had nothing to do.
    CallAudited,
    NotificationChanged,
    /// What is to be told, or what became of it.
    OutboxChanged,
    /// What was found to run, compared with what was released.
    DriftNoted,
}

impl CommitPoint {
    /// The name as it stands in a commit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::EpochRaised => "epoch_raised",
            Self::ProjectApplied => "project_applied",
            Self::ReleaseCreated => "release_created",
            Self::TagMoved => "tag_moved",
            Self::DeploymentCreated => "deployment_created",
            Self::DeploymentApproved => "deployment_approved",
            Self::DeploymentRejected => "deployment_rejected",
            Self::DeploymentPlanned => "deployment_planned",
            Self::PlanningFailed => "planning_failed",
            Self::CancelRequested => "cancel_requested",
            Self::FreezeChanged => "freeze_changed",
            Self::FreezeOverridden => "freeze_overridden",
            Self::StandingChanged => "standing_changed",
            Self::DecisionsRecorded => "decisions_recorded",
            Self::ValuesRead => "values_read",
            Self::OperationIntended => "operation_intended",
            Self::OperationSentAgain => "operation_sent_again",
            Self::OperationProgressed => "operation_progressed",
            Self::OperationEnded => "operation_ended",
            Self::CancelSent => "cancel_sent",
            Self::Intervened => "intervened",
            Self::AgentInvited => "agent_invited",
            Self::AgentSeen => "agent_seen",
            Self::OperatorInvited => "operator_invited",
            Self::TokenUsed => "token_used",
            Self::CallAudited => "call_audited",
            Self::NotificationChanged => "notification_changed",
            Self::OutboxChanged => "outbox_changed",
            Self::DriftNoted => "drift_noted",
        }
    }
}

impl fmt::Display for CommitPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A transaction that writes. Dropped without a commit, it leaves no trace.
pub struct WriteTx {
    transaction: Lent,
    /// What it has written, for the audit log.
    pub(super) trace: Trace,
}

impl WriteTx {
    /// The connection, for statements inside the transaction.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

#[cfg(feature = "planted-faults")]
impl WriteTx {
    /// Handed on to a task that has not begun.
    fn rested(mut self) -> Self {
        self.transaction.in_use.rest();
        self
    }

    fn resumed(mut self) -> Self {
        self.transaction.in_use.resume();
        self
    }
}

impl Store {
    /// Opens a transaction that writes; waits for the one before it to end.
    pub async fn begin(&self) -> Result<WriteTx, StoreError> {
        Ok(WriteTx {
            transaction: self.writer.lend().await?.begin("BEGIN IMMEDIATE").await?,
            trace: Trace::default(),
        })
    }

    /// Makes a transaction durable: it is on disk when this returns. Wakes
    /// watchers. Goes on when the caller is dropped: a call whose client went
    /// away must not leave a commit that nobody hears of. The first commit for a
    /// call that is audited carries the call's entry.
    pub async fn commit(&self, mut tx: WriteTx, point: CommitPoint) -> Result<(), StoreError> {
        let call = AuditedCall::current().filter(|call| !call.is_recorded());
        if let Some(call) = &call {
            let entry = call.of_commit(point, &tx.trace);
            tx.audit(&entry).await?;
        }
        #[cfg(feature = "planted-faults")]
        let tx = tx.rested();
        let store = self.clone();
        let made = self.tasks.spawn(async move {
            store.make_durable(tx, point).await?;
            if let Some(call) = call {
                call.set_recorded();
            }
            Ok(())
        });
        let by_a_person = matches!(
            point,
            CommitPoint::DeploymentApproved | CommitPoint::CancelRequested
        );
        if has(Bug::AckBeforeCommit) && by_a_person {
            return Ok(());
        }
        made.await
            .map_err(|_| StoreError::Sqlite(sqlx::Error::WorkerCrashed))?
    }

    async fn make_durable(&self, tx: WriteTx, point: CommitPoint) -> Result<(), StoreError> {
        #[cfg(feature = "planted-faults")]
        self.crasher.before(point);
        #[cfg(feature = "planted-faults")]
        let _ = self.witness(Moment::Commit(point, Side::Before)).await;
        #[cfg(test)]
        self.death.before(point).await?;
        #[cfg(feature = "planted-faults")]
        let tx = tx.resumed();
        tx.transaction.commit().await?;
        #[cfg(feature = "planted-faults")]
        let _ = self.witness(Moment::Commit(point, Side::After)).await;
        #[cfg(feature = "planted-faults")]
        self.crasher.after(point).map_err(StoreError::CommitLog)?;
        #[cfg(test)]
        self.death.after(point).await?;
        tracing::trace!(%point, "committed");
        self.committed.send_modify(|count| *count += 1);
        Ok(())
    }
}

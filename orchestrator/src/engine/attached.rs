//! Which operations this process follows right now, which cancels it delivers,
//! and how long it holds back after an attempt that came to nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use towline_link::status::Details;
use towline_proto::agent::v1::CancelOperationRequest;

use super::{Engine, EngineError, lock, wire};
use crate::{
    domain::{
        deployment::{CancelMode, EventKind},
        name::{DeploymentId, OperationId},
        waiting_on::WaitingOn,
    },
    store::{CommitPoint, StoreError, deployments::operation},
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long an agent may take to take a cancel.
const CANCEL_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(super) struct Following {
    operations: BTreeSet<OperationId>,
    cancels: BTreeSet<OperationId>,
    /// Whose agents are asked for a plan.
    pub(super) plans: BTreeSet<DeploymentId>,
    /// Attempts in a row that brought no plan.
    pub(super) plan_failures: HashMap<DeploymentId, u32>,
    /// Images that operations were last found to lack.
    pub(super) replicas: BTreeMap<OperationId, WaitingOn>,
    /// Attempts in a row that came to nothing.
    failures: HashMap<OperationId, u32>,
}

/// While it lives, nobody else takes the operation up. Its end makes the run
/// loop decide anew.
pub(super) struct Attachment {
    engine: Engine,
    project: String,
    operation: OperationId,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        lock(&self.engine.0.following).operations.remove(&self.operation);
        self.engine.give_turn_back(self.operation);
        self.engine.wake(&self.project);
    }
}

impl Engine {
    pub(super) fn attached(&self) -> BTreeSet<OperationId> {
        lock(&self.0.following).operations.clone()
    }

    /// `None` when somebody follows it already.
    pub(super) fn attach(&self, project: &str, operation: OperationId) -> Option<Attachment> {
        lock(&self.0.following)
            .operations
            .insert(operation)
            .then(|| Attachment {
                engine: self.clone(),
                project: project.to_owned(),
                operation,
            })
    }

    /// An attempt brought something: the next one need not hold back.
    pub(super) fn forget_retries(&self, operation: OperationId) {
        let mut following = lock(&self.0.following);
        following.failures.remove(&operation);
        following.replicas.remove(&operation);
    }

    /// Waits before the next attempt, longer each time; ends when an agent comes or goes.
    pub(super) async fn back_off(&self, operation: OperationId) {
        let failures = {
            let mut following = lock(&self.0.following);
            let failures = following.failures.entry(operation).or_default();
            *failures = failures.saturating_add(1);
            *failures
        };
        let longest = FIRST_PAUSE
            .saturating_mul(2_u32.saturating_pow(failures.min(16)))
            .min(LONGEST_PAUSE);
        let pause = FIRST_PAUSE + self.0.seams.random.up_to(longest);
        let mut changes = self.0.fleet.changes();
        tokio::select! {
            () = self.0.seams.clock.sleep(pause) => {}
            _ = changes.changed() => {}
        }
    }

    /// Delivers a cancel, unless that is under way.
    pub(super) fn request_cancel(&self, project: &str, id: OperationId, mode: CancelMode) {
        if !lock(&self.0.following).cancels.insert(id) {
            return;
        }
        let (engine, project) = (self.clone(), project.to_owned());
        self.0.tasks.spawn(async move {
            let stopped = engine.0.stop.clone();
            let delivered = tokio::select! {
                () = stopped.cancelled() => Ok(true),
                delivered = engine.deliver_cancel(id, mode) => delivered,
            };
            let again = match delivered {
                Ok(delivered) => !delivered,
                Err(error) => {
                    tracing::error!(operation = %id, error = format!("{error:#}"), "a cancel failed");
                    true
                }
            };
            if again {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = engine.back_off(id) => {}
                }
            }
            lock(&engine.0.following).cancels.remove(&id);
            engine.wake(&project);
        });
    }

    /// True when the agent took it, or there is nothing to cancel any more.
    async fn deliver_cancel(&self, id: OperationId, mode: CancelMode) -> Result<bool, EngineError> {
        let stored = operation(&mut *self.0.store.reader().await?, id).await?;
        let Some(stored) = stored.filter(|stored| stored.operation.state.is_out()) else {
            return Ok(true);
        };
        let agent = stored.planned.agent.as_str().parse().ok();
        let Some(mut client) = agent.and_then(|agent| self.0.fleet.client(&agent)) else {
            return Ok(false);
        };
        let request = CancelOperationRequest {
            operation_id: id.to_string(),
            mode: wire::cancel_mode(mode).into(),
            epoch: self.0.store.epoch(),
        };
        let asked = client.cancel_operation(request);
        match self.0.seams.clock.timeout(CANCEL_PATIENCE, asked).await {
            Some(Ok(_)) => {}
            Some(Err(status)) => {
                let reason = Details::of(&status).reason;
                tracing::info!(operation = %id, code = ?status.code(), reason, "the agent did not take the cancel");
                return Ok(false);
            }
            None => return Ok(false),
        }
        let confirmed = EventKind::CancelConfirmed { operation: id }.at(self.now());
        let mut tx = self.0.store.begin().await?;
        match tx.record(stored.deployment, &[confirmed]).await {
            Ok(_) => self.0.store.commit(tx, CommitPoint::CancelSent).await?,
            Err(StoreError::Illegal(why)) => tracing::debug!(operation = %id, %why, "it ended before"),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}

//! Puts back what a failed deployment had changed: finds what ran before, and
//! records the operations that bring it back.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;

use super::{Engine, EngineError};
use crate::{
    domain::{
        deployment::EventKind,
        name::DeploymentId,
        operation::{self, Changed, PlannedOperation},
    },
    store::{
        WriteTx,
        deployments::deployment,
        history::{payloads_of, ran_before},
    },
};

impl Engine {
    pub(super) async fn begin_roll_back(
        &self,
        tx: &mut WriteTx,
        id: DeploymentId,
        deadline: Timestamp,
    ) -> Result<(), EngineError> {
        let stored = deployment(tx.connection(), id).await?;
        let deployment = stored
            .with_context(|| format!("deployment {id} is gone"))?
            .deployment;
        let mut payloads = payloads_of(tx.connection(), id).await?;
        let mut changed = BTreeMap::new();
        for operation in deployment.to_put_back() {
            let Some(planned) = payloads.remove(&operation.slot.id) else {
                continue;
            };
            let before = ran_before(tx.connection(), &deployment, operation).await?;
            changed.insert(operation.slot.id, Changed { planned, before });
        }
        let (planned, left) = operation::roll_backs(&deployment, &changed);
        let began = EventKind::RollBackBegan {
            deadline,
            operations: planned.iter().map(PlannedOperation::slot).collect(),
            left,
        };
        tx.record_adding(id, &[began.at(self.now())], &planned).await?;
        Ok(())
    }
}

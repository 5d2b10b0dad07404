//! Backups, and what a restored database may still begin. It may be older than
//! the accounts: of what it holds as not yet begun, some was begun since, and
//! has ended. So nothing that was created before the restore is sent for the
//! first time, unless its agent knows it already (then it is only listened to),
//! or the account is as this database left it, or there would be nothing to
//! change.

use std::{fs, path::Path};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::fs::File;
use tonic::Code;
use towline_link::channel::LinkChannel;
use towline_proto::agent::v1::{self as agent, agent_service_client::AgentServiceClient};

use super::{
    Engine, EngineError,
    operate::{Attempt, DESCRIBE_PATIENCE, passes},
    wire,
};
use crate::{
    domain::{
        approval::PlanAction,
        deployment::{Author, EventKind, OperationState, Outcome, Verdict},
        operation::Payload,
    },
    store::{
        AuditedCall, CommitPoint, StoredOperation,
        backup::{BackupFacts, meta},
        deployments::{cells, deployment, operation},
        from_micros,
        releases::release,
    },
};

/// Copies that are on their way to a caller.
const COPY: &str = ".backup-";

type Client = AgentServiceClient<LinkChannel>;

/// A copy of the database: what it is, and its bytes. The file has no name any
/// more, and is gone when this is dropped.
pub struct Backup {
    pub facts: BackupFacts,
    pub file: File,
}

impl Engine {
    /// Copies the database as it is now.
    pub async fn backup(&self) -> Result<Backup, EngineError> {
        let name = format!("{COPY}{}", self.0.seams.random.uuid());
        let path = self.0.couriers.dir.join(name);
        let copied = self.0.store.copy_to(&path, self.now()).await;
        let opened = match copied {
            Ok(facts) => File::open(&path).await.map(|file| Backup { facts, file }),
            Err(error) => {
                forget(&path);
                return Err(error.into());
            }
        };
        forget(&path);
        let backup = opened.map_err(|error| EngineError::Internal(error.into()))?;
        AuditedCall::tell("audit_number", backup.facts.audit.0);
        AuditedCall::note_done();
        Ok(backup)
    }

    /// When this database was restored from a backup, if it ever was.
    pub(super) async fn read_restored_at(
        store: &crate::store::Store,
    ) -> Result<Option<Timestamp>, EngineError> {
        let at = meta(&mut *store.reader().await?, "restored_at").await?;
        Ok(at.filter(|at| *at > 0).map(from_micros).transpose()?)
    }

    /// What becomes of an operation that is to be sent for the first time, when
    /// the database was restored since it was decided on; `None` when it may be sent.
    pub(super) async fn after_restore(
        &self,
        client: &mut Client,
        stored: &StoredOperation,
    ) -> Result<Option<Attempt>, EngineError> {
        if !self.is_from_before_the_restore(stored).await? {
            return Ok(None);
        }
        let request = agent::WatchOperationRequest {
            operation_id: stored.planned.id.to_string(),
            after_sequence: 0,
        };
        match client.watch_operation(request).await {
            Ok(answer) => {
                // It was sent after the backup: that, and what its agent tells, is stored now.
                let intended = EventKind::OperationIntended {
                    operation: stored.planned.id,
                    expected: None,
                };
                if !self
                    .note_send(stored, intended, CommitPoint::OperationIntended)
                    .await?
                {
                    return Ok(Some(Attempt::Interrupted(
                        "it must not be sent any more".to_owned(),
                    )));
                }
                let events = answer.into_inner().map(|item| item.map(|message| message.event));
                return self.follow(stored.planned.id, events).await.map(Some);
            }
            Err(status) if status.code() == Code::NotFound => {}
            Err(status) => return Ok(Some(Attempt::Interrupted(status.message().to_owned()))),
        }
        if matches!(stored.planned.payload, Payload::Task(_)) {
            let what = "whether the task ran since that backup is not known".to_owned();
            self.end(stored, newer(stored, what)).await?;
            return Ok(Some(Attempt::Over));
        }
        let asked = client.describe_service(wire::describe(&stored.planned));
        let found = match self.0.seams.clock.timeout(DESCRIBE_PATIENCE, asked).await {
            Some(Ok(answer)) => answer.into_inner(),
            Some(Err(status)) if passes(&status) => {
                return Ok(Some(Attempt::Interrupted(status.message().to_owned())));
            }
            // The usual way says it with all that belongs to it.
            Some(Err(_)) | None => return Ok(None),
        };
        let Some(what) = self.what_is_newer(stored, &found).await? else {
            return Ok(None);
        };
        if self.would_change_nothing(client, stored).await {
            return Ok(None);
        }
        self.end(stored, newer(stored, what)).await?;
        Ok(Some(Attempt::Over))
    }

    /// A person's deployment from after the restore is meant as things are now.
    async fn is_from_before_the_restore(&self, stored: &StoredOperation) -> Result<bool, EngineError> {
        let Some(restored_at) = self.0.restored_at else {
            return Ok(false);
        };
        let mut connection = self.0.store.reader().await?;
        let Some(found) = deployment(&mut connection, stored.deployment).await? else {
            return Ok(false);
        };
        let deployment = found.deployment;
        if deployment.created < restored_at {
            return Ok(true);
        }
        if deployment.created_by != Author::Lifecycle {
            return Ok(false);
        }
        let of = release(
            &mut connection,
            deployment.project.as_str(),
            deployment.release.as_str(),
        );
        Ok(of.await?.is_some_and(|of| of.release.created < restored_at))
    }

    /// How the account differs from what this database left there; `None` when
    /// it does not.
    async fn what_is_newer(
        &self,
        stored: &StoredOperation,
        found: &agent::DescribeServiceResponse,
    ) -> Result<Option<String>, EngineError> {
        let absent = found.expected.as_ref().is_some_and(|expected| expected.absent);
        let Some(last) = self.last_of_cell(stored).await? else {
            let known = !absent && found.service.is_some();
            return Ok(known.then(|| "the service is there, and this database never released it".to_owned()));
        };
        let outputs = match (&last.operation.late_truth, &last.operation.state) {
            (Some(truth), _) => &truth.outputs,
            (None, OperationState::Ended { outcome, .. }) => &outcome.outputs,
            _ => return Ok(Some("how its last operation ended is not known".to_owned())),
        };
        let Some(service) = &found.service else {
            return Ok(Some("the service is gone".to_owned()));
        };
        let primary = service.deployments.iter().find(|it| it.status == "PRIMARY");
        let same = match (
            outputs.get("deployment_id"),
            outputs.get("task_definition"),
            primary,
        ) {
            (Some(id), _, Some(primary)) => *id == primary.id,
            (None, Some(revision), _) => *revision == service.task_definition,
            _ => false,
        };
        Ok((!same).then(|| {
            let short = |arn: &str| arn.rsplit('/').next().unwrap_or(arn).to_owned();
            let left = outputs
                .get("task_definition")
                .map_or("something else".to_owned(), |arn| short(arn));
            match short(&service.task_definition) {
                runs if runs == left => format!("{runs} was deployed anew since"),
                runs => format!("{runs} runs, and this database left {left} there"),
            }
        }))
    }

    /// The operation that ended last where this one is to go.
    async fn last_of_cell(&self, stored: &StoredOperation) -> Result<Option<StoredOperation>, EngineError> {
        let mut view = self.0.store.read().await?;
        let Some(of) = deployment(&mut view, stored.deployment).await? else {
            return Ok(None);
        };
        let planned = &stored.planned;
        let cells = cells(&mut view, of.deployment.project.as_str()).await?;
        let cell = cells.into_iter().find(|cell| {
            cell.environment == of.deployment.environment.as_str()
                && cell.service == planned.service.as_str()
                && cell.target == planned.target.as_str()
        });
        match cell.and_then(|cell| cell.last_operation.parse().ok()) {
            Some(id) => Ok(operation(&mut view, id).await?),
            None => Ok(None),
        }
    }

    /// What it would put there is there: to send it tells so, and changes nothing.
    async fn would_change_nothing(&self, client: &Client, stored: &StoredOperation) -> bool {
        let planned = &stored.planned;
        let target = super::planning::target_of(planned);
        let plan = self
            .plan_payload(client.clone(), &target, &planned.payload, planned.force)
            .await;
        plan.is_ok_and(|plan| plan.action == PlanAction::Unchanged)
    }
}

/// Copies whose callers were never served: the process was killed.
pub(super) fn forget_copies(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(COPY) {
            forget(&entry.path());
        }
    }
}

fn forget(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a copy of the database could not be removed");
    }
}

fn newer(stored: &StoredOperation, what: String) -> Outcome {
    let planned = &stored.planned;
    Outcome {
        verdict: Verdict::Errored,
        reason: "account_is_newer".to_owned(),
        summary: format!(
            "the database was restored from a backup that is older than the account, and nothing was sent: {what}"
        ),
        hint: format!(
            "look at {} in cluster {} ({}, account {}), then promote the release that is to run there",
            planned.payload.ecs_service(),
            planned.cluster,
            planned.region,
            planned.account
        ),
        diagnosis: Vec::new(),
        outputs: Default::default(),
    }
}

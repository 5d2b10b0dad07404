//! One operation, from its intent to its end. An attempt ends with the
//! operation, or with the loss of the agent; what comes then is decided anew
//! from what is stored. The order that makes a kill harmless at any moment:
//! what will be sent is committed before it is sent, and what an agent told is
//! committed before it is acted on.

use std::{collections::BTreeSet, time::Duration};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use tonic::{Code, Status};
use towline_link::{channel::LinkChannel, status::is_link_lost};
use towline_proto::agent::v1::{self as agent, agent_service_client::AgentServiceClient};

use super::{Engine, EngineError, wire};
use crate::{
    domain::{
        deployment::{EventKind, ExpectedState, Outcome, Verdict},
        name::OperationId,
        operation::Payload,
    },
    store::{
        CommitPoint, StoreError, StoredOperation,
        deployments::{deployment, operation},
    },
};

/// How long an agent may take to say what runs.
pub(super) const DESCRIBE_PATIENCE: Duration = Duration::from_secs(60);

/// How an operation is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Approach {
    /// Store the intent, then send.
    First,
    /// It may have been sent: watch it, or send it again.
    Again,
    /// It was given up on: only watch.
    Learn,
}

/// How an attempt ended.
pub(super) enum Attempt {
    /// The operation is over, or not ours to carry on.
    Over,
    /// The agent was lost or is not able: decide anew.
    Interrupted(String),
}

pub(super) type Client = AgentServiceClient<LinkChannel>;

impl Engine {
    /// Takes an operation up, unless somebody does so already.
    pub(super) fn operate(&self, project: &str, id: OperationId, approach: Approach) {
        let Some(attachment) = self.attach(project, id) else {
            return;
        };
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            let stopped = engine.0.stop.clone();
            tokio::select! {
                () = stopped.cancelled() => {}
                () = engine.attempt(id, approach) => {}
            }
            drop(attachment);
        });
    }

    async fn attempt(&self, id: OperationId, approach: Approach) {
        let why = match self.try_operation(id, approach).await {
            Ok(Attempt::Over) => {
                self.forget_retries(id);
                return;
            }
            Ok(Attempt::Interrupted(why)) => {
                tracing::info!(operation = %id, why, "interrupted");
                why
            }
            Err(error) => {
                tracing::error!(operation = %id, error = format!("{error:#}"), "an attempt failed");
                error.to_string()
            }
        };
        tracing::debug!(operation = %id, why, "decides anew");
        self.back_off(id).await;
    }

    async fn try_operation(&self, id: OperationId, approach: Approach) -> Result<Attempt, EngineError> {
        let Some(stored) = operation(&mut *self.0.store.reader().await?, id).await? else {
            return Ok(Attempt::Over);
        };
        let Some(client) = self.client_of(&stored) else {
            return Ok(Attempt::Interrupted("the agent has no link".to_owned()));
        };
        match approach {
            Approach::First => self.begin(client, stored).await,
            Approach::Again => self.resume(client, stored).await,
            Approach::Learn => self.learn(client, stored).await,
        }
    }

    async fn begin(&self, mut client: Client, stored: StoredOperation) -> Result<Attempt, EngineError> {
        if let Some(attempt) = self.after_restore(&mut client, &stored).await? {
            return Ok(attempt);
        }
        let stored = match self.with_values(&mut client, stored).await? {
            Ok(stored) => stored,
            Err(attempt) => return Ok(attempt),
        };
        // A task changes no service: there is nothing that it expects.
        if matches!(stored.planned.payload, Payload::Task(_)) {
            if let Some(attempt) = self.lacks_images(&stored, None).await? {
                return Ok(attempt);
            }
            return self.intend(client, stored, None).await;
        }
        let asked = client.describe_service(wire::describe(&stored.planned));
        let answer = match self.0.seams.clock.timeout(DESCRIBE_PATIENCE, asked).await {
            Some(Ok(answer)) => answer.into_inner(),
            Some(Err(status)) if passes(&status) => {
                return Ok(Attempt::Interrupted(status.message().to_owned()));
            }
            Some(Err(status)) => {
                self.end(&stored, wire::refusal(&status)).await?;
                return Ok(Attempt::Over);
            }
            None => {
                return Ok(Attempt::Interrupted(
                    "the agent does not say what runs".to_owned(),
                ));
            }
        };
        let running = answer.service.map(|service| service.containers);
        if let Some(attempt) = self.lacks_images(&stored, running.as_deref()).await? {
            return Ok(attempt);
        }
        let expected = answer.expected.map(wire::of_expected);
        self.intend(client, stored, expected).await
    }

    /// Stores what is expected with the intent, then sends.
    async fn intend(
        &self,
        client: Client,
        stored: StoredOperation,
        expected: Option<ExpectedState>,
    ) -> Result<Attempt, EngineError> {
        self.send_early(&client, &stored, expected.as_ref()).await;
        let intended = EventKind::OperationIntended {
            operation: stored.planned.id,
            expected,
        };
        if !self
            .note_send(&stored, intended, CommitPoint::OperationIntended)
            .await?
        {
            return Ok(Attempt::Interrupted("it must not be sent any more".to_owned()));
        }
        self.has_begun(stored.planned.id);
        self.send(client, stored.planned.id).await
    }

    async fn resume(&self, mut client: Client, stored: StoredOperation) -> Result<Attempt, EngineError> {
        if self.is_same_incarnation(&stored).await {
            let request = agent::WatchOperationRequest {
                operation_id: stored.planned.id.to_string(),
                after_sequence: self.bend_sequence(stored.last_sequence),
            };
            match client.watch_operation(request).await {
                Ok(answer) => {
                    let events = answer.into_inner().map(|item| item.map(|message| message.event));
                    return self.follow(stored.planned.id, events).await;
                }
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => return Ok(Attempt::Interrupted(status.message().to_owned())),
            }
        }
        let again = EventKind::OperationReattached {
            operation: stored.planned.id,
        };
        if !self
            .note_send(&stored, again, CommitPoint::OperationSentAgain)
            .await?
        {
            return Ok(Attempt::Interrupted("it must not be sent any more".to_owned()));
        }
        self.send(client, stored.planned.id).await
    }

    async fn learn(&self, mut client: Client, stored: StoredOperation) -> Result<Attempt, EngineError> {
        let id = stored.planned.id;
        let request = agent::WatchOperationRequest {
            operation_id: id.to_string(),
            after_sequence: if self.is_same_incarnation(&stored).await {
                stored.last_sequence
            } else {
                0
            },
        };
        match client.watch_operation(request).await {
            Ok(answer) => {
                let events = answer.into_inner().map(|item| item.map(|message| message.event));
                self.follow(id, events).await
            }
            Err(status) if passes(&status) => Ok(Attempt::Interrupted(status.message().to_owned())),
            Err(_) => {
                let outcome = truth_is_lost(&stored);
                let event = EventKind::LateTruth {
                    operation: id,
                    outcome,
                };
                self.record_one(&stored, event, CommitPoint::OperationEnded)
                    .await?;
                Ok(Attempt::Over)
            }
        }
    }

    /// Commits that a send is about to happen; false when it must not happen any more.
    pub(super) async fn note_send(
        &self,
        stored: &StoredOperation,
        event: EventKind,
        point: CommitPoint,
    ) -> Result<bool, EngineError> {
        let mut tx = self.0.store.begin().await?;
        match tx.record(stored.deployment, &[event.at(self.now())]).await {
            Ok(_) => {
                self.0.store.commit(tx, point).await?;
                Ok(true)
            }
            Err(StoreError::Illegal(why)) => {
                tracing::debug!(operation = %stored.planned.id, %why, "is not sent");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what is stored, as it is stored.
    async fn send(&self, mut client: Client, id: OperationId) -> Result<Attempt, EngineError> {
        let mut connection = self.0.store.reader().await?;
        let stored = operation(&mut connection, id).await?;
        let Some(stored) = stored else {
            return Ok(Attempt::Over);
        };
        let deployment = deployment(&mut connection, stored.deployment).await?;
        drop(connection);
        let deployment = deployment.map(|found| found.deployment);
        let cancel = deployment.as_ref().and_then(|found| found.cancel.as_ref());
        let cancel = cancel.map(|asked| wire::cancel_mode(asked.mode));
        if let (Some(_), Some(found)) = (cancel, &deployment) {
            // Whoever is asked now has not confirmed the cancel: it is looked at again.
            self.wake(found.project.as_str());
        }
        let context = agent::OperationContext {
            operation_id: id.to_string(),
            epoch: self.0.store.epoch(),
            deadline: deadline(&stored, deployment.and_then(|found| found.deadline)).map(wire::timestamp),
            cancel: cancel.unwrap_or_default().into(),
            repeated_send: stored.operation.sends > 1,
            first_send_time: stored.operation.first_sent.map(wire::timestamp),
        };
        let (context, expected) = self.bend(context, stored.operation.expected.as_ref());
        let repeated = context.repeated_send;
        let request = wire::request(&stored.planned, expected, context);
        self.about_to_send(&client, &request, (id, repeated)).await;
        match request {
            wire::OperationRequest::Update(request) => match client.update_service(*request).await {
                Ok(answer) => {
                    self.was_sent("update_service", id, repeated).await;
                    let events = answer.into_inner().map(|item| item.map(|message| message.event));
                    self.follow(id, events).await
                }
                Err(status) => self.take_failure(&stored, status).await,
            },
            wire::OperationRequest::Fargate(request) => match client.deploy_fargate_service(*request).await {
                Ok(answer) => {
                    self.was_sent("deploy_fargate_service", id, repeated).await;
                    let events = answer.into_inner().map(|item| item.map(|message| message.event));
                    self.follow(id, events).await
                }
                Err(status) => self.take_failure(&stored, status).await,
            },
            wire::OperationRequest::Task(request) => match client.run_task(*request).await {
                Ok(answer) => {
                    let events = answer.into_inner().map(|item| item.map(|message| message.event));
                    self.follow(id, events).await
                }
                Err(status) => self.take_failure(&stored, status).await,
            },
        }
    }

    /// A call to an agent failed: for a while, or for good.
    pub(super) async fn take_failure(
        &self,
        stored: &StoredOperation,
        status: Status,
    ) -> Result<Attempt, EngineError> {
        if passes(&status) {
            return Ok(Attempt::Interrupted(status.message().to_owned()));
        }
        self.end(stored, wire::refusal(&status)).await?;
        Ok(Attempt::Over)
    }

    pub(super) async fn end(&self, stored: &StoredOperation, outcome: Outcome) -> Result<(), EngineError> {
        let event = EventKind::OperationFinished {
            operation: stored.planned.id,
            outcome,
        };
        self.record_one(stored, event, CommitPoint::OperationEnded).await
    }

    async fn record_one(
        &self,
        stored: &StoredOperation,
        event: EventKind,
        point: CommitPoint,
    ) -> Result<(), EngineError> {
        let mut tx = self.0.store.begin().await?;
        match tx.record(stored.deployment, &[event.at(self.now())]).await {
            Ok(recorded) => {
                let project = recorded.deployment.project.to_string();
                self.commit_and_act(tx, &project, point).await?;
                self.offer_room(&BTreeSet::from([stored.planned.agent.clone()]));
                Ok(())
            }
            // It came to its end on another way meanwhile.
            Err(StoreError::Illegal(why)) => {
                tracing::debug!(operation = %stored.planned.id, %why, "is not recorded");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn client_of(&self, stored: &StoredOperation) -> Option<Client> {
        self.0.fleet.client(&stored.planned.agent.as_str().parse().ok()?)
    }

    /// The agent has not been started anew since it told of the operation.
    async fn is_same_incarnation(&self, stored: &StoredOperation) -> bool {
        match stored.planned.agent.as_str().parse() {
            Ok(agent) if !stored.incarnation.is_empty() => {
                let now = self.0.fleet.incarnation(&agent).await;
                now.is_some_and(|now| now == stored.incarnation)
            }
            _ => false,
        }
    }
}

/// When the agent has to have ended: with the deployment, or before it where the
/// service's own time limit, which counts from the first send, ends sooner.
fn deadline(stored: &StoredOperation, deployment: Option<Timestamp>) -> Option<Timestamp> {
    let own = match &stored.planned.payload {
        Payload::Update(update) => update.more.timeout,
        // A task's own time limit counts from its start in the account.
        Payload::Fargate(_) | Payload::Task(_) => None,
    };
    let own = own.zip(stored.operation.first_sent);
    let own = own.and_then(|(limit, sent)| sent.checked_add(limit).ok());
    [own, deployment].into_iter().flatten().min()
}

/// Whether the same call may do better later. What it did is not known.
pub(super) fn passes(status: &Status) -> bool {
    is_link_lost(status)
        || matches!(
            status.code(),
            Code::Unavailable
                | Code::DeadlineExceeded
                | Code::Cancelled
                | Code::Unknown
                | Code::ResourceExhausted
                | Code::Aborted
                | Code::Internal
        )
}

fn truth_is_lost(stored: &StoredOperation) -> Outcome {
    let planned = &stored.planned;
    Outcome {
        verdict: Verdict::Errored,
        reason: "unknown".to_owned(),
        summary: format!(
            "agent {} was started anew meanwhile and knows no more of {} on {}",
            planned.agent, planned.service, planned.target
        ),
        hint: format!(
            "look at the service {} in cluster {} ({}, account {})",
            planned.payload.ecs_service(),
            planned.cluster,
            planned.region,
            planned.account
        ),
        diagnosis: Vec::new(),
        outputs: Default::default(),
    }
}

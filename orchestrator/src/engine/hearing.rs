//! What an agent tells about an operation: kept once each, turned into the
//! domain's events, and committed together with the state that they make.

use std::{collections::BTreeSet, pin::pin};

use futures_util::{Stream, StreamExt as _};
use tonic::Status;
use towline_proto::agent::v1::{OperationEvent, operation_event::Event as AgentEvent};

use super::{Engine, EngineError, bent, operate::Attempt, wire};
use crate::{
    domain::{
        deployment::{Event, EventKind, OperationState},
        name::OperationId,
    },
    planted::{Bug, has},
    store::{AgentMessage, CommitPoint, StoreError, StoredOperation, WriteTx, deployments::operation},
};

/// Events of an agent that are committed together, when so many have come.
const BATCH: usize = 64;

impl Engine {
    /// Listens until the operation is over or the stream ends.
    pub(super) async fn follow(
        &self,
        id: OperationId,
        events: impl Stream<Item = Result<Option<OperationEvent>, Status>>,
    ) -> Result<Attempt, EngineError> {
        let mut chunks = pin!(events.ready_chunks(BATCH));
        while let Some(chunk) = chunks.next().await {
            let mut told = Vec::with_capacity(chunk.len());
            let mut failure = None;
            for item in chunk {
                match item {
                    Ok(event) => told.extend(event),
                    Err(status) => failure = Some(status),
                }
            }
            self.forget_retries(id);
            if self.take_events(id, told).await? {
                return Ok(Attempt::Over);
            }
            if let Some(status) = failure {
                let stored = operation(&mut *self.0.store.reader().await?, id).await?;
                return match stored {
                    Some(stored) => self.take_failure(&stored, status).await,
                    None => Ok(Attempt::Over),
                };
            }
        }
        Ok(Attempt::Interrupted(
            "the agent ended its stream without a verdict".to_owned(),
        ))
    }

    /// Commits what an agent told, once each; true when the operation is over.
    async fn take_events(&self, id: OperationId, told: Vec<OperationEvent>) -> Result<bool, EngineError> {
        let mut tx = self.0.store.begin().await?;
        let Some(stored) = operation(tx.connection(), id).await? else {
            return Ok(true);
        };
        let mut fresh = Vec::with_capacity(told.len());
        for event in told {
            if keep(&mut tx, id, &event).await? || has(Bug::EventsNotDeduplicated) {
                fresh.push(event);
            }
        }
        if fresh.is_empty() {
            return Ok(stored.operation.state.is_over() && !stored.operation.is_open_question());
        }
        let at = self.now();
        let kinds = translate(&stored, fresh);
        let events: Vec<Event> = kinds.into_iter().map(|kind| kind.at(at)).collect();
        let ended = events.iter().any(|event| {
            matches!(
                event.kind,
                EventKind::OperationFinished { .. } | EventKind::LateTruth { .. }
            )
        });
        if events.is_empty() {
            self.0.store.commit(tx, CommitPoint::OperationProgressed).await?;
            return Ok(false);
        }
        let recorded = tx.record(stored.deployment, &events).await?;
        if ended {
            let project = recorded.deployment.project.to_string();
            self.commit_and_act(tx, &project, CommitPoint::OperationEnded)
                .await?;
            self.offer_room(&BTreeSet::from([stored.planned.agent.clone()]));
        } else {
            self.0.store.commit(tx, CommitPoint::OperationProgressed).await?;
        }
        Ok(ended)
    }
}

async fn keep(tx: &mut WriteTx, id: OperationId, event: &OperationEvent) -> Result<bool, StoreError> {
    tx.keep_agent_message(AgentMessage {
        operation: &id.to_string(),
        incarnation: &event.incarnation,
        sequence: event.sequence,
        message: &prost::Message::encode_to_vec(event),
    })
    .await
}

/// What an agent's events are to the state machine.
fn translate(stored: &StoredOperation, told: Vec<OperationEvent>) -> Vec<EventKind> {
    let operation = stored.planned.id;
    if stored.operation.state.is_over() {
        let question = stored.operation.is_open_question();
        let finished = told.into_iter().find_map(|event| match event.event {
            Some(AgentEvent::Finished(finished)) if question => Some(wire::outcome(finished)),
            _ => None,
        });
        let finished = finished.filter(|_| !has(Bug::LateTruthDropped));
        let truth = finished.map(|outcome| EventKind::LateTruth { operation, outcome });
        return truth.into_iter().collect();
    }
    let mut kinds = Vec::with_capacity(told.len() + 1);
    let mut started = matches!(stored.operation.state, OperationState::Running { .. });
    for event in told.into_iter().filter_map(|event| event.event) {
        let found = match &event {
            AgentEvent::Started(word) => word.reattached,
            _ => true,
        };
        if !started {
            started = true;
            kinds.push(EventKind::OperationStarted { operation, found });
        }
        if let Some(message) = wire::progress(&event) {
            kinds.push(EventKind::OperationProgress { operation, message });
        }
        if let AgentEvent::Finished(finished) = event {
            let outcome = bent::outcome(wire::outcome(finished));
            kinds.push(EventKind::OperationFinished { operation, outcome });
            break;
        }
    }
    kinds
}

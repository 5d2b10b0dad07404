//! Where a call leaves that makes an agent act. Tests that plant faults look on
//! from here, and bend what is sent; in what is shipped nothing happens.

use towline_link::channel::LinkChannel;
use towline_proto::agent::v1::{OperationContext, agent_service_client::AgentServiceClient};

use super::{Engine, wire::OperationRequest};
use crate::{
    domain::{deployment::ExpectedState, name::OperationId},
    planted::{self, Bug},
    store::StoredOperation,
};

type Client = AgentServiceClient<LinkChannel>;

impl Engine {
    /// From where on an agent's words are heard again.
    pub(super) fn bend_sequence(&self, sequence: u64) -> u64 {
        match planted::has(Bug::EventsNotDeduplicated) {
            true => 0,
            false => sequence,
        }
    }

    /// What is sent, when a bug is planted.
    pub(super) fn bend<'a>(
        &self,
        mut context: OperationContext,
        expected: Option<&'a ExpectedState>,
    ) -> (OperationContext, Option<&'a ExpectedState>) {
        if planted::has(Bug::IdNotStable) && context.repeated_send {
            context.operation_id = self.0.seams.random.uuid().to_string();
        }
        if planted::has(Bug::RepeatNotTold) {
            context.repeated_send = false;
        }
        if planted::has(Bug::ExpectedDropped) {
            return (context, None);
        }
        (context, expected)
    }
}

#[cfg(not(feature = "planted-faults"))]
impl Engine {
    #[inline(always)]
    pub(super) async fn about_to_send(&self, _: &Client, _: &OperationRequest, _: (OperationId, bool)) {}

    #[inline(always)]
    pub(super) async fn send_early(&self, _: &Client, _: &StoredOperation, _: Option<&ExpectedState>) {}

    #[inline(always)]
    pub(super) async fn was_sent(&self, _: &'static str, _: OperationId, _: bool) {}
}

#[cfg(feature = "planted-faults")]
impl Engine {
    /// Says to who looks on that a call is about to leave; it may leave twice.
    pub(super) async fn about_to_send(
        &self,
        client: &Client,
        request: &OperationRequest,
        (id, repeated): (OperationId, bool),
    ) {
        use crate::store::Side;
        let context = match request {
            OperationRequest::Update(request) => &request.context,
            OperationRequest::Fargate(request) => &request.context,
            OperationRequest::Task(request) => &request.context,
        };
        let expects = match request {
            OperationRequest::Update(request) => request.expected.is_some(),
            OperationRequest::Fargate(_) | OperationRequest::Task(_) => true,
        };
        let epoch = context.as_ref().map_or(0, |context| context.epoch);
        let call = match request {
            OperationRequest::Update(_) => "update_service",
            OperationRequest::Fargate(_) => "deploy_fargate_service",
            OperationRequest::Task(_) => "run_task",
        };
        let moment = crate::store::Moment::Send {
            call,
            operation: id.to_string(),
            repeated,
            epoch,
            expects,
            side: Side::Before,
        };
        if !self.0.store.witness(moment).await {
            return;
        }
        let (mut client, request, engine) = (client.clone(), request.clone(), self.clone());
        self.0.tasks.spawn(async move {
            let stopped = engine.0.stop.clone();
            let sent = async {
                let _ = match request {
                    OperationRequest::Update(request) => client.update_service(*request).await.map(drop),
                    OperationRequest::Fargate(request) => {
                        client.deploy_fargate_service(*request).await.map(drop)
                    }
                    OperationRequest::Task(request) => client.run_task(*request).await.map(drop),
                };
            };
            stopped.run_until_cancelled(sent).await;
        });
    }

    pub(super) async fn was_sent(&self, call: &'static str, id: OperationId, repeated: bool) {
        let moment = crate::store::Moment::Send {
            call,
            operation: id.to_string(),
            repeated,
            epoch: self.0.store.epoch(),
            expects: true,
            side: crate::store::Side::After,
        };
        self.0.store.witness(moment).await;
    }

    /// With a bug planted: what is to be stored before is sent before.
    pub(super) async fn send_early(
        &self,
        client: &Client,
        stored: &StoredOperation,
        expected: Option<&ExpectedState>,
    ) {
        if !planted::has(Bug::SendBeforeIntent) {
            return;
        }
        let context = OperationContext {
            operation_id: stored.planned.id.to_string(),
            epoch: self.0.store.epoch(),
            ..OperationContext::default()
        };
        let request = super::wire::request(&stored.planned, expected, context);
        let mut client = client.clone();
        let sent = async {
            match request {
                OperationRequest::Update(request) => client.update_service(*request).await.map(drop),
                OperationRequest::Fargate(request) => client.deploy_fargate_service(*request).await.map(drop),
                OperationRequest::Task(request) => client.run_task(*request).await.map(drop),
            }
        };
        let _ = sent.await;
        self.0.seams.clock.sleep(std::time::Duration::from_secs(5)).await;
    }
}

//! Where a call leaves that makes an agent act. Tests that plant faults look on
//! from here, and bend what is sent; in what is shipped nothing happens.

use towline_link::channel::LinkChannel;
use towline_proto::agent::v1::{OperationContext, agent_service_client::AgentServiceClient};

use super::{Engine, wire::OperationRequest};
use crate::{
    domain::{deployment::ExpectedState, name::OperationId},
    planted::{self, Bug},
};

type Client = AgentServiceClient<LinkChannel>;

impl Engine {
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
    pub(super) async fn about_to_send(&self, _: &Client, _: &OperationRequest, _: OperationId, _: bool) {}

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
        id: OperationId,
        repeated: bool,
    ) {
        use crate::store::Side;
        let call = match request {
            OperationRequest::Update(_) => "update_service",
            OperationRequest::Fargate(_) => "deploy_fargate_service",
            OperationRequest::Task(_) => "run_task",
        };
        if !self.sending(call, id, repeated, Side::Before).await {
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
        self.sending(call, id, repeated, crate::store::Side::After).await;
    }

    pub(super) async fn sending(
        &self,
        call: &'static str,
        operation: OperationId,
        repeated: bool,
        side: crate::store::Side,
    ) -> bool {
        let operation = operation.to_string();
        self.0
            .store
            .witness(crate::store::Moment::Send {
                call,
                operation,
                repeated,
                side,
            })
            .await
    }
}

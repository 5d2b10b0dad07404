//! An agent that costs next to nothing: the real gRPC service over the real
//! link, with no AWS behind it. It notes when it is told to update a service,
//! and says how the update ended once it is let go.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use towline_proto::agent::v1::{
    self as proto, OperationEvent, agent_service_server::AgentService, operation_event::Event,
};

/// A registry's repository, and what every tag in it is.
const REPOSITORY: &str = "900000000000.dkr.ecr.eu-west-1.amazonaws.com/bench";
const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// The task definition that runs wherever this agent looks.
const RUNNING: &str = "arn:aws:ecs:eu-west-1:1:task-definition/bench:1";

#[derive(Clone, Debug)]
pub struct IdleAgent {
    pub name: String,
    pub account: String,
    /// When an update arrived.
    pub arrivals: mpsc::UnboundedSender<Instant>,
    /// Whether updates may end.
    pub let_go: watch::Receiver<bool>,
}

type Answer<T> = Result<Response<T>, Status>;
type Events<T> = ReceiverStream<Result<T, Status>>;

fn not_here<T>() -> Answer<T> {
    Err(Status::unimplemented("this agent only updates services"))
}

impl IdleAgent {
    fn event(&self, operation: &str, sequence: u64, event: Event) -> proto::UpdateServiceResponse {
        proto::UpdateServiceResponse {
            event: Some(OperationEvent {
                operation_id: operation.to_owned(),
                incarnation: format!("{}-1", self.name),
                sequence,
                time: None,
                event: Some(event),
            }),
        }
    }

    /// Says that it began, waits to be let go, and says that it is done.
    async fn play(
        mut self,
        operation: String,
        events: mpsc::Sender<Result<proto::UpdateServiceResponse, Status>>,
    ) {
        let started = Event::Started(proto::Started::default());
        let done = Event::Finished(proto::Finished {
            verdict: proto::Verdict::Succeeded.into(),
            reason: "completed".to_owned(),
            summary: "the service runs it".to_owned(),
            ..Default::default()
        });
        let begun = events.send(Ok(self.event(&operation, 1, started))).await;
        if begun.is_ok() && self.let_go.wait_for(|let_go| *let_go).await.is_ok() {
            // The orchestrator may have hung up: then nobody waits for this.
            let _ = events.send(Ok(self.event(&operation, 2, done))).await;
        }
    }
}

#[tonic::async_trait]
impl AgentService for IdleAgent {
    type DeployFargateServiceStream = Events<proto::DeployFargateServiceResponse>;
    type UpdateServiceStream = Events<proto::UpdateServiceResponse>;
    type WatchOperationStream = Events<proto::WatchOperationResponse>;
    type RunTaskStream = Events<proto::RunTaskResponse>;

    async fn get_agent(&self, _: Request<proto::GetAgentRequest>) -> Answer<proto::GetAgentResponse> {
        Ok(Response::new(proto::GetAgentResponse {
            name: self.name.clone(),
            account: self.account.clone(),
            version: "0.1.0".to_owned(),
            incarnation: format!("{}-1", self.name),
            regions: vec![proto::AgentRegion {
                region: "eu-west-1".to_owned(),
                clusters: vec!["main".to_owned()],
            }],
            ..Default::default()
        }))
    }

    async fn update_service(
        &self,
        request: Request<proto::UpdateServiceRequest>,
    ) -> Answer<Self::UpdateServiceStream> {
        let arrived = Instant::now();
        let context = request.into_inner().context.unwrap_or_default();
        let (events, stream) = mpsc::channel(4);
        tokio::spawn(self.clone().play(context.operation_id, events));
        if self.arrivals.send(arrived).is_err() {
            return Err(Status::unavailable("the measurement is over"));
        }
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn describe_service(
        &self,
        request: Request<proto::DescribeServiceRequest>,
    ) -> Answer<proto::DescribeServiceResponse> {
        Ok(Response::new(proto::DescribeServiceResponse {
            service: Some(proto::ServiceDescription {
                name: request.into_inner().service,
                task_definition: RUNNING.to_owned(),
                containers: vec![proto::ContainerDescription {
                    name: "app".to_owned(),
                    image: format!("{REPOSITORY}:1.0.0"),
                }],
                ..Default::default()
            }),
            expected: Some(proto::ExpectedState {
                task_definition: RUNNING.to_owned(),
                deployment_id: "ecs-svc/1".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    async fn resolve_image(
        &self,
        _: Request<proto::ResolveImageRequest>,
    ) -> Answer<proto::ResolveImageResponse> {
        Ok(Response::new(proto::ResolveImageResponse {
            digest: DIGEST.to_owned(),
            image: format!("{REPOSITORY}@{DIGEST}"),
            repository: REPOSITORY.to_owned(),
            ..Default::default()
        }))
    }

    async fn list_image_tags(
        &self,
        _: Request<proto::ListImageTagsRequest>,
    ) -> Answer<proto::ListImageTagsResponse> {
        not_here()
    }

    async fn read_values(&self, _: Request<proto::ReadValuesRequest>) -> Answer<proto::ReadValuesResponse> {
        not_here()
    }

    async fn run_task(&self, _: Request<proto::RunTaskRequest>) -> Answer<Self::RunTaskStream> {
        not_here()
    }

    async fn deploy_fargate_service(
        &self,
        _: Request<proto::DeployFargateServiceRequest>,
    ) -> Answer<Self::DeployFargateServiceStream> {
        not_here()
    }

    async fn watch_operation(
        &self,
        _: Request<proto::WatchOperationRequest>,
    ) -> Answer<Self::WatchOperationStream> {
        not_here()
    }

    async fn get_operation(
        &self,
        _: Request<proto::GetOperationRequest>,
    ) -> Answer<proto::GetOperationResponse> {
        not_here()
    }

    async fn list_operations(
        &self,
        _: Request<proto::ListOperationsRequest>,
    ) -> Answer<proto::ListOperationsResponse> {
        not_here()
    }

    async fn cancel_operation(
        &self,
        _: Request<proto::CancelOperationRequest>,
    ) -> Answer<proto::CancelOperationResponse> {
        not_here()
    }

    async fn plan_fargate_service(
        &self,
        _: Request<proto::PlanFargateServiceRequest>,
    ) -> Answer<proto::PlanFargateServiceResponse> {
        not_here()
    }

    async fn plan_service_update(
        &self,
        _: Request<proto::PlanServiceUpdateRequest>,
    ) -> Answer<proto::PlanServiceUpdateResponse> {
        not_here()
    }

    async fn get_fargate_template(
        &self,
        _: Request<proto::GetFargateTemplateRequest>,
    ) -> Answer<proto::GetFargateTemplateResponse> {
        not_here()
    }

    async fn list_services(
        &self,
        _: Request<proto::ListServicesRequest>,
    ) -> Answer<proto::ListServicesResponse> {
        Ok(Response::new(proto::ListServicesResponse::default()))
    }
}

/// How long a person would wait for any step of the measurement.
pub const PATIENCE: Duration = Duration::from_secs(120);

//! An agent for tests: the real gRPC service over a real link in memory. What
//! it answers is said by the test, call by call.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, transport::Server};
use towline_link::{
    identity::{AgentName, Identity},
    io::{LinkHandle, LinkStream},
    seams::Clock,
    status::Fault,
};
use towline_proto::agent::v1::{
    self as proto, OperationEvent,
    agent_service_server::{AgentService, AgentServiceServer},
    operation_event::Event,
};

use super::{
    account::Account,
    registry::{FakeRegistry, REPOSITORY},
};
use crate::engine::Engine;

/// A process of an agent: one incarnation.
#[derive(Clone)]
pub struct FakeAgent {
    name: AgentName,
    incarnation: String,
    told: Arc<Mutex<Told>>,
    calls: mpsc::UnboundedSender<Call>,
    describes: Arc<AtomicUsize>,
    describe_fails: Arc<Mutex<Option<Status>>>,
    /// Whether it says who it is; until then it keeps the question.
    greets: Arc<watch::Sender<bool>>,
    /// It tells from the start whatever it is asked to leave out.
    retells: Arc<AtomicBool>,
    /// What is in the registries that it looks into.
    registry: Arc<Mutex<FakeRegistry>>,
    image: Arc<Mutex<String>>,
    /// What runs in its cluster.
    services: Arc<Mutex<Vec<proto::ServiceDescription>>>,
    account: Account,
}

/// All that this incarnation has told, and who listens.
#[derive(Default)]
struct Told {
    events: Vec<OperationEvent>,
    listeners: Vec<mpsc::UnboundedSender<Result<OperationEvent, Status>>>,
    known: Vec<String>,
}

/// What arrived.
#[derive(Debug)]
pub enum Call {
    Update(Box<proto::UpdateServiceRequest>),
    Watch(proto::WatchOperationRequest),
    Cancel(proto::CancelOperationRequest),
    Plan(Box<proto::UpdateServiceRequest>),
    Task(Box<proto::RunTaskRequest>),
}

impl Call {
    pub fn update(self) -> proto::UpdateServiceRequest {
        match self {
            Self::Update(request) => *request,
            other => panic!("not an update: {other:?}"),
        }
    }

    pub fn task(self) -> proto::RunTaskRequest {
        match self {
            Self::Task(request) => *request,
            other => panic!("not a task: {other:?}"),
        }
    }

    pub fn plan(self) -> proto::UpdateServiceRequest {
        match self {
            Self::Plan(request) => *request,
            other => panic!("not a plan: {other:?}"),
        }
    }

    pub fn watch(self) -> proto::WatchOperationRequest {
        match self {
            Self::Watch(request) => request,
            other => panic!("not a watch: {other:?}"),
        }
    }
}

pub fn id_of(request: &proto::UpdateServiceRequest) -> String {
    request.context.as_ref().expect("a context").operation_id.clone()
}

impl FakeAgent {
    pub fn new(name: &str, incarnation: &str) -> (Self, mpsc::UnboundedReceiver<Call>) {
        let (calls, received) = mpsc::unbounded_channel();
        let agent = Self {
            name: name.parse().expect("a name"),
            incarnation: incarnation.to_owned(),
            told: Arc::default(),
            calls,
            describes: Arc::default(),
            describe_fails: Arc::default(),
            greets: Arc::new(watch::Sender::new(true)),
            retells: Arc::default(),
            registry: Arc::default(),
            image: Arc::new(Mutex::new(format!("{REPOSITORY}:0.9.0"))),
            services: Arc::default(),
            account: Account::default(),
        };
        (agent, received)
    }

    /// Opens a link to the engine; the handle cuts it.
    pub fn connect(&self, engine: &Engine) -> LinkHandle {
        let (near, far) = LinkStream::in_memory(
            Clock::system(),
            Identity::Orchestrator,
            Identity::Agent(self.name.clone()),
        );
        let handle = far.handle().clone();
        let (_reporter, health) = tonic_health::server::health_reporter();
        let served = Server::builder()
            .add_service(AgentServiceServer::new(self.clone()))
            .add_service(health)
            .serve_with_incoming(stream::iter([Ok::<_, std::io::Error>(far)]).chain(stream::pending()));
        #[expect(
            clippy::disallowed_methods,
            reason = "a test's agent ends with the test's runtime"
        )]
        tokio::spawn(served);
        engine.fleet().accept_link(near, self.name.clone());
        handle
    }

    /// From now on the containers of its services run this.
    pub fn runs_image(&self, image: &str) {
        *self.image.lock().expect("a lock") = image.to_owned();
    }

    /// What it finds in registries, to change.
    pub fn registry(&self) -> std::sync::MutexGuard<'_, FakeRegistry> {
        self.registry.lock().expect("a lock")
    }

    /// What it plans and reads.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Instead of an account of its own it sees this one.
    pub fn lives_in(mut self, account: &Account) -> Self {
        self.account = account.clone();
        self
    }

    /// What it lists, two a page.
    pub fn runs(&self, services: Vec<proto::ServiceDescription>) {
        *self.services.lock().expect("a lock") = services;
    }

    /// How often it was asked what runs.
    pub fn describes(&self) -> usize {
        self.describes.load(Ordering::SeqCst)
    }

    /// From now on it refuses to say what runs.
    pub fn refuse_to_describe(&self, status: Status) {
        *self.describe_fails.lock().expect("a lock") = Some(status);
    }

    /// It says again what runs.
    pub fn heal(&self) {
        *self.describe_fails.lock().expect("a lock") = None;
    }

    /// Whether it says who it is when it is asked.
    pub fn greet(&self, greets: bool) {
        self.greets.send_replace(greets);
    }

    /// From now on it tells from the start whatever it is asked to leave out.
    pub fn retell(&self) {
        self.retells.store(true, Ordering::SeqCst);
    }

    /// Tells an event of an operation to all who listen.
    pub fn tell(&self, operation: &str, event: Event) {
        let mut told = self.told.lock().expect("a lock");
        let sequence = 1 + told.events.iter().filter(|e| e.operation_id == operation).count() as u64;
        let event = OperationEvent {
            operation_id: operation.to_owned(),
            incarnation: self.incarnation.clone(),
            sequence,
            time: None,
            event: Some(event),
        };
        told.events.push(event.clone());
        told.listeners
            .retain(|listener| listener.send(Ok(event.clone())).is_ok());
    }

    pub fn started(&self, operation: &str) {
        self.tell(operation, Event::Started(proto::Started::default()));
    }

    pub fn service_event(&self, operation: &str, message: &str) {
        let message = message.to_owned();
        self.tell(
            operation,
            Event::ServiceEvent(proto::ServiceEvent {
                message,
                ..Default::default()
            }),
        );
    }

    pub fn finish(&self, operation: &str, verdict: proto::Verdict, reason: &str) {
        self.tell(
            operation,
            Event::Finished(proto::Finished {
                verdict: verdict.into(),
                reason: reason.to_owned(),
                summary: format!("{reason} in the test"),
                ..Default::default()
            }),
        );
    }

    fn stream(&self, operation: &str, after: u64) -> BoxStream<'static, Result<OperationEvent, Status>> {
        let (listener, events) = mpsc::unbounded_channel();
        let mut told = self.told.lock().expect("a lock");
        told.known.push(operation.to_owned());
        for event in &told.events {
            let wanted = event.sequence > after || self.retells.load(Ordering::SeqCst);
            if event.operation_id == operation && wanted {
                listener.send(Ok(event.clone())).expect("a listener");
            }
        }
        told.listeners.push(listener);
        let operation = operation.to_owned();
        UnboundedReceiverStream::new(events)
            .filter(move |event| {
                let ours = event.as_ref().is_ok_and(|event| event.operation_id == operation);
                async move { ours }
            })
            .boxed()
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl AgentService for FakeAgent {
    type DeployFargateServiceStream = BoxStream<'static, Result<proto::DeployFargateServiceResponse, Status>>;
    type UpdateServiceStream = BoxStream<'static, Result<proto::UpdateServiceResponse, Status>>;
    type WatchOperationStream = BoxStream<'static, Result<proto::WatchOperationResponse, Status>>;
    type RunTaskStream = BoxStream<'static, Result<proto::RunTaskResponse, Status>>;

    async fn run_task(&self, request: Request<proto::RunTaskRequest>) -> Answer<Self::RunTaskStream> {
        let request = request.into_inner();
        let id = request.context.as_ref().expect("a context").operation_id.clone();
        let events = self.stream(&id, 0);
        self.calls
            .send(Call::Task(Box::new(request)))
            .expect("a test that listens");
        Ok(Response::new(
            events
                .map(|event| event.map(|event| proto::RunTaskResponse { event: Some(event) }))
                .boxed(),
        ))
    }

    async fn resolve_image(
        &self,
        request: Request<proto::ResolveImageRequest>,
    ) -> Answer<proto::ResolveImageResponse> {
        let registry = self.registry.lock().expect("a lock");
        registry.resolve(&request.into_inner()).map(Response::new)
    }

    async fn list_image_tags(
        &self,
        request: Request<proto::ListImageTagsRequest>,
    ) -> Answer<proto::ListImageTagsResponse> {
        let registry = self.registry.lock().expect("a lock");
        Ok(Response::new(registry.list(request.into_inner())))
    }

    async fn read_values(
        &self,
        request: Request<proto::ReadValuesRequest>,
    ) -> Answer<proto::ReadValuesResponse> {
        self.account.reads.fetch_add(1, Ordering::SeqCst);
        let sources = request.into_inner().sources.into_iter();
        Ok(Response::new(proto::ReadValuesResponse {
            values: sources.map(|source| self.account.read(source)).collect(),
        }))
    }

    async fn get_agent(&self, _: Request<proto::GetAgentRequest>) -> Answer<proto::GetAgentResponse> {
        let mut greets = self.greets.subscribe();
        greets.wait_for(|greets| *greets).await.expect("an agent");
        Ok(Response::new(proto::GetAgentResponse {
            name: self.name.to_string(),
            account: "111111111111".to_owned(),
            version: "0.1.0".to_owned(),
            incarnation: self.incarnation.clone(),
            regions: vec![proto::AgentRegion {
                region: "eu-west-1".to_owned(),
                clusters: vec!["main".to_owned()],
            }],
            ..Default::default()
        }))
    }

    async fn deploy_fargate_service(
        &self,
        _: Request<proto::DeployFargateServiceRequest>,
    ) -> Answer<Self::DeployFargateServiceStream> {
        Err(Status::unimplemented("the tests deploy existing services"))
    }

    async fn update_service(
        &self,
        request: Request<proto::UpdateServiceRequest>,
    ) -> Answer<Self::UpdateServiceStream> {
        let request = request.into_inner();
        let events = self.stream(&id_of(&request), 0);
        self.calls
            .send(Call::Update(Box::new(request)))
            .expect("a test that listens");
        Ok(Response::new(
            events
                .map(|event| event.map(|event| proto::UpdateServiceResponse { event: Some(event) }))
                .boxed(),
        ))
    }

    async fn watch_operation(
        &self,
        request: Request<proto::WatchOperationRequest>,
    ) -> Answer<Self::WatchOperationStream> {
        let request = request.into_inner();
        let known = self
            .told
            .lock()
            .expect("a lock")
            .known
            .contains(&request.operation_id);
        if !known {
            return Err(Status::not_found("this incarnation does not know it"));
        }
        let events = self.stream(&request.operation_id, request.after_sequence);
        self.calls
            .send(Call::Watch(request))
            .expect("a test that listens");
        Ok(Response::new(
            events
                .map(|event| event.map(|event| proto::WatchOperationResponse { event: Some(event) }))
                .boxed(),
        ))
    }

    async fn get_operation(
        &self,
        _: Request<proto::GetOperationRequest>,
    ) -> Answer<proto::GetOperationResponse> {
        Err(Status::unimplemented("not asked by the engine"))
    }

    async fn list_operations(
        &self,
        _: Request<proto::ListOperationsRequest>,
    ) -> Answer<proto::ListOperationsResponse> {
        Err(Status::unimplemented("not asked by the engine"))
    }

    async fn cancel_operation(
        &self,
        request: Request<proto::CancelOperationRequest>,
    ) -> Answer<proto::CancelOperationResponse> {
        self.calls
            .send(Call::Cancel(request.into_inner()))
            .expect("a test that listens");
        Ok(Response::new(proto::CancelOperationResponse {}))
    }

    /// Plans a create with findings in no order, gravest last.
    async fn plan_fargate_service(
        &self,
        asked: Request<proto::PlanFargateServiceRequest>,
    ) -> Answer<proto::PlanFargateServiceResponse> {
        let service = asked.into_inner().service.unwrap_or_default();
        let finding = |severity: proto::Severity, reason: &str| proto::Finding {
            severity: severity.into(),
            reason: reason.to_owned(),
            ..proto::Finding::default()
        };
        let plan = proto::FargatePlan {
            action: proto::FargatePlanAction::Create.into(),
            hash: "h".to_owned(),
            summary: format!("creates {}", service.containers[0].image),
            findings: vec![
                finding(proto::Severity::Info, "info"),
                finding(proto::Severity::Unknown, "unknown"),
                finding(proto::Severity::Error, "error"),
                finding(proto::Severity::Warning, "warning"),
            ],
            ..proto::FargatePlan::default()
        };
        Ok(Response::new(proto::PlanFargateServiceResponse {
            plan: Some(plan),
        }))
    }

    async fn plan_service_update(
        &self,
        request: Request<proto::PlanServiceUpdateRequest>,
    ) -> Answer<proto::PlanServiceUpdateResponse> {
        let update = request.into_inner().update.expect("an update");
        let plan = proto::ServiceUpdatePlan {
            action: proto::UpdatePlanAction::Register.into(),
            running: "arn:aws:ecs:eu-west-1:1:task-definition/orders:41".to_owned(),
            ..Default::default()
        };
        let plan = self.account.plan_of(&plan, &update);
        self.calls
            .send(Call::Plan(Box::new(update)))
            .expect("a test that listens");
        Ok(Response::new(proto::PlanServiceUpdateResponse {
            plan: Some(plan),
        }))
    }

    /// Refuses with a fault at a place.
    async fn get_fargate_template(
        &self,
        _: Request<proto::GetFargateTemplateRequest>,
    ) -> Answer<proto::GetFargateTemplateResponse> {
        let fault = Fault::new(tonic::Code::InvalidArgument, "INVALID_SPEC", "one fault");
        Err(fault
            .hint("change it")
            .violation("service.containers[0].cpu", "too much")
            .into_status())
    }

    async fn describe_service(
        &self,
        request: Request<proto::DescribeServiceRequest>,
    ) -> Answer<proto::DescribeServiceResponse> {
        self.describes.fetch_add(1, Ordering::SeqCst);
        if let Some(status) = self.describe_fails.lock().expect("a lock").clone() {
            return Err(status);
        }
        let service = request.into_inner().service;
        Ok(Response::new(proto::DescribeServiceResponse {
            expected: Some(proto::ExpectedState {
                task_definition: format!("{service}:1"),
                deployment_id: "ecs-svc/1".to_owned(),
                ..Default::default()
            }),
            service: Some(proto::ServiceDescription {
                status: "ACTIVE".to_owned(),
                containers: vec![proto::ContainerDescription {
                    name: "app".to_owned(),
                    image: self.image.lock().expect("a lock").clone(),
                }],
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    async fn list_services(
        &self,
        request: Request<proto::ListServicesRequest>,
    ) -> Answer<proto::ListServicesResponse> {
        let from: usize = request.into_inner().page_token.parse().unwrap_or(0);
        let all = self.services.lock().expect("a lock");
        let services: Vec<_> = all.iter().skip(from).take(2).cloned().collect();
        let next = from + services.len();
        let next_page_token = if next < all.len() {
            next.to_string()
        } else {
            String::new()
        };
        Ok(Response::new(proto::ListServicesResponse {
            services,
            next_page_token,
        }))
    }
}

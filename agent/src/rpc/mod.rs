//! The gRPC service, thin: requests are checked and turned into the domain's
//! words ([`orders`]), operations begin and are watched, what runs is described
//! ([`inventory`]). Nothing is decided here. Who may call was decided before, by
//! [`crate::access`].

mod failure;
mod fargate;
mod images;
mod inventory;
mod orders;
mod spec;
mod task;
mod update;
mod values;
mod violations;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use futures_util::{Stream, StreamExt as _, stream};
use jiff::Timestamp;
use tonic::{Code, Request, Response, Status};
use towline_agent_domain::outside::Account;
use towline_link::{
    identity::Identity,
    seams::{Clock, Random},
    status::Fault,
};
use towline_proto::agent::v1::{self as proto, agent_service_server::AgentService};

use crate::{
    config::Config,
    operation::{self, Begun, CancelMode, Opening, Operation, Operations, Surroundings},
    time::{from_proto, to_proto},
};
use orders::Wanted;

/// Operations on one page when the caller does not say.
const USUAL_PAGE: usize = 100;

/// The service `towline.agent.v1.AgentService`.
pub(crate) struct AgentRpcs<A>(Arc<Agent<A>>);

/// What the handlers need.
pub(crate) struct Agent<A> {
    pub config: Arc<Config>,
    pub surroundings: Arc<Surroundings<A>>,
    pub operations: Operations,
    pub clock: Clock,
    pub random: Random,
    pub started: Timestamp,
    /// The highest epoch of an orchestrator that was seen.
    pub epoch: AtomicI64,
}

type Events<R> = Pin<Box<dyn Stream<Item = Result<R, Status>> + Send>>;

impl<A: Account> AgentRpcs<A> {
    pub(crate) fn new(agent: Agent<A>) -> Self {
        Self(Arc::new(agent))
    }
}

impl<A: Account> Agent<A> {
    /// Begins what is wanted, or attaches to it, and streams its events from the start.
    fn begin(&self, wanted: Wanted, caller: Option<&Identity>) -> Result<Arc<Operation>, Status> {
        if caller == Some(&Identity::Orchestrator) {
            self.fence(wanted.epoch)?;
        }
        let Wanted {
            id,
            place,
            order,
            payload,
            deadline,
            cancel,
            ..
        } = wanted;
        let opening = Opening {
            id,
            place,
            payload,
            deadline: deadline.unwrap_or_else(|| self.default_deadline()),
            cancel,
        };
        let surroundings = Arc::clone(&self.surroundings);
        let begun = self.operations.begin(opening, move |handle| async move {
            // A driver is a large future: on the heap it does not make that of everything
            // around it larger than a thread's stack.
            let work = async {
                match &order {
                    orders::Order::Fargate(order) => {
                        Box::pin(operation::deploy(&surroundings, &handle, order)).await
                    }
                    orders::Order::Update(order) => {
                        Box::pin(operation::update(&surroundings, &handle, order)).await
                    }
                    orders::Order::Task(order) => {
                        Box::pin(operation::run_task(&surroundings, &handle, order)).await
                    }
                }
            };
            towline_agent_aws::in_operation(&id.to_string(), work).await
        });
        match begun {
            Begun::Started(operation) | Begun::Attached(operation) => Ok(operation),
            Begun::Conflict => Err(Fault::new(
                Code::AlreadyExists,
                "OPERATION_CONFLICT",
                format!("operation {id} exists on this agent, and was asked to do something else"),
            )
            .hint("an operation's id belongs to one request; use a new id for another")
            .into_status()),
            Begun::Stopping => Err(going_away()),
        }
    }

    /// Refuses an orchestrator that was replaced, and remembers the newest.
    fn fence(&self, epoch: i64) -> Result<(), Status> {
        let seen = self.epoch.fetch_max(epoch, Ordering::SeqCst);
        if epoch >= seen {
            return Ok(());
        }
        Err(Fault::new(
            Code::FailedPrecondition,
            "STALE_EPOCH",
            format!("this request is of epoch {epoch}, and the agent has served epoch {seen}"),
        )
        .hint("another orchestrator has taken over; this one must not go on")
        .into_status())
    }

    fn default_deadline(&self) -> Timestamp {
        let now = self.clock.now();
        now.saturating_add(self.config.timing.default_deadline)
            .unwrap_or(now)
    }

    /// The events after a sequence number, until the operation or the agent ends.
    fn events<R: Send + 'static>(
        &self,
        operation: &Operation,
        after: u64,
        wrap: fn(proto::OperationEvent) -> R,
    ) -> Response<Events<R>> {
        let stopping = self.operations.stopping().clone();
        let log = Arc::clone(&operation.log);
        let events = Box::pin(Arc::clone(&log).watch(after));
        let stream = stream::unfold(Some(events), move |events| {
            let stopping = stopping.clone();
            async move {
                let mut events = events?;
                tokio::select! {
                    biased;
                    event = events.next() => Some((Ok(wrap(event?)), Some(events))),
                    () = stopping.cancelled() => Some((Err(going_away()), None)),
                }
            }
        });
        Response::new(Box::pin(stream))
    }

    fn operation(&self, text: &str) -> Result<Arc<Operation>, Status> {
        let mut violations = violations::Violations::default();
        let id = orders::operation_id(text, "operation_id", &mut violations);
        violations.check()?;
        id.and_then(|id| self.operations.get(id)).ok_or_else(|| {
            Fault::new(
                Code::NotFound,
                "OPERATION_NOT_FOUND",
                format!("this incarnation of the agent knows no operation {text}"),
            )
            .hint("send the operation again: the agent finds in the account what was done and goes on from there")
            .into_status()
        })
    }
}

fn going_away() -> Status {
    Fault::new(Code::Unavailable, "AGENT_STOPPING", "the agent is stopping")
        .hint("send the operation again when it is back: it goes on from what the account shows")
        .into_status()
}

#[tonic::async_trait]
impl<A: Account> AgentService for AgentRpcs<A> {
    type DeployFargateServiceStream = Events<proto::DeployFargateServiceResponse>;
    type UpdateServiceStream = Events<proto::UpdateServiceResponse>;
    type WatchOperationStream = Events<proto::WatchOperationResponse>;
    type RunTaskStream = Events<proto::RunTaskResponse>;

    async fn run_task(
        &self,
        request: Request<proto::RunTaskRequest>,
    ) -> Result<Response<Self::RunTaskStream>, Status> {
        let caller = request.extensions().get::<Identity>().cloned();
        let wanted = self.0.task(request.into_inner())?;
        let operation = self.0.begin(wanted, caller.as_ref())?;
        let wrap = |event| proto::RunTaskResponse { event: Some(event) };
        Ok(self.0.events(&operation, 0, wrap))
    }

    async fn resolve_image(
        &self,
        request: Request<proto::ResolveImageRequest>,
    ) -> Result<Response<proto::ResolveImageResponse>, Status> {
        self.0
            .resolve_image(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_image_tags(
        &self,
        request: Request<proto::ListImageTagsRequest>,
    ) -> Result<Response<proto::ListImageTagsResponse>, Status> {
        self.0
            .list_image_tags(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn read_values(
        &self,
        request: Request<proto::ReadValuesRequest>,
    ) -> Result<Response<proto::ReadValuesResponse>, Status> {
        self.0.read_values(request.into_inner()).await.map(Response::new)
    }

    async fn get_agent(
        &self,
        _: Request<proto::GetAgentRequest>,
    ) -> Result<Response<proto::GetAgentResponse>, Status> {
        Ok(Response::new(self.0.describe()))
    }

    async fn deploy_fargate_service(
        &self,
        request: Request<proto::DeployFargateServiceRequest>,
    ) -> Result<Response<Self::DeployFargateServiceStream>, Status> {
        let caller = request.extensions().get::<Identity>().cloned();
        let wanted = self.0.fargate(request.into_inner())?;
        let operation = self.0.begin(wanted, caller.as_ref())?;
        let wrap = |event| proto::DeployFargateServiceResponse { event: Some(event) };
        Ok(self.0.events(&operation, 0, wrap))
    }

    async fn update_service(
        &self,
        request: Request<proto::UpdateServiceRequest>,
    ) -> Result<Response<Self::UpdateServiceStream>, Status> {
        let caller = request.extensions().get::<Identity>().cloned();
        let wanted = self.0.update(request.into_inner())?;
        let operation = self.0.begin(wanted, caller.as_ref())?;
        let wrap = |event| proto::UpdateServiceResponse { event: Some(event) };
        Ok(self.0.events(&operation, 0, wrap))
    }

    async fn watch_operation(
        &self,
        request: Request<proto::WatchOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        let request = request.into_inner();
        let operation = self.0.operation(&request.operation_id)?;
        let wrap = |event| proto::WatchOperationResponse { event: Some(event) };
        Ok(self.0.events(&operation, request.after_sequence, wrap))
    }

    async fn get_operation(
        &self,
        request: Request<proto::GetOperationRequest>,
    ) -> Result<Response<proto::GetOperationResponse>, Status> {
        let operation = self.0.operation(&request.into_inner().operation_id)?;
        Ok(Response::new(proto::GetOperationResponse {
            operation: Some(shown(&operation)),
        }))
    }

    async fn list_operations(
        &self,
        request: Request<proto::ListOperationsRequest>,
    ) -> Result<Response<proto::ListOperationsResponse>, Status> {
        let request = request.into_inner();
        let newest_first = self.0.operations.list();
        let ids = newest_first.iter().map(|operation| operation.id.to_string());
        let page = page(ids, &request.page_token, request.page_size)?;
        let operations = newest_first
            .get(page.range)
            .unwrap_or_default()
            .iter()
            .map(|operation| shown(operation));
        Ok(Response::new(proto::ListOperationsResponse {
            operations: operations.collect(),
            next_page_token: page.next_token,
        }))
    }

    async fn cancel_operation(
        &self,
        request: Request<proto::CancelOperationRequest>,
    ) -> Result<Response<proto::CancelOperationResponse>, Status> {
        let is_orchestrator = request.extensions().get::<Identity>() == Some(&Identity::Orchestrator);
        let request = request.into_inner();
        if is_orchestrator {
            self.0.fence(request.epoch)?;
        }
        let mut violations = violations::Violations::default();
        let mode = orders::cancel_mode(request.mode).unwrap_or_else(|| {
            violations.add("mode", "say CANCEL_MODE_ROLL_BACK or CANCEL_MODE_DETACH");
            CancelMode::Detach
        });
        violations.check()?;
        let operation = self.0.operation(&request.operation_id)?;
        operation.cancel(mode);
        Ok(Response::new(proto::CancelOperationResponse {}))
    }

    async fn plan_fargate_service(
        &self,
        request: Request<proto::PlanFargateServiceRequest>,
    ) -> Result<Response<proto::PlanFargateServiceResponse>, Status> {
        let plan = self.0.plan_fargate_service(request.into_inner()).await?;
        Ok(Response::new(proto::PlanFargateServiceResponse {
            plan: Some(plan),
        }))
    }

    async fn plan_service_update(
        &self,
        request: Request<proto::PlanServiceUpdateRequest>,
    ) -> Result<Response<proto::PlanServiceUpdateResponse>, Status> {
        let plan = self.0.plan_service_update(request.into_inner()).await?;
        Ok(Response::new(proto::PlanServiceUpdateResponse {
            plan: Some(plan),
        }))
    }

    async fn get_fargate_template(
        &self,
        request: Request<proto::GetFargateTemplateRequest>,
    ) -> Result<Response<proto::GetFargateTemplateResponse>, Status> {
        self.0
            .fargate_template(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn describe_service(
        &self,
        request: Request<proto::DescribeServiceRequest>,
    ) -> Result<Response<proto::DescribeServiceResponse>, Status> {
        self.0
            .describe_service(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_services(
        &self,
        request: Request<proto::ListServicesRequest>,
    ) -> Result<Response<proto::ListServicesResponse>, Status> {
        self.0
            .list_services(request.into_inner())
            .await
            .map(Response::new)
    }
}

fn shown(operation: &Operation) -> proto::Operation {
    proto::Operation {
        operation_id: operation.id.to_string(),
        region: operation.place.region.clone(),
        cluster: operation.place.cluster.clone(),
        service: operation.place.service.clone(),
        start_time: Some(to_proto(operation.started)),
        last_sequence: operation.log.last_sequence(),
        finished: operation.log.finished(),
        task: operation.place.task.clone(),
    }
}

/// One page of a list.
struct Page {
    range: std::ops::Range<usize>,
    next_token: String,
}

/// Pages a list by the key of the last item that the caller has seen.
fn page(keys: impl Iterator<Item = String>, token: &str, size: i32) -> Result<Page, Status> {
    let keys: Vec<String> = keys.collect();
    let start = match token {
        "" => 0,
        token => match keys.iter().position(|key| key == token) {
            Some(position) => position + 1,
            None => {
                let mut violations = violations::Violations::default();
                violations.add(
                    "page_token",
                    "names nothing in this list any more; begin without it",
                );
                violations.check()?;
                0
            }
        },
    };
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size > 0)
        .unwrap_or(USUAL_PAGE);
    let end = start.saturating_add(size).min(keys.len());
    let next_token = match keys.get(end.wrapping_sub(1)) {
        Some(last) if end < keys.len() => last.clone(),
        _ => String::new(),
    };
    Ok(Page {
        range: start..end,
        next_token,
    })
}

/// The deadline of a request, in jiff's words.
fn deadline(context: &proto::OperationContext) -> Option<Timestamp> {
    context.deadline.as_ref().and_then(from_proto)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_without_gap() {
        let keys = || ["a", "b", "c"].into_iter().map(str::to_owned);
        let first = page(keys(), "", 2).unwrap();
        assert_eq!((first.range, first.next_token.as_str()), (0..2, "b"));
        let second = page(keys(), "b", 2).unwrap();
        assert_eq!((second.range, second.next_token.as_str()), (2..3, ""));
        assert!(page(keys(), "gone", 2).is_err());
        assert_eq!(page(std::iter::empty(), "", 0).unwrap().range, 0..0);
    }
}

//! From a request to an order: every fault of the request at once, then what
//! keeps a good request from being carried out here.

use tonic::{Code, Status};
use towline_agent_domain::{
    observed::{ClusterRef, TaskDefinitionArn},
    operation_id::OperationId,
    outside::Account,
    update::start::ExpectedService,
};
use towline_link::status::Fault;
use towline_proto::agent::v1 as proto;

use super::{
    Agent, deadline,
    update::{timeout, update_spec},
    violations::Violations,
};
use crate::operation::{CancelMode, FargateOrder, Payload, Place, TaskOrder, UpdateOrder};

/// The word by which a caller asks for the stack's derived name.
pub(super) const DEFAULT_STACK: &str = "default";

/// A checked request.
#[derive(Debug)]
pub(super) struct Wanted {
    pub id: OperationId,
    pub epoch: i64,
    pub place: Place,
    pub order: Order,
    pub payload: Payload,
    /// `None`: the agent's default.
    pub deadline: Option<jiff::Timestamp>,
    /// A cancel that was asked for before this send.
    pub cancel: Option<CancelMode>,
}

/// What a driver carries out.
#[derive(Debug)]
pub(super) enum Order {
    Fargate(Box<FargateOrder>),
    Update(Box<UpdateOrder>),
    Task(Box<TaskOrder>),
}

impl<A: Account> Agent<A> {
    /// Checks a request to update a service.
    pub(super) fn update(&self, mut request: proto::UpdateServiceRequest) -> Result<Wanted, Status> {
        let context = request.context.take().unwrap_or_default();
        let mut violations = Violations::default();
        let id = self.context(&context, &mut violations);
        let timeout = timeout(&request, &context, &mut violations);
        let mut order = self.update_order(&request, violations)?;
        order.repeated_send = context.repeated_send;
        let Some(id) = id else {
            return Err(Status::internal("a checked request lacks its id"));
        };
        Ok(Wanted {
            id,
            epoch: context.epoch,
            place: place(&order.at, &order.service),
            order: Order::Update(Box::new(order)),
            deadline: deadline(&context).or_else(|| self.clock.now().checked_add(timeout?).ok()),
            cancel: cancel_mode(context.cancel),
            payload: Payload::Update(Box::new(request)),
        })
    }

    /// All faults of a request at once; then the order that it means.
    pub(super) fn update_order(
        &self,
        request: &proto::UpdateServiceRequest,
        mut violations: Violations,
    ) -> Result<UpdateOrder, Status> {
        self.check_place(&request.region, &request.cluster, &mut violations);
        violations.demand("service", &request.service, "\"orders\"");
        let spec = update_spec(request, &self.surroundings.partition, &mut violations);
        violations.check()?;
        self.check_account(&request.account)?;
        Ok(UpdateOrder {
            at: cluster_ref(&request.region, &request.cluster),
            service: request.service.clone(),
            spec,
            expected: request.expected.as_ref().and_then(expected_service),
            repeated_send: false,
        })
    }

    pub(super) fn context(
        &self,
        context: &proto::OperationContext,
        violations: &mut Violations,
    ) -> Option<OperationId> {
        if context.deadline.is_some() && deadline(context).is_none() {
            violations.add("context.deadline", "is no time");
        }
        match context.operation_id.as_str() {
            // An operator's own call: the agent makes the id and names it in the first event.
            "" => Some(OperationId::from_uuid(self.random.uuid())),
            text => operation_id(text, "context.operation_id", violations),
        }
    }

    /// The place must be one that this agent's file lists.
    pub(super) fn check_place(&self, region: &str, cluster: &str, violations: &mut Violations) {
        violations.demand("region", region, "\"eu-west-1\"");
        violations.demand("cluster", cluster, "\"main\"");
        let aws = &self.config.aws;
        if region.is_empty() || cluster.is_empty() || aws.serves(region, cluster) {
            return;
        }
        let (agent, served) = (&self.config.name, aws.served());
        violations.add(
            "cluster",
            format!("agent {agent} does not serve {region}/{cluster}; it serves {served}"),
        );
    }

    /// A caller that means another account must not change this one.
    pub(super) fn check_account(&self, meant: &str) -> Result<(), Status> {
        let own = &self.surroundings.account_id;
        if meant.is_empty() || meant == own {
            return Ok(());
        }
        let agent = &self.config.name;
        Err(Fault::new(
            Code::FailedPrecondition,
            "WRONG_ACCOUNT",
            format!("agent {agent} is in account {own}, and the request means account {meant}"),
        )
        .hint("correct the target's account, or name the agent that lives in that account")
        .metadata("account", own.clone())
        .into_status())
    }
}

/// How to stop; `None` when nothing says so.
pub(super) fn cancel_mode(wire: i32) -> Option<CancelMode> {
    match proto::CancelMode::try_from(wire) {
        Ok(proto::CancelMode::RollBack) => Some(CancelMode::RollBack),
        Ok(proto::CancelMode::Detach) => Some(CancelMode::Detach),
        Ok(proto::CancelMode::Unspecified) | Err(_) => None,
    }
}

/// A UUID; what is none is told as a violation of `field`.
pub(super) fn operation_id(text: &str, field: &str, violations: &mut Violations) -> Option<OperationId> {
    match text.parse() {
        Ok(id) => Some(id),
        Err(_) if text.is_empty() => {
            violations.add(field, "is missing");
            None
        }
        Err(error) => {
            violations.add(field, error.to_string());
            None
        }
    }
}

pub(super) fn expected_service(wire: &proto::ExpectedState) -> Option<ExpectedService> {
    let expected = ExpectedService {
        task_definition: (!wire.task_definition.is_empty())
            .then(|| TaskDefinitionArn(wire.task_definition.clone())),
        deployment_id: (!wire.deployment_id.is_empty()).then(|| wire.deployment_id.clone()),
    };
    (wire.absent || expected != ExpectedService::default()).then_some(expected)
}

pub(super) fn cluster_ref(region: &str, cluster: &str) -> ClusterRef {
    ClusterRef {
        region: region.to_owned(),
        cluster: cluster.to_owned(),
    }
}

pub(super) fn place(at: &ClusterRef, service: &str) -> Place {
    Place {
        region: at.region.clone(),
        cluster: at.cluster.clone(),
        service: service.to_owned(),
        task: String::new(),
    }
}

//! Between the domain's words and those of `towline.agent.v1`. Here is what is
//! asked of an agent; `service` and `container` write the specification of a
//! fargate service, `update` what changes of an existing one, `told` reads what an agent tells.

mod container;
mod found;
mod planned;
mod service;
mod task;
mod told;
mod update;
mod values;

use jiff::Timestamp;
use prost_types::Timestamp as WireTimestamp;
use towline_proto::agent::v1 as agent;

use crate::domain::{
    deployment::{CancelMode, ExpectedState},
    operation::{FargatePayload, Payload, PlannedOperation, UpdatePayload},
    project::Target,
};

pub use found::found_service;
pub use planned::{fargate_plan, service_template, update_plan};
pub use told::{outcome, progress, refusal};
pub use values::read_values;

/// One request that starts or repeats an operation.
#[derive(Clone)]
pub enum OperationRequest {
    Fargate(Box<agent::DeployFargateServiceRequest>),
    Update(Box<agent::UpdateServiceRequest>),
    Task(Box<agent::RunTaskRequest>),
}

/// What an agent is asked for an operation.
pub fn request(
    planned: &PlannedOperation,
    expected: Option<&ExpectedState>,
    context: agent::OperationContext,
) -> OperationRequest {
    let region = planned.region.to_string();
    let cluster = planned.cluster.to_string();
    let account = planned.account.to_string();
    let expected = expected.map(to_expected);
    let plan = planned.plan.as_ref().map(ToString::to_string).unwrap_or_default();
    match &planned.payload {
        Payload::Fargate(payload) => {
            OperationRequest::Fargate(Box::new(agent::DeployFargateServiceRequest {
                region,
                cluster,
                account,
                service: Some(service::spec(payload)),
                adopt: payload.adopt,
                context: Some(context),
                expected,
                force: planned.force,
                plan_hash: plan,
            }))
        }
        Payload::Update(payload) => OperationRequest::Update(Box::new(agent::UpdateServiceRequest {
            region,
            cluster,
            account,
            context: Some(context),
            expected,
            force: planned.force,
            plan_hash: plan,
            ..update::request(payload)
        })),
        Payload::Task(payload) => OperationRequest::Task(Box::new(agent::RunTaskRequest {
            region,
            cluster,
            account,
            context: Some(context),
            ..task::request(payload)
        })),
    }
}

/// The question whose answer an operation starts from.
pub fn describe(planned: &PlannedOperation) -> agent::DescribeServiceRequest {
    let stack = match &planned.payload {
        Payload::Fargate(payload) if payload.stack_name.is_empty() => "default".to_owned(),
        Payload::Fargate(payload) => payload.stack_name.clone(),
        Payload::Update(_) | Payload::Task(_) => String::new(),
    };
    agent::DescribeServiceRequest {
        region: planned.region.to_string(),
        cluster: planned.cluster.to_string(),
        account: planned.account.to_string(),
        service: planned.payload.ecs_service().to_string(),
        stack,
    }
}

/// The question for the template of a fargate service.
pub fn template(target: &Target, payload: &FargatePayload) -> agent::GetFargateTemplateRequest {
    agent::GetFargateTemplateRequest {
        region: target.region.to_string(),
        cluster: target.cluster.to_string(),
        account: target.account.to_string(),
        service: Some(service::spec(payload)),
        adopt: payload.adopt,
    }
}

/// The question for what a deployment of a fargate service would do.
pub fn plan_fargate(
    target: &Target,
    payload: &FargatePayload,
    force: bool,
) -> agent::PlanFargateServiceRequest {
    agent::PlanFargateServiceRequest {
        region: target.region.to_string(),
        cluster: target.cluster.to_string(),
        account: target.account.to_string(),
        service: Some(service::spec(payload)),
        adopt: payload.adopt,
        force,
    }
}

/// The question for what an update of an existing service would do.
pub fn plan_update(target: &Target, payload: &UpdatePayload, force: bool) -> agent::PlanServiceUpdateRequest {
    agent::PlanServiceUpdateRequest {
        update: Some(agent::UpdateServiceRequest {
            region: target.region.to_string(),
            cluster: target.cluster.to_string(),
            account: target.account.to_string(),
            force,
            ..update::request(payload)
        }),
    }
}

fn to_expected(expected: &ExpectedState) -> agent::ExpectedState {
    agent::ExpectedState {
        task_definition: expected.task_definition.clone(),
        deployment_id: expected.deployment_id.clone(),
        stack_id: expected.stack_id.clone(),
        absent: expected.absent,
    }
}

/// What an agent observed, as an operation's starting point.
pub fn of_expected(expected: agent::ExpectedState) -> ExpectedState {
    ExpectedState {
        task_definition: expected.task_definition,
        deployment_id: expected.deployment_id,
        stack_id: expected.stack_id,
        absent: expected.absent,
    }
}

pub fn cancel_mode(mode: CancelMode) -> agent::CancelMode {
    match mode {
        CancelMode::RollBack => agent::CancelMode::RollBack,
        CancelMode::Detach => agent::CancelMode::Detach,
    }
}

pub fn timestamp(at: Timestamp) -> WireTimestamp {
    WireTimestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

#[cfg(test)]
mod tests;

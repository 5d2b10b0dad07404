//! ECS's service, deployments and tasks in the rooms' own types.

use aws_sdk_ecs::types;
use aws_smithy_types::DateTime;
use jiff::Timestamp;
use towline_agent_domain::observed::{
    BreakerThreshold, CircuitBreaker, Controller, Deployment, DeploymentStatus, LinkedTargetGroup,
    ObservedService, RolloutState, Scheduling, ServiceDeploymentStatus, ServiceEvent, ServiceStatus,
    StoppedContainer, StoppedTask, TaskDefinitionArn,
};

/// AWS's time in ours.
pub(crate) fn time(at: Option<&DateTime>) -> Timestamp {
    at.and_then(|at| Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok())
        .unwrap_or_default()
}

/// The last part of an ARN or path.
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, last)| last)
}

pub(crate) fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn revision(arn: Option<&str>) -> TaskDefinitionArn {
    TaskDefinitionArn(text(arn))
}

pub(crate) fn service(service: &types::Service) -> ObservedService {
    let configuration = service.deployment_configuration();
    let mut deployments: Vec<Deployment> = service.deployments().iter().map(deployment).collect();
    deployments.sort_by_key(|d| d.status != DeploymentStatus::Primary);
    ObservedService {
        arn: text(service.service_arn()),
        name: text(service.service_name()),
        status: match service.status() {
            Some("DRAINING") => ServiceStatus::Draining,
            Some("INACTIVE") => ServiceStatus::Inactive,
            _ => ServiceStatus::Active,
        },
        controller: controller(service),
        scheduling: match service.scheduling_strategy() {
            Some(types::SchedulingStrategy::Daemon) => Scheduling::Daemon,
            _ => Scheduling::Replica,
        },
        launch_type: service.launch_type().map(|launch| launch.as_str().to_owned()),
        task_definition: revision(service.task_definition()),
        desired: count(service.desired_count()),
        running: count(service.running_count()),
        pending: count(service.pending_count()),
        circuit_breaker: configuration
            .and_then(|c| c.deployment_circuit_breaker())
            .map_or(CircuitBreaker::OFF, circuit_breaker),
        minimum_healthy_percent: configuration
            .and_then(|c| c.minimum_healthy_percent())
            .map_or(DEFAULT_MINIMUM_PERCENT, count),
        maximum_percent: configuration
            .and_then(|c| c.maximum_percent())
            .map_or(DEFAULT_MAXIMUM_PERCENT, count),
        deployments,
        events: service.events().iter().map(event).collect(),
        load_balancers: service
            .load_balancers()
            .iter()
            .filter_map(linked_target_group)
            .collect(),
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html>
const DEFAULT_MINIMUM_PERCENT: u32 = 100;
const DEFAULT_MAXIMUM_PERCENT: u32 = 200;

fn circuit_breaker(breaker: &types::DeploymentCircuitBreaker) -> CircuitBreaker {
    let threshold = breaker.threshold_configuration().map(|threshold| {
        let value = count(threshold.value());
        match threshold.r#type().as_str() {
            "COUNT" => BreakerThreshold::Count(value),
            "UNBOUNDED_PERCENT" => BreakerThreshold::UnboundedPercent(value),
            _ => BreakerThreshold::BoundedPercent(value),
        }
    });
    CircuitBreaker {
        enabled: breaker.enable(),
        rolls_back: breaker.enable() && breaker.rollback(),
        threshold: threshold.unwrap_or(BreakerThreshold::DEFAULT),
        resets_on_healthy: breaker.reset_on_healthy_task().unwrap_or(true),
    }
}

/// The controller ECS is not yet rolling: its newer strategies run under it as well.
fn controller(service: &types::Service) -> Controller {
    let controller = service
        .deployment_controller()
        .map(|controller| controller.r#type().as_str());
    let strategy = service
        .deployment_configuration()
        .and_then(|c| c.strategy())
        .map(|s| s.as_str());
    match (controller, strategy) {
        (Some(other), _) if other != "ECS" => Controller::Other(other.to_owned()),
        (_, Some(strategy)) if strategy != "ROLLING" => Controller::OtherStrategy(strategy.to_owned()),
        _ => Controller::Rolling,
    }
}

fn deployment(deployment: &types::Deployment) -> Deployment {
    Deployment {
        id: text(deployment.id()),
        status: match deployment.status() {
            Some("PRIMARY") => DeploymentStatus::Primary,
            Some("INACTIVE") => DeploymentStatus::Inactive,
            _ => DeploymentStatus::Active,
        },
        task_definition: revision(deployment.task_definition()),
        desired: count(deployment.desired_count()),
        running: count(deployment.running_count()),
        pending: count(deployment.pending_count()),
        failed: count(deployment.failed_tasks()),
        rollout: match deployment.rollout_state().map(|state| state.as_str()) {
            Some("COMPLETED") => RolloutState::Completed,
            Some("FAILED") => RolloutState::Failed,
            Some("IN_PROGRESS") => RolloutState::InProgress,
            _ => RolloutState::Unreported,
        },
        rollout_reason: text(deployment.rollout_state_reason()),
        created: time(deployment.created_at()),
    }
}

fn event(event: &types::ServiceEvent) -> ServiceEvent {
    ServiceEvent {
        id: text(event.id()),
        message: text(event.message()),
        at: time(event.created_at()),
    }
}

/// Classic load balancers have no target group and no health that could be asked for here.
fn linked_target_group(link: &types::LoadBalancer) -> Option<LinkedTargetGroup> {
    Some(LinkedTargetGroup {
        target_group: link.target_group_arn()?.to_owned(),
        container: text(link.container_name()),
        port: count(link.container_port().unwrap_or_default()),
    })
}

pub(crate) fn service_deployment_status(word: &str) -> ServiceDeploymentStatus {
    match word {
        "PENDING" => ServiceDeploymentStatus::Pending,
        "IN_PROGRESS" => ServiceDeploymentStatus::InProgress,
        "SUCCESSFUL" => ServiceDeploymentStatus::Successful,
        "STOPPED" => ServiceDeploymentStatus::Stopped,
        "STOP_REQUESTED" => ServiceDeploymentStatus::StopRequested,
        "ROLLBACK_REQUESTED" => ServiceDeploymentStatus::RollbackRequested,
        "ROLLBACK_IN_PROGRESS" => ServiceDeploymentStatus::RollbackInProgress,
        "ROLLBACK_SUCCESSFUL" => ServiceDeploymentStatus::RollbackSuccessful,
        "ROLLBACK_FAILED" => ServiceDeploymentStatus::RollbackFailed,
        other => ServiceDeploymentStatus::Other(other.to_owned()),
    }
}

pub(crate) fn stopped_task(task: &types::Task) -> StoppedTask {
    StoppedTask {
        id: last_part(task.task_arn().unwrap_or_default()).to_owned(),
        task_definition: revision(task.task_definition_arn()),
        stop_code: task
            .stop_code()
            .map(|code| code.as_str().to_owned())
            .unwrap_or_default(),
        reason: text(task.stopped_reason()),
        containers: task.containers().iter().map(stopped_container).collect(),
        stopped: task.stopped_at().or(task.stopping_at()).map(|at| time(Some(at))),
    }
}

fn stopped_container(container: &types::Container) -> StoppedContainer {
    StoppedContainer {
        name: text(container.name()),
        exit_code: container.exit_code(),
        reason: text(container.reason()),
    }
}

/// The address in the task's own network interface (awsvpc).
pub(crate) fn private_address(task: &types::Task) -> Option<String> {
    let interfaces = task
        .attachments()
        .iter()
        .filter(|a| a.r#type() == Some("ElasticNetworkInterface"));
    let details = interfaces.flat_map(|interface| interface.details());
    let address = details
        .into_iter()
        .find(|detail| detail.name() == Some("privateIPv4Address"));
    address.and_then(|detail| detail.value()).map(str::to_owned)
}

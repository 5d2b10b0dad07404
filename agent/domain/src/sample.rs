//! What tests observe: a service, its deployments, its tasks, in few words.

use jiff::{SignedDuration, Timestamp};

use crate::observed::*;

/// AWS's time, `seconds` after the tests' first moment.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + seconds)
}

pub fn arn(short: &str) -> TaskDefinitionArn {
    TaskDefinitionArn(format!(
        "arn:aws:ecs:eu-west-1:111122223333:task-definition/{short}"
    ))
}

/// A deployment with all its `desired` = 2 tasks running.
pub fn deployment(id: &str, revision: &str, status: DeploymentStatus, rollout: RolloutState) -> Deployment {
    Deployment {
        id: id.to_owned(),
        status,
        task_definition: arn(revision),
        desired: 2,
        running: 2,
        pending: 0,
        failed: 0,
        rollout,
        rollout_reason: String::new(),
        created: at(0),
    }
}

/// The PRIMARY deployment, completed.
pub fn stable(id: &str, revision: &str) -> Deployment {
    deployment(id, revision, DeploymentStatus::Primary, RolloutState::Completed)
}

/// The PRIMARY deployment, with one of two tasks running.
pub fn rolling(id: &str, revision: &str) -> Deployment {
    let mut rolling = deployment(id, revision, DeploymentStatus::Primary, RolloutState::InProgress);
    rolling.running = 1;
    rolling.pending = 1;
    rolling
}

/// An older deployment that is still there.
pub fn older(id: &str, revision: &str, rollout: RolloutState) -> Deployment {
    let mut older = deployment(id, revision, DeploymentStatus::Active, rollout);
    older.running = 0;
    older
}

pub fn service(deployments: Vec<Deployment>) -> ObservedService {
    ObservedService {
        arn: "arn:aws:ecs:eu-west-1:111122223333:service/main/orders".to_owned(),
        name: "orders".to_owned(),
        status: ServiceStatus::Active,
        controller: Controller::Rolling,
        scheduling: Scheduling::Replica,
        launch_type: Some("EC2".to_owned()),
        task_definition: deployments
            .first()
            .map_or_else(|| arn("orders:1"), |d| d.task_definition.clone()),
        desired: 2,
        running: 2,
        pending: 0,
        circuit_breaker: CircuitBreaker {
            enabled: true,
            rolls_back: true,
            ..CircuitBreaker::OFF
        },
        minimum_healthy_percent: 100,
        maximum_percent: 200,
        deployments,
        events: Vec::new(),
        load_balancers: Vec::new(),
    }
}

pub fn record(revision: &str, status: ServiceDeploymentStatus, created: i64) -> ServiceDeployment {
    ServiceDeployment {
        arn: format!("arn:aws:ecs:eu-west-1:111122223333:service-deployment/main/orders/{created}"),
        status,
        status_reason: "the circuit breaker's threshold was exceeded".to_owned(),
        task_definition: Some(arn(revision)),
        created: at(created),
        finished_ago: None,
    }
}

/// A task whose container `app` exited.
pub fn exited(id: &str, revision: &str, code: i32, stopped: i64) -> StoppedTask {
    StoppedTask {
        id: id.to_owned(),
        task_definition: arn(revision),
        stop_code: "EssentialContainerExited".to_owned(),
        reason: "Essential container in task exited".to_owned(),
        containers: vec![StoppedContainer {
            name: "app".to_owned(),
            exit_code: Some(code),
            reason: String::new(),
        }],
        stopped: Some(at(stopped)),
    }
}

//! What the agent sees in its account, in its own types. The edge
//! (`towline-agent-aws`) answers in these; the rooms judge them.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

mod alarms;
pub mod one_off;
pub mod registry;
mod stacks;
pub mod surroundings;
pub mod values;

pub use alarms::{AlarmState, ObservedAlarm};
pub use stacks::{
    ChangeSet, ListedChangeSet, PropertyChange, ResourceChange, Stack, StackEvent, StackResource,
};

/// One ECS cluster of the agent's account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterRef {
    pub region: String,
    /// The cluster's name, not its ARN.
    pub cluster: String,
}

/// `arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY:REVISION`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskDefinitionArn(pub String);

impl TaskDefinitionArn {
    /// `family:revision`, as people say it.
    pub fn short(&self) -> &str {
        self.0
            .rsplit_once('/')
            .map_or(self.0.as_str(), |(_, short)| short)
    }

    /// The family alone.
    pub fn family(&self) -> &str {
        self.short()
            .rsplit_once(':')
            .map_or(self.short(), |(family, _)| family)
    }
}

impl fmt::Display for TaskDefinitionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// ECS's service status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceStatus {
    Active,
    Draining,
    Inactive,
}

/// Who drives the service's rollouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Controller {
    /// ECS itself, rolling.
    Rolling,
    /// ECS itself, with a strategy that is not followed yet (BLUE_GREEN, LINEAR, CANARY).
    OtherStrategy(String),
    /// CODE_DEPLOY or EXTERNAL.
    Other(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    Replica,
    Daemon,
}

/// `deploymentConfiguration.deploymentCircuitBreaker`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitBreaker {
    pub enabled: bool,
    pub rolls_back: bool,
    pub threshold: BreakerThreshold,
    /// `resetOnHealthyTask`: a healthy task sets the count of failed ones back.
    pub resets_on_healthy: bool,
}

impl CircuitBreaker {
    /// What a service has that says nothing about one.
    pub const OFF: Self = Self {
        enabled: false,
        rolls_back: false,
        threshold: BreakerThreshold::DEFAULT,
        resets_on_healthy: true,
    };
}

/// `thresholdConfiguration`: how many failed tasks trip the breaker.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentCircuitBreaker.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerThreshold {
    /// Percent of desired, at least 3 tasks and at most 200.
    BoundedPercent(u32),
    /// Percent of desired.
    UnboundedPercent(u32),
    Count(u32),
}

impl BreakerThreshold {
    /// ECS's default.
    pub const DEFAULT: Self = Self::BoundedPercent(50);

    /// The number of tasks, for a service that is to have `desired`.
    pub fn tasks(self, desired: u32) -> u32 {
        let percent = |percent: u32| desired.saturating_mul(percent).div_ceil(100);
        match self {
            Self::BoundedPercent(value) => percent(value).clamp(3, 200),
            Self::UnboundedPercent(value) => percent(value).max(1),
            Self::Count(count) => count.max(1),
        }
    }
}

/// One ECS service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedService {
    pub arn: String,
    pub name: String,
    pub status: ServiceStatus,
    pub controller: Controller,
    pub scheduling: Scheduling,
    /// FARGATE, EC2, EXTERNAL; `None` under a capacity provider strategy.
    pub launch_type: Option<String>,
    pub task_definition: TaskDefinitionArn,
    pub desired: u32,
    pub running: u32,
    pub pending: u32,
    pub circuit_breaker: CircuitBreaker,
    pub minimum_healthy_percent: u32,
    pub maximum_percent: u32,
    /// PRIMARY first.
    pub deployments: Vec<Deployment>,
    /// Newest first, as ECS lists them.
    pub events: Vec<ServiceEvent>,
    pub load_balancers: Vec<LinkedTargetGroup>,
}

impl ObservedService {
    /// The PRIMARY deployment; every ACTIVE service has one.
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|d| d.status == DeploymentStatus::Primary)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentStatus {
    Primary,
    Active,
    Inactive,
}

/// `rolloutState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutState {
    InProgress,
    Completed,
    Failed,
    /// ECS did not say.
    Unreported,
}

/// One entry of the service's `deployments`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// `ecs-svc/...`.
    pub id: String,
    pub status: DeploymentStatus,
    pub task_definition: TaskDefinitionArn,
    pub desired: u32,
    pub running: u32,
    pub pending: u32,
    pub failed: u32,
    pub rollout: RolloutState,
    pub rollout_reason: String,
    /// AWS's time.
    pub created: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEvent {
    pub id: String,
    pub message: String,
    /// AWS's time.
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedTargetGroup {
    pub target_group: String,
    pub container: String,
    pub port: u32,
}

/// A service deployment (ListServiceDeployments, DescribeServiceDeployments),
/// with the task definition of its target service revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDeployment {
    pub arn: String,
    pub status: ServiceDeploymentStatus,
    pub status_reason: String,
    pub task_definition: Option<TaskDefinitionArn>,
    /// AWS's time.
    pub created: Timestamp,
    /// For how long it had been over when it was listed, by AWS's own clock; `None` while
    /// it is under way.
    pub finished_ago: Option<SignedDuration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceDeploymentStatus {
    Pending,
    InProgress,
    Successful,
    Stopped,
    StopRequested,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
    /// A word that this version does not know.
    Other(String),
}

/// A task definition as the wire's JSON: the object `taskDefinition` and the list `tags`.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDefinition {
    pub definition: Map<String, Value>,
    /// `[{"key": ..., "value": ...}]`.
    pub tags: Vec<Value>,
}

impl TaskDefinition {
    /// Its ARN; `None` for JSON that is not one.
    pub fn arn(&self) -> Option<TaskDefinitionArn> {
        self.definition
            .get("taskDefinitionArn")?
            .as_str()
            .map(|arn| TaskDefinitionArn(arn.to_owned()))
    }

    /// Container name and image, in order.
    pub fn images(&self) -> Vec<(String, String)> {
        let containers = self
            .definition
            .get("containerDefinitions")
            .and_then(Value::as_array);
        let text = |value: &Value, key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        containers
            .into_iter()
            .flatten()
            .map(|c| (text(c, "name"), text(c, "image")))
            .collect()
    }
}

/// A task that ECS stopped or that stopped by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoppedTask {
    /// The last part of the task's ARN.
    pub id: String,
    pub task_definition: TaskDefinitionArn,
    /// EssentialContainerExited, TaskFailedToStart, ServiceSchedulerInitiated ...
    pub stop_code: String,
    pub reason: String,
    pub containers: Vec<StoppedContainer>,
    /// AWS's time.
    pub stopped: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoppedContainer {
    pub name: String,
    pub exit_code: Option<i32>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedLine {
    /// AWS's time.
    pub at: Timestamp,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    /// An IP address or an instance id.
    pub target: String,
    pub port: u32,
    /// healthy, unhealthy, initial, draining, unused ...
    pub state: String,
    pub reason: String,
}

impl ServiceStatus {
    /// ECS's own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

impl DeploymentStatus {
    /// ECS's own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "PRIMARY",
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
        }
    }
}

impl RolloutState {
    /// ECS's own word; empty when it did not say.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Unreported => "",
        }
    }
}

impl ServiceDeploymentStatus {
    /// ECS undid this deployment, or is about to.
    pub fn is_rollback(&self) -> bool {
        matches!(
            self,
            Self::RollbackRequested
                | Self::RollbackInProgress
                | Self::RollbackSuccessful
                | Self::RollbackFailed
        )
    }
}

//! A Fargate service as a person wants it, before anything has checked it. A
//! number that is absent leaves the choice to ECS, or to the default that is named.

mod container;
mod traffic;

use std::collections::BTreeMap;

pub use container::{
    Condition, Container, Dependency, HealthCheck, Linux, Logging, Mount, Port, Protocol, RestartPolicy,
    Tmpfs, Ulimit, VolumesFrom,
};
pub use traffic::{Link, ListenerRule, LoadBalancer, TargetHealthCheck};

/// What the stack shall hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FargateService {
    /// The ECS service's name; also the task definition's family.
    pub name: String,
    /// The stack's name; derived from cluster and service when absent.
    pub stack_name: Option<String>,
    /// CPU units: 256 is a quarter vCPU.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    pub architecture: Architecture,
    pub containers: Vec<Container>,
    pub network: Network,
    pub load_balancers: Vec<LoadBalancer>,
    /// Absent: 1 for a new service, unchanged for an existing one.
    pub desired_count: Option<u32>,
    /// ARN of the role that the containers act with.
    pub task_role: Option<String>,
    /// ARN of the role that ECS pulls images and reads secrets with; made in the
    /// stack when absent.
    pub execution_role: Option<String>,
    /// ARNs of the KMS keys that the role made in the stack may decrypt with.
    pub kms_keys: Vec<String>,
    pub rollout: Rollout,
    pub tags: BTreeMap<String, String>,
    pub volumes: Vec<Volume>,
    /// GiB, 21 to 200; absent for ECS's 20.
    pub ephemeral_storage: Option<u32>,
    /// Absent: LATEST.
    pub platform_version: Option<String>,
    /// Whether ECS Exec may open a shell in the containers.
    pub execute_command: bool,
    /// In place of the launch type FARGATE.
    pub capacity_providers: Vec<CapacityProvider>,
    /// Seconds.
    pub health_check_grace_period: Option<u32>,
    pub propagate_tags: TagPropagation,
    /// Absent: true.
    pub managed_tags: Option<bool>,
    /// Absent: as ECS decides.
    pub availability_zone_rebalancing: Option<Rebalancing>,
    /// Days, one of CloudWatch's numbers; absent for 30.
    pub log_retention: Option<u32>,
    /// A log group that exists, in place of one made in the stack.
    pub log_group: Option<String>,
    pub overrides: Vec<Override>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    #[default]
    X86_64,
    Arm64,
}

impl Architecture {
    /// ECS's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "X86_64",
            Self::Arm64 => "ARM64",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TagPropagation {
    #[default]
    Service,
    TaskDefinition,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebalancing {
    Enabled,
    Disabled,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub assign_public_ip: bool,
}

/// A volume of the task: an EFS file system, or without one an empty directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    pub name: String,
    pub efs: Option<Efs>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Efs {
    /// fs-...
    pub file_system: String,
    /// A directory in it; not together with an access point.
    pub root_directory: Option<String>,
    pub transit_encryption: bool,
    /// fsap-...
    pub access_point: Option<String>,
    /// Use the task role.
    pub iam: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapacityProvider {
    /// FARGATE or FARGATE_SPOT.
    pub name: String,
    pub base: u32,
    pub weight: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Percent; default 100.
    pub minimum_healthy_percent: Option<u32>,
    /// Percent; default 200.
    pub maximum_percent: Option<u32>,
    pub circuit_breaker: CircuitBreaker,
    /// CloudWatch alarms that fail a deployment.
    pub alarms: Option<Alarms>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Absent: true.
    pub enabled: Option<bool>,
    /// Absent: true.
    pub rollback: Option<bool>,
    /// Failed tasks that trip it, in percent of the desired count.
    pub threshold_percent: Option<u32>,
    /// The same as a number.
    pub threshold_count: Option<u32>,
    /// Absent: as ECS decides.
    pub reset_on_healthy_task: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alarms {
    pub names: Vec<String>,
    pub rollback: bool,
}

/// A JSON merge patch (RFC 7386) on one generated resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// service, task_definition, log_group, execution_role, target_group, listener_rule.
    pub resource: String,
    /// A JSON object that is merged into the whole resource: `{"Properties": {...}}`.
    pub merge_patch: String,
}

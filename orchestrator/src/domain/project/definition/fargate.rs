//! A service that Towline owns; mirrors the wire's `FargateServiceSpec`, with
//! holes where the file may have some.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::Container;
use crate::domain::{
    name::{ContainerName, EcsServiceName, VolumeName},
    project::{
        patch::Patch,
        template::{Amount, Switch, Template, Texts},
    },
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FargateService {
    /// Its name in ECS; the service's key when the file says nothing.
    pub service: EcsServiceName,
    /// The stack's name; derived by the agent when absent.
    pub stack: Option<Template>,
    /// Take over a stack that Towline did not create.
    #[serde(default)]
    pub adopt: Option<Switch>,
    /// Task CPU in CPU units (256 = a quarter vCPU).
    pub cpu: Amount,
    /// Task memory in MiB.
    pub memory: Amount,
    pub architecture: Architecture,
    pub containers: Vec<Container>,
    pub network: Network,
    pub load_balancers: Vec<LoadBalancer>,
    /// Absent: a new service starts with 1, an existing one keeps its count.
    pub desired_count: Option<Amount>,
    pub task_role: Option<Template>,
    /// Made in the stack when absent.
    pub execution_role: Option<Template>,
    pub rollout: Rollout,
    pub tags: IndexMap<String, Template>,
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// GiB, 21 to 200; absent for ECS's 20.
    #[serde(default)]
    pub ephemeral_storage: Option<Amount>,
    /// Absent: LATEST.
    #[serde(default)]
    pub platform_version: Option<Template>,
    /// Whether ECS Exec may open a shell in the containers.
    #[serde(default)]
    pub execute_command: Option<Switch>,
    /// In place of the launch type FARGATE.
    #[serde(default)]
    pub capacity_providers: Vec<CapacityProvider>,
    /// Seconds.
    #[serde(default)]
    pub health_check_grace_period: Option<Amount>,
    #[serde(default)]
    pub propagate_tags: Option<TagPropagation>,
    /// Absent: true.
    #[serde(default)]
    pub managed_tags: Option<bool>,
    /// Absent: as ECS decides.
    #[serde(default)]
    pub availability_zone_rebalancing: Option<Rebalancing>,
    /// Days; absent for 30.
    #[serde(default)]
    pub log_retention: Option<Amount>,
    /// A log group that exists, in place of one made in the stack.
    #[serde(default)]
    pub log_group: Option<Template>,
    /// Merged into generated resources, for what is not modelled.
    #[serde(default)]
    pub overrides: IndexMap<OverriddenResource, Patch>,
    /// ARNs of keys that the role made in the stack may decrypt with.
    #[serde(default)]
    pub kms_keys: Option<Texts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    #[default]
    X86_64,
    Arm64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub subnets: Texts,
    pub security_groups: Texts,
    pub assign_public_ip: Switch,
}

/// Where tasks get their tags from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagPropagation {
    Service,
    TaskDefinition,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rebalancing {
    Enabled,
    Disabled,
}

/// What Fargate offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provider {
    #[serde(rename = "FARGATE")]
    Fargate,
    #[serde(rename = "FARGATE_SPOT")]
    FargateSpot,
}

impl Provider {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fargate => "FARGATE",
            Self::FargateSpot => "FARGATE_SPOT",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityProvider {
    pub name: Provider,
    /// Tasks that it gets before weights count.
    pub base: Option<Amount>,
    pub weight: Option<Amount>,
}

/// A volume of the task: an EFS file system, or without one an empty directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    pub name: VolumeName,
    pub efs: Option<Efs>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Efs {
    /// fs-...
    pub file_system: Template,
    pub root_directory: Option<Template>,
    pub transit_encryption: bool,
    /// fsap-...
    pub access_point: Option<Template>,
    /// Use the task role.
    pub iam: bool,
}

/// Links a container's port to a load balancer that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub container: ContainerName,
    pub port: u16,
    #[serde(flatten)]
    pub link: Link,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The ARN of a target group that exists.
    TargetGroup(Template),
    /// The stack makes a target group, and a rule on a listener that exists.
    ListenerRule(Box<ListenerRule>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListenerRule {
    /// The listener's ARN.
    pub listener: Template,
    pub hosts: Option<Texts>,
    pub paths: Option<Texts>,
    /// Absent: the next free one, which the plan fixes.
    pub priority: Option<Amount>,
    /// The VPC of the target group.
    pub vpc: Template,
    pub protocol: Option<TargetProtocol>,
    pub protocol_version: Option<ProtocolVersion>,
    pub health_check: TargetHealthCheck,
    /// Seconds; absent for 30.
    pub deregistration_delay: Option<Amount>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TargetProtocol {
    Http,
    Https,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProtocolVersion {
    Http1,
    Http2,
    Grpc,
}

/// How the load balancer asks a target; what is absent has the agent's defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetHealthCheck {
    pub path: Option<Template>,
    /// "200" or "200-299".
    pub matcher: Option<Template>,
    /// Seconds.
    pub interval: Option<u32>,
    /// Seconds.
    pub timeout: Option<u32>,
    pub healthy_threshold: Option<u32>,
    pub unhealthy_threshold: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Percent; ECS's default is 100.
    pub minimum_healthy_percent: Option<Amount>,
    /// Percent; ECS's default is 200.
    pub maximum_percent: Option<Amount>,
    #[serde(default)]
    pub circuit_breaker: CircuitBreaker,
    #[serde(default)]
    pub alarms: Option<Alarms>,
}

/// On and rolling back, unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitBreaker {
    pub enabled: Option<bool>,
    pub rollback: Option<bool>,
    /// Failed tasks that trip it, in percent of the desired count.
    pub threshold_percent: Option<u32>,
    /// Failed tasks that trip it.
    pub threshold_count: Option<u32>,
    pub reset_on_healthy_task: Option<bool>,
}

/// CloudWatch alarms that fail a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarms {
    pub names: Texts,
    pub rollback: bool,
}

/// A generated resource that can be patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverriddenResource {
    Service,
    TaskDefinition,
    LogGroup,
    ExecutionRole,
    TargetGroup,
    ListenerRule,
}

impl OverriddenResource {
    /// All of them, by the words of the file and of the wire.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("service", Self::Service),
        ("task_definition", Self::TaskDefinition),
        ("log_group", Self::LogGroup),
        ("execution_role", Self::ExecutionRole),
        ("target_group", Self::TargetGroup),
        ("listener_rule", Self::ListenerRule),
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::TaskDefinition => "task_definition",
            Self::LogGroup => "log_group",
            Self::ExecutionRole => "execution_role",
            Self::TargetGroup => "target_group",
            Self::ListenerRule => "listener_rule",
        }
    }
}

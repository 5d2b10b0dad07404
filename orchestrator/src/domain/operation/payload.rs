//! A Fargate service with all values filled in; mirrors the wire's
//! `towline.agent.v1.FargateServiceSpec`. It is stored with its operation: what
//! an older program stored is read, a member that came later has a default.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::image::{NewImage, PinnedImage};
use crate::domain::{
    name::{ContainerName, EcsServiceName, VolumeName},
    project::{
        Architecture, CircuitBreaker, Condition, Linux, LogDriver, OverriddenResource, Port, ProtocolVersion,
        Provider, Rebalancing, RestartPolicy, TagPropagation, TargetProtocol, Ulimit, VolumesFrom,
    },
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FargatePayload {
    pub name: EcsServiceName,
    /// Empty: the agent derives it.
    pub stack_name: String,
    /// Take over a stack that Towline did not create.
    #[serde(default)]
    pub adopt: bool,
    /// CPU units.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    pub architecture: Architecture,
    pub containers: Vec<FargateContainer>,
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub assign_public_ip: bool,
    pub load_balancers: Vec<LinkedPort>,
    pub desired_count: Option<u32>,
    /// Empty: none.
    pub task_role: String,
    /// Empty: made in the stack.
    pub execution_role: String,
    pub rollout: FargateRollout,
    pub tags: IndexMap<String, String>,
    #[serde(default)]
    pub volumes: Vec<FargateVolume>,
    /// GiB.
    #[serde(default)]
    pub ephemeral_storage: Option<u32>,
    /// Empty: LATEST.
    #[serde(default)]
    pub platform_version: String,
    #[serde(default)]
    pub execute_command: bool,
    #[serde(default)]
    pub capacity_providers: Vec<FargateProvider>,
    /// Seconds.
    #[serde(default)]
    pub health_check_grace_period: Option<u32>,
    #[serde(default)]
    pub propagate_tags: Option<TagPropagation>,
    #[serde(default)]
    pub managed_tags: Option<bool>,
    #[serde(default)]
    pub availability_zone_rebalancing: Option<Rebalancing>,
    /// Days.
    #[serde(default)]
    pub log_retention: Option<u32>,
    /// Empty: made in the stack.
    #[serde(default)]
    pub log_group: String,
    #[serde(default)]
    pub overrides: IndexMap<OverriddenResource, serde_json::Value>,
    /// ARNs of keys that the role made in the stack may decrypt with.
    #[serde(default)]
    pub kms_keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateContainer {
    pub name: ContainerName,
    /// `registry/repository@digest`; with a tag of a release that has no digests.
    pub image: String,
    /// What `image` holds.
    #[serde(default)]
    pub pin: Option<PinnedImage>,
    pub cpu: Option<u32>,
    pub memory: Option<u32>,
    pub memory_reservation: Option<u32>,
    pub ports: Vec<Port>,
    pub environment: IndexMap<String, String>,
    pub secrets: IndexMap<String, String>,
    pub depends_on: Vec<(ContainerName, Condition)>,
    pub essential: bool,
    pub entry_point: Vec<String>,
    pub command: Vec<String>,
    /// What came with the full specification.
    #[serde(flatten)]
    pub more: ContainerMembers,
}

impl FargateContainer {
    /// Its image, with what is known of it.
    pub fn new_image(&self) -> NewImage {
        match (&self.pin, self.image.split_once('@')) {
            (Some(pin), Some((repository, _))) => NewImage::Pinned {
                repository: repository.to_owned(),
                pin: pin.clone(),
            },
            _ => NewImage::Whole(self.image.clone()),
        }
    }
}

/// Members of a container that have a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerMembers {
    /// Empty: the image's.
    pub working_directory: String,
    /// Empty: the image's.
    pub user: String,
    pub health_check: Option<FargateHealthCheck>,
    pub environment_files: Vec<String>,
    /// Empty: none.
    pub repository_credentials: String,
    pub readonly_root_filesystem: bool,
    pub mounts: Vec<FargateMount>,
    pub volumes_from: Vec<VolumesFrom>,
    pub logging: Option<FargateLogging>,
    pub docker_labels: IndexMap<String, String>,
    pub ulimits: Vec<Ulimit>,
    /// Seconds.
    pub start_timeout: Option<u32>,
    /// Seconds.
    pub stop_timeout: Option<u32>,
    pub linux: Option<Linux>,
    pub restart_policy: Option<RestartPolicy>,
    pub interactive: bool,
    pub pseudo_terminal: bool,
    pub system_controls: IndexMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateHealthCheck {
    pub command: Vec<String>,
    /// Seconds.
    pub interval: Option<u32>,
    /// Seconds.
    pub timeout: Option<u32>,
    pub retries: Option<u32>,
    /// Seconds.
    pub start_period: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateMount {
    pub volume: VolumeName,
    pub container_path: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateLogging {
    pub driver: LogDriver,
    pub options: IndexMap<String, String>,
    pub secret_options: IndexMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateVolume {
    pub name: VolumeName,
    pub efs: Option<FargateEfs>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateEfs {
    pub file_system: String,
    /// Empty: the root.
    pub root_directory: String,
    pub transit_encryption: bool,
    /// Empty: none.
    pub access_point: String,
    pub iam: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateProvider {
    pub name: Provider,
    pub base: u32,
    /// With 0 a provider gets nothing beyond its base.
    pub weight: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedPort {
    pub container: ContainerName,
    pub port: u16,
    #[serde(flatten)]
    pub to: LinkedTo,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkedTo {
    /// The target group's ARN.
    TargetGroup(String),
    ListenerRule(Box<FargateListenerRule>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateListenerRule {
    /// The listener's ARN.
    pub listener: String,
    pub hosts: Vec<String>,
    pub paths: Vec<String>,
    /// Absent: the next free one.
    pub priority: Option<u32>,
    pub vpc: String,
    pub protocol: Option<TargetProtocol>,
    pub protocol_version: Option<ProtocolVersion>,
    pub health_check: FargateTargetCheck,
    /// Seconds.
    pub deregistration_delay: Option<u32>,
}

/// What is absent or empty has the agent's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateTargetCheck {
    pub path: String,
    pub matcher: String,
    /// Seconds.
    pub interval: Option<u32>,
    /// Seconds.
    pub timeout: Option<u32>,
    pub healthy_threshold: Option<u32>,
    pub unhealthy_threshold: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateRollout {
    pub minimum_healthy_percent: Option<u32>,
    pub maximum_percent: Option<u32>,
    #[serde(default)]
    pub circuit_breaker: CircuitBreaker,
    #[serde(default)]
    pub alarms: Option<FargateAlarms>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargateAlarms {
    pub names: Vec<String>,
    pub rollback: bool,
}

//! One container of a fargate service; mirrors the wire's `ContainerSpec`.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::domain::{
    name::{ContainerName, ImageKey, PortName, VolumeName},
    project::template::{Amount, Template, Texts},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    pub name: ContainerName,
    pub image: ImageKey,
    /// CPU units.
    pub cpu: Option<Amount>,
    /// Hard limit in MiB.
    pub memory: Option<Amount>,
    /// Soft limit in MiB.
    pub memory_reservation: Option<Amount>,
    pub ports: Vec<Port>,
    pub environment: IndexMap<String, Template>,
    /// Variable name to the ARN of a Secrets Manager secret or SSM parameter.
    pub secrets: IndexMap<String, Template>,
    pub depends_on: IndexMap<ContainerName, Condition>,
    pub essential: bool,
    pub entry_point: Vec<Template>,
    pub command: Vec<Template>,
    #[serde(default)]
    pub working_directory: Option<Template>,
    #[serde(default)]
    pub user: Option<Template>,
    #[serde(default)]
    pub health_check: Option<HealthCheck>,
    /// ARNs of objects in S3 with lines NAME=value.
    #[serde(default)]
    pub environment_files: Option<Texts>,
    /// The ARN of a secret with the registry's user and password.
    #[serde(default)]
    pub repository_credentials: Option<Template>,
    #[serde(default)]
    pub readonly_root_filesystem: bool,
    #[serde(default)]
    pub mounts: Vec<Mount>,
    #[serde(default)]
    pub volumes_from: Vec<VolumesFrom>,
    /// Absent: awslogs into the stack's log group.
    #[serde(default)]
    pub logging: Option<Logging>,
    #[serde(default)]
    pub docker_labels: IndexMap<String, Template>,
    #[serde(default)]
    pub ulimits: Vec<Ulimit>,
    /// Seconds that dependencies are waited for.
    #[serde(default)]
    pub start_timeout: Option<u32>,
    /// Seconds between SIGTERM and SIGKILL.
    #[serde(default)]
    pub stop_timeout: Option<u32>,
    #[serde(default)]
    pub linux: Option<Linux>,
    #[serde(default)]
    pub restart_policy: Option<RestartPolicy>,
    #[serde(default)]
    pub interactive: bool,
    #[serde(default)]
    pub pseudo_terminal: bool,
    #[serde(default)]
    pub system_controls: IndexMap<String, Template>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Port {
    pub port: u16,
    pub protocol: Protocol,
    /// By which other things speak of it.
    #[serde(default)]
    pub name: Option<PortName>,
    #[serde(default)]
    pub app_protocol: Option<AppProtocol>,
}

impl Port {
    /// A TCP port without a name.
    pub fn tcp(port: u16) -> Self {
        Self {
            port,
            protocol: Protocol::Tcp,
            name: None,
            app_protocol: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    Tcp,
    Udp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppProtocol {
    Http,
    Http2,
    Grpc,
}

/// What a container waits for in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    Start,
    Complete,
    Success,
    Healthy,
}

/// ECS's container health check; what is absent has ECS's defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// First CMD or CMD-SHELL, then the command.
    pub command: Vec<Template>,
    /// Seconds.
    pub interval: Option<u32>,
    /// Seconds.
    pub timeout: Option<u32>,
    pub retries: Option<u32>,
    /// Seconds.
    pub start_period: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    pub volume: VolumeName,
    pub container_path: Template,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumesFrom {
    pub container: ContainerName,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logging {
    pub driver: LogDriver,
    pub options: IndexMap<String, Template>,
    /// Option name to the ARN of a secret or parameter.
    pub secret_options: IndexMap<String, Template>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogDriver {
    Awslogs,
    Splunk,
    /// No logs.
    None,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    pub name: String,
    pub soft: u32,
    pub hard: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linux {
    /// Run an init process that reaps.
    pub init: bool,
    pub add_capabilities: Vec<String>,
    pub drop_capabilities: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<Tmpfs>,
}

/// A file system in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    pub path: String,
    /// MiB.
    pub size: u32,
    pub options: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    pub ignored_exit_codes: Vec<u32>,
    /// Seconds; absent for 300.
    pub attempt_period: Option<u32>,
}

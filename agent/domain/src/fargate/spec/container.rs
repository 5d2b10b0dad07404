//! One container of the task.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    /// The whole reference: registry/repository:tag.
    pub image: String,
    /// CPU units; absent leaves it to the task.
    pub cpu: Option<u32>,
    /// Hard limit in MiB.
    pub memory: Option<u32>,
    /// Soft limit in MiB.
    pub memory_reservation: Option<u32>,
    pub ports: Vec<Port>,
    pub environment: BTreeMap<String, String>,
    /// Variable to the ARN of a Secrets Manager secret or an SSM parameter.
    pub secrets: BTreeMap<String, String>,
    pub depends_on: Vec<Dependency>,
    pub essential: bool,
    pub entry_point: Vec<String>,
    pub command: Vec<String>,
    pub working_directory: Option<String>,
    pub user: Option<String>,
    pub health_check: Option<HealthCheck>,
    /// ARNs of objects in S3 with lines NAME=value.
    pub environment_files: Vec<String>,
    /// ARN of a Secrets Manager secret with the registry's user and password.
    pub repository_credentials: Option<String>,
    pub readonly_root_filesystem: bool,
    pub mounts: Vec<Mount>,
    pub volumes_from: Vec<VolumesFrom>,
    /// Absent: awslogs into the stack's log group.
    pub logging: Option<Logging>,
    pub docker_labels: BTreeMap<String, String>,
    pub ulimits: Vec<Ulimit>,
    /// Seconds.
    pub start_timeout: Option<u32>,
    /// Seconds.
    pub stop_timeout: Option<u32>,
    pub linux: Option<Linux>,
    pub restart_policy: Option<RestartPolicy>,
    pub interactive: bool,
    pub pseudo_terminal: bool,
    /// Kernel parameter to its value.
    pub system_controls: BTreeMap<String, String>,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            name: String::new(),
            image: String::new(),
            cpu: None,
            memory: None,
            memory_reservation: None,
            ports: Vec::new(),
            environment: BTreeMap::new(),
            secrets: BTreeMap::new(),
            depends_on: Vec::new(),
            // As ECS has it.
            essential: true,
            entry_point: Vec::new(),
            command: Vec::new(),
            working_directory: None,
            user: None,
            health_check: None,
            environment_files: Vec::new(),
            repository_credentials: None,
            readonly_root_filesystem: false,
            mounts: Vec::new(),
            volumes_from: Vec::new(),
            logging: None,
            docker_labels: BTreeMap::new(),
            ulimits: Vec::new(),
            start_timeout: None,
            stop_timeout: None,
            linux: None,
            restart_policy: None,
            interactive: false,
            pseudo_terminal: false,
            system_controls: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    pub port: u32,
    pub protocol: Protocol,
    pub name: Option<String>,
    /// http, http2 or grpc; needs a name.
    pub app_protocol: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub container: String,
    pub condition: Condition,
}

/// When a container that others depend on counts as there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    Start,
    Complete,
    Success,
    Healthy,
}

/// ECS's container health check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// First CMD or CMD-SHELL, then the command.
    pub command: Vec<String>,
    /// Seconds, 5 to 300; absent for 30.
    pub interval: Option<u32>,
    /// Seconds, 2 to 60; absent for 5.
    pub timeout: Option<u32>,
    /// 1 to 10; absent for 3.
    pub retries: Option<u32>,
    /// Seconds, 0 to 300.
    pub start_period: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// A volume's name.
    pub volume: String,
    pub container_path: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumesFrom {
    pub container: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// awslogs or splunk; "none" for no logs.
    pub driver: String,
    pub options: BTreeMap<String, String>,
    /// Option name to the ARN of a secret or parameter.
    pub secret_options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ulimit {
    pub name: String,
    pub soft: u32,
    pub hard: u32,
}

/// What Fargate allows of Linux parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linux {
    /// Run an init process that reaps.
    pub init: bool,
    pub add_capabilities: Vec<String>,
    pub drop_capabilities: Vec<String>,
    /// File systems in memory.
    pub tmpfs: Vec<Tmpfs>,
}

/// A file system in memory; what it holds counts as the container's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tmpfs {
    pub container_path: String,
    /// At most so much, in MiB.
    pub size: u32,
    /// As ECS names them.
    pub mount_options: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Exit codes that are left alone.
    pub ignored_exit_codes: Vec<i32>,
    /// Seconds, 60 to 1800; absent for 300.
    pub attempt_period: Option<u32>,
}

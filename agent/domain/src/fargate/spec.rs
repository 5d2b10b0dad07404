//! A Fargate service as a person wants it, before anything has checked it.

use std::collections::BTreeMap;

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
    /// Percent; default 100.
    pub minimum_healthy_percent: Option<u32>,
    /// Percent; default 200.
    pub maximum_percent: Option<u32>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    #[default]
    X86_64,
    Arm64,
}

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
            essential: true,
            entry_point: Vec::new(),
            command: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub port: u32,
    pub protocol: Protocol,
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

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub assign_public_ip: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    pub container: String,
    pub port: u32,
    /// ARN of a target group that exists.
    pub target_group: String,
}

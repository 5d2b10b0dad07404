//! A task that runs once, and what it is given.

use jiff::Timestamp;

use super::{StoppedContainer, StoppedTask, TaskDefinitionArn};

/// A task as DescribeTasks shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedTask {
    pub arn: String,
    pub task_definition: TaskDefinitionArn,
    pub started_by: String,
    /// ECS's own word: PROVISIONING, PENDING, RUNNING ... STOPPED.
    pub last_status: String,
    /// AWS's time.
    pub created: Option<Timestamp>,
    /// EssentialContainerExited, UserInitiated ...; empty while it is not stopping.
    pub stop_code: String,
    pub stopped_reason: String,
    pub containers: Vec<StoppedContainer>,
    /// AWS's time.
    pub stopped: Option<Timestamp>,
}

impl ObservedTask {
    /// The last part of its ARN.
    pub fn id(&self) -> &str {
        self.arn.rsplit_once('/').map_or(&self.arn, |(_, id)| id)
    }

    pub fn is_stopped(&self) -> bool {
        self.last_status == "STOPPED"
    }

    /// The exit code of one of its containers.
    pub fn exit_code(&self, container: &str) -> Option<i32> {
        let of = |one: &&StoppedContainer| one.name == container;
        self.containers.iter().find(of)?.exit_code
    }

    /// As those who judge stopped tasks know it.
    pub fn as_stopped(&self) -> StoppedTask {
        StoppedTask {
            id: self.id().to_owned(),
            task_definition: self.task_definition.clone(),
            stop_code: self.stop_code.clone(),
            reason: self.stopped_reason.clone(),
            containers: self.containers.clone(),
            stopped: self.stopped,
        }
    }
}

/// Where a service's tasks run, and what of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePlacement {
    /// What its PRIMARY deployment runs.
    pub task_definition: Option<TaskDefinitionArn>,
    pub network: Option<TaskNetwork>,
    pub capacity: Capacity,
    /// Fargate's; `None` for LATEST.
    pub platform_version: Option<String>,
}

/// The network configuration of awsvpc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskNetwork {
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub assign_public_ip: bool,
}

/// What a task runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Capacity {
    /// The cluster's own default strategy.
    #[default]
    ClustersDefault,
    /// FARGATE, EC2, EXTERNAL.
    LaunchType(String),
    Providers(Vec<CapacityProvider>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityProvider {
    pub name: String,
    pub base: u32,
    pub weight: u32,
}

/// One RunTask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunTask {
    pub task_definition: TaskDefinitionArn,
    pub network: Option<TaskNetwork>,
    pub capacity: Capacity,
    pub platform_version: Option<String>,
    /// At most 64 characters; deduplicates the request.
    pub client_token: String,
    /// At most 128 letters, digits and `-/_`; the task is found again by it.
    pub started_by: String,
    pub tags: Vec<(String, String)>,
}

/// What ECS made of a RunTask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    Started(ObservedTask),
    /// It placed no task, and says why, one reason for each thing that it tried.
    NotPlaced(Vec<Unplaced>),
    /// The token was used for another request, whose tasks these are (ARNs).
    TokenTaken(Vec<String>),
}

/// One entry of RunTask's `failures`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// RESOURCE:MEMORY, AGENT ...
    pub reason: String,
    pub detail: String,
}

/// Some lines of a log stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPage {
    /// Oldest first.
    pub lines: Vec<super::LoggedLine>,
    /// Leads to what comes after these.
    pub next: Option<String>,
}

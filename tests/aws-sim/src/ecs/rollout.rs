//! A service's deployments, and the records of them that ECS keeps.

use serde_json::{Map, Value};

use crate::world::SimTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentStatus {
    Primary,
    Active,
    Inactive,
}

impl DeploymentStatus {
    pub fn word(self) -> &'static str {
        match self {
            Self::Primary => "PRIMARY",
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    InProgress,
    Completed,
    Failed,
}

impl Rollout {
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

/// One entry of a service's `deployments`.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// `ecs-svc/...`
    pub id: String,
    pub status: DeploymentStatus,
    pub task_definition: String,
    pub revision: String,
    pub service_deployment: String,
    /// What the breaker counts; a healthy task may reset it.
    pub failed_tasks: i64,
    pub rollout: Rollout,
    pub reason: String,
    pub created: SimTime,
    pub updated: SimTime,
    /// Starts and keeps no tasks any more.
    pub halted: bool,
    /// It brings back an earlier revision.
    pub is_rollback: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceDeploymentStatus {
    Pending,
    InProgress,
    Successful,
    Stopped,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

impl ServiceDeploymentStatus {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::Stopped => "STOPPED",
            Self::RollbackRequested => "ROLLBACK_REQUESTED",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            Self::RollbackFailed => "ROLLBACK_FAILED",
        }
    }

    /// Nothing will change it any more.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Successful | Self::Stopped | Self::RollbackSuccessful | Self::RollbackFailed
        )
    }
}

/// A service deployment: the record of one rollout, its rollback included.
#[derive(Clone, Debug)]
pub struct ServiceDeployment {
    pub arn: String,
    pub status: ServiceDeploymentStatus,
    pub reason: Option<String>,
    pub created: SimTime,
    pub started: Option<SimTime>,
    pub finished: Option<SimTime>,
    pub stopped: Option<SimTime>,
    pub updated: SimTime,
    pub target_revision: String,
    pub source_revisions: Vec<String>,
    /// The deploymentConfiguration of its time.
    pub configuration: Value,
    pub rollback: Option<Rollback>,
    pub failures: i64,
    pub threshold: i64,
    pub breaker_enabled: bool,
    pub breaker_triggered: bool,
    pub alarms: Option<WatchedAlarms>,
}

/// The alarms that a service deployment is watched by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchedAlarms {
    pub names: Vec<String>,
    pub rolls_back: bool,
    /// One of them was in ALARM when the deployment began: it goes unwatched.
    pub is_ignored: bool,
    pub triggered: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Rollback {
    pub reason: String,
    pub started: SimTime,
    pub revision: String,
}

/// A service revision: what one deployment runs.
#[derive(Clone, Debug)]
pub struct ServiceRevision {
    pub arn: String,
    pub task_definition: String,
    pub created: SimTime,
    /// Launch type, network, load balancers … of its time.
    pub settings: Map<String, Value>,
    /// Container name, image reference, digest.
    pub images: Vec<(String, String, Option<String>)>,
    /// A deployment of it has completed at least once.
    pub completed: bool,
}

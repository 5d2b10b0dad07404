//! One task: where it stands on its way from PROVISIONING to STOPPED.

mod answer;

use serde_json::Value;

use crate::{images::Behaviour, world::SimTime};

/// The way of a task, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Its network interface is being made (awsvpc).
    Provisioning,
    /// Its images are being pulled.
    Pulling,
    /// Its containers run, ECS has not heard of it yet.
    Starting,
    Running,
    /// Its targets drain.
    Deactivating,
    /// Its containers got SIGTERM.
    Stopping,
    /// Its network interface is being removed.
    Deprovisioning,
    Stopped,
}

impl Stage {
    /// `lastStatus`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pulling | Self::Starting => "PENDING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// `stopCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCode {
    TaskFailedToStart,
    EssentialContainerExited,
    ServiceSchedulerInitiated,
    UserInitiated,
    /// Its host went away.
    TerminationNotice,
}

impl StopCode {
    pub fn word(self) -> &'static str {
        match self {
            Self::TaskFailedToStart => "TaskFailedToStart",
            Self::EssentialContainerExited => "EssentialContainerExited",
            Self::ServiceSchedulerInitiated => "ServiceSchedulerInitiated",
            Self::UserInitiated => "UserInitiated",
            Self::TerminationNotice => "TerminationNotice",
        }
    }
}

/// `healthStatus` of containers and tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Unknown,
    Healthy,
    Unhealthy,
}

impl Health {
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
        }
    }
}

/// Where a task is on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its own interface in a subnet; on EC2 that of an instance, by its ARN.
    Interface {
        eni: String,
        ip: String,
        subnet: String,
        zone: String,
        host: Option<String>,
    },
    /// Ports of a container instance, by its ARN.
    Instance {
        arn: String,
        ec2_id: String,
        ip: String,
        zone: String,
    },
    /// Nowhere yet: managed scaling brings an instance of its capacity provider.
    Waiting { provider: String },
}

#[derive(Clone, Debug)]
pub struct Container {
    pub arn: String,
    pub name: String,
    pub image: String,
    pub digest: Option<String>,
    pub essential: bool,
    pub behaviour: Behaviour,
    /// When its process ends by itself, and how.
    pub ends: Option<(SimTime, i32)>,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub stopped: bool,
    pub cpu: i64,
    pub memory: Option<i64>,
    /// Container port, host port, protocol.
    pub bindings: Vec<(i64, i64, String)>,
    /// Its own health check.
    pub check: Option<Check>,
    pub health: Health,
    /// From when on, and until when, its processes answer health checks.
    pub answers_from: SimTime,
    pub answers_until: Option<SimTime>,
    pub ignores_sigterm: bool,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_timeout_s: i64,
    /// The alarm whose metric it raises, and from when on.
    pub alarm: Option<(String, SimTime)>,
    /// When its process started, the last time.
    pub started: Option<SimTime>,
    /// `dependsOn`: names and what must be so of them.
    pub waits_for: Vec<(String, Condition)>,
    /// Seconds within which it must become what others wait for.
    pub start_timeout_s: i64,
    pub restart: Option<RestartPolicy>,
    pub restarts: u32,
}

impl Container {
    /// Whether its processes answer a health check.
    pub fn answers(&self, now: SimTime) -> bool {
        self.started.is_some()
            && !self.stopped
            && self.behaviour != Behaviour::Unhealthy
            && now >= self.answers_from
            && self.answers_until.is_none_or(|until| now < until)
    }

    /// The exit code of a container that was asked to stop.
    pub fn code_when_stopped(&self) -> i32 {
        if self.ignores_sigterm { 137 } else { 0 }
    }

    /// Whether the policy begins the process anew: it ran long enough, and did
    /// not end with a code that is left alone.
    pub fn is_restarted_after(&self, code: i32, now: SimTime) -> bool {
        let (Some(policy), Some(started)) = (&self.restart, self.started) else {
            return false;
        };
        !policy.ignored_exit_codes.contains(&code) && now.since_ms(started) >= policy.period_s * 1000
    }
}

/// A container's own health check, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub interval_ms: i64,
    /// Failures are forgiven so long after the start.
    pub start_period_ms: i64,
    pub retries: i64,
    pub next: SimTime,
    /// Failures in a row.
    pub failures: i64,
}

/// `restartPolicy` of a container that has it enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    pub ignored_exit_codes: Vec<i32>,
    pub period_s: i64,
}

/// What a container waits for in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Start,
    Complete,
    Success,
    Healthy,
}

impl Condition {
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Start, Self::Complete, Self::Success, Self::Healthy];
        all.into_iter().find(|one| one.word() == word)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Complete => "COMPLETE",
            Self::Success => "SUCCESS",
            Self::Healthy => "HEALTHY",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Task {
    pub id: String,
    pub arn: String,
    pub cluster: String,
    pub cluster_arn: String,
    pub service: String,
    /// The deployment that it counts for now; a rollback adopts tasks of its revision.
    pub deployment: String,
    /// The deployment that started it.
    pub started_by: String,
    pub task_definition: String,
    pub launch_type: &'static str,
    pub platform_version: Option<String>,
    pub capacity_provider: Option<String>,
    pub cpu: Option<String>,
    pub memory: Option<String>,
    /// GiB.
    pub ephemeral_storage: i64,
    /// `x86_64` or `arm64`.
    pub architecture: &'static str,
    pub has_exec: bool,
    pub place: Place,
    pub stage: Stage,
    /// ECS or its own end asks it to stop.
    pub stopping: bool,
    /// When it leaves its stage.
    pub next: SimTime,
    pub created: SimTime,
    pub pull_started: Option<SimTime>,
    pub pull_stopped: Option<SimTime>,
    /// When its containers' processes started.
    pub processes_started: Option<SimTime>,
    /// When ECS saw it RUNNING.
    pub started: Option<SimTime>,
    pub stopping_at: Option<SimTime>,
    pub stopped: Option<SimTime>,
    pub stop_code: Option<StopCode>,
    pub stopped_reason: Option<String>,
    pub containers: Vec<Container>,
    /// It is not scaled in before.
    pub protected_until: Option<SimTime>,
    /// It was healthy by all of its service's checks at least once.
    pub was_healthy: bool,
    /// ECS stopped it because its health checks failed.
    pub failed_checks: bool,
    /// Its failure was counted.
    pub judged: bool,
    pub version: i64,
    pub tags: Vec<Value>,
}

impl Task {
    /// It stands for the service: not asked to stop, not ended.
    pub fn is_wanted(&self) -> bool {
        !self.stopping && self.stage < Stage::Deactivating
    }

    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running | Stage::Deactivating)
    }

    /// The ARN of the container instance that it runs on.
    pub fn host(&self) -> Option<&str> {
        match &self.place {
            Place::Instance { arn, .. } => Some(arn),
            Place::Interface { host, .. } => host.as_deref(),
            Place::Waiting { .. } => None,
        }
    }

    /// Host ports that it takes of its instance.
    pub fn host_ports(&self) -> impl Iterator<Item = i64> {
        let on_host = matches!(self.place, Place::Instance { .. });
        let containers = self.containers.iter().filter(move |_| on_host);
        containers.flat_map(|one| one.bindings.iter().map(|(_, host_port, _)| *host_port))
    }

    /// What target groups of type `ip` know it by.
    pub fn ip(&self) -> &str {
        match &self.place {
            Place::Interface { ip, .. } | Place::Instance { ip, .. } => ip,
            Place::Waiting { .. } => "",
        }
    }

    /// The task's health: that of its essential containers with a check.
    pub fn health(&self) -> Health {
        let mut checked = self
            .containers
            .iter()
            .filter(|container| container.essential && container.check.is_some())
            .map(|container| container.health)
            .peekable();
        if checked.peek().is_none() {
            return Health::Unknown;
        }
        checked.fold(Health::Healthy, |worst, health| match (worst, health) {
            (Health::Unhealthy, _) | (_, Health::Unhealthy) => Health::Unhealthy,
            (Health::Unknown, _) | (_, Health::Unknown) => Health::Unknown,
            _ => Health::Healthy,
        })
    }

    pub fn has_check(&self) -> bool {
        self.containers
            .iter()
            .any(|container| container.essential && container.check.is_some())
    }
}

impl Task {
    /// Whether a load balancer's checks of one of its containers pass now.
    pub fn answers_checks(&self, container: &str, now: SimTime) -> bool {
        self.is_running()
            && self
                .containers
                .iter()
                .any(|c| c.name == container && c.answers(now))
    }

    /// The task can no longer be what the service wants.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Stopped
    }
}

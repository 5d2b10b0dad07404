//! What ECS keeps: clusters, task definitions, services and their history.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

pub use super::rollout::{
    Deployment, DeploymentStatus, Rollback, Rollout, ServiceDeployment, ServiceDeploymentStatus,
    ServiceRevision, WatchedAlarms,
};
use crate::{
    wire::json::{number, text},
    world::SimTime,
};

/// A cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub name: String,
    pub arn: String,
    /// Members of the answer that were given when it was made.
    pub settings: Map<String, Value>,
    pub instances: Vec<ContainerInstance>,
    /// Its Auto Scaling groups.
    pub providers: Vec<Provider>,
}

/// An Auto Scaling group as a capacity provider, and the instances that it launches.
#[derive(Clone, Debug)]
pub struct Provider {
    pub name: String,
    pub arn: String,
    pub has_managed_scaling: bool,
    /// Instances that it may have.
    pub most: usize,
    /// Seconds until a new instance is registered.
    pub warmup_s: f64,
    pub zone: String,
    pub cpu: i64,
    pub memory: i64,
    pub architecture: String,
    /// When those that are on their way are ready.
    pub launching: Vec<SimTime>,
    pub launched: usize,
}

/// An EC2 instance that runs tasks.
#[derive(Clone, Debug)]
pub struct ContainerInstance {
    pub arn: String,
    pub ec2_id: String,
    pub ip: String,
    pub zone: String,
    /// CPU units in all (1024 are one vCPU).
    pub cpu: i64,
    /// MiB in all.
    pub memory: i64,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    pub capacity_provider: Option<String>,
    /// Host ports that something other than ECS uses.
    pub taken_ports: Vec<i64>,
    /// It takes no new tasks.
    pub is_draining: bool,
    pub registered: SimTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    Active,
    Inactive,
}

impl Lifecycle {
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
        }
    }
}

/// One revision of a task definition.
#[derive(Clone, Debug)]
pub struct TaskDefinition {
    pub arn: String,
    pub family: String,
    pub revision: u64,
    pub status: Lifecycle,
    /// The whole object as it is answered, computed members and unknown ones included.
    pub body: Map<String, Value>,
    pub tags: Vec<Value>,
    /// The request that registered it, byte for byte.
    pub raw: Option<bytes::Bytes>,
}

impl TaskDefinition {
    pub fn network_mode(&self) -> &str {
        self.body
            .get("networkMode")
            .and_then(Value::as_str)
            .unwrap_or("bridge")
    }

    pub fn containers(&self) -> impl Iterator<Item = &Value> {
        self.body
            .get("containerDefinitions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    pub fn has_container(&self, name: &str) -> bool {
        self.containers()
            .any(|container| text(container, "name") == Some(name))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceStatus {
    Active,
    Draining,
    Inactive,
}

impl ServiceStatus {
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

/// How a service's circuit breaker is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    pub enabled: bool,
    pub rolls_back: bool,
    pub resets_on_healthy_task: bool,
    /// Failed tasks that trigger it.
    pub threshold: i64,
}

/// One capacity provider of a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyItem {
    pub provider: String,
    /// Tasks that it gets before weights count.
    pub base: i64,
    pub weight: i64,
}

/// An event of a service.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: String,
    pub at: SimTime,
    pub message: String,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub arn: String,
    pub cluster: String,
    pub cluster_arn: String,
    pub status: ServiceStatus,
    pub desired: i64,
    pub task_definition: String,
    pub created: SimTime,
    pub created_by: String,
    /// The members of DescribeServices that are kept as they were given.
    pub settings: Map<String, Value>,
    pub tags: Vec<Value>,
    /// PRIMARY first, then newest first.
    pub deployments: Vec<Deployment>,
    /// Newest first.
    pub events: VecDeque<Event>,
    /// Newest first.
    pub service_deployments: Vec<ServiceDeployment>,
    /// Newest first.
    pub revisions: Vec<ServiceRevision>,
    pub client_token: Option<String>,
    /// Since when it has what it wants; `None` while it has not.
    pub settled_since: Option<SimTime>,
    /// It was said to be steady, and nothing has changed since.
    pub steady: bool,
    /// No task is started before.
    pub next_start: SimTime,
    /// Tasks in a row that never became healthy.
    pub start_failures: u32,
    pub last_placement_event: Option<SimTime>,
    /// The event of a task that could not start, until one is healthy.
    pub last_reason: Option<String>,
}

impl Service {
    pub fn key(&self) -> (String, String) {
        (self.cluster.clone(), self.name.clone())
    }

    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|deployment| deployment.status == DeploymentStatus::Primary)
    }

    pub fn primary_mut(&mut self) -> Option<&mut Deployment> {
        self.deployments
            .iter_mut()
            .find(|deployment| deployment.status == DeploymentStatus::Primary)
    }

    pub fn deployment_mut(&mut self, id: &str) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|deployment| deployment.id == id)
    }

    pub fn service_deployment_mut(&mut self, arn: &str) -> Option<&mut ServiceDeployment> {
        self.service_deployments
            .iter_mut()
            .find(|deployment| deployment.arn == arn)
    }

    pub fn revision(&self, arn: &str) -> Option<&ServiceRevision> {
        self.revisions.iter().find(|revision| revision.arn == arn)
    }

    pub fn setting(&self, member: &str) -> Option<&Value> {
        self.settings.get(member)
    }

    pub fn setting_text(&self, member: &str) -> &str {
        self.setting(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// The controller's type: ECS, CODE_DEPLOY or EXTERNAL.
    pub fn controller(&self) -> &str {
        self.setting("deploymentController")
            .and_then(|controller| text(controller, "type"))
            .unwrap_or("ECS")
    }

    pub fn is_daemon(&self) -> bool {
        self.setting_text("schedulingStrategy") == "DAEMON"
    }

    pub fn uses_fargate(&self) -> bool {
        match self.setting_text("launchType") {
            "" => self
                .setting("capacityProviderStrategy")
                .and_then(Value::as_array)
                .is_some_and(|strategy| {
                    strategy
                        .iter()
                        .any(|item| text(item, "capacityProvider").is_some_and(|p| p.starts_with("FARGATE")))
                }),
            launch_type => launch_type == "FARGATE",
        }
    }

    /// Its capacity provider strategy; empty under a launch type.
    pub fn strategy(&self) -> Vec<StrategyItem> {
        let listed = self.setting("capacityProviderStrategy").and_then(Value::as_array);
        let items = listed.into_iter().flatten().map(|item| StrategyItem {
            provider: text(item, "capacityProvider").unwrap_or_default().to_owned(),
            base: number(item, "base").unwrap_or(0),
            weight: number(item, "weight").unwrap_or(0),
        });
        items.collect()
    }

    pub fn load_balancers(&self) -> Vec<Value> {
        let listed = self.setting("loadBalancers").and_then(Value::as_array);
        listed.cloned().unwrap_or_default()
    }

    /// The subnets of its awsvpc configuration.
    pub fn subnets(&self) -> Vec<String> {
        self.setting("networkConfiguration")
            .and_then(|network| network.get("awsvpcConfiguration"))
            .map(|awsvpc| crate::wire::json::texts(awsvpc, "subnets"))
            .unwrap_or_default()
    }

    fn deployment_number(&self, member: &str) -> Option<i64> {
        number(self.setting("deploymentConfiguration")?, member)
    }

    /// How many tasks must stay healthy during a deployment: rounded up.
    pub fn least_healthy(&self) -> i64 {
        let percent = self.deployment_number("minimumHealthyPercent").unwrap_or(100);
        (self.desired * percent + 99) / 100
    }

    /// How many tasks may exist during a deployment: rounded down.
    pub fn most_tasks(&self) -> i64 {
        let percent = self.deployment_number("maximumPercent").unwrap_or(200);
        self.desired * percent / 100
    }

    /// The circuit breaker as it is set, with ECS's defaults.
    pub fn breaker(&self) -> Breaker {
        let settings = self
            .setting("deploymentConfiguration")
            .and_then(|configuration| configuration.get("deploymentCircuitBreaker"));
        let flag = |member: &str, default: bool| {
            settings
                .and_then(|breaker| breaker.get(member))
                .and_then(Value::as_bool)
                .unwrap_or(default)
        };
        Breaker {
            enabled: flag("enable", false),
            rolls_back: flag("rollback", false),
            resets_on_healthy_task: flag("resetOnHealthyTask", true),
            threshold: self
                .breaker_threshold(settings.and_then(|breaker| breaker.get("thresholdConfiguration"))),
        }
    }

    /// 0.5 × desired, at least 3 and at most 200, unless the service says otherwise.
    fn breaker_threshold(&self, configuration: Option<&Value>) -> i64 {
        let value = configuration.and_then(|configuration| number(configuration, "value"));
        let kind = configuration.and_then(|configuration| text(configuration, "type"));
        let percent_of_desired = |percent: i64| (self.desired * percent + 99) / 100;
        match (kind, value) {
            (Some("COUNT"), Some(count)) => count.max(1),
            (Some("UNBOUNDED_PERCENT"), Some(percent)) => percent_of_desired(percent).max(1),
            (_, Some(percent)) => percent_of_desired(percent).clamp(3, 200),
            _ => percent_of_desired(50).clamp(3, 200),
        }
    }

    /// Seconds after a task's start during which failing health checks are forgiven.
    pub fn grace_s(&self) -> i64 {
        self.setting("healthCheckGracePeriodSeconds")
            .and_then(Value::as_i64)
            .unwrap_or(0)
    }
}

/// What ECS keeps in one account and region.
#[derive(Clone, Debug, Default)]
pub struct Ecs {
    pub clusters: BTreeMap<String, Cluster>,
    /// By family, oldest revision first.
    pub families: BTreeMap<String, Vec<TaskDefinition>>,
    /// By cluster and name.
    pub services: BTreeMap<(String, String), Service>,
    /// By id.
    pub tasks: BTreeMap<String, super::task::Task>,
    /// Ids by cluster and service.
    of_service: BTreeMap<(String, String), BTreeSet<String>>,
    /// Nothing moves by itself before; every write sets it back.
    pub at_rest_until: SimTime,
    /// Tags of resources that keep none of their own, by ARN.
    pub tags: BTreeMap<String, Vec<Value>>,
    /// Client tokens of RunTask, by cluster and token.
    pub run_tokens: BTreeMap<(String, String), super::run_task::Used>,
}

impl Ecs {
    /// Adds a task that begins.
    pub fn add_task(&mut self, task: super::task::Task) {
        let key = (task.cluster.clone(), task.service.clone());
        self.of_service.entry(key).or_default().insert(task.id.clone());
        self.tasks.insert(task.id.clone(), task);
    }

    /// Takes away what is left of a task that nobody is shown any more.
    pub fn forget_task(&mut self, id: &str) {
        let Some(task) = self.tasks.remove(id) else {
            return;
        };
        let key = (task.cluster, task.service);
        if let Some(ids) = self.of_service.get_mut(&key) {
            ids.remove(id);
        }
    }

    /// The tasks of a service.
    pub fn tasks_of<'a>(&'a self, service: &Service) -> impl Iterator<Item = &'a super::task::Task> {
        let ids = self.of_service.get(&service.key()).into_iter().flatten();
        ids.filter_map(|id| self.tasks.get(id))
    }
}

/// `[{"key": …, "value": …}]` changed by `more`: equal keys are replaced.
pub fn merge_tags(tags: &mut Vec<Value>, more: &[Value]) {
    for tag in more {
        tags.retain(|old| text(old, "key") != text(tag, "key"));
        tags.push(json!({"key": text(tag, "key").unwrap_or_default(), "value": text(tag, "value").unwrap_or_default()}));
    }
}

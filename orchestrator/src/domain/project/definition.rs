//! What a project is made of, as the file says it: `${...}` still unresolved.

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::template::{Amount, Template, Texts, Value};
use crate::domain::name::{
    AccountId, AgentName, ChannelName, ClusterName, ContainerName, EcsServiceName, EnvironmentName, ImageKey,
    LifecycleName, PhaseName, ProjectName, Region, ServiceName, Tag, TargetId,
};

/// What is released together. Maps keep the order of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    pub name: ProjectName,
    pub images: IndexMap<ImageKey, Image>,
    pub services: IndexMap<ServiceName, Service>,
    pub environments: IndexMap<EnvironmentName, Environment>,
    pub channels: IndexMap<ChannelName, Channel>,
    pub lifecycles: IndexMap<LifecycleName, Lifecycle>,
}

/// Where an image is found, and which tag it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    pub repository: Repository,
    /// Fixed by the file; `None` when each release chooses.
    pub tag: Option<Tag>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repository {
    /// Keep the repository that runs; only for services of kind `existing`.
    Running,
    /// `registry/path` without a tag.
    Named(Template),
}

/// One ECS service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Services of the same target that must have ended well before.
    pub after: Vec<ServiceName>,
    pub kind: ServiceKind,
}

impl Service {
    /// Its name in ECS.
    pub fn ecs_service(&self) -> &EcsServiceName {
        match &self.kind {
            ServiceKind::Fargate(fargate) => &fargate.service,
            ServiceKind::Existing(existing) => &existing.service,
        }
    }

    /// The image keys that it uses, by container, in the file's order.
    pub fn images(&self) -> Vec<(&ContainerName, &ImageKey)> {
        match &self.kind {
            ServiceKind::Fargate(fargate) => fargate.containers.iter().map(|c| (&c.name, &c.image)).collect(),
            ServiceKind::Existing(existing) => existing.containers.iter().collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// Towline owns it, through one CloudFormation stack.
    Fargate(Box<FargateService>),
    /// Someone else owns it; Towline changes its images and nothing else.
    Existing(ExistingService),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FargateService {
    /// Its name in ECS; the service's key when the file says nothing.
    pub service: EcsServiceName,
    /// The stack's name; derived by the agent when absent.
    pub stack: Option<Template>,
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
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    #[default]
    X86_64,
    Arm64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    pub name: ContainerName,
    pub image: ImageKey,
    /// CPU units.
    pub cpu: Option<u32>,
    /// Hard limit in MiB.
    pub memory: Option<u32>,
    /// Soft limit in MiB.
    pub memory_reservation: Option<u32>,
    pub ports: Vec<Port>,
    pub environment: IndexMap<String, Template>,
    /// Variable name to the ARN of a Secrets Manager secret or SSM parameter.
    pub secrets: IndexMap<String, Template>,
    pub depends_on: IndexMap<ContainerName, Condition>,
    pub essential: bool,
    pub entry_point: Vec<Template>,
    pub command: Vec<Template>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Port {
    pub port: u16,
    pub protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    Tcp,
    Udp,
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub subnets: Texts,
    pub security_groups: Texts,
    pub assign_public_ip: bool,
}

/// Links a container's port to a target group that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub container: ContainerName,
    pub port: u16,
    /// The target group's ARN.
    pub target_group: Template,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Percent; ECS's default is 100.
    pub minimum_healthy_percent: Option<u32>,
    /// Percent; ECS's default is 200.
    pub maximum_percent: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExistingService {
    /// Its name in ECS.
    pub service: EcsServiceName,
    /// The containers that get new images; all others stay as they are.
    pub containers: IndexMap<ContainerName, ImageKey>,
}

/// An ordered list of targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    pub values: IndexMap<String, Value>,
    pub targets: Vec<Target>,
    pub waves: Waves,
    /// How long a deployment may run before it is errored.
    pub deadline: SignedDuration,
}

impl Environment {
    /// The deadline of an environment that names none.
    pub const DEFAULT_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

    /// The wave of the target at this place of the list.
    pub fn wave(&self, index: usize) -> u32 {
        match self.waves {
            Waves::Together => 0,
            Waves::OneByOne => u32::try_from(index).unwrap_or(u32::MAX),
        }
    }
}

/// How the targets of an environment follow one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waves {
    /// In the file's order, so that a bad release stops at the first region.
    #[default]
    OneByOne,
    Together,
}

/// One ECS cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub agent: AgentName,
    pub account: AccountId,
    pub region: Region,
    pub cluster: ClusterName,
    pub values: IndexMap<String, Value>,
}

impl Target {
    pub fn id(&self) -> TargetId {
        TargetId::of(&self.account, &self.region, &self.cluster)
    }
}

/// Which lifecycle a release follows, and which versions it may hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    pub lifecycle: LifecycleName,
    /// What an image's tag must satisfy.
    pub rules: IndexMap<ImageKey, semver::VersionReq>,
}

/// The order of environments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    pub phases: Vec<Phase>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    pub name: PhaseName,
    pub environments: Vec<EnvironmentName>,
    /// Starts by itself once the phase before is satisfied.
    pub automatic: bool,
    pub approvals: Option<ApprovalRule>,
}

/// Who must say yes before a created deployment runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    pub role: ApproverRole,
    /// How many different people; at least 1.
    pub count: u32,
}

/// A role that may approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApproverRole {
    Approver,
    Admin,
}

impl std::fmt::Display for ApproverRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Approver => "approver",
            Self::Admin => "admin",
        })
    }
}

/// One ECS service that a project holds: of one project only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    pub account: AccountId,
    pub region: Region,
    pub cluster: ClusterName,
    pub ecs_service: EcsServiceName,
}

/// The ECS services that a project holds, each once, sorted.
pub fn claims(project: &Project) -> Vec<Claim> {
    let targets = project
        .environments
        .values()
        .flat_map(|environment| &environment.targets);
    let all: std::collections::BTreeSet<Claim> = targets
        .flat_map(|target| {
            project.services.values().map(|service| Claim {
                account: target.account.clone(),
                region: target.region.clone(),
                cluster: target.cluster.clone(),
                ecs_service: service.ecs_service().clone(),
            })
        })
        .collect();
    all.into_iter().collect()
}

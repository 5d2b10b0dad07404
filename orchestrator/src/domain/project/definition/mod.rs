//! What a project is made of, as the file says it: `${...}` still unresolved.
//! Here is what holds a project together; a fargate service is in `fargate`,
//! its containers in `container`. What was stored by an older program is read:
//! a member that came later has a default.

mod container;
mod existing;
mod fargate;

pub use container::*;
pub use existing::*;
pub use fargate::*;

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::template::{Scope, Template, Value};
use crate::domain::name::{
    AccountId, AgentName, ChannelName, ClusterName, EcsServiceName, EnvironmentName, ImageKey, LifecycleName,
    PhaseName, ProjectName, Region, ServiceName, Tag, TargetId,
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
    /// Where it is; empty: on every target of every environment.
    #[serde(default)]
    pub only_in: Vec<Whereabouts>,
    pub kind: ServiceKind,
}

/// An environment with all its targets, or one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Whereabouts {
    Environment(EnvironmentName),
    Target(TargetId),
}

impl Service {
    /// Its name in ECS; `None` for what is no name on this target.
    pub fn ecs_service(&self, scope: Scope<'_>) -> Option<EcsServiceName> {
        match &self.kind {
            ServiceKind::Fargate(fargate) => Some(fargate.service.clone()),
            ServiceKind::Existing(existing) => existing.service.resolve(scope).ok()?.parse().ok(),
        }
    }

    /// Whether it is on this target of this environment.
    pub fn goes_to(&self, environment: &EnvironmentName, target: &Target) -> bool {
        self.only_in.is_empty()
            || self.only_in.iter().any(|place| match place {
                Whereabouts::Environment(name) => name == environment,
                Whereabouts::Target(id) => *id == target.id(),
            })
    }

    /// The image keys that it uses, in the order of its containers.
    pub fn images(&self) -> Vec<&ImageKey> {
        match &self.kind {
            ServiceKind::Fargate(fargate) => fargate.containers.iter().map(|c| &c.image).collect(),
            ServiceKind::Existing(existing) => existing
                .containers
                .iter()
                .filter_map(|c| c.image.as_ref())
                .collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// Towline owns it, through one CloudFormation stack.
    Fargate(Box<FargateService>),
    /// Someone else owns it; Towline changes its images and nothing else.
    Existing(Box<ExistingService>),
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
    let mut all = std::collections::BTreeSet::new();
    for (name, environment) in &project.environments {
        for target in &environment.targets {
            let scope = Scope {
                environment: &environment.values,
                target: &target.values,
            };
            let services = project.services.values().filter(|it| it.goes_to(name, target));
            all.extend(services.filter_map(|service| {
                Some(Claim {
                    account: target.account.clone(),
                    region: target.region.clone(),
                    cluster: target.cluster.clone(),
                    ecs_service: service.ecs_service(scope)?,
                })
            }));
        }
    }
    all.into_iter().collect()
}

//! What a project is made of, as the file says it: `${...}` still unresolved.
//! Here is what holds a project together; a fargate service is in `fargate`,
//! its containers in `container`. What was stored by an older program is read:
//! a member that came later has a default.

mod container;
mod existing;
mod failing;
mod fargate;
mod tasks;

pub use container::*;
pub use existing::*;
pub use failing::*;
pub use fargate::*;
pub use tasks::*;

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::template::{Scope, Template, Value};
use crate::domain::{
    name::{
        AccountId, AgentName, ChannelName, ClusterName, EcsServiceName, EnvironmentName, ImageKey,
        LifecycleName, PhaseName, ProjectName, Region, ServiceName, Tag, TargetId,
    },
    release::{Rules, VersionTemplate},
    variable::{self, InPlace, Place, Readings, Variables},
};

/// What is released together. Maps keep the order of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    pub name: ProjectName,
    pub images: IndexMap<ImageKey, Image>,
    pub services: IndexMap<ServiceName, Service>,
    /// What is run once, before or after services, in the file's order.
    #[serde(default)]
    pub tasks: IndexMap<ServiceName, OneOffTask>,
    pub environments: IndexMap<EnvironmentName, Environment>,
    pub channels: IndexMap<ChannelName, Channel>,
    pub lifecycles: IndexMap<LifecycleName, Lifecycle>,
    #[serde(default)]
    pub variables: Variables,
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

/// Whether a target is among some places; no places are all.
fn is_among(places: &[Whereabouts], environment: &EnvironmentName, target: &Target) -> bool {
    places.is_empty()
        || places.iter().any(|place| match place {
            Whereabouts::Environment(name) => name == environment,
            Whereabouts::Target(id) => *id == target.id(),
        })
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
        is_among(&self.only_in, environment, target)
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
    /// What its deployments do about operations that end badly.
    #[serde(default)]
    pub failures: FailureRules,
}

impl Environment {
    /// The deadline of an environment that names none.
    pub const DEFAULT_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

    /// The wave of the target at this place of the list.
    pub fn wave(&self, index: usize) -> u32 {
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        match &self.waves {
            Waves::Together => 0,
            Waves::OneByOne => number(index),
            Waves::Cells(cells) => {
                let target = self.targets.get(index).map(Target::id);
                let cell = target.and_then(|id| cells.iter().position(|cell| cell.contains(&id)));
                // Every target is in a cell, or the file is refused.
                cell.map_or(u32::MAX, number)
            }
        }
    }
}

/// How the targets of an environment follow one another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waves {
    /// In the file's order, so that a bad release stops at the first region.
    #[default]
    OneByOne,
    Together,
    /// Cell by cell: the targets of a cell run at the same time.
    Cells(Vec<Vec<TargetId>>),
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
    /// Makes the version of a release that was given none.
    #[serde(default)]
    pub version: Option<VersionTemplate>,
    /// What an image's tag must satisfy.
    pub rules: IndexMap<ImageKey, Rules>,
}

/// The order of environments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    pub phases: Vec<Phase>,
    #[serde(default)]
    pub supersede: Supersede,
    /// A rollback asks for the phase's approvals as well.
    #[serde(default)]
    pub rollback_needs_approval: bool,
    /// How many releases of a channel are kept in sight; `None`: all.
    #[serde(default)]
    pub keep: Option<u32>,
}

/// What a newer release's deployment does to those that stand before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supersede {
    /// Each has its turn.
    #[default]
    Nothing,
    /// Older ones into the same environment that have not started are cancelled.
    Queued,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    pub name: PhaseName,
    pub environments: Vec<EnvironmentName>,
    /// Starts by itself once the phase before is satisfied.
    pub automatic: bool,
    pub approvals: Option<ApprovalRule>,
    /// How many of its environments satisfy it; `None`: all.
    #[serde(default)]
    pub at_least: Option<u32>,
    /// The phase after it may begin without it.
    #[serde(default)]
    pub optional: bool,
    /// How long after it is satisfied the next one may begin.
    #[serde(default)]
    pub soak: Option<SignedDuration>,
}

/// Who must say yes before a created deployment runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    pub role: ApproverRole,
    /// How many different people; at least 1.
    pub count: u32,
    /// Neither who created the deployment nor who created the release.
    #[serde(default)]
    pub not_author: bool,
    /// How long people have, from the creation of the deployment or from the
    /// moment at which their approvals became void.
    #[serde(default = "ApprovalRule::default_expires")]
    pub expires: SignedDuration,
}

impl ApprovalRule {
    pub const DEFAULT_EXPIRES: SignedDuration = SignedDuration::from_hours(24 * 7);

    fn default_expires() -> SignedDuration {
        Self::DEFAULT_EXPIRES
    }
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
            let services = project.services.iter().filter(|(_, it)| it.goes_to(name, target));
            for (key, service) in services {
                let names = ecs_names(project, (name, environment), target, (key, service));
                all.extend(names.into_iter().map(|ecs_service| Claim {
                    account: target.account.clone(),
                    region: target.region.clone(),
                    cluster: target.cluster.clone(),
                    ecs_service,
                }));
            }
        }
    }
    all.into_iter().collect()
}

/// What a service is called in ECS on a target: one name, unless a variable in
/// it has a value of its own for some channel.
pub fn ecs_names(
    project: &Project,
    (name, environment): (&EnvironmentName, &Environment),
    target: &Target,
    (key, service): (&ServiceName, &Service),
) -> std::collections::BTreeSet<EcsServiceName> {
    let (id, read) = (target.id(), Readings::new());
    let channels = variable::channels_into(project, name);
    let in_channel = |channel| {
        let place = Place {
            environment: name,
            target: &id,
            channel: Some(channel),
            service: Some(key),
        };
        let variables = InPlace {
            all: &project.variables,
            place,
            read: &read,
        };
        service.ecs_service(Scope {
            environment: &environment.values,
            target: &target.values,
            variables: Some(variables),
        })
    };
    channels.into_iter().filter_map(in_channel).collect()
}

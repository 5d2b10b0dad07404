//! A project file from what runs. Start at [`import`]: it leaves out what cannot
//! be updated (`sift`), joins the services of several accounts (`join`), finds
//! what differs between them and makes it values (`values`, `names`, `image`),
//! and writes the file (`write`). What always holds: the same inventory gives
//! the same file, and the project reader takes it.

mod image;
mod join;
mod names;
mod pattern;
mod repositories;
mod sift;
mod values;
mod write;

#[cfg(test)]
mod tests;

use super::name::{
    AccountId, AgentName, ClusterName, ContainerName, EcsServiceName, EnvironmentName, ProjectName, Region,
    ServiceName, TargetId,
};

pub use pattern::Glob;

/// One cluster and its services, as its agent lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCluster {
    pub agent: AgentName,
    pub account: AccountId,
    pub region: Region,
    pub cluster: ClusterName,
    /// Which environment it is of: a person's word, or the agent's name.
    pub environment: EnvironmentName,
    pub services: Vec<FoundService>,
}

impl FoundCluster {
    pub fn target(&self) -> TargetId {
        TargetId::of(&self.account, &self.region, &self.cluster)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundService {
    pub name: EcsServiceName,
    /// In the order of the task definition.
    pub containers: Vec<FoundContainer>,
    pub unfit: Option<Unfit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundContainer {
    pub name: ContainerName,
    /// The whole reference.
    pub image: String,
}

/// Why a service is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// ECS's own word: DRAINING, INACTIVE.
    NotActive(String),
    /// Towline keeps it through a stack of its own.
    OwnStack,
    /// ECS's own word: CODE_DEPLOY, EXTERNAL, BLUE_GREEN.
    Controller(String),
    /// Another project holds it.
    Claimed(String),
}

/// A project file, and what a person has to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub definition: String,
    /// In the order of the file.
    pub services: Vec<ImportedService>,
    pub notes: Vec<Note>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedService {
    pub key: ServiceName,
    /// As the file says them.
    pub containers: Vec<String>,
    pub places: Vec<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub environment: EnvironmentName,
    pub target: TargetId,
    pub ecs_service: EcsServiceName,
}

/// Something that differs, or was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The service's key in the file, or its name in ECS when it was left out.
    pub service: String,
    pub reason: Reason,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    NotActive,
    OwnedByStack,
    Controller,
    Claimed,
    ClusterTwice,
    NotJoined,
    ContainerNotEverywhere,
    ImageByDigest,
}

impl Reason {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotActive => "not_active",
            Self::OwnedByStack => "owned_by_stack",
            Self::Controller => "controller",
            Self::Claimed => "claimed",
            Self::ClusterTwice => "cluster_twice",
            Self::NotJoined => "not_joined",
            Self::ContainerNotEverywhere => "container_not_everywhere",
            Self::ImageByDigest => "image_by_digest",
        }
    }
}

/// The project that the clusters' services make. `order` is the lifecycle's, as
/// far as a person said it.
pub fn import(project: &ProjectName, clusters: Vec<FoundCluster>, order: &[EnvironmentName]) -> Imported {
    let mut notes = Vec::new();
    let mut clusters = sift::sift(clusters, order, &mut notes);
    let mut joined = join::join(&clusters, &mut notes);
    let used: std::collections::HashSet<TargetId> = clusters
        .iter()
        .enumerate()
        .filter(|(at, _)| joined.services.iter().any(|it| it.names.contains_key(at)))
        .map(|(_, cluster)| cluster.target())
        .collect();
    // A cluster of which nothing is left has no place in the file.
    if used.len() < clusters.len() {
        clusters.retain(|cluster| used.contains(&cluster.target()));
        joined = join::join(&clusters, &mut notes);
    }
    notes.sort();
    notes.dedup();
    Imported {
        definition: write::definition(project, &clusters, &joined, &notes),
        services: joined.services.iter().map(|it| it.told(&clusters)).collect(),
        notes,
    }
}

//! A service that someone else owns, and what of it Towline changes; mirrors the
//! wire's `UpdateServiceRequest`, with holes where the file may have some.

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::{
    name::{ContainerName, ImageKey},
    project::template::{Template, Texts},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExistingService {
    /// Its name in ECS; the service's key when the file says nothing.
    pub service: Template,
    /// The containers that change; all others stay as they are.
    #[serde(deserialize_with = "containers")]
    pub containers: Vec<ExistingContainer>,
    /// The family that the next revision joins; absent: that of the service.
    #[serde(default)]
    pub family: Option<Template>,
    #[serde(default)]
    pub base: Option<BaseRevision>,
    /// Another family whose latest revision is the base; not together with `base`.
    #[serde(default)]
    pub template_family: Option<Template>,
    #[serde(default)]
    pub tags: NamedChanges,
    #[serde(default)]
    pub on_failure: Option<OnFailure>,
    #[serde(default)]
    pub wait_for: Option<WaitFor>,
    /// How long an operation may take from its first send, rollout, bake time
    /// and roll-back together; never longer than the environment's deadline.
    #[serde(default)]
    pub timeout: Option<SignedDuration>,
    #[serde(default)]
    pub bake: Option<Bake>,
}

/// What changes in one container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExistingContainer {
    /// Its exact name in the task definition.
    pub name: Template,
    /// Absent: it keeps its image.
    pub image: Option<ImageKey>,
    #[serde(default)]
    pub environment: NamedChanges,
    #[serde(default)]
    pub secrets: NamedChanges,
    #[serde(default)]
    pub environment_files: FileChanges,
}

/// A change of a list of named values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedChanges {
    pub set: IndexMap<String, Template>,
    pub remove: Vec<String>,
    /// What is set is all that is left.
    pub replace: bool,
}

impl NamedChanges {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChanges {
    pub add: Option<Texts>,
    pub remove: Option<Texts>,
    /// What is added is all that is left.
    pub replace: bool,
}

impl FileChanges {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The revision that the next one is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseRevision {
    /// The family's latest ACTIVE one.
    Latest,
    /// The one that the service runs.
    Running,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Whatever ECS made of it stays, for a person to look at.
    #[default]
    Leave,
    /// What ran before is put back, and followed to its own end.
    RollBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// The rollout's end, and the bake time's.
    Verdict,
    /// ECS has started the deployment; nobody follows it.
    Started,
}

/// How long the service must stay stable, and alarms OK, after the rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bake {
    pub time: SignedDuration,
    /// Names of CloudWatch alarms.
    pub alarms: Option<Texts>,
}

/// Before 0.2 a container had a new image and nothing else.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredContainers {
    InFull(Vec<ExistingContainer>),
    ImagesOnly(IndexMap<ContainerName, ImageKey>),
}

fn containers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ExistingContainer>, D::Error> {
    match StoredContainers::deserialize(deserializer)? {
        StoredContainers::InFull(containers) => Ok(containers),
        StoredContainers::ImagesOnly(images) => images
            .into_iter()
            .map(|(name, image)| {
                Ok(ExistingContainer {
                    name: name.as_str().parse().map_err(serde::de::Error::custom)?,
                    image: Some(image),
                    environment: NamedChanges::default(),
                    secrets: NamedChanges::default(),
                    environment_files: FileChanges::default(),
                })
            })
            .collect(),
    }
}

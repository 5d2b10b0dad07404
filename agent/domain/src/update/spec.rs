//! What an update is to change, parsed and checked: nothing in here is blank,
//! named twice or at odds with itself. What it says nothing about stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::observed::TaskDefinitionArn;

pub use crate::image_reference::{Digest, ImageError, ImageReference, Tag};

/// ECS's limit for the tags of a task definition.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html>
pub const MOST_TAGS: usize = 50;
/// Characters of a tag's key.
pub const LONGEST_TAG_KEY: usize = 128;
/// Characters of a tag's value.
pub const LONGEST_TAG_VALUE: usize = 256;
/// The longest time that a service is watched after its rollout.
pub const LONGEST_BAKE: SignedDuration = SignedDuration::from_hours(24);
/// CloudWatch alarms of one bake time.
pub const MOST_ALARMS: usize = 50;
/// ECS's limit for the environment files of a container.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html>
pub const MOST_ENVIRONMENT_FILES: usize = 10;

/// Tags that are Towline's own, renewed with every revision.
pub const OWN_TAGS: &str = "towline:";
/// Tags that AWS sets and refuses to be given.
pub const RESERVED_TAGS: &str = "aws:";

/// An update of one service. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateSpec {
    /// The family that the next revision joins; by default that of the service.
    pub family: Option<String>,
    pub base: Base,
    pub containers: Vec<ContainerChange>,
    pub tags: TagChanges,
    /// A new deployment also when nothing changes.
    pub force: bool,
    pub on_failure: OnFailure,
    pub wait_for: WaitFor,
    pub bake: Option<Bake>,
    /// The hash of the plan that was approved.
    pub plan_hash: Option<String>,
}

/// What the next revision is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Base {
    /// The latest ACTIVE revision of the family that the next one joins.
    #[default]
    Latest,
    /// What the service's PRIMARY deployment runs.
    Running,
    /// The latest ACTIVE revision of another family.
    TemplateFamily(String),
    /// This very one, with all its content, also its family.
    Revision(TaskDefinitionArn),
}

/// What becomes of a service whose rollout failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Whatever ECS made of it stays.
    #[default]
    Leave,
    /// What ran before is put back, and followed to its own end.
    RollBack,
}

/// When an operation ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitFor {
    /// With the rollout's end, and the bake time's.
    #[default]
    Verdict,
    /// When ECS has started the deployment.
    Started,
}

/// How long a service must stay stable after its rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bake {
    /// More than zero, at most [`LONGEST_BAKE`].
    pub time: SignedDuration,
    /// Names of CloudWatch alarms that must stay out of ALARM.
    pub alarms: Vec<String>,
}

/// What changes in one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerChange {
    /// The container's exact name.
    pub name: String,
    /// `None`: the image stays.
    pub image: Option<NewImage>,
    pub environment: NamedChanges,
    /// Name to what ECS knows as valueFrom.
    pub secrets: NamedChanges,
    pub environment_files: FileChanges,
}

impl ContainerChange {
    /// Nothing but another image.
    pub fn of_image(name: impl Into<String>, image: NewImage) -> Self {
        Self {
            name: name.into(),
            image: Some(image),
            ..Self::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.image.is_none()
            && self.environment.is_empty()
            && self.secrets.is_empty()
            && self.environment_files.is_empty()
    }
}

/// What a container's image becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewImage {
    Whole(ImageReference),
    /// Another tag on the repository that the base names.
    TagOnly(Tag),
    /// Another digest on the repository that the base names. A tag beside it is for
    /// people to read; ECS pulls the digest.
    DigestOnly {
        digest: Digest,
        tag: Option<Tag>,
    },
}

/// A change of a list of named values. No name is both set and removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedChanges {
    pub set: BTreeMap<String, String>,
    pub remove: BTreeSet<String>,
    /// `set` is all that is left of this list; never touches the other one.
    pub replace: bool,
}

impl NamedChanges {
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && !self.replace
    }
}

/// A change of a container's environment files. No file is both added and removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileChanges {
    /// ARNs of objects in S3, in the order in which ECS reads them.
    pub add: Vec<String>,
    pub remove: BTreeSet<String>,
    /// `add` is all that is left.
    pub replace: bool,
}

impl FileChanges {
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && !self.replace
    }
}

/// A change of the task definition's tags. No key is both set and removed, none is
/// Towline's or AWS's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChanges {
    pub set: BTreeMap<String, String>,
    pub remove: BTreeSet<String>,
}

impl TagChanges {
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

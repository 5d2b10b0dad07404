//! A release: an immutable snapshot of which images go together. `choose` says
//! which tags, under the `rules` of a channel; `digest` where each tag is
//! resolved to what it holds, and what is deployed in its place; `version` makes
//! a version where none was given.

mod choose;
mod content;
mod digest;
mod range;
mod rules;
mod version;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{ChannelName, Digest, ImageKey, ProjectName, ReleaseVersion, Tag};

pub use choose::{
    ChoiceFault, FoundTag, choose_channel, choose_images, choose_images_of, newest, newest_wanted,
};
pub use content::{Difference, differences};
pub use digest::{Origin, Place, is_ecr, origin_at, origins, registry_of};
pub use range::{BadRange, VersionRange};
pub use rules::{BadPattern, Broken, Pattern, Rule, Rules};
pub use version::{BadVersionTemplate, VersionParts, VersionTemplate, day_of};

/// What is deployed together. The project's definition is the stored version
/// `project_version`, which never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub project: ProjectName,
    pub version: ReleaseVersion,
    pub channel: ChannelName,
    /// Every image of the project, in the file's order.
    pub images: IndexMap<ImageKey, ReleaseImage>,
    pub project_version: i64,
    pub notes: String,
    /// Where it was built; empty when nobody said.
    #[serde(default)]
    pub build_url: String,
    /// What it was built from; empty when nobody said.
    #[serde(default)]
    pub commit: String,
    pub created: Timestamp,
    /// The operator.
    pub created_by: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseImage {
    pub tag: Tag,
    /// What the tag named when the release was created; what is deployed. `None`
    /// of releases of older programs, and of an image that no service uses.
    pub digest: Option<Digest>,
    /// `registry/repository` in which it was resolved; empty without a digest.
    #[serde(default)]
    pub repository: String,
    /// When the content was pushed there, where the registry says so.
    #[serde(default)]
    pub pushed: Option<Timestamp>,
}

impl ReleaseImage {
    /// Not resolved.
    pub fn tagged(tag: Tag) -> Self {
        Self {
            tag,
            digest: None,
            repository: String::new(),
            pushed: None,
        }
    }
}

impl std::fmt::Display for ReleaseImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.digest {
            Some(digest) => write!(f, "{}@{}", self.tag, digest.short()),
            None => self.tag.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;

//! A release: an immutable snapshot of which image tags go together.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    name::{ChannelName, ImageKey, ProjectName, ReleaseVersion, Tag},
    project::Project,
};

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
    pub created: Timestamp,
    /// The operator.
    pub created_by: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseImage {
    pub tag: Tag,
    /// Not resolved yet: always `None`.
    pub digest: Option<String>,
}

/// Why a choice of images makes no release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceFault {
    #[error("the project has no channel {channel}")]
    UnknownChannel {
        channel: String,
        known: Vec<ChannelName>,
    },
    #[error("the project has {} channels: choose one", known.len())]
    ChannelNotChosen { known: Vec<ChannelName> },
    #[error("image {image} has no tag")]
    Missing { image: ImageKey },
    #[error("the project has no image {image}")]
    UnknownImage { image: String, known: Vec<ImageKey> },
    #[error("image {image} cannot be chosen: the project fixes its tag {tag}")]
    Fixed { image: ImageKey, tag: Tag },
    #[error("image {image}: {text:?} is not an image tag")]
    BadTag { image: ImageKey, text: String },
    #[error("image {image}: tag {tag} breaks the rule {rule} of channel {channel}")]
    RuleBroken {
        image: ImageKey,
        tag: Tag,
        rule: String,
        channel: ChannelName,
    },
    #[error("image {image}: tag {tag} is not a version, and channel {channel} has the rule {rule} for it")]
    NotAVersion {
        image: ImageKey,
        tag: Tag,
        rule: String,
        channel: ChannelName,
    },
}

impl ChoiceFault {
    /// The next step for a person.
    pub fn hint(&self) -> String {
        String::new()
    }
}

/// The channel that a release follows: the one that is named, or the only one.
///
/// # Errors
/// An unknown name, or none where there are several.
pub fn choose_channel(project: &Project, channel: Option<&str>) -> Result<ChannelName, ChoiceFault> {
    let known = || project.channels.keys().cloned().collect::<Vec<_>>();
    match channel.filter(|name| !name.is_empty()) {
        Some(name) => project
            .channels
            .keys()
            .find(|known| known.as_str() == name)
            .cloned()
            .ok_or_else(|| ChoiceFault::UnknownChannel {
                channel: name.to_owned(),
                known: known(),
            }),
        None => match project.channels.keys().next() {
            Some(only) if project.channels.len() == 1 => Ok(only.clone()),
            _ => Err(ChoiceFault::ChannelNotChosen { known: known() }),
        },
    }
}

/// Every image of the project with its tag. `chosen` is what a person said:
/// image key and tag, as texts.
///
/// # Errors
/// Everything that is wrong with the choice at once.
pub fn choose_images(
    project: &Project,
    channel: &ChannelName,
    chosen: &[(String, String)],
) -> Result<IndexMap<ImageKey, ReleaseImage>, Vec<ChoiceFault>> {
    let _ = (project, channel, chosen);
    Err(Vec::new())
}

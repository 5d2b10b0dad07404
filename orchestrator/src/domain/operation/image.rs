//! The image that a container gets. Of a release with digests it is always the
//! digest that counts, in the target's own repository; the tag is for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{
    name::{Digest, ImageKey, Tag},
    release::ReleaseImage,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewImage {
    /// `registry/repository:tag`, of a release that has no digests.
    Whole(String),
    /// Only another tag, on the repository that runs; likewise.
    Tag(String),
    Pinned {
        /// `registry/repository`.
        repository: String,
        pin: PinnedImage,
    },
    /// Only another digest, on the repository that runs.
    RunningPinned(PinnedImage),
}

/// What an image holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedImage {
    pub image: ImageKey,
    pub tag: Tag,
    pub digest: Digest,
}

impl PinnedImage {
    /// `None` of a release that has no digests.
    pub fn of(key: &ImageKey, image: &ReleaseImage) -> Option<Self> {
        Some(Self {
            image: key.clone(),
            tag: image.tag.clone(),
            digest: image.digest.clone()?,
        })
    }
}

impl NewImage {
    /// The whole reference, as ECS pulls it; `None` where the repository is the
    /// one that runs.
    pub fn reference(&self) -> Option<String> {
        match self {
            Self::Whole(image) => Some(image.clone()),
            Self::Pinned { repository, pin } => Some(format!("{repository}@{}", pin.digest)),
            Self::Tag(_) | Self::RunningPinned(_) => None,
        }
    }

    pub fn pin(&self) -> Option<&PinnedImage> {
        match self {
            Self::Pinned { pin, .. } | Self::RunningPinned(pin) => Some(pin),
            Self::Whole(_) | Self::Tag(_) => None,
        }
    }
}

/// An image that has to be in a repository before an operation begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededImage {
    /// `registry/repository`; of a container's running image where absent.
    pub repository: Option<String>,
    pub container: crate::domain::name::ContainerName,
    pub pin: PinnedImage,
}

/// For a person, and to compare with what runs: tag and digest.
impl fmt::Display for NewImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(image) => f.write_str(image),
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Pinned { repository, pin } => write!(f, "{repository}:{}@{}", pin.tag, pin.digest),
            Self::RunningPinned(pin) => write!(f, ":{}@{}", pin.tag, pin.digest),
        }
    }
}

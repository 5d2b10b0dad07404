//! A release: an immutable snapshot of which image tags go together.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    name::{ChannelName, ImageKey, ProjectName, ReleaseVersion, Tag},
    project::{Project, Service},
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
        let list = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
        match self {
            Self::UnknownChannel { known, .. } | Self::ChannelNotChosen { known } => {
                format!("channels: {}", list(&mut known.iter().map(ChannelName::as_str)))
            }
            Self::Missing { image } => format!("choose it: --image {image}=TAG"),
            Self::UnknownImage { known, .. } => {
                format!("images: {}", list(&mut known.iter().map(ImageKey::as_str)))
            }
            Self::Fixed { image, .. } => {
                format!("leave {image} out, or remove `tag` from it in the project file")
            }
            Self::BadTag { .. } => "letters, digits, underscores, dots and hyphens, at most 128".to_owned(),
            Self::RuleBroken { rule, .. } => format!(
                "choose a tag that satisfies {rule} (a pre-release satisfies only a range that names one), or another channel"
            ),
            Self::NotAVersion { .. } => "a version is MAJOR.MINOR.PATCH, such as 1.2.0 or v1.2.0".to_owned(),
        }
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
    let mut faults = unknown_images(project, chosen);
    let mut images = IndexMap::new();
    for (key, image) in &project.images {
        match choose_image(project, channel, key, image.tag.as_ref(), chosen) {
            Ok(tag) => drop(images.insert(key.clone(), ReleaseImage { tag, digest: None })),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(images)
    } else {
        Err(faults)
    }
}

/// The images that one service uses, with their tags: to look at, so no
/// channel's rule is asked. Images of other services may be among `chosen`.
///
/// # Errors
/// Everything that is wrong with the choice at once.
pub fn choose_images_of(
    project: &Project,
    service: &Service,
    chosen: &[(String, String)],
) -> Result<IndexMap<ImageKey, ReleaseImage>, Vec<ChoiceFault>> {
    let mut faults = unknown_images(project, chosen);
    let mut images = IndexMap::new();
    for key in service.images() {
        let fixed = project.images.get(key).and_then(|image| image.tag.as_ref());
        match choose_tag(key, fixed, chosen) {
            Ok(tag) => drop(images.insert(key.clone(), ReleaseImage { tag, digest: None })),
            Err(fault) if !faults.contains(&fault) => faults.push(fault),
            Err(_) => {}
        }
    }
    if faults.is_empty() {
        Ok(images)
    } else {
        Err(faults)
    }
}

fn unknown_images(project: &Project, chosen: &[(String, String)]) -> Vec<ChoiceFault> {
    let known = |image: &str| project.images.keys().any(|key| key.as_str() == image);
    chosen
        .iter()
        .filter(|(image, _)| !known(image))
        .map(|(image, _)| ChoiceFault::UnknownImage {
            image: image.clone(),
            known: project.images.keys().cloned().collect(),
        })
        .collect()
}

fn choose_image(
    project: &Project,
    channel: &ChannelName,
    key: &ImageKey,
    fixed: Option<&Tag>,
    chosen: &[(String, String)],
) -> Result<Tag, ChoiceFault> {
    let tag = choose_tag(key, fixed, chosen)?;
    if fixed.is_some() {
        return Ok(tag);
    }
    let Some(rule) = project
        .channels
        .get(channel)
        .and_then(|channel| channel.rules.get(key))
    else {
        return Ok(tag);
    };
    let (image, channel, text) = (key.clone(), channel.clone(), rule.to_string());
    match version_of(tag.as_str()) {
        None => Err(ChoiceFault::NotAVersion {
            image,
            tag,
            rule: text,
            channel,
        }),
        Some(version) if !rule.matches(&version) => Err(ChoiceFault::RuleBroken {
            image,
            tag,
            rule: text,
            channel,
        }),
        Some(_) => Ok(tag),
    }
}

fn choose_tag(key: &ImageKey, fixed: Option<&Tag>, chosen: &[(String, String)]) -> Result<Tag, ChoiceFault> {
    // Said twice, the last word counts.
    let said = chosen
        .iter()
        .rev()
        .find(|(image, _)| image == key.as_str())
        .map(|(_, tag)| tag);
    match (fixed, said) {
        (Some(tag), None) => Ok(tag.clone()),
        (Some(tag), Some(text)) if text == tag.as_str() => Ok(tag.clone()),
        (Some(tag), Some(_)) => Err(ChoiceFault::Fixed {
            image: key.clone(),
            tag: tag.clone(),
        }),
        (None, None) => Err(ChoiceFault::Missing { image: key.clone() }),
        (None, Some(text)) => text.parse().map_err(|_| ChoiceFault::BadTag {
            image: key.clone(),
            text: text.clone(),
        }),
    }
}

/// Whether a tag is a version in a range. A leading `v` is no part of it.
pub fn satisfies(tag: &str, range: &semver::VersionReq) -> bool {
    version_of(tag).is_some_and(|version| range.matches(&version))
}

fn version_of(tag: &str) -> Option<semver::Version> {
    tag.strip_prefix('v').unwrap_or(tag).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::project;

    const SHOP: &str = include_str!("../../../examples/shop/towline.yaml");

    fn choose(chosen: &[(&str, &str)]) -> Result<Vec<String>, Vec<String>> {
        let project = project::parse(SHOP, "f").unwrap();
        let chosen: Vec<_> = chosen
            .iter()
            .map(|(image, tag)| ((*image).to_owned(), (*tag).to_owned()))
            .collect();
        choose_images(&project, &"stable".parse().unwrap(), &chosen)
            .map(|images| {
                images
                    .iter()
                    .map(|(key, image)| format!("{key}={}", image.tag))
                    .collect()
            })
            .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_release_holds_every_image_with_its_tag() {
        let images = choose(&[("orders", "1.0.0"), ("web", "v1.2.0")]).unwrap();
        assert_eq!(images, ["web=v1.2.0", "orders=1.0.0", "envoy=v1.31.0"]);
    }

    #[test]
    fn everything_wrong_with_a_choice_is_told_at_once() {
        let faults = choose(&[("web", "0.9.0"), ("envoy", "v2"), ("wep", "1")]).unwrap_err();
        assert_eq!(
            faults,
            [
                "the project has no image wep",
                "image web: tag 0.9.0 breaks the rule >=1.0.0 of channel stable",
                "image orders has no tag",
                "image envoy cannot be chosen: the project fixes its tag v1.31.0",
            ]
        );
        let faults = choose(&[("web", "latest"), ("orders", "1.1.0-rc.1")]).unwrap_err();
        assert_eq!(
            faults,
            [
                "image web: tag latest is not a version, and channel stable has the rule >=1.0.0 for it",
                "image orders: tag 1.1.0-rc.1 breaks the rule >=1.0.0 of channel stable",
            ]
        );
    }

    #[test]
    fn the_only_channel_need_not_be_named() {
        let project = project::parse(SHOP, "f").unwrap();
        assert_eq!(choose_channel(&project, None).unwrap().as_str(), "stable");
        assert_eq!(choose_channel(&project, Some("")).unwrap().as_str(), "stable");
        let fault = choose_channel(&project, Some("beta")).unwrap_err();
        assert_eq!(
            (fault.to_string().as_str(), fault.hint().as_str()),
            ("the project has no channel beta", "channels: stable")
        );
    }
}

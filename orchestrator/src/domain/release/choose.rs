//! Which tag of each image: what a person chose, what the project fixes, or the
//! newest that the channel's rules allow.

use std::cmp::Ordering;

use indexmap::IndexMap;
use jiff::Timestamp;

use super::{
    ReleaseImage,
    rules::{Broken, Rules, version_of},
};
use crate::domain::{
    name::{ChannelName, Digest, ImageKey, Tag},
    project::{Project, Service},
};

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
    #[error("image {image} has the tag {tag}, and is to have the newest one")]
    TagAndNewest { image: ImageKey, tag: String },
    #[error("image {image}: tag {tag} breaks the rule {} of channel {channel}: {}", broken.rule, broken.why)]
    RuleBroken {
        image: ImageKey,
        tag: Tag,
        broken: Broken,
        channel: ChannelName,
    },
    #[error(
        "image {image}: none of the {looked_at} tags in {repository} is allowed in channel {channel}{}",
        but(best)
    )]
    NothingAllowed {
        image: ImageKey,
        repository: String,
        looked_at: usize,
        channel: ChannelName,
        /// The newest of them, and a rule that it breaks.
        best: Option<(Tag, Broken)>,
    },
}

fn but(best: &Option<(Tag, Broken)>) -> String {
    match best {
        Some((tag, Broken { rule, why })) => {
            format!("; the newest is {tag}, which breaks the rule {rule}: {why}")
        }
        None => String::new(),
    }
}

impl ChoiceFault {
    /// The next step for a person.
    pub fn hint(&self) -> String {
        let list = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
        match self {
            Self::UnknownChannel { known, .. } | Self::ChannelNotChosen { known } => {
                format!("channels: {}", list(&mut known.iter().map(ChannelName::as_str)))
            }
            Self::Missing { image } => {
                format!(
                    "choose it: --image {image}=TAG, or --image {image}=newest for the newest that the rules allow"
                )
            }
            Self::UnknownImage { known, .. } => {
                format!("images: {}", list(&mut known.iter().map(ImageKey::as_str)))
            }
            Self::Fixed { image, .. } => {
                format!("leave {image} out, or remove `tag` from it in the project file")
            }
            Self::BadTag { .. } => "letters, digits, underscores, dots and hyphens, at most 128".to_owned(),
            Self::TagAndNewest { image, .. } => format!("say {image} once"),
            Self::RuleBroken { image, broken, .. } => format!(
                "choose another tag (--image {image}=newest finds one) or another channel, or change `{}` in the project file",
                broken.rule
            ),
            Self::NothingAllowed { image, .. } => {
                format!("push an image that the rules allow, or choose a tag: --image {image}=TAG")
            }
        }
    }

    /// The image that it is about.
    pub fn image(&self) -> Option<&str> {
        match self {
            Self::UnknownChannel { .. } | Self::ChannelNotChosen { .. } => None,
            Self::UnknownImage { image, .. } => Some(image),
            Self::Missing { image }
            | Self::Fixed { image, .. }
            | Self::BadTag { image, .. }
            | Self::TagAndNewest { image, .. }
            | Self::RuleBroken { image, .. }
            | Self::NothingAllowed { image, .. } => Some(image.as_str()),
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

/// The images that get the newest tag: those that are named, and with `all`
/// those whose tag neither the project fixes nor a person chose.
///
/// # Errors
/// Everything that is wrong with what is named, at once.
pub fn newest_wanted(
    project: &Project,
    chosen: &[(String, String)],
    named: &[String],
    all: bool,
) -> Result<Vec<ImageKey>, Vec<ChoiceFault>> {
    let pairs: Vec<_> = named.iter().map(|image| (image.clone(), String::new())).collect();
    let mut faults = unknown_images(project, &pairs);
    let mut wanted = Vec::new();
    for (key, image) in &project.images {
        let is_named = named.iter().any(|it| it == key.as_str());
        let said = chosen.iter().rev().find(|(image, _)| image == key.as_str());
        match (&image.tag, said) {
            (Some(tag), _) if is_named => faults.push(ChoiceFault::Fixed {
                image: key.clone(),
                tag: tag.clone(),
            }),
            (None, Some((_, tag))) if is_named => faults.push(ChoiceFault::TagAndNewest {
                image: key.clone(),
                tag: tag.clone(),
            }),
            (None, None) if is_named || all => wanted.push(key.clone()),
            _ => {}
        }
    }
    if faults.is_empty() {
        Ok(wanted)
    } else {
        Err(faults)
    }
}

/// A tag in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTag {
    pub tag: Tag,
    pub digest: Option<Digest>,
    /// Where the registry says so.
    pub pushed: Option<Timestamp>,
}

/// The newest of the tags that a channel allows for an image: versions in their
/// own order before everything else, then by the time of the push. A
/// pre-release comes after all others, unless a rule speaks of pre-releases.
///
/// # Errors
/// None of them is allowed.
pub fn newest(
    (channel, rules): (&ChannelName, Option<&Rules>),
    image: &ImageKey,
    repository: &str,
    tags: &[FoundTag],
) -> Result<FoundTag, ChoiceFault> {
    let broken = |tag: &FoundTag| rules.map(|rules| rules.broken(&tag.tag)).unwrap_or_default();
    let releases_first = !rules.is_some_and(Rules::speaks_of_pre_releases);
    let order = |a: &&FoundTag, b: &&FoundTag| order(a, b, releases_first);
    let allowed = tags.iter().filter(|tag| broken(tag).is_empty());
    if let Some(newest) = allowed.max_by(order) {
        return Ok(newest.clone());
    }
    let best = tags.iter().max_by(order);
    Err(ChoiceFault::NothingAllowed {
        image: image.clone(),
        repository: repository.to_owned(),
        looked_at: tags.len(),
        channel: channel.clone(),
        best: best.and_then(|tag| Some((tag.tag.clone(), broken(tag).into_iter().next()?))),
    })
}

fn order(a: &FoundTag, b: &FoundTag, releases_first: bool) -> Ordering {
    let (first, second) = (version_of(a.tag.as_str()), version_of(b.tag.as_str()));
    let by_version = match (&first, &second) {
        (Some(first), Some(second)) => {
            let finished = first.pre.is_empty().cmp(&second.pre.is_empty());
            let finished = if releases_first { finished } else { Ordering::Equal };
            finished.then_with(|| first.cmp_precedence(second))
        }
        _ => first.is_some().cmp(&second.is_some()),
    };
    by_version
        .then_with(|| a.pushed.cmp(&b.pushed))
        .then_with(|| a.tag.cmp(&b.tag))
}

/// Every image of the project with its tag. `chosen` is what a person said:
/// image key and tag, as texts.
///
/// # Errors
/// Everything that is wrong with the choice at once, and every rule that is broken.
pub fn choose_images(
    project: &Project,
    channel: &ChannelName,
    chosen: &[(String, String)],
) -> Result<IndexMap<ImageKey, ReleaseImage>, Vec<ChoiceFault>> {
    let mut faults = unknown_images(project, chosen);
    let mut images = IndexMap::new();
    for (key, image) in &project.images {
        match choose_tag(key, image.tag.as_ref(), chosen) {
            Ok(tag) => {
                if image.tag.is_none() {
                    faults.extend(broken_rules(project, channel, key, &tag));
                }
                images.insert(key.clone(), ReleaseImage::tagged(tag));
            }
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
            Ok(tag) => drop(images.insert(key.clone(), ReleaseImage::tagged(tag))),
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

fn broken_rules(project: &Project, channel: &ChannelName, key: &ImageKey, tag: &Tag) -> Vec<ChoiceFault> {
    let rules = project.channels.get(channel).and_then(|it| it.rules.get(key));
    let broken = rules.map(|rules| rules.broken(tag)).unwrap_or_default();
    let fault = |broken| ChoiceFault::RuleBroken {
        image: key.clone(),
        tag: tag.clone(),
        broken,
        channel: channel.clone(),
    };
    broken.into_iter().map(fault).collect()
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

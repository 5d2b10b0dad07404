//! The next revision of a task definition: the wire's JSON with other images and
//! nothing else changed. Members that no SDK knows yet are carried over, because
//! only what ECS computes itself is taken out.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub use crate::image_reference::{ImageError, ImageReference, Tag};
use crate::observed::TaskDefinition;

/// Tag of a revision that Towline registered: the hash of its content.
pub const CONTENT_HASH_TAG: &str = "towline:content-hash";

/// Tags that are Towline's own, renewed with every revision.
const OWN_TAGS: &str = "towline:";

/// Tags that AWS sets and refuses to be given.
const RESERVED_TAGS: &str = "aws:";

/// What ECS computes and refuses in RegisterTaskDefinition. Everything else is content.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html>
const COMPUTED: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// What a container's image becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewImage {
    Whole(ImageReference),
    /// Another tag on the repository that the base names.
    TagOnly(Tag),
}

/// A new image for one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerChange {
    /// The container's exact name.
    pub name: String,
    pub image: NewImage,
}

/// An image that differs between base and next revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageChange {
    pub container: String,
    pub before: String,
    pub after: String,
}

/// What to register.
#[derive(Clone, Debug, PartialEq)]
pub struct NextRevision {
    /// The body of RegisterTaskDefinition, tags included.
    pub request: Value,
    /// SHA-256 over the content, in hexadecimal.
    pub content_hash: String,
    /// Only what differs; empty when the base holds these images already.
    pub changes: Vec<ImageChange>,
}

impl NextRevision {
    /// The family that the revision joins.
    pub fn family(&self) -> &str {
        self.request
            .get("family")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// Why no next revision can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    #[error("{family} has no container {name:?}; it has {}", existing.join(", "))]
    NoSuchContainer {
        family: String,
        name: String,
        existing: Vec<String>,
    },
    #[error("container {name:?} is named twice")]
    NamedTwice { name: String },
    #[error("no container is named")]
    NothingNamed,
    #[error("the image of container {name:?} cannot be read, so a tag alone cannot be put on it: {source}")]
    RunningImage { name: String, source: ImageError },
    #[error("the task definition has no {member}")]
    Unreadable { member: &'static str },
}

impl RevisionError {
    /// The next step, for a person.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSuchContainer { .. } => "container names are exact; compare them with DescribeService",
            Self::NamedTwice { .. } => "give each container one image",
            Self::NothingNamed => "name at least one container with its image or tag",
            Self::RunningImage { .. } => "give the whole image reference instead of the tag",
            Self::Unreadable { .. } => "look at the family's latest revision in the ECS console",
        }
    }
}

/// Puts new images into a copy of `base`.
///
/// # Errors
/// When a container is missing, named twice, or its image cannot take a tag.
pub fn next_revision(
    base: &TaskDefinition,
    changes: &[ContainerChange],
) -> Result<NextRevision, RevisionError> {
    check_names(changes)?;
    let mut content = base.definition.clone();
    content.retain(|member, _| !COMPUTED.contains(&member.as_str()));
    let family = content
        .get("family")
        .and_then(Value::as_str)
        .ok_or(RevisionError::Unreadable { member: "family" })?
        .to_owned();
    let containers = content
        .get_mut("containerDefinitions")
        .and_then(Value::as_array_mut)
        .ok_or(RevisionError::Unreadable {
            member: "containerDefinitions",
        })?;
    let mut changed = Vec::new();
    for change in changes {
        changed.extend(set_image(containers, &family, change)?);
    }
    let content_hash = hash_of(&content, &base.tags);
    let mut tags = carried_tags(&base.tags);
    tags.push(json!({ "key": CONTENT_HASH_TAG, "value": content_hash }));
    content.insert("tags".to_owned(), Value::Array(tags));
    Ok(NextRevision {
        request: Value::Object(content),
        content_hash,
        changes: changed,
    })
}

/// Whether `existing` is what registering `next` would make, apart from what ECS
/// computes and from Towline's own tags.
pub fn same_content(existing: &TaskDefinition, next: &NextRevision) -> bool {
    content_hash(existing) == next.content_hash
}

/// The hash of a revision's content: its members without the computed ones, and
/// its tags without Towline's own. The order of members, of environment
/// variables, secrets and tags does not count, and an empty list counts as none:
/// ECS gives back either.
pub fn content_hash(definition: &TaskDefinition) -> String {
    hash_of(&definition.definition, &definition.tags)
}

fn check_names(changes: &[ContainerChange]) -> Result<(), RevisionError> {
    if changes.is_empty() {
        return Err(RevisionError::NothingNamed);
    }
    for (at, change) in changes.iter().enumerate() {
        if changes.iter().take(at).any(|earlier| earlier.name == change.name) {
            return Err(RevisionError::NamedTwice {
                name: change.name.clone(),
            });
        }
    }
    Ok(())
}

fn set_image(
    containers: &mut [Value],
    family: &str,
    change: &ContainerChange,
) -> Result<Option<ImageChange>, RevisionError> {
    let named = |container: &Value| container.get("name").and_then(Value::as_str) == Some(&change.name);
    let Some(at) = containers.iter().position(named) else {
        let names = containers
            .iter()
            .filter_map(|c| c.get("name").and_then(Value::as_str));
        return Err(RevisionError::NoSuchContainer {
            family: family.to_owned(),
            name: change.name.clone(),
            existing: names.map(str::to_owned).collect(),
        });
    };
    let Some(container) = containers.get_mut(at).and_then(Value::as_object_mut) else {
        return Err(RevisionError::Unreadable {
            member: "containerDefinitions",
        });
    };
    let before = container
        .get("image")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let after = match &change.image {
        NewImage::Whole(image) => image.to_string(),
        NewImage::TagOnly(tag) => before
            .parse::<ImageReference>()
            .map_err(|source| RevisionError::RunningImage {
                name: change.name.clone(),
                source,
            })?
            .with_tag(tag)
            .to_string(),
    };
    container.insert("image".to_owned(), Value::String(after.clone()));
    let differs = before != after;
    Ok(differs.then(|| ImageChange {
        container: change.name.clone(),
        before,
        after,
    }))
}

fn key_of(tag: &Value) -> &str {
    tag.get("key").and_then(Value::as_str).unwrap_or_default()
}

fn carried_tags(tags: &[Value]) -> Vec<Value> {
    let carried =
        |tag: &&Value| !key_of(tag).starts_with(OWN_TAGS) && !key_of(tag).starts_with(RESERVED_TAGS);
    tags.iter().filter(carried).cloned().collect()
}

fn hash_of(definition: &Map<String, Value>, tags: &[Value]) -> String {
    let mut content = definition.clone();
    content.retain(|member, _| !COMPUTED.contains(&member.as_str()));
    content.insert("tags".to_owned(), Value::Array(carried_tags(tags)));
    let canonical = canonical("", &Value::Object(content)).unwrap_or(Value::Null);
    hex::encode(Sha256::digest(canonical.to_string()))
}

/// The value with members in the order of their names, lists without an order
/// sorted, and what says nothing (null, empty list, empty object) left out.
fn canonical(member: &str, value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().filter_map(|item| canonical("", item)).collect();
            if matches!(member, "environment" | "secrets" | "tags") {
                items.sort_by_cached_key(Value::to_string);
            }
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), canonical(name, value)?)))
                .collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            (!sorted.is_empty()).then(|| Value::Object(sorted.into_iter().collect()))
        }
        plain => Some(plain.clone()),
    }
}

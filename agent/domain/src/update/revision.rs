//! The next revision of a task definition: the wire's JSON with other images and
//! nothing else changed. Members that no SDK knows yet are carried over, because
//! only what ECS computes itself is taken out.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    environment::{self, NoList},
    lists::is_unordered,
    spec::{
        ContainerChange, ImageError, ImageReference, MOST_TAGS, NewImage, OWN_TAGS, RESERVED_TAGS,
        TagChanges, UpdateSpec,
    },
};
use crate::observed::TaskDefinition;

/// Tag of a revision that Towline registered: the hash of its content.
pub const CONTENT_HASH_TAG: &str = "towline:content-hash";

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

/// What to register.
#[derive(Clone, Debug, PartialEq)]
pub struct NextRevision {
    /// The body of RegisterTaskDefinition, tags included.
    pub request: Value,
    /// SHA-256 over the content, in hexadecimal.
    pub content_hash: String,
}

impl NextRevision {
    /// The family that the revision joins.
    pub fn family(&self) -> &str {
        self.request
            .get("family")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// As ECS would show it, without what it computes.
    pub fn definition(&self) -> TaskDefinition {
        let mut definition = self.request.as_object().cloned().unwrap_or_default();
        let tags = match definition.remove("tags") {
            Some(Value::Array(tags)) => tags,
            _ => Vec::new(),
        };
        TaskDefinition { definition, tags }
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
    #[error(
        "the image of container {name:?} cannot be read, so a tag or digest alone cannot be put on it: {source}"
    )]
    RunningImage { name: String, source: ImageError },
    #[error("the task definition {family} has no readable {member}")]
    Unreadable { family: String, member: &'static str },
    #[error("the next revision would have {count} tags, and ECS allows {MOST_TAGS}")]
    TooManyTags { count: usize },
}

impl RevisionError {
    /// The next step, for a person.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSuchContainer { .. } => "container names are exact; compare them with DescribeService",
            Self::RunningImage { .. } => "give the whole image reference instead of the tag or digest",
            Self::Unreadable { .. } => "look at that revision in the ECS console",
            Self::TooManyTags { .. } => "remove tags that nobody needs with remove_tags",
        }
    }
}

/// Puts what `spec` changes into a copy of `base`, as the next revision of `family`.
///
/// # Errors
/// When a container is missing, its image cannot take a tag or digest, or there
/// would be too many tags.
pub fn next_revision(
    base: &TaskDefinition,
    family: &str,
    spec: &UpdateSpec,
) -> Result<NextRevision, RevisionError> {
    let mut content = base.definition.clone();
    content.retain(|member, _| !COMPUTED.contains(&member.as_str()));
    let from = match content.insert("family".to_owned(), Value::from(family)) {
        Some(Value::String(from)) => from,
        _ => family.to_owned(),
    };
    let containers = content
        .get_mut("containerDefinitions")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| unreadable(&from, "containerDefinitions"))?;
    for change in &spec.containers {
        change_container(containers, &from, change)?;
    }
    let mut tags = carried_tags(&base.tags);
    change_tags(&mut tags, &spec.tags);
    if tags.len() > MOST_TAGS {
        return Err(RevisionError::TooManyTags { count: tags.len() });
    }
    let definition = TaskDefinition {
        definition: content,
        tags,
    };
    let content_hash = content_hash(&definition);
    let TaskDefinition {
        definition: mut content,
        mut tags,
    } = definition;
    // The hash is there for people; content is compared by itself. Without room it stays out.
    if tags.len() < MOST_TAGS {
        tags.push(json!({ "key": CONTENT_HASH_TAG, "value": content_hash }));
    }
    content.insert("tags".to_owned(), Value::Array(tags));
    Ok(NextRevision {
        request: Value::Object(content),
        content_hash,
    })
}

/// Whether `existing` is what registering `next` would make, apart from what ECS
/// computes and from Towline's own tags.
pub fn same_content(existing: &TaskDefinition, next: &NextRevision) -> bool {
    content_hash(existing) == next.content_hash
}

/// The hash of a revision's content: its members without the computed ones, and
/// its tags without Towline's own. The order of members and of lists whose order
/// means nothing (environment variables, secrets, tags ...) does not count, and an
/// empty list counts as none: ECS gives back either.
pub fn content_hash(definition: &TaskDefinition) -> String {
    hash_of(content(definition))
}

fn unreadable(family: &str, member: &'static str) -> RevisionError {
    RevisionError::Unreadable {
        family: family.to_owned(),
        member,
    }
}

fn change_container(
    containers: &mut [Value],
    family: &str,
    change: &ContainerChange,
) -> Result<(), RevisionError> {
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
        return Err(unreadable(family, "containerDefinitions"));
    };
    if let Some(image) = &change.image {
        let before = container.get("image").and_then(Value::as_str);
        let after = image_after(before.unwrap_or_default(), image, &change.name)?;
        container.insert("image".to_owned(), Value::String(after));
    }
    environment::change(container, change).map_err(|NoList(member)| unreadable(family, member))
}

fn image_after(before: &str, image: &NewImage, container: &str) -> Result<String, RevisionError> {
    let on_repository = || {
        let parsed = before.parse::<ImageReference>();
        parsed.map_err(|source| RevisionError::RunningImage {
            name: container.to_owned(),
            source,
        })
    };
    Ok(match image {
        NewImage::Whole(image) => image.to_string(),
        NewImage::TagOnly(tag) => on_repository()?.with_tag(tag).to_string(),
        NewImage::DigestOnly { digest, tag } => {
            on_repository()?.with_digest(digest, tag.as_ref()).to_string()
        }
    })
}

fn key_of(tag: &Value) -> &str {
    tag.get("key").and_then(Value::as_str).unwrap_or_default()
}

fn carried_tags(tags: &[Value]) -> Vec<Value> {
    let carried =
        |tag: &&Value| !key_of(tag).starts_with(OWN_TAGS) && !key_of(tag).starts_with(RESERVED_TAGS);
    tags.iter().filter(carried).cloned().collect()
}

fn change_tags(tags: &mut Vec<Value>, changes: &TagChanges) {
    tags.retain(|tag| !changes.remove.contains(key_of(tag)));
    for (key, value) in &changes.set {
        let existing = tags.iter_mut().find(|tag| key_of(tag) == key);
        match existing.and_then(Value::as_object_mut) {
            Some(tag) => drop(tag.insert("value".to_owned(), Value::from(value.as_str()))),
            None => tags.push(json!({ "key": key, "value": value })),
        }
    }
}

/// What makes a revision what it is: without what ECS computes, and with the tags
/// that are neither Towline's nor AWS's.
pub(super) fn content(definition: &TaskDefinition) -> Map<String, Value> {
    let mut content = definition.definition.clone();
    content.retain(|member, _| !COMPUTED.contains(&member.as_str()));
    content.insert("tags".to_owned(), Value::Array(carried_tags(&definition.tags)));
    content
}

fn hash_of(content: Map<String, Value>) -> String {
    let canonical = canonical("", &Value::Object(content)).unwrap_or(Value::Null);
    hex::encode(Sha256::digest(canonical.to_string()))
}

/// The value with members in the order of their names, lists without an order
/// sorted, and members that say nothing (null, empty list, empty object) left out.
pub(super) fn canonical(member: &str, value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) => {
            let item = |item| canonical("", item).unwrap_or(Value::Null);
            let mut items: Vec<Value> = items.iter().map(item).collect();
            if is_unordered(member) {
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

//! The tags of an update request.

use std::collections::{BTreeMap, HashMap};

use towline_agent_domain::update::spec::{
    LONGEST_TAG_KEY, LONGEST_TAG_VALUE, MOST_TAGS, OWN_TAGS, RESERVED_TAGS, TagChanges,
};
use towline_proto::agent::v1 as proto;

use crate::rpc::violations::Violations;

pub(super) fn changes(wire: &proto::UpdateServiceRequest, violations: &mut Violations) -> TagChanges {
    let mut changes = TagChanges {
        set: set(&wire.tags, &wire.remove_tags, violations),
        ..TagChanges::default()
    };
    for (at, key) in wire.remove_tags.iter().enumerate() {
        let field = format!("remove_tags[{at}]");
        if let Some(fault) = key_fault(key) {
            violations.add(field.as_str(), fault);
        }
        if !changes.remove.insert(key.clone()) {
            violations.add(field, format!("{key:?} is named twice"));
        }
    }
    changes
}

/// Tags that are set, and not removed as well.
pub(super) fn set(
    tags: &HashMap<String, String>,
    removed: &[String],
    violations: &mut Violations,
) -> BTreeMap<String, String> {
    if tags.len() > MOST_TAGS {
        violations.add("tags", format!("a task definition has at most {MOST_TAGS} tags"));
    }
    for (key, value) in tags {
        let field = format!("tags[{key}]");
        for fault in key_fault(key).into_iter().chain(value_fault(value)) {
            violations.add(field.as_str(), fault);
        }
        if removed.contains(key) {
            violations.add(field, "is set and removed");
        }
    }
    tags.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn key_fault(key: &str) -> Option<String> {
    if key.trim().is_empty() || key.chars().count() > LONGEST_TAG_KEY {
        return Some(format!("a tag's key has 1 to {LONGEST_TAG_KEY} characters"));
    }
    let lower = key.to_ascii_lowercase();
    let reserved = [RESERVED_TAGS, OWN_TAGS]
        .into_iter()
        .find(|prefix| lower.starts_with(prefix));
    if let Some(prefix) = reserved {
        return Some(format!("tags that begin with {prefix} are not yours to change"));
    }
    (!allowed(key)).then(|| SIGNS.to_owned())
}

fn value_fault(value: &str) -> Option<String> {
    if value.chars().count() > LONGEST_TAG_VALUE {
        return Some(format!(
            "a tag's value has at most {LONGEST_TAG_VALUE} characters"
        ));
    }
    (!allowed(value)).then(|| SIGNS.to_owned())
}

const SIGNS: &str = "a tag has letters, digits, spaces and _ . : / = + - @ only";

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html>
fn allowed(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@'))
}

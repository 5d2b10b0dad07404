//! What differs between two revisions, for a person: path, before, after. Entries of
//! lists are found by their names, not by their places; what ECS computes and the
//! tags of Towline and AWS do not count, and a member that says nothing (null, an
//! empty list) is as good as none. Members that nobody knows are compared like all
//! others. Secrets are in a task definition by reference only, so no value of one is
//! ever shown.

use serde_json::Value;

use super::{
    lists::{named, value_of},
    revision::{canonical, content},
};
use crate::observed::TaskDefinition;

/// One member that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionChange {
    /// "containerDefinitions[app].environment[LEVEL]", "cpu", "tags[team]".
    pub path: String,
    /// `None`: added.
    pub before: Option<Value>,
    /// `None`: removed.
    pub after: Option<Value>,
}

/// What differs, in the order of `after`; what was removed comes last at its level.
pub fn diff(before: &TaskDefinition, after: &TaskDefinition) -> Vec<DefinitionChange> {
    let mut changes = Changes(Vec::new());
    let [before, after] = [before, after].map(|definition| Value::Object(content(definition)));
    changes.compare("", "", Some(&before), Some(&after));
    changes.0
}

struct Changes(Vec<DefinitionChange>);

impl Changes {
    /// `member` is the name by which the values' meaning is known.
    fn compare(&mut self, path: &str, member: &str, before: Option<&Value>, after: Option<&Value>) {
        let [before, after] =
            [before, after].map(|value| value.filter(|value| canonical(member, value).is_some()));
        match (before, after) {
            (None, None) => {}
            (Some(Value::Object(one)), Some(Value::Object(other))) => {
                let gone = one.keys().filter(|name| !other.contains_key(*name));
                for name in other.keys().chain(gone) {
                    let path = match path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    self.compare(&path, name, one.get(name), other.get(name));
                }
            }
            (before, after) if is_list(before) && is_list(after) => self.lists(path, member, before, after),
            (before, after) if canonical_of(member, before) == canonical_of(member, after) => {}
            (before, after) => self.add(path, before, after),
        }
    }

    fn lists(&mut self, path: &str, member: &str, before: Option<&Value>, after: Option<&Value>) {
        let entries = |list: Option<&'_ Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
        let (one, other) = (entries(before), entries(after));
        let (Some(one), Some(other)) = (named(member, &one), named(member, &other)) else {
            if canonical_of(member, before) != canonical_of(member, after) {
                self.add(path, before, after);
            }
            return;
        };
        let find = |name: &str| {
            one.iter()
                .find(|(known, _)| known == name)
                .map(|(_, entry)| *entry)
        };
        for (name, after) in &other {
            self.entry(&format!("{path}[{name}]"), member, find(name), Some(after));
        }
        for (name, before) in &one {
            if !other.iter().any(|(known, _)| known == name) {
                self.entry(&format!("{path}[{name}]"), member, Some(before), None);
            }
        }
    }

    /// An entry that is a name and a value is shown by its value.
    fn entry(&mut self, path: &str, list: &str, before: Option<&Value>, after: Option<&Value>) {
        let value = |entry: Option<&'_ Value>| {
            entry
                .and_then(|entry| value_of(list, entry).map(|(name, value)| (name.to_owned(), value.clone())))
        };
        match (before.map(|_| value(before)), after.map(|_| value(after))) {
            (Some(Some(before)), None) => self.add(path, Some(&before.1), None),
            (None, Some(Some(after))) => self.add(path, None, Some(&after.1)),
            (Some(Some(before)), Some(Some(after))) if before.0 == after.0 => {
                if canonical("", &before.1) != canonical("", &after.1) {
                    self.add(path, Some(&before.1), Some(&after.1));
                }
            }
            _ => self.compare(path, "", before, after),
        }
    }

    fn add(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        self.0.push(DefinitionChange {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        });
    }
}

/// A list, or none where there could be one.
fn is_list(value: Option<&Value>) -> bool {
    value.is_none_or(Value::is_array)
}

fn canonical_of(member: &str, value: Option<&Value>) -> Option<Value> {
    canonical(member, value?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn definition(value: Value, tags: Value) -> TaskDefinition {
        TaskDefinition {
            definition: value.as_object().unwrap().clone(),
            tags: tags.as_array().unwrap().clone(),
        }
    }

    fn shown(before: &TaskDefinition, after: &TaskDefinition) -> Vec<String> {
        let text = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
        diff(before, after)
            .iter()
            .map(|change| {
                format!(
                    "{}: {} -> {}",
                    change.path,
                    text(&change.before),
                    text(&change.after)
                )
            })
            .collect()
    }

    #[test]
    fn a_person_reads_what_changed_and_nothing_else() {
        let before = json!({
            "taskDefinitionArn": "arn:1", "revision": 1, "family": "orders", "cpu": "256",
            "containerDefinitions": [
                { "name": "app", "image": "orders:1", "command": ["a", "b"],
                  "environment": [{ "name": "A", "value": "1" }, { "name": "LEVEL", "value": "info" }],
                  "secrets": [{ "name": "PASSWORD", "valueFrom": "arn:old" }],
                  "portMappings": [{ "containerPort": 80, "protocol": "tcp", "hostPort": 80 }],
                  "mountPoints": [], "invented": { "deep": [{ "x": 1 }] } },
                { "name": "gone", "image": "sidecar:1" },
            ],
        });
        let after = json!({
            "family": "orders", "cpu": "512",
            "containerDefinitions": [
                { "name": "app", "image": "orders:2", "command": ["b", "a"],
                  "environment": [{ "name": "LEVEL", "value": "debug" }, { "name": "A", "value": "1" }, { "name": "NEW", "value": "" }],
                  "secrets": [{ "name": "PASSWORD", "valueFrom": "arn:new" }],
                  "portMappings": [{ "containerPort": 80, "protocol": "tcp", "hostPort": 0 }],
                  "invented": { "deep": [{ "x": 2 }] } },
            ],
        });
        let tags = json!([{ "key": "team", "value": "a" }, { "key": "towline:content-hash", "value": "1" }]);
        let others =
            json!([{ "key": "towline:content-hash", "value": "2" }, { "key": "team", "value": "b" }]);
        assert_eq!(
            shown(&definition(before, tags), &definition(after, others)),
            [
                "cpu: \"256\" -> \"512\"",
                "containerDefinitions[app].image: \"orders:1\" -> \"orders:2\"",
                "containerDefinitions[app].command: [\"a\",\"b\"] -> [\"b\",\"a\"]",
                "containerDefinitions[app].environment[LEVEL]: \"info\" -> \"debug\"",
                "containerDefinitions[app].environment[NEW]:  -> \"\"",
                "containerDefinitions[app].secrets[PASSWORD]: \"arn:old\" -> \"arn:new\"",
                "containerDefinitions[app].portMappings[80/tcp].hostPort: 80 -> 0",
                "containerDefinitions[app].invented.deep: [{\"x\":1}] -> [{\"x\":2}]",
                "containerDefinitions[gone]: {\"name\":\"gone\",\"image\":\"sidecar:1\"} -> ",
                "tags[team]: \"a\" -> \"b\"",
            ]
        );
    }

    fn any_definition() -> impl Strategy<Value = TaskDefinition> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        let json = leaf.prop_recursive(4, 24, 4, |inner| {
            let names = prop::sample::select(vec![
                "environment",
                "secrets",
                "name",
                "value",
                "command",
                "add",
                "mountPoints",
                "containerPath",
                "x",
                "y",
            ]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(names, inner, 0..4).prop_map(|members| Value::Object(
                    members.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()
                )),
            ]
        });
        prop::collection::btree_map("[a-d]|containerDefinitions|environment", json, 0..4).prop_map(
            |members| TaskDefinition {
                definition: members.into_iter().collect(),
                tags: Vec::new(),
            },
        )
    }

    proptest! {
        /// What the plan shows and what is registered never disagree.
        #[test]
        fn nothing_is_shown_exactly_when_the_content_is_the_same(one in any_definition(), other in any_definition()) {
            use crate::update::revision::content_hash;
            prop_assert!(diff(&one, &one).is_empty());
            let same = content_hash(&one) == content_hash(&other);
            prop_assert_eq!(diff(&one, &other).is_empty(), same, "{:?}", diff(&one, &other));
        }
    }
}

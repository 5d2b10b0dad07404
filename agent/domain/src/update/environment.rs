//! Changes of the lists in a container definition, in the wire's JSON: environment,
//! secrets and environment files. Entries that stay keep their place and every
//! member that they have, known or not.

use serde_json::{Map, Value, json};

use super::spec::{ContainerChange, FileChanges, NamedChanges};

/// One list of named values of a container definition.
#[derive(Clone, Copy)]
struct NamedList {
    member: &'static str,
    /// Where an entry holds its value.
    value: &'static str,
}

const ENVIRONMENT: NamedList = NamedList {
    member: "environment",
    value: "value",
};
const SECRETS: NamedList = NamedList {
    member: "secrets",
    value: "valueFrom",
};
const FILES: &str = "environmentFiles";

/// A member of the container that is not the list that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoList(pub &'static str);

/// Puts the changes of environment, secrets and environment files into a container.
pub(super) fn change(container: &mut Map<String, Value>, change: &ContainerChange) -> Result<(), NoList> {
    // What is set in one list moves there from the other: ECS refuses a name in both.
    take_out(container, SECRETS, &change.environment)?;
    take_out(container, ENVIRONMENT, &change.secrets)?;
    change_named(container, ENVIRONMENT, &change.environment)?;
    change_named(container, SECRETS, &change.secrets)?;
    change_files(container, &change.environment_files)
}

fn take_out(container: &mut Map<String, Value>, list: NamedList, moved: &NamedChanges) -> Result<(), NoList> {
    if moved.set.is_empty() || !container.contains_key(list.member) {
        return Ok(());
    }
    let entries = entries(container, list.member)?;
    entries.retain(|entry| !text(entry, "name").is_some_and(|name| moved.set.contains_key(name)));
    Ok(())
}

fn change_named(
    container: &mut Map<String, Value>,
    list: NamedList,
    changes: &NamedChanges,
) -> Result<(), NoList> {
    if changes.is_empty() || (changes.set.is_empty() && !container.contains_key(list.member)) {
        return Ok(());
    }
    let entries = entries(container, list.member)?;
    entries.retain(|entry| {
        let name = text(entry, "name").unwrap_or_default();
        changes.set.contains_key(name) || !(changes.replace || changes.remove.contains(name))
    });
    for (name, value) in &changes.set {
        let mut named = entries
            .iter_mut()
            .filter(|entry| text(entry, "name") == Some(name))
            .filter_map(Value::as_object_mut)
            .peekable();
        if named.peek().is_some() {
            for entry in named {
                entry.insert(list.value.to_owned(), Value::from(value.as_str()));
            }
        } else {
            entries.push(json!({ "name": name, list.value: value }));
        }
    }
    Ok(())
}

fn change_files(container: &mut Map<String, Value>, changes: &FileChanges) -> Result<(), NoList> {
    if changes.is_empty() || (changes.add.is_empty() && !container.contains_key(FILES)) {
        return Ok(());
    }
    let entries = entries(container, FILES)?;
    let before = std::mem::take(entries);
    let (mut kept, mut left): (Vec<Value>, Vec<Value>) = before
        .into_iter()
        .filter(|entry| !text(entry, "value").is_some_and(|file| changes.remove.contains(file)))
        .partition(|_| !changes.replace);
    for file in &changes.add {
        let is_it = |entry: &Value| text(entry, "value") == Some(file);
        if kept.iter().any(is_it) {
            continue;
        }
        kept.push(match left.iter().position(is_it) {
            Some(at) => left.swap_remove(at),
            None => json!({ "value": file, "type": "s3" }),
        });
    }
    *entries = kept;
    Ok(())
}

/// The list of this name, made where there is none.
fn entries<'c>(
    container: &'c mut Map<String, Value>,
    member: &'static str,
) -> Result<&'c mut Vec<Value>, NoList> {
    let list = container.entry(member).or_insert(Value::Null);
    if list.is_null() {
        *list = json!([]);
    }
    list.as_array_mut().ok_or(NoList(member))
}

fn text<'v>(entry: &'v Value, member: &str) -> Option<&'v str> {
    entry.get(member)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Map<String, Value> {
        let Value::Object(container) = json!({
            "name": "app",
            "environment": [
                { "name": "LEVEL", "value": "info", "invented": { "x": 1 } },
                { "name": "MODE", "value": "a" },
            ],
            "secrets": [
                { "name": "PASSWORD", "valueFrom": "arn:1" },
                { "name": "TOKEN", "valueFrom": "/token" },
            ],
            "environmentFiles": [{ "value": "arn:a", "type": "s3", "invented": 1 }, { "value": "arn:b", "type": "s3" }],
        }) else {
            unreachable!()
        };
        container
    }

    fn set(values: &[(&str, &str)]) -> NamedChanges {
        NamedChanges {
            set: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..NamedChanges::default()
        }
    }

    fn changed(change_it: impl FnOnce(&mut ContainerChange)) -> Map<String, Value> {
        let mut wanted = ContainerChange::default();
        change_it(&mut wanted);
        let mut container = container();
        change(&mut container, &wanted).unwrap();
        container
    }

    #[test]
    fn others_and_their_unknown_members_stay_where_they_are() {
        let after = changed(|c| c.environment = set(&[("LEVEL", "debug"), ("A", "1")]));
        assert_eq!(
            after["environment"],
            json!([
                { "name": "LEVEL", "value": "debug", "invented": { "x": 1 } },
                { "name": "MODE", "value": "a" },
                { "name": "A", "value": "1" },
            ])
        );
        assert_eq!(after["secrets"], container()["secrets"]);
    }

    #[test]
    fn replacing_the_plain_variables_leaves_the_secrets_alone() {
        let after = changed(|c| {
            c.environment = NamedChanges {
                replace: true,
                ..set(&[("LEVEL", "info")])
            }
        });
        assert_eq!(
            after["environment"],
            json!([{ "name": "LEVEL", "value": "info", "invented": { "x": 1 } }])
        );
        assert_eq!(after["secrets"], container()["secrets"]);
    }

    #[test]
    fn a_name_that_moves_is_in_one_list_only() {
        let after = changed(|c| {
            c.environment = set(&[("TOKEN", "plain")]);
            c.secrets = set(&[("MODE", "/mode")]);
        });
        assert_eq!(
            after["secrets"],
            json!([{ "name": "PASSWORD", "valueFrom": "arn:1" }, { "name": "MODE", "valueFrom": "/mode" }])
        );
        let plain: Vec<_> = after["environment"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| &e["name"])
            .collect();
        assert_eq!(plain, ["LEVEL", "TOKEN"]);
    }

    #[test]
    fn removing_from_a_list_that_is_not_there_makes_none() {
        let mut bare = Map::new();
        let mut wanted = ContainerChange::default();
        wanted.environment.remove.insert("LEVEL".to_owned());
        wanted.environment_files.remove.insert("arn:a".to_owned());
        change(&mut bare, &wanted).unwrap();
        assert!(bare.is_empty());
    }

    #[test]
    fn files_are_added_once_and_replaced_in_the_given_order() {
        let added =
            changed(|c| c.environment_files.add = vec!["arn:c".into(), "arn:a".into(), "arn:c".into()]);
        let values = |container: &Map<String, Value>| -> Vec<String> {
            let files = container["environmentFiles"].as_array().unwrap();
            files
                .iter()
                .map(|file| file["value"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(values(&added), ["arn:a", "arn:b", "arn:c"]);
        let replaced = changed(|c| {
            c.environment_files.add = vec!["arn:c".into(), "arn:a".into()];
            c.environment_files.replace = true;
        });
        assert_eq!(values(&replaced), ["arn:c", "arn:a"]);
        assert_eq!(replaced["environmentFiles"][1]["invented"], 1);
    }
}

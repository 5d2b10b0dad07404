//! The task definition of a one-off task: a copy of another one, in a family of its
//! own, so that the service's family keeps nothing but the service's revisions.
//!
//! One container decides how the task ends. It is the only essential one: the task
//! ends when it does, and a task that ended so ended because of it. It is not
//! restarted: a restart policy would run a migration again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::spec::{TaskContainer, TaskSpec};
use crate::observed::TaskDefinition;
use crate::update::{
    revision::{NextRevision, RevisionError, next_revision},
    spec::{TagChanges, UpdateSpec},
};

/// ECS's limit for the name of a family.
const LONGEST_FAMILY: usize = 255;

/// What to register, and who decides.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRevision {
    pub next: NextRevision,
    /// The container whose exit code counts.
    pub exit_container: String,
}

/// Why there is no task definition for a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskRevisionError {
    #[error(transparent)]
    Revision(#[from] RevisionError),
    #[error("{family} has no container {name:?} whose exit code could count; it has {}", existing.join(", "))]
    NoExitContainer {
        family: String,
        name: String,
        existing: Vec<String>,
    },
    #[error("{family} has more than one essential container ({}), and the request does not say whose exit code counts", essential.join(", "))]
    ManyExitContainers { family: String, essential: Vec<String> },
    #[error("the family {family} would be longer than {LONGEST_FAMILY} characters")]
    LongFamily { family: String },
}

impl TaskRevisionError {
    /// The next step, for a person.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Revision(error) => error.hint(),
            Self::NoExitContainer { .. } => "container names are exact; compare them with DescribeService",
            Self::ManyExitContainers { .. } => "name the container",
            Self::LongFamily { .. } => "give the task a shorter name",
        }
    }
}

/// The family of a task that is made from a revision of `base`.
pub fn family(base: &str, task: &str) -> String {
    let suffix = format!("-task-{task}");
    match base.ends_with(&suffix) {
        true => base.to_owned(),
        false => format!("{base}{suffix}"),
    }
}

/// Puts what `spec` changes into a copy of `base`; `tags` are those that the account
/// demands.
///
/// # Errors
///
/// A container is missing, or it is not clear which one decides.
pub fn task_revision(
    base: &TaskDefinition,
    spec: &TaskSpec,
    tags: &BTreeMap<String, String>,
) -> Result<TaskRevision, TaskRevisionError> {
    let of_base = base.definition.get("family").and_then(Value::as_str);
    let of_base = of_base.unwrap_or_default();
    let family = family(of_base, spec.name.as_str());
    if family.len() > LONGEST_FAMILY {
        return Err(TaskRevisionError::LongFamily { family });
    }
    let exit_container = exit_container(base, of_base, spec)?;
    let mut base = base.clone();
    for container in containers_mut(&mut base) {
        fit(container, &exit_container, &spec.containers);
    }
    let mut set = tags.clone();
    set.extend(spec.tags.clone());
    let changes = spec.containers.iter().map(|container| container.change.clone());
    let update = UpdateSpec {
        containers: changes.collect(),
        tags: TagChanges {
            set,
            ..TagChanges::default()
        },
        ..UpdateSpec::default()
    };
    Ok(TaskRevision {
        next: next_revision(&base, &family, &update)?,
        exit_container,
    })
}

fn containers_mut(definition: &mut TaskDefinition) -> impl Iterator<Item = &mut Map<String, Value>> {
    let containers = definition.definition.get_mut("containerDefinitions");
    let containers = containers.and_then(Value::as_array_mut);
    containers.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn name_of(container: &Map<String, Value>) -> &str {
    container.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Makes a container fit for a task that ends.
fn fit(container: &mut Map<String, Value>, exit_container: &str, changes: &[TaskContainer]) {
    let decides = name_of(container) == exit_container;
    container.insert("essential".to_owned(), Value::Bool(decides));
    if decides {
        container.remove("restartPolicy");
    }
    let Some(change) = changes.iter().find(|one| one.change.name == name_of(container)) else {
        return;
    };
    for (member, words) in [("command", &change.command), ("entryPoint", &change.entry_point)] {
        if !words.is_empty() {
            container.insert(member.to_owned(), words.iter().map(String::as_str).collect());
        }
    }
}

fn exit_container(base: &TaskDefinition, family: &str, spec: &TaskSpec) -> Result<String, TaskRevisionError> {
    let containers = base
        .definition
        .get("containerDefinitions")
        .and_then(Value::as_array);
    let containers = containers.into_iter().flatten().filter_map(Value::as_object);
    let is_essential =
        |one: &Map<String, Value>| one.get("essential").and_then(Value::as_bool).unwrap_or(true);
    let all: Vec<(&str, bool)> = containers.map(|one| (name_of(one), is_essential(one))).collect();
    let names = |essential_only: bool| {
        let chosen = all.iter().filter(|(_, essential)| *essential || !essential_only);
        chosen.map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
    };
    let named = match (&spec.exit_container, spec.containers.as_slice()) {
        (Some(name), _) => Some(name),
        (None, [only]) => Some(&only.change.name),
        (None, _) => None,
    };
    let Some(name) = named else {
        let essential = names(true);
        return match essential.as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(TaskRevisionError::ManyExitContainers {
                family: family.to_owned(),
                essential,
            }),
        };
    };
    match all.iter().any(|(known, _)| known == name) {
        true => Ok(name.clone()),
        false => Err(TaskRevisionError::NoExitContainer {
            family: family.to_owned(),
            name: name.clone(),
            existing: names(false),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::task::spec::USUAL_TIMEOUT;
    use crate::update::revision::same_content;
    use crate::update::spec::{ContainerChange, NewImage};

    fn spec() -> TaskSpec {
        TaskSpec {
            name: "migrate".parse().unwrap(),
            like: Some("orders".to_owned()),
            base: None,
            network: None,
            capacity: None,
            platform_version: None,
            containers: vec![TaskContainer {
                change: ContainerChange::of_image("app", NewImage::TagOnly("1.1.0".parse().unwrap())),
                command: vec!["./migrate".to_owned(), "--to".to_owned(), "latest".to_owned()],
                entry_point: Vec::new(),
            }],
            exit_container: Some("app".to_owned()),
            timeout: USUAL_TIMEOUT,
            tags: BTreeMap::new(),
        }
    }

    fn base() -> TaskDefinition {
        let definition = json!({
            "family": "orders", "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/orders:7", "revision": 7,
            "memberOfTomorrow": {"kept": true},
            "containerDefinitions": [
                {"name": "app", "image": "r.example/orders:1.0.0", "command": ["serve"], "entryPoint": ["/bin/sh"],
                 "restartPolicy": {"enabled": true}, "futureMember": 1},
                {"name": "proxy", "image": "envoy:v1", "essential": true, "restartPolicy": {"enabled": true}},
            ],
        });
        TaskDefinition {
            definition: definition.as_object().unwrap().clone(),
            tags: vec![json!({"key": "team", "value": "shop"})],
        }
    }

    #[test]
    fn the_copy_loses_nothing_and_ends_with_its_container() {
        let made = task_revision(&base(), &spec(), &BTreeMap::new()).unwrap();
        let request = &made.next.request;
        assert_eq!(request["family"], "orders-task-migrate");
        assert_eq!(request["memberOfTomorrow"], json!({"kept": true}));
        assert_eq!(
            request["containerDefinitions"],
            json!([
                {"name": "app", "image": "r.example/orders:1.1.0", "command": ["./migrate", "--to", "latest"],
                 "entryPoint": ["/bin/sh"], "futureMember": 1, "essential": true},
                {"name": "proxy", "image": "envoy:v1", "essential": false, "restartPolicy": {"enabled": true}},
            ])
        );
        assert_eq!(request["tags"][0], json!({"key": "team", "value": "shop"}));
    }

    #[test]
    fn the_same_task_is_the_same_content_and_its_family_does_not_grow() {
        let first = task_revision(&base(), &spec(), &BTreeMap::new()).unwrap();
        let registered = first.next.definition();
        let again = task_revision(&registered, &spec(), &BTreeMap::new()).unwrap();
        assert_eq!(again.next.family(), "orders-task-migrate");
        assert!(same_content(&registered, &again.next));
    }

    #[test]
    fn whose_exit_code_counts_is_said_or_plain() {
        let of =
            |spec: &TaskSpec| task_revision(&base(), spec, &BTreeMap::new()).map(|made| made.exit_container);
        let only_container = TaskSpec {
            exit_container: None,
            ..spec()
        };
        assert_eq!(of(&only_container).unwrap(), "app");
        let unclear = TaskSpec {
            containers: Vec::new(),
            ..only_container
        };
        assert!(matches!(
            of(&unclear),
            Err(TaskRevisionError::ManyExitContainers { .. })
        ));
        let wrong = TaskSpec {
            exit_container: Some("ap".to_owned()),
            ..spec()
        };
        assert!(of(&wrong).unwrap_err().to_string().contains("it has app, proxy"));
    }
}

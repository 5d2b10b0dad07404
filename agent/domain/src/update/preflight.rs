//! What the account shows → what will not work when a service is updated, before
//! anything is written. [`questions`] says what to ask, [`judge`] turns the answers
//! into findings. What runs proves itself: before a write only what the update
//! brings is asked about; a plan asks about all of it. What the service's state
//! forbids is not here but in [`super::start`].

mod needs;
mod room;
mod service;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::spec::UpdateSpec;
use crate::fargate::preflight::{Finding, Findings, ImageFact, thing_itself};
use crate::image_reference::ImageReference;
use crate::observed::surroundings::{ContainerInstance, Permission, Role, TargetGroup};
use crate::observed::{ObservedAlarm, ObservedService, TaskDefinition};
use crate::outside::Answer;

/// An update as it would be done.
#[derive(Clone, Copy, Debug)]
pub struct UpdateView<'a> {
    pub service: &'a ObservedService,
    /// What runs; `None` where that was deleted.
    pub running: Option<&'a TaskDefinition>,
    /// What would run.
    pub next: &'a TaskDefinition,
    pub spec: &'a UpdateSpec,
}

/// Why it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A person wants to know.
    Plan,
    /// Something is about to be written: only what can forbid it, in as few calls as
    /// will do.
    Write,
}

/// What to ask, each thing once. All of it can be asked at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    pub images: Vec<ImageReference>,
    /// ARNs of roles.
    pub roles: Vec<String>,
    /// Whether the agent may pass the roles to ECS, as well.
    pub passing: bool,
    /// ARNs of secrets without key, stage and version; ARNs or names of parameters.
    pub secrets: Vec<String>,
    /// ARNs.
    pub target_groups: Vec<String>,
    /// Names.
    pub alarms: Vec<String>,
    /// What is left on the cluster's container instances.
    pub instances: bool,
}

/// A role, and whether it may be passed where that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFact {
    pub role: Answer<Option<Role>>,
    pub passing: Option<Answer<Permission>>,
}

/// The answers, by what was asked. What was not asked is left out and not judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// By the image's whole reference.
    pub images: BTreeMap<String, ImageFact>,
    pub roles: BTreeMap<String, RoleFact>,
    pub secrets: BTreeMap<String, Answer<bool>>,
    pub target_groups: BTreeMap<String, Answer<Option<TargetGroup>>>,
    /// Of those asked, the ones that exist.
    pub alarms: Option<Answer<Vec<ObservedAlarm>>>,
    pub instances: Option<Answer<Vec<ContainerInstance>>>,
}

/// What to ask about an update.
pub fn questions(view: &UpdateView<'_>, purpose: Purpose) -> Questions {
    let everything = purpose == Purpose::Plan;
    let known = view.running.filter(|_| !everything);
    let known_images = known.map(TaskDefinition::images).unwrap_or_default();
    let mut images: Vec<ImageReference> = Vec::new();
    for container in view.next.images() {
        let parsed = container.1.parse::<ImageReference>().ok();
        let new = parsed.filter(|image| !known_images.contains(&container) && !images.contains(image));
        images.extend(new);
    }
    let known_secrets = known.map(secrets_of).unwrap_or_default();
    let secrets = secrets_of(view.next);
    let groups = view
        .service
        .load_balancers
        .iter()
        .map(|link| link.target_group.clone());
    let groups: BTreeSet<String> = groups.filter(|_| everything).collect();
    Questions {
        images,
        roles: roles_of(view.next)
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        passing: everything,
        secrets: secrets.difference(&known_secrets).cloned().collect(),
        target_groups: groups.into_iter().collect(),
        alarms: match &view.spec.bake {
            Some(bake) if everything => bake.alarms.clone(),
            _ => Vec::new(),
        },
        instances: everything && room::matters(view),
    }
}

/// Judges what the account shows. Gravest first.
pub fn judge(view: &UpdateView<'_>, facts: &Facts) -> Vec<Finding> {
    let mut found = Findings::default();
    needs::judge(view, facts, &mut found);
    service::judge(view, facts, &mut found);
    room::judge(view, facts, &mut found);
    found.gravest_first()
}

/// Task role and execution role; one that is given by name alone cannot be asked about.
fn roles_of(definition: &TaskDefinition) -> impl Iterator<Item = &str> {
    ["taskRoleArn", "executionRoleArn"]
        .into_iter()
        .filter_map(|member| definition.definition.get(member)?.as_str())
        .filter(|role| role.starts_with("arn:"))
}

/// All that the containers, their logging and their registries take from elsewhere.
fn secrets_of(definition: &TaskDefinition) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for container in containers(definition) {
        let lists = [
            container.get("secrets"),
            container.pointer("/logConfiguration/secretOptions"),
        ];
        let entries = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
        let values = entries.filter_map(|entry| entry.get("valueFrom")?.as_str());
        let registry = container.pointer("/repositoryCredentials/credentialsParameter");
        found.extend(
            values
                .chain(registry.and_then(Value::as_str))
                .map(|from| thing_itself(from).to_owned()),
        );
    }
    found
}

fn containers(definition: &TaskDefinition) -> impl Iterator<Item = &Value> {
    let list = definition.definition.get("containerDefinitions");
    list.and_then(Value::as_array).into_iter().flatten()
}

//! What can be seen only over several entries, with the places of the file.

use std::collections::HashMap;

use super::Reading;
use crate::domain::{
    name::{EcsServiceName, EnvironmentName, ServiceName},
    project::{
        check,
        definition::{Project, ecs_names},
        yaml::{Entry, Kind, Node, Place},
    },
};

impl<'a> Reading<'a> {
    /// On each target an ECS service is of one service of the file, and an
    /// environment has some service.
    pub(super) fn check_services_of_targets(&mut self, project: &Project) {
        let mut told: Vec<(&ServiceName, &ServiceName)> = Vec::new();
        for (environment, definition) in &project.environments {
            let mut any = false;
            for target in &definition.targets {
                let mut names: HashMap<EcsServiceName, &ServiceName> = HashMap::new();
                let here = project.services.iter();
                for (key, service) in here.filter(|(_, it)| it.goes_to(environment, target)) {
                    any = true;
                    for name in ecs_names(project, (environment, definition), target, (key, service)) {
                        if let Some(first) = names.get(&name).copied()
                            && !told.contains(&(first, key))
                        {
                            told.push((first, key));
                            self.tell_claimed_twice(key, first, &name);
                        }
                        names.entry(name).or_insert(key);
                    }
                }
            }
            // What has no target or no service at all is told as that.
            if !any && !definition.targets.is_empty() && !project.services.is_empty() {
                self.tell_empty_environment(environment);
            }
        }
    }

    fn tell_claimed_twice(&mut self, key: &ServiceName, first: &ServiceName, name: &EcsServiceName) {
        let entry = self.known.services.iter().find(|it| it.key == key.as_str());
        let at = entry.map_or(Place::START, |entry| {
            field(&entry.value, "service").map_or(entry.key_at, |node| node.at)
        });
        self.report.error(
            at,
            format!("service {key}: the ECS service {name} is claimed by service {first} already"),
        );
    }

    fn tell_empty_environment(&mut self, environment: &EnvironmentName) {
        let mut entries = self.known.environments.iter();
        let entry = entries.find(|it| it.key == environment.as_str());
        let at = entry.map_or(Place::START, |entry| entry.key_at);
        self.report
            .error(
                at,
                format!("environment {environment} has no service: all are only_in others"),
            )
            .hint("leave the environment out, or name it in a service's only_in");
    }

    /// One cluster is of one target: else two of the file would fight over its services.
    pub(super) fn check_claims(&mut self) {
        let mut clusters: Vec<(String, &str, Place)> = Vec::new();
        let mut accounts: Vec<(&str, &str, Place)> = Vec::new();
        for environment in self.known.environments {
            let Some(Kind::List(targets)) = field(&environment.value, "targets").map(|node| &node.kind)
            else {
                continue;
            };
            for target in targets {
                self.check_cluster(environment, target, &mut clusters);
                self.check_agent(target, &mut accounts);
            }
        }
    }

    fn check_cluster(
        &mut self,
        environment: &'a Entry,
        target: &'a Node,
        seen: &mut Vec<(String, &'a str, Place)>,
    ) {
        let parts: Option<Vec<&str>> = ["account", "region", "cluster"]
            .iter()
            .map(|key| field(target, key).and_then(scalar))
            .collect();
        let Some(id) = parts.map(|parts| parts.join("/")) else {
            return;
        };
        if let Some((_, other, first)) = seen.iter().find(|(earlier, ..)| *earlier == id) {
            let message = format!(
                "target {id} is in environment {other} already (line {}): its services would be claimed twice",
                first.line
            );
            self.report
                .error(target.at, message)
                .hint("an environment needs clusters of its own");
        }
        seen.push((id, &environment.key, target.at));
    }

    fn check_agent(&mut self, target: &'a Node, seen: &mut Vec<(&'a str, &'a str, Place)>) {
        let [agent, account] = ["agent", "account"].map(|key| field(target, key).and_then(scalar));
        let (Some(agent), Some(account)) = (agent, account) else {
            return;
        };
        if let Some((_, other, first)) = seen
            .iter()
            .find(|(name, other, _)| *name == agent && *other != account)
        {
            let message = format!(
                "agent {agent} lives in one account: {other} (line {}) or {account}",
                first.line
            );
            self.report.error(target.at, message);
        }
        seen.push((agent, account, target.at));
    }

    pub(super) fn check_order_of_services(&mut self) {
        let services = self.known.services;
        let edges = |index: usize| -> Vec<usize> {
            let after = services.get(index).and_then(|entry| field(&entry.value, "after"));
            let Some(Kind::List(items)) = after.map(|node| &node.kind) else {
                return Vec::new();
            };
            let place = |item| {
                services
                    .iter()
                    .position(|entry| Some(entry.key.as_str()) == scalar(item))
            };
            items.iter().filter_map(place).collect()
        };
        if let Some(cycle) = check::cycle(services.len(), edges) {
            let path: Vec<&str> = cycle
                .iter()
                .filter_map(|i| services.get(*i))
                .map(|it| it.key.as_str())
                .collect();
            let first = cycle.first().and_then(|index| services.get(*index));
            let at = first
                .and_then(|entry| field(&entry.value, "after"))
                .map_or(Place::START, |node| node.at);
            self.report
                .error(at, format!("services wait for each other: {}", path.join(" → ")));
        }
    }
}

pub(super) fn field<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Kind::Map(entries) = &node.kind else {
        return None;
    };
    entries
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| &entry.value)
}

pub(super) fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } if !node.is_null() => Some(text),
        _ => None,
    }
}

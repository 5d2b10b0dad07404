//! What can be seen only over several entries, with the places of the file.

use super::Reading;
use crate::domain::project::{
    check,
    yaml::{Entry, Kind, Node, Place},
};

impl<'a> Reading<'a> {
    /// One ECS service is of one service of one target: two services with one
    /// name in ECS, or one cluster in two targets, would fight over it.
    pub(super) fn check_claims(&mut self) {
        let mut names: Vec<(&str, &Entry)> = Vec::new();
        for entry in self.known.services {
            let named = field(&entry.value, "service").and_then(scalar);
            let name = named.unwrap_or(&entry.key);
            if let Some((_, first)) = names.iter().find(|(other, _)| *other == name) {
                let at = field(&entry.value, "service").map_or(entry.key_at, |node| node.at);
                let message = format!(
                    "service {}: the ECS service {name} is claimed by service {} already",
                    entry.key, first.key
                );
                self.report.error(at, message);
            }
            names.push((name, entry));
        }
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

    /// A rule on a fixed tag is decided here, not by some release later.
    pub(super) fn check_fixed_tags(&mut self, root: &'a Node) {
        let Some(Kind::Map(channels)) = field(root, "channels").map(|node| &node.kind) else {
            return;
        };
        for channel in channels {
            let Some(Kind::Map(rules)) = field(&channel.value, "rules").map(|node| &node.kind) else {
                continue;
            };
            for rule in rules {
                let image = self.known.images.iter().find(|image| image.key == rule.key);
                let Some(tag) = image
                    .and_then(|image| field(&image.value, "tag"))
                    .and_then(scalar)
                else {
                    continue;
                };
                let Some(Ok(range)) = scalar(&rule.value).map(str::parse) else {
                    continue;
                };
                if !crate::domain::release::satisfies(tag, &range) {
                    let message = format!(
                        "channel {}: the fixed tag {tag} of image {} breaks the rule {range}",
                        channel.key, rule.key
                    );
                    self.report.error(rule.value.at, message);
                }
            }
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

//! The containers of a `fargate` service together: what each reads for itself
//! is in `container`.

use super::Reading;
use crate::domain::{
    name::ContainerName,
    project::{
        check,
        definition::{Condition, Container},
        report::{self, Fields, Report},
        yaml::{Kind, Node, Place},
    },
};

impl<'a> Reading<'a> {
    pub(super) fn containers(&mut self, what: &str, fields: &Fields<'a>) -> Vec<Container> {
        let Some(node) = fields.need("containers", &mut self.report) else {
            return Vec::new();
        };
        let items = report::list(node, &format!("{what}: containers"), &mut self.report).unwrap_or_default();
        if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
            self.report.error(node.at, format!("{what}: containers is empty"));
        }
        let read: Vec<(&Node, Container)> = items
            .iter()
            .filter_map(|item| Some((item, self.container(what, item)?)))
            .collect();
        if read.len() == items.len() {
            self.check_containers(what, &read);
        }
        read.into_iter().map(|(_, container)| container).collect()
    }

    /// What can only be seen of all containers together.
    fn check_containers(&mut self, what: &str, read: &[(&Node, Container)]) {
        for (index, (node, container)) in read.iter().enumerate() {
            let name = &container.name;
            if read.iter().take(index).any(|(_, earlier)| earlier.name == *name) {
                self.report
                    .error(node.at, format!("{what}: container {name} is here twice"));
            }
            for (other, condition) in &container.depends_on {
                self.check_dependency(what, node, container, other, *condition, read);
            }
        }
        self.check_ports(what, read);
        self.check_volumes_from(what, read);
        if let [(first, _), ..] = read
            && read.iter().all(|(_, container)| !container.essential)
        {
            self.report
                .error(first.at, format!("{what}: no container is essential"))
                .hint("ECS wants at least one");
        }
        let names: Vec<&str> = read
            .iter()
            .map(|(_, container)| container.name.as_str())
            .collect();
        let edges = |index: usize| -> Vec<usize> {
            let needs = read
                .get(index)
                .map(|(_, container)| container.depends_on.keys())
                .into_iter()
                .flatten();
            needs
                .filter_map(|needed| names.iter().position(|name| *name == needed.as_str()))
                .collect()
        };
        if let Some(cycle) = check::cycle(names.len(), edges) {
            let path: Vec<&str> = cycle
                .iter()
                .filter_map(|index| names.get(*index).copied())
                .collect();
            // Told where the circle closes.
            let last = cycle
                .iter()
                .rev()
                .nth(1)
                .and_then(|index| read.get(*index))
                .map(|(node, _)| node);
            let at = last
                .and_then(|node| place_of_dependency(node, path.first()?))
                .unwrap_or(Place::START);
            self.report.error(
                at,
                format!("{what}: containers wait for each other: {}", path.join(" → ")),
            );
        }
    }

    /// The containers of a task share one network interface, and the names of
    /// their ports are of the task.
    fn check_ports(&mut self, what: &str, read: &[(&Node, Container)]) {
        for (index, (node, container)) in read.iter().enumerate() {
            let name = &container.name;
            for port in &container.ports {
                let earlier = || {
                    read.iter()
                        .take(index)
                        .flat_map(|(_, it)| it.ports.iter().map(move |p| (it, p)))
                };
                let taken = earlier().find(|(_, it)| (it.port, it.protocol) == (port.port, port.protocol));
                let named = earlier().find(|(_, it)| port.name.is_some() && it.name == port.name);
                let at = super::whole::field(node, "ports").map_or(node.at, |ports| ports.at);
                if let Some((other, _)) = taken {
                    let port = port.port;
                    self.report.error(
                        at,
                        format!("{what}: container {name}: {} has port {port} already", other.name),
                    );
                } else if let (Some((other, _)), Some(port)) = (named, &port.name) {
                    self.report.error(
                        at,
                        format!(
                            "{what}: container {name}: {} has a port named {port} already",
                            other.name
                        ),
                    );
                }
            }
        }
    }

    fn check_volumes_from(&mut self, what: &str, read: &[(&Node, Container)]) {
        for (node, container) in read {
            for from in &container.volumes_from {
                let at = super::whole::field(node, "volumes_from").map_or(node.at, |it| it.at);
                let (name, other) = (&container.name, &from.container);
                if name == other {
                    self.report
                        .error(at, format!("{what}: container {name} takes volumes from itself"));
                } else if read.iter().all(|(_, it)| it.name != *other) {
                    self.report
                        .error(
                            at,
                            format!(
                                "{what}: container {name} takes volumes from {other}, which does not exist"
                            ),
                        )
                        .one_of(other.as_str(), read.iter().map(|(_, it)| it.name.as_str()));
                }
            }
        }
    }

    fn check_dependency(
        &mut self,
        what: &str,
        node: &Node,
        container: &Container,
        other: &ContainerName,
        condition: Condition,
        read: &[(&Node, Container)],
    ) {
        let at = place_of_dependency(node, other.as_str()).unwrap_or(node.at);
        let name = &container.name;
        let Some((_, needed)) = read.iter().find(|(_, it)| it.name == *other) else {
            self.report
                .error(
                    at,
                    format!("{what}: container {name} depends on {other}, which does not exist"),
                )
                .one_of(other.as_str(), read.iter().map(|(_, it)| it.name.as_str()));
            return;
        };
        match condition {
            Condition::Complete | Condition::Success if needed.essential => self
                .report
                .error(
                    at,
                    format!("{what}: {name} waits for the end of {other}, whose end would stop the task"),
                )
                .hint(format!("set `essential: false` on {other}")),
            Condition::Healthy if needed.health_check.is_none() => self
                .report
                .error(
                    at,
                    format!(
                        "{what}: {name} waits for {other} to be healthy, and {other} has no health_check"
                    ),
                )
                .hint(format!("give {other} a health_check, or wait for `start`")),
            _ => {}
        }
    }
}

fn place_of_dependency(container: &Node, other: &str) -> Option<Place> {
    let Kind::Map(entries) = &container.kind else {
        return None;
    };
    let Kind::Map(needs) = &entries.iter().find(|entry| entry.key == "depends_on")?.value.kind else {
        return None;
    };
    needs
        .iter()
        .find(|entry| entry.key == other)
        .map(|entry| entry.key_at)
}

/// A port from 1 to 65535.
pub(super) fn port_number(node: &Node, what: &str, report: &mut Report) -> Option<u16> {
    report::number(node, &format!("{what}: a port"), 1..=65535, report)
        .and_then(|port| u16::try_from(port).ok())
}

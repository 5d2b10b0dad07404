//! The containers of a `fargate` service.

use indexmap::IndexMap;

use super::{Reading, word};
use crate::domain::{
    name::ContainerName,
    project::{
        check,
        definition::{Condition, Container, Port, Protocol},
        report::{self, Fields, Report},
        yaml::{Kind, Node, Place},
    },
};

const KEYS: [&str; 12] = [
    "name",
    "image",
    "cpu",
    "memory",
    "memory_reservation",
    "ports",
    "environment",
    "secrets",
    "depends_on",
    "essential",
    "entry_point",
    "command",
];

const CONDITIONS: [(&str, Condition); 4] = [
    ("start", Condition::Start),
    ("complete", Condition::Complete),
    ("success", Condition::Success),
    ("healthy", Condition::Healthy),
];

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

    fn container(&mut self, service: &str, node: &'a Node) -> Option<Container> {
        let what = match super::whole::field(node, "name").and_then(super::whole::scalar) {
            Some(name) => format!("{service}: container {name}"),
            None => format!("{service}: a container"),
        };
        let fields = Fields::of(node, &what, &KEYS, &mut self.report)?;
        let name = fields.need("name", &mut self.report);
        let name: Option<ContainerName> =
            name.and_then(|node| report::parsed(node, &format!("{service}: name"), &mut self.report));
        let image = fields
            .need("image", &mut self.report)
            .and_then(|node| self.fargate_image(node, &what));
        let mut amount = |key: &str| {
            let node = fields.get(key)?;
            report::number(node, &format!("{what}: {key}"), 1..=u32::MAX, &mut self.report)
        };
        let (cpu, memory, memory_reservation) =
            (amount("cpu"), amount("memory"), amount("memory_reservation"));
        let essential = fields.get("essential");
        let essential =
            essential.map(|node| report::boolean(node, &format!("{what}: essential"), &mut self.report));
        Some(Container {
            cpu,
            memory,
            memory_reservation,
            ports: self.ports(&what, fields.get("ports")),
            environment: self.template_map(fields.get("environment"), &format!("{what}: environment")),
            secrets: self.template_map(fields.get("secrets"), &format!("{what}: secrets")),
            depends_on: self.depends_on(&what, fields.get("depends_on")),
            entry_point: self.templates(fields.get("entry_point"), &format!("{what}: entry_point")),
            command: self.templates(fields.get("command"), &format!("{what}: command")),
            name: name?,
            image: image?,
            essential: essential.unwrap_or(Some(true))?,
        })
    }

    fn fargate_image<T: std::str::FromStr>(&mut self, node: &Node, what: &str) -> Option<T> {
        let image = self.reference(node, &format!("{what}: image"), "image", self.known.images)?;
        let name = report::text(node, what, &mut self.report)?;
        if self.keeps_repository(name) {
            self.report
                .error(
                    node.at,
                    format!("{what}: image {name} has `repository: running`, and nothing runs before"),
                )
                .hint("name its repository; `running` is for services of kind existing");
        }
        Some(image)
    }

    fn ports(&mut self, what: &str, node: Option<&'a Node>) -> Vec<Port> {
        let what = format!("{what}: ports");
        let items = node
            .and_then(|node| report::list(node, &what, &mut self.report))
            .unwrap_or_default();
        let mut ports: Vec<Port> = Vec::new();
        for item in items {
            let Some(port) = self.port(&what, item) else {
                continue;
            };
            if ports.contains(&port) {
                self.report
                    .error(item.at, format!("{what}: port {} is here twice", port.port));
            }
            ports.push(port);
        }
        ports
    }

    fn port(&mut self, what: &str, node: &'a Node) -> Option<Port> {
        if !matches!(node.kind, Kind::Map(_)) {
            let port = port_number(node, what, &mut self.report)?;
            return Some(Port {
                port,
                protocol: Protocol::Tcp,
            });
        }
        let fields = Fields::of(node, what, &["port", "protocol"], &mut self.report)?;
        let port = fields.need("port", &mut self.report);
        let protocol = match fields.get("protocol") {
            Some(node) => {
                let words = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
                word(node, &format!("{what}: protocol"), &words, &mut self.report)
            }
            None => Some(Protocol::Tcp),
        };
        let port = port.and_then(|node| port_number(node, what, &mut self.report));
        Some(Port {
            port: port?,
            protocol: protocol?,
        })
    }

    fn depends_on(&mut self, what: &str, node: Option<&'a Node>) -> IndexMap<ContainerName, Condition> {
        let what = format!("{what}: depends_on");
        let entries = node
            .and_then(|node| report::map(node, &what, &mut self.report))
            .unwrap_or_default();
        let mut all = IndexMap::new();
        for entry in entries {
            let name = self.key(entry);
            let condition = word(
                &entry.value,
                &format!("{what}: {}", entry.key),
                &CONDITIONS,
                &mut self.report,
            );
            if let (Some(name), Some(condition)) = (name, condition) {
                all.insert(name, condition);
            }
        }
        all
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

    /// The containers of a task share one network interface.
    fn check_ports(&mut self, what: &str, read: &[(&Node, Container)]) {
        for (index, (node, container)) in read.iter().enumerate() {
            for port in &container.ports {
                let taken = read
                    .iter()
                    .take(index)
                    .find(|(_, earlier)| earlier.ports.contains(port));
                if let Some((_, earlier)) = taken {
                    let at = super::whole::field(node, "ports").map_or(node.at, |ports| ports.at);
                    let (port, name) = (port.port, &container.name);
                    self.report.error(
                        at,
                        format!(
                            "{what}: container {name}: {} has port {port} already",
                            earlier.name
                        ),
                    );
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
                .error(at, format!("{what}: {name} waits for the end of {other}, whose end would stop the task"))
                .hint(format!("set `essential: false` on {other}")),
            Condition::Healthy => self
                .report
                .warning(at, format!("{what}: {name} waits for {other} to be healthy, and a project file cannot give {other} a health check yet"))
                .hint("ECS refuses `healthy` for a container without one: use `start`"),
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

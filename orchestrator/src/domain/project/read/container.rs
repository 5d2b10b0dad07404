//! One container of a `fargate` service.

use indexmap::IndexMap;

use super::{Reading, containers::port_number, word};
use crate::domain::{
    name::ContainerName,
    project::{
        check::Allowed,
        definition::{AppProtocol, Condition, Container, HealthCheck, Port, Protocol, RestartPolicy},
        forms::Form,
        limits,
        report::{self, Fields},
        template::{Template, Texts},
        yaml::{Kind, Node},
    },
};

const KEYS: [&str; 30] = [
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
    "working_directory",
    "user",
    "health_check",
    "environment_files",
    "repository_credentials",
    "readonly_root_filesystem",
    "mounts",
    "volumes_from",
    "logging",
    "docker_labels",
    "ulimits",
    "start_timeout",
    "stop_timeout",
    "linux",
    "restart_policy",
    "interactive",
    "pseudo_terminal",
    "system_controls",
];
const PORT_KEYS: [&str; 4] = ["port", "protocol", "name", "app_protocol"];

const CONDITIONS: [(&str, Condition); 4] = [
    ("start", Condition::Start),
    ("complete", Condition::Complete),
    ("success", Condition::Success),
    ("healthy", Condition::Healthy),
];

impl<'a> Reading<'a> {
    pub(super) fn container(&mut self, service: &str, node: &'a Node) -> Option<Container> {
        let what = match super::whole::field(node, "name").and_then(super::whole::scalar) {
            Some(name) => format!("{service}: container {name}"),
            None => format!("{service}: a container"),
        };
        let what = what.as_str();
        let limits: [&'static [limits::Limit]; 2] = [&limits::CONTAINER, &limits::SERVICE];
        let fields = Fields::within(node, what, &KEYS, &limits, &mut self.report)?;
        let name = fields.need("name", &mut self.report);
        let name: Option<ContainerName> =
            name.and_then(|node| report::parsed(node, &format!("{service}: name"), &mut self.report));
        let image = fields
            .need("image", &mut self.report)
            .and_then(|node| self.fargate_image(node, what));
        let mut amount = |key| self.optional_amount(&fields, key, what, Allowed::Range(1, u32::MAX));
        let [cpu, memory, memory_reservation] = ["cpu", "memory", "memory_reservation"].map(&mut amount);
        self.check_variables(what, &fields);
        Some(Container {
            cpu,
            memory,
            memory_reservation,
            ports: self.ports(what, &fields),
            environment: self.map_of(&fields, "environment", what),
            secrets: self.secrets(&fields, "secrets", what),
            depends_on: self.depends_on(what, fields.get("depends_on")),
            entry_point: self.templates(fields.get("entry_point"), &format!("{what}: entry_point")),
            command: self.templates(fields.get("command"), &format!("{what}: command")),
            working_directory: self.optional_template(&fields, "working_directory", what),
            user: self.optional_template(&fields, "user", what),
            health_check: fields
                .get("health_check")
                .and_then(|node| self.health_check(what, node)),
            environment_files: fields.get("environment_files").and_then(|node| {
                self.formed_texts(node, &format!("{what}: environment_files"), Form::EnvironmentFile)
            }),
            repository_credentials: self.optional_formed(
                &fields,
                "repository_credentials",
                what,
                Form::Credentials,
            ),
            readonly_root_filesystem: self.flag(&fields, "readonly_root_filesystem", what),
            mounts: self.mounts(what, &fields),
            volumes_from: self.volumes_from(what, &fields),
            logging: fields.get("logging").and_then(|node| self.logging(what, node)),
            docker_labels: self.map_of(&fields, "docker_labels", what),
            ulimits: self.ulimits(what, &fields),
            // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
            start_timeout: self.optional_number(&fields, "start_timeout", what, 2, 120),
            stop_timeout: self.optional_number(&fields, "stop_timeout", what, 2, 120),
            linux: fields.get("linux").and_then(|node| self.linux(what, node)),
            restart_policy: fields
                .get("restart_policy")
                .and_then(|node| self.restart_policy(what, node)),
            interactive: self.flag(&fields, "interactive", what),
            pseudo_terminal: self.flag(&fields, "pseudo_terminal", what),
            system_controls: self.map_of(&fields, "system_controls", what),
            essential: self.optional_boolean(&fields, "essential", what).unwrap_or(true),
            name: name?,
            image: image?,
        })
    }

    /// Off when left out.
    pub(super) fn flag(&mut self, fields: &Fields<'a>, key: &str, what: &str) -> bool {
        self.optional_boolean(fields, key, what).unwrap_or_default()
    }

    pub(super) fn map_of(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        what: &str,
    ) -> IndexMap<String, Template> {
        self.template_map(fields.get(key), &format!("{what}: {key}"))
    }

    /// A map of references to secrets and parameters.
    pub(super) fn secrets(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        what: &str,
    ) -> IndexMap<String, Template> {
        let all = self.map_of(fields, key, what);
        if let Some(Kind::Map(entries)) = fields.get(key).map(|node| &node.kind) {
            for entry in entries {
                if let Some(template) = all.get(&entry.key) {
                    let texts = Texts::Items(vec![template.clone()]);
                    let what = format!("{what}: {key}: {}", entry.key);
                    self.has_form(&entry.value, &what, texts, Form::Secret);
                }
            }
        }
        all
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

    /// ECS takes a variable once: plain, or from a secret.
    fn check_variables(&mut self, what: &str, fields: &Fields<'a>) {
        let entries = |key| match fields.get(key).map(|node| &node.kind) {
            Some(Kind::Map(entries)) => entries.as_slice(),
            _ => &[],
        };
        for secret in entries("secrets") {
            if entries("environment").iter().any(|plain| plain.key == secret.key) {
                self.report
                    .error(
                        secret.key_at,
                        format!("{what}: {} is in environment and in secrets", secret.key),
                    )
                    .hint("ECS takes a variable once: leave one of the two out");
            }
        }
    }

    fn ports(&mut self, what: &str, fields: &Fields<'a>) -> Vec<Port> {
        let items = self.items(fields, "ports", what);
        let what = format!("{what}: ports");
        let mut ports: Vec<Port> = Vec::new();
        for item in items {
            let Some(port) = self.port(&what, item) else {
                continue;
            };
            if ports
                .iter()
                .any(|it| (it.port, it.protocol) == (port.port, port.protocol))
            {
                self.report
                    .error(item.at, format!("{what}: port {} is here twice", port.port));
            } else if let Some(name) = &port.name
                && ports.iter().any(|it| it.name.as_ref() == Some(name))
            {
                self.report
                    .error(item.at, format!("{what}: the name {name} is here twice"));
            }
            ports.push(port);
        }
        ports
    }

    fn port(&mut self, what: &str, node: &'a Node) -> Option<Port> {
        if !matches!(node.kind, Kind::Map(_)) {
            return port_number(node, what, &mut self.report).map(Port::tcp);
        }
        let limits: [&'static [limits::Limit]; 1] = [&limits::CONTAINER];
        let fields = Fields::within(node, what, &PORT_KEYS, &limits, &mut self.report)?;
        let protocols = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
        let applications = [
            ("http", AppProtocol::Http),
            ("http2", AppProtocol::Http2),
            ("grpc", AppProtocol::Grpc),
        ];
        let port = fields.need("port", &mut self.report);
        let port = port.and_then(|node| port_number(node, what, &mut self.report));
        let read = Port {
            protocol: self
                .optional_word(&fields, "protocol", what, &protocols)
                .unwrap_or(Protocol::Tcp),
            name: self.optional_name(&fields, "name", what),
            app_protocol: self.optional_word(&fields, "app_protocol", what, &applications),
            port: port?,
        };
        if let (Some(node), Some(_)) = (fields.get("app_protocol"), read.app_protocol) {
            if fields.get("name").is_none() {
                self.report
                    .error(node.at, format!("{what}: app_protocol needs a name of the port"))
                    .hint(format!(
                        "{{ port: {}, name: web, app_protocol: http }}",
                        read.port
                    ));
            }
            if read.protocol == Protocol::Udp {
                self.report
                    .error(node.at, format!("{what}: app_protocol is of tcp ports"));
            }
        }
        Some(read)
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

    fn health_check(&mut self, what: &str, node: &'a Node) -> Option<HealthCheck> {
        let what = format!("{what}: health_check");
        let known = ["command", "interval", "timeout", "retries", "start_period"];
        let fields = Fields::of(node, &what, &known, &mut self.report)?;
        let command = fields.need("command", &mut self.report)?;
        let read = HealthCheck {
            command: self.templates(Some(command), &format!("{what}: command")),
            interval: self.optional_number(&fields, "interval", &what, 5, 300),
            timeout: self.optional_number(&fields, "timeout", &what, 2, 60),
            retries: self.optional_number(&fields, "retries", &what, 1, 10),
            start_period: self.optional_number(&fields, "start_period", &what, 0, 300),
        };
        if let Kind::List(items) = &command.kind {
            let first = items.first().and_then(super::whole::scalar);
            let fits = match first {
                Some("CMD") => items.len() > 1,
                Some("CMD-SHELL") => items.len() == 2,
                _ => false,
            };
            if !fits {
                self.report
                    .error(
                        command.at,
                        format!("{what}: command begins with CMD and the words of the command, or with CMD-SHELL and one line for the shell"),
                    )
                    .hint("[\"CMD-SHELL\", \"curl -f http://localhost:8080/health || exit 1\"]");
            }
        }
        Some(read)
    }

    fn restart_policy(&mut self, what: &str, node: &'a Node) -> Option<RestartPolicy> {
        let what = format!("{what}: restart_policy");
        let fields = Fields::of(
            node,
            &what,
            &["ignored_exit_codes", "attempt_period"],
            &mut self.report,
        )?;
        let codes = self.items(&fields, "ignored_exit_codes", &what);
        let at = format!("{what}: ignored_exit_codes");
        let codes = codes
            .iter()
            .filter_map(|node| report::number(node, &at, 0..=255, &mut self.report))
            .collect();
        Some(RestartPolicy {
            ignored_exit_codes: codes,
            attempt_period: self.optional_number(&fields, "attempt_period", &what, 60, 1800),
        })
    }
}

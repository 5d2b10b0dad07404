//! `load_balancers`: which port of which container is linked to what.

use super::{Reading, containers::port_number};
use crate::domain::{
    name::ContainerName,
    project::{
        check::Allowed,
        definition::{
            Container, Link, ListenerRule, LoadBalancer, Protocol, ProtocolVersion, TargetHealthCheck,
            TargetProtocol,
        },
        forms::Form,
        report::{self, Fields},
        template::Amount,
        yaml::Node,
    },
};

const KEYS: [&str; 4] = ["container", "port", "target_group", "listener_rule"];
const RULE_KEYS: [&str; 9] = [
    "listener",
    "hosts",
    "paths",
    "priority",
    "vpc",
    "protocol",
    "protocol_version",
    "health_check",
    "deregistration_delay",
];
const HEALTH_KEYS: [&str; 6] = [
    "path",
    "matcher",
    "interval",
    "timeout",
    "healthy_threshold",
    "unhealthy_threshold",
];
/// What the agent asks with where the file says nothing; seconds.
const DEFAULT_INTERVAL: u32 = 10;
const DEFAULT_TIMEOUT: u32 = 5;

impl<'a> Reading<'a> {
    /// `containers` are those to link to, when they could be read.
    pub(super) fn load_balancers(
        &mut self,
        what: &str,
        fields: &Fields<'a>,
        containers: Option<&[Container]>,
    ) -> Vec<LoadBalancer> {
        let items = self.items(fields, "load_balancers", what);
        let what = format!("{what}: load_balancers");
        items
            .iter()
            .filter_map(|item| self.load_balancer(&what, item, containers))
            .collect()
    }

    fn load_balancer(
        &mut self,
        what: &str,
        node: &'a Node,
        containers: Option<&[Container]>,
    ) -> Option<LoadBalancer> {
        let fields = Fields::of(node, what, &KEYS, &mut self.report)?;
        let [name, port] = ["container", "port"].map(|key| fields.need(key, &mut self.report));
        let container: Option<ContainerName> =
            name.and_then(|node| report::parsed(node, &format!("{what}: container"), &mut self.report));
        let number = port.and_then(|node| port_number(node, what, &mut self.report));
        let link = self.link(what, node, &fields);
        let (container, number) = (container?, number?);
        if let (Some(containers), Some(name), Some(port)) = (containers, name, port) {
            self.check_linked_port(what, (name, &container), (port, number), containers);
        }
        Some(LoadBalancer {
            container,
            port: number,
            link: link?,
        })
    }

    fn link(&mut self, what: &str, node: &Node, fields: &Fields<'a>) -> Option<Link> {
        match (fields.get("target_group"), fields.get("listener_rule")) {
            (Some(group), None) => self
                .formed(group, &format!("{what}: target_group"), Form::TargetGroup)
                .map(Link::TargetGroup),
            (None, Some(rule)) => self
                .listener_rule(&format!("{what}: listener_rule"), rule)
                .map(|rule| Link::ListenerRule(Box::new(rule))),
            (Some(_), Some(rule)) => {
                self.report
                    .error(
                        rule.at,
                        format!("{what}: a link has a target_group or a listener_rule, and here are both"),
                    )
                    .hint("a listener_rule makes its own target group");
                None
            }
            (None, None) => {
                self.report
                    .error(node.at, format!("{what} lacks target_group or listener_rule"))
                    .hint("target_group: the ARN of one that exists; listener_rule: the stack makes a target group and a rule on a listener that exists");
                None
            }
        }
    }

    fn check_linked_port(
        &mut self,
        what: &str,
        (name_at, name): (&Node, &ContainerName),
        (port_at, port): (&Node, u16),
        containers: &[Container],
    ) {
        let Some(container) = containers.iter().find(|it| it.name == *name) else {
            self.report
                .error(
                    name_at.at,
                    format!("{what}: there is no container {:?}", name.as_str()),
                )
                .one_of(name.as_str(), containers.iter().map(|it| it.name.as_str()));
            return;
        };
        let mut there = container.ports.iter().filter(|it| it.port == port).peekable();
        if there.peek().is_none() {
            self.report
                .error(port_at.at, format!("{what}: container {name} has no port {port}"))
                .hint(format!("add {port} to its ports"));
        } else if there.all(|it| it.protocol == Protocol::Udp) && !container.ports.is_empty() {
            self.report.warning(
                port_at.at,
                format!("{what}: port {port} of container {name} is UDP: only a network load balancer's target group takes it"),
            ).hint("an application load balancer needs a tcp port");
        }
    }

    fn listener_rule(&mut self, what: &str, node: &'a Node) -> Option<ListenerRule> {
        let fields = Fields::of(node, what, &RULE_KEYS, &mut self.report)?;
        let forms = [("listener", Form::Listener), ("vpc", Form::Vpc)];
        let [listener, vpc] = forms.map(|(key, form)| {
            let node = fields.need(key, &mut self.report)?;
            self.formed(node, &format!("{what}: {key}"), form)
        });
        if fields.get("hosts").is_none() && fields.get("paths").is_none() {
            self.report
                .error(node.at, format!("{what} needs hosts or paths"))
                .hint("paths: [\"/*\"] takes every request of the listener that no earlier rule takes");
        }
        let protocols = [("HTTP", TargetProtocol::Http), ("HTTPS", TargetProtocol::Https)];
        let versions = [
            ("HTTP1", ProtocolVersion::Http1),
            ("HTTP2", ProtocolVersion::Http2),
            ("GRPC", ProtocolVersion::Grpc),
        ];
        Some(ListenerRule {
            hosts: self.optional_texts(&fields, "hosts", what),
            paths: self.optional_texts(&fields, "paths", what),
            priority: fields.get("priority").and_then(|node| self.priority(what, node)),
            protocol: self.optional_word(&fields, "protocol", what, &protocols),
            protocol_version: self.optional_word(&fields, "protocol_version", what, &versions),
            health_check: fields
                .get("health_check")
                .and_then(|node| self.target_health_check(&format!("{what}: health_check"), node))
                .unwrap_or_default(),
            deregistration_delay: self.optional_amount(
                &fields,
                "deregistration_delay",
                what,
                Allowed::Range(0, 3600),
            ),
            listener: listener?,
            vpc: vpc?,
        })
    }

    fn priority(&mut self, what: &str, node: &Node) -> Option<Amount> {
        let before = self.report.count();
        let read = self.amount(node, &format!("{what}: priority"), Allowed::Range(1, 50_000));
        if self.report.count() > before {
            self.report
                .explain_last("left out, it is the next free one, which the plan fixes");
        }
        read
    }

    fn target_health_check(&mut self, what: &str, node: &'a Node) -> Option<TargetHealthCheck> {
        let fields = Fields::of(node, what, &HEALTH_KEYS, &mut self.report)?;
        let read = TargetHealthCheck {
            path: self.optional_formed(&fields, "path", what, Form::Path),
            matcher: self.optional_template(&fields, "matcher", what),
            interval: self.optional_number(&fields, "interval", what, 5, 300),
            timeout: self.optional_number(&fields, "timeout", what, 2, 120),
            healthy_threshold: self.optional_number(&fields, "healthy_threshold", what, 2, 10),
            unhealthy_threshold: self.optional_number(&fields, "unhealthy_threshold", what, 2, 10),
        };
        let interval = read.interval.unwrap_or(DEFAULT_INTERVAL);
        let timeout = read.timeout.unwrap_or(DEFAULT_TIMEOUT);
        if timeout >= interval {
            let at = fields
                .get("timeout")
                .or_else(|| fields.get("interval"))
                .unwrap_or(node);
            self.report
                .error(
                    at.at,
                    format!("{what}: a timeout of {timeout} s does not fit into an interval of {interval} s"),
                )
                .hint("a load balancer wants the timeout to be shorter than the interval");
        }
        Some(read)
    }
}

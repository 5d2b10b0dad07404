//! `services`: what Towline owns (`fargate`) and what it only updates (`existing`).

use indexmap::IndexMap;

use super::{Reading, word};
use crate::domain::{
    name::{ContainerName, EcsServiceName, ServiceName},
    project::{
        check::{Use, Wants},
        definition::{
            Architecture, Container, ExistingService, FargateService, LoadBalancer, Network, Rollout,
            Service, ServiceKind,
        },
        report::{self, Fields},
        template::{Amount, Template, Texts},
        yaml::{Kind, Node},
    },
};

const FARGATE_KEYS: [&str; 16] = [
    "kind",
    "after",
    "service",
    "stack",
    "cpu",
    "memory",
    "architecture",
    "containers",
    "network",
    "load_balancers",
    "desired_count",
    "task_role",
    "execution_role",
    "minimum_healthy_percent",
    "maximum_percent",
    "tags",
];
const EXISTING_KEYS: [&str; 4] = ["kind", "after", "service", "containers"];

#[derive(Clone, Copy)]
enum KindWord {
    Fargate,
    Existing,
}

impl<'a> Reading<'a> {
    pub(super) fn service(&mut self, key: &'a str, node: &'a Node) -> Option<Service> {
        let what = format!("service {key}");
        let entries = report::map(node, &what, &mut self.report)?;
        let Some(kind) = entries.iter().find(|entry| entry.key == "kind") else {
            self.report
                .error(node.at, format!("{what} lacks kind"))
                .hint("`fargate`: Towline owns the service; `existing`: it only changes its images");
            return None;
        };
        let words = [("fargate", KindWord::Fargate), ("existing", KindWord::Existing)];
        let word = word(&kind.value, &format!("{what}: kind"), &words, &mut self.report)?;
        let known: &[&str] = match word {
            KindWord::Fargate => &FARGATE_KEYS,
            KindWord::Existing => &EXISTING_KEYS,
        };
        let fields = Fields::of(node, &what, known, &mut self.report)?;
        let after = self.after(&what, fields.get("after"));
        let kind = match word {
            KindWord::Fargate => self
                .fargate(key, &what, &fields)
                .map(|it| ServiceKind::Fargate(Box::new(it))),
            KindWord::Existing => self.existing(key, &what, &fields).map(ServiceKind::Existing),
        };
        Some(Service { after, kind: kind? })
    }

    fn after(&mut self, what: &str, node: Option<&'a Node>) -> Vec<ServiceName> {
        let what = format!("{what}: after");
        let items = node
            .and_then(|node| report::list(node, &what, &mut self.report))
            .unwrap_or_default();
        items
            .iter()
            .filter_map(|item| self.reference(item, &what, "service", self.known.services))
            .collect()
    }

    fn ecs_service(&mut self, key: &str, what: &str, fields: &Fields<'a>) -> Option<EcsServiceName> {
        match fields.get("service") {
            Some(node) => report::parsed(node, &format!("{what}: service"), &mut self.report),
            None => key.parse().ok(),
        }
    }

    fn existing(&mut self, key: &str, what: &str, fields: &Fields<'a>) -> Option<ExistingService> {
        let service = self.ecs_service(key, what, fields);
        let node = fields.need("containers", &mut self.report)?;
        let entries = report::map(node, &format!("{what}: containers"), &mut self.report)?;
        if entries.is_empty() {
            self.report.error(
                node.at,
                format!("{what}: containers is empty: there would be nothing to update"),
            );
        }
        let mut containers: IndexMap<ContainerName, _> = IndexMap::new();
        for entry in entries {
            let name = self.key(entry);
            let at = format!("{what}: container {}", entry.key);
            let image = self.reference(&entry.value, &at, "image", self.known.images);
            if let (Some(name), Some(image)) = (name, image) {
                containers.insert(name, image);
            }
        }
        Some(ExistingService {
            service: service?,
            containers,
        })
    }

    fn fargate(&mut self, key: &str, what: &str, fields: &Fields<'a>) -> Option<FargateService> {
        let service = self.ecs_service(key, what, fields);
        let (cpu, memory) = self.size(what, fields);
        let architecture = fields.get("architecture").map(|node| {
            let words = [("x86_64", Architecture::X86_64), ("arm64", Architecture::Arm64)];
            word(node, &format!("{what}: architecture"), &words, &mut self.report)
        });
        let before = self.report.count();
        let containers = self.containers(what, fields);
        // What refers to containers that could not be read is not to blame.
        let known = (self.report.count() == before).then_some(containers.as_slice());
        let network = fields
            .need("network", &mut self.report)
            .and_then(|node| self.network(what, node));
        let load_balancers = self.load_balancers(what, fields.get("load_balancers"), known);
        let desired_count = fields
            .get("desired_count")
            .map(|node| self.amount(node, &format!("{what}: desired_count")));
        let rollout = self.rollout(what, fields);
        let optional = |reading: &mut Self, key| reading.optional_template(fields, key, what);
        Some(FargateService {
            stack: optional(self, "stack"),
            task_role: optional(self, "task_role"),
            execution_role: optional(self, "execution_role"),
            tags: self.tags(what, fields.get("tags")),
            service: service?,
            cpu: cpu?,
            memory: memory?,
            architecture: architecture.unwrap_or(Some(Architecture::default()))?,
            containers,
            network: network?,
            load_balancers,
            desired_count: match desired_count {
                Some(amount) => Some(amount?),
                None => None,
            },
            rollout,
        })
    }

    fn tags(&mut self, what: &str, node: Option<&'a Node>) -> IndexMap<String, Template> {
        let tags = self.template_map(node, &format!("{what}: tags"));
        if let Some(Kind::Map(entries)) = node.map(|node| &node.kind) {
            for entry in entries {
                let prefix = ["aws:", "towline:"]
                    .iter()
                    .find(|prefix| entry.key.starts_with(**prefix));
                if let Some(prefix) = prefix {
                    self.report.error(
                        entry.key_at,
                        format!("{what}: tags: names with {prefix} are taken"),
                    );
                }
            }
        }
        tags
    }

    /// Both are checked together, on every target: Fargate has fixed sizes.
    fn size(&mut self, what: &str, fields: &Fields<'a>) -> (Option<Amount>, Option<Amount>) {
        let [cpu, memory] = ["cpu", "memory"].map(|key| fields.need(key, &mut self.report));
        let (cpu_at, memory_at) = (cpu.map(|node| node.at), memory.map(|node| node.at));
        let cpu = cpu.and_then(|node| self.amount(node, &format!("{what}: cpu")));
        let memory = memory.and_then(|node| self.amount(node, &format!("{what}: memory")));
        let what = what.to_owned();
        if let (Some(at), Some(cpu)) = (cpu_at, &cpu) {
            self.uses.push(Use {
                at,
                wants: Wants::FargateCpu {
                    what: what.clone(),
                    cpu: cpu.clone(),
                },
            });
        }
        if let (Some(at), Some(cpu), Some(memory)) = (memory_at, &cpu, &memory) {
            let wants = Wants::FargateMemory {
                what,
                cpu: cpu.clone(),
                memory: memory.clone(),
            };
            self.uses.push(Use { at, wants });
        }
        (cpu, memory)
    }

    fn amount(&mut self, node: &Node, what: &str) -> Option<Amount> {
        if matches!(&node.kind, Kind::Scalar { text, .. } if text.contains("${")) {
            let amount = Amount::Of(self.unchecked_template(node, what)?);
            self.uses.push(Use {
                at: node.at,
                wants: Wants::Amount(amount.clone()),
            });
            return Some(amount);
        }
        report::number(node, what, 0..=u32::MAX, &mut self.report).map(Amount::Fixed)
    }

    fn texts(&mut self, node: &'a Node, what: &str) -> Option<Texts> {
        let texts = match &node.kind {
            Kind::Scalar { text, .. } if text.contains("${") => {
                Texts::Whole(self.unchecked_template(node, what)?)
            }
            _ => {
                let items = report::list(node, what, &mut self.report)?;
                if items.is_empty() {
                    self.report.error(node.at, format!("{what} is empty"));
                }
                return Some(Texts::Items(self.templates(Some(node), what)));
            }
        };
        self.uses.push(Use {
            at: node.at,
            wants: Wants::Texts(texts.clone()),
        });
        Some(texts)
    }

    fn network(&mut self, what: &str, node: &'a Node) -> Option<Network> {
        let what = format!("{what}: network");
        let known = ["subnets", "security_groups", "assign_public_ip"];
        let fields = Fields::of(node, &what, &known, &mut self.report)?;
        let [subnets, security_groups] = ["subnets", "security_groups"].map(|key| {
            let node = fields.need(key, &mut self.report)?;
            self.texts(node, &format!("{what}: {key}"))
        });
        let public = fields.get("assign_public_ip");
        let public =
            public.map(|node| report::boolean(node, &format!("{what}: assign_public_ip"), &mut self.report));
        Some(Network {
            subnets: subnets?,
            security_groups: security_groups?,
            assign_public_ip: public.unwrap_or(Some(false))?,
        })
    }

    fn rollout(&mut self, what: &str, fields: &Fields<'a>) -> Rollout {
        let mut percent = |key: &str, range| {
            let node = fields.get(key)?;
            report::number(node, &format!("{what}: {key}"), range, &mut self.report)
        };
        let rollout = Rollout {
            minimum_healthy_percent: percent("minimum_healthy_percent", 0..=100),
            maximum_percent: percent("maximum_percent", 100..=400),
        };
        let (minimum, maximum) = (
            rollout.minimum_healthy_percent.unwrap_or(100),
            rollout.maximum_percent.unwrap_or(200),
        );
        if minimum == 100
            && maximum == 100
            && let Some(node) = fields.get("maximum_percent")
        {
            self.report
                .error(
                    node.at,
                    format!("{what}: with 100 percent at least and at most no task could ever be replaced"),
                )
                .hint("raise maximum_percent or lower minimum_healthy_percent");
        }
        rollout
    }

    fn load_balancers(
        &mut self,
        what: &str,
        node: Option<&'a Node>,
        containers: Option<&[Container]>,
    ) -> Vec<LoadBalancer> {
        let what = format!("{what}: load_balancers");
        let items = node
            .and_then(|node| report::list(node, &what, &mut self.report))
            .unwrap_or_default();
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
        let fields = Fields::of(
            node,
            what,
            &["container", "port", "target_group"],
            &mut self.report,
        )?;
        let [name, port, group] =
            ["container", "port", "target_group"].map(|key| fields.need(key, &mut self.report));
        let container: Option<ContainerName> =
            name.and_then(|node| report::parsed(node, &format!("{what}: container"), &mut self.report));
        let port_number = port.and_then(|node| super::containers::port_number(node, what, &mut self.report));
        let target_group = group.and_then(|node| self.template(node, &format!("{what}: target_group")));
        let (container, port_number) = (container?, port_number?);
        if let (Some(containers), Some(name), Some(port)) = (containers, name, port) {
            match containers.iter().find(|it| it.name == container) {
                None => self
                    .report
                    .error(
                        name.at,
                        format!("{what}: there is no container {:?}", container.as_str()),
                    )
                    .one_of(container.as_str(), containers.iter().map(|it| it.name.as_str())),
                Some(it) if it.ports.iter().all(|port| port.port != port_number) => self
                    .report
                    .error(
                        port.at,
                        format!("{what}: container {container} has no port {port_number}"),
                    )
                    .hint(format!("add {port_number} to its ports")),
                Some(_) => {}
            }
        }
        Some(LoadBalancer {
            container,
            port: port_number,
            target_group: target_group?,
        })
    }
}

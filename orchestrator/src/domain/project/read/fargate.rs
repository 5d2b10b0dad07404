//! A `fargate` service as a whole.

use indexmap::IndexMap;

use super::Reading;
use crate::domain::project::{
    check::{Allowed, Use, Wants},
    definition::{
        Architecture, CapacityProvider, Container, FargateService, Link, Network, OverriddenResource,
        Provider, Rebalancing, TagPropagation,
    },
    forms::Form,
    report::Fields,
    template::{Amount, Switch, Template},
    yaml::{Kind, Node},
};

/// What a service of kind `fargate` may say.
pub(super) const KEYS: [&str; 33] = [
    "kind",
    "after",
    "only_in",
    "service",
    "stack",
    "adopt",
    "cpu",
    "memory",
    "architecture",
    "containers",
    "network",
    "load_balancers",
    "desired_count",
    "task_role",
    "execution_role",
    "kms_keys",
    "minimum_healthy_percent",
    "maximum_percent",
    "circuit_breaker",
    "alarms",
    "tags",
    "volumes",
    "ephemeral_storage",
    "platform_version",
    "execute_command",
    "capacity_providers",
    "health_check_grace_period",
    "propagate_tags",
    "managed_tags",
    "availability_zone_rebalancing",
    "log_retention",
    "log_group",
    "overrides",
];

/// The days that CloudWatch Logs can keep lines for.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
const RETENTIONS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];
/// A stack has 50 tags; two are Towline's.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>
const MOST_TAGS: usize = 48;
/// The longest grace period that ECS takes.
const LONGEST_GRACE: u32 = 2_147_483_647;

impl<'a> Reading<'a> {
    pub(super) fn fargate(&mut self, key: &str, what: &str, fields: &Fields<'a>) -> Option<FargateService> {
        let service = self.ecs_service(key, what, fields);
        let (cpu, memory) = self.size(what, fields);
        let volumes = self.volumes(what, fields);
        let before = self.report.count();
        let containers = self.containers(what, fields);
        // What refers to containers that could not be read is not to blame.
        let known = (self.report.count() == before).then_some(containers.as_slice());
        if known.is_some() {
            self.check_mounts(what, fields, &volumes, &containers);
        }
        let network = fields
            .need("network", &mut self.report)
            .and_then(|node| self.network(what, node));
        let load_balancers = self.load_balancers(what, fields, known);
        let architectures = [("x86_64", Architecture::X86_64), ("arm64", Architecture::Arm64)];
        let desired_count = self.optional_amount(fields, "desired_count", what, Allowed::Any);
        let rollout = self.rollout(what, fields, desired_count.as_ref());
        let read = FargateService {
            stack: self.optional_formed(fields, "stack", what, Form::StackName),
            adopt: self.optional_switch(fields, "adopt", what),
            task_role: self.optional_formed(fields, "task_role", what, Form::Role),
            execution_role: self.optional_formed(fields, "execution_role", what, Form::Role),
            kms_keys: self.kms_keys(what, fields),
            tags: self.tags(what, fields.get("tags")),
            architecture: self
                .optional_word(fields, "architecture", what, &architectures)
                .unwrap_or_default(),
            ephemeral_storage: self.optional_amount(
                fields,
                "ephemeral_storage",
                what,
                Allowed::Range(21, 200),
            ),
            platform_version: self.optional_formed(fields, "platform_version", what, Form::PlatformVersion),
            execute_command: self.optional_switch(fields, "execute_command", what),
            capacity_providers: self.capacity_providers(what, fields),
            health_check_grace_period: self.optional_amount(
                fields,
                "health_check_grace_period",
                what,
                Allowed::Range(0, LONGEST_GRACE),
            ),
            propagate_tags: self.propagation(what, fields),
            managed_tags: self.optional_boolean(fields, "managed_tags", what),
            availability_zone_rebalancing: self.rebalancing(what, fields),
            log_retention: self.optional_amount(fields, "log_retention", what, Allowed::OneOf(&RETENTIONS)),
            log_group: self.optional_formed(fields, "log_group", what, Form::LogGroup),
            overrides: self.overrides(what, fields),
            service: service?,
            cpu: cpu?,
            memory: memory?,
            containers,
            network: network?,
            load_balancers,
            desired_count,
            rollout,
            volumes,
        };
        self.check_members(what, fields, &read);
        Some(read)
    }

    fn propagation(&mut self, what: &str, fields: &Fields<'a>) -> Option<TagPropagation> {
        let words = [
            ("service", TagPropagation::Service),
            ("task_definition", TagPropagation::TaskDefinition),
            ("none", TagPropagation::None),
        ];
        self.optional_word(fields, "propagate_tags", what, &words)
    }

    fn rebalancing(&mut self, what: &str, fields: &Fields<'a>) -> Option<Rebalancing> {
        let words = [
            ("enabled", Rebalancing::Enabled),
            ("disabled", Rebalancing::Disabled),
        ];
        self.optional_word(fields, "availability_zone_rebalancing", what, &words)
    }

    fn tags(&mut self, what: &str, node: Option<&'a Node>) -> IndexMap<String, Template> {
        let tags = self.template_map(node, &format!("{what}: tags"));
        if let Some(Kind::Map(entries)) = node.map(|node| &node.kind) {
            if let Some(first) = entries.get(MOST_TAGS) {
                self.report.error(
                    first.key_at,
                    format!("{what}: tags: at most {MOST_TAGS} beside Towline's"),
                );
            }
            for entry in entries {
                if entry.key.chars().count() > 128 {
                    self.report.error(
                        entry.key_at,
                        format!("{what}: tags: a name has at most 128 characters"),
                    );
                }
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
        let cpu = cpu.and_then(|node| self.amount(node, &format!("{what}: cpu"), Allowed::Any));
        let memory = memory.and_then(|node| self.amount(node, &format!("{what}: memory"), Allowed::Any));
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

    fn network(&mut self, what: &str, node: &'a Node) -> Option<Network> {
        let what = format!("{what}: network");
        let known = ["subnets", "security_groups", "assign_public_ip"];
        let fields = Fields::of(node, &what, &known, &mut self.report)?;
        let forms = [
            ("subnets", Form::Subnet),
            ("security_groups", Form::SecurityGroup),
        ];
        let [subnets, security_groups] = forms.map(|(key, form)| {
            let node = fields.need(key, &mut self.report)?;
            self.formed_texts(node, &format!("{what}: {key}"), form)
        });
        let public = self.optional_switch(&fields, "assign_public_ip", &what);
        Some(Network {
            subnets: subnets?,
            security_groups: security_groups?,
            assign_public_ip: public.unwrap_or(Switch::Fixed(false)),
        })
    }

    fn capacity_providers(&mut self, what: &str, fields: &Fields<'a>) -> Vec<CapacityProvider> {
        let items = self.items(fields, "capacity_providers", what);
        let what = format!("{what}: capacity_providers");
        let mut all: Vec<CapacityProvider> = Vec::new();
        for item in items {
            let Some(provider) = self.capacity_provider(&what, item) else {
                continue;
            };
            let name = provider.name.as_str();
            if all.iter().any(|earlier| earlier.name == provider.name) {
                self.report
                    .error(item.at, format!("{what}: {name} is here twice"));
            }
            let is_based = |it: &CapacityProvider| !matches!(it.base, None | Some(Amount::Fixed(0)));
            if is_based(&provider) && all.iter().any(is_based) {
                self.report
                    .error(item.at, format!("{what}: only one provider can have a base"));
            }
            all.push(provider);
        }
        let is_weightless = |it: &CapacityProvider| matches!(it.weight, None | Some(Amount::Fixed(0)));
        if let (Some(node), false) = (fields.get("capacity_providers"), all.is_empty())
            && all.len() == items.len()
            && all.iter().all(is_weightless)
        {
            self.report
                .error(node.at, format!("{what}: no provider has a weight"))
                .hint("give at least one a weight of 1 or more");
        }
        all
    }

    fn capacity_provider(&mut self, what: &str, node: &'a Node) -> Option<CapacityProvider> {
        let fields = Fields::of(node, what, &["name", "base", "weight"], &mut self.report)?;
        let words = [Provider::Fargate, Provider::FargateSpot].map(|it| (it.as_str(), it));
        let name = fields.need("name", &mut self.report);
        let name =
            name.and_then(|node| super::word(node, &format!("{what}: name"), &words, &mut self.report));
        Some(CapacityProvider {
            base: self.optional_amount(&fields, "base", what, Allowed::Range(0, 100_000)),
            weight: self.optional_amount(&fields, "weight", what, Allowed::Range(0, 1000)),
            name: name?,
        })
    }

    /// Members that say nothing together with others, or too little.
    fn check_members(&mut self, what: &str, fields: &Fields<'a>, read: &FargateService) {
        if let (Some(node), Some(_)) = (fields.get("log_retention"), &read.log_group) {
            self.report
                .error(
                    node.at,
                    format!("{what}: log_retention is of the log group that the stack makes, and log_group names another"),
                )
                .hint("leave one of the two out");
        }
        if let (Some(node), true) = (
            fields.get("health_check_grace_period"),
            read.load_balancers.is_empty(),
        ) {
            self.report
                .error(
                    node.at,
                    format!("{what}: health_check_grace_period needs load_balancers"),
                )
                .hint("for a container's own health check there is start_period");
        }
        if let Some(node) = fields.get("availability_zone_rebalancing")
            && read.availability_zone_rebalancing == Some(Rebalancing::Enabled)
            && matches!(read.rollout.maximum_percent, Some(Amount::Fixed(..=100)))
        {
            self.report
                .error(
                    node.at,
                    format!("{what}: ECS rebalances only where maximum_percent is above 100"),
                )
                .hint("raise maximum_percent");
        }
        self.check_task_role(what, fields, read);
        self.check_shares(what, fields, read);
        self.check_overrides(what, fields, read);
    }

    /// What acts with the task role needs one.
    fn check_task_role(&mut self, what: &str, fields: &Fields<'a>, read: &FargateService) {
        if read.task_role.is_some() {
            return;
        }
        if let (Some(node), Some(switch)) = (fields.get("execute_command"), &read.execute_command) {
            self.uses.push(Use {
                at: node.at,
                wants: Wants::Off {
                    switch: switch.clone(),
                    message: format!("{what}: execute_command acts with the task role, and there is none"),
                    hint: "give a task_role that may ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel and OpenDataChannel".to_owned(),
                },
            });
        }
        let Some(Kind::List(items)) = fields.get("volumes").map(|node| &node.kind) else {
            return;
        };
        for (volume, node) in read.volumes.iter().zip(items) {
            if volume.efs.as_ref().is_some_and(|efs| efs.iam) {
                self.report
                    .error(
                        node.at,
                        format!(
                            "{what}: volume {} uses the task role (iam), and there is none",
                            volume.name
                        ),
                    )
                    .hint("give a task_role");
            }
        }
    }

    /// A task has at least what its containers take.
    fn check_shares(&mut self, what: &str, fields: &Fields<'a>, read: &FargateService) {
        let cpu = read.containers.iter().filter_map(|it| it.cpu.clone()).collect();
        let reserved = |it: &Container| it.memory_reservation.clone().or_else(|| it.memory.clone());
        let memory = read.containers.iter().filter_map(reserved).collect();
        let shares = [
            ("cpu", "CPU units", cpu, &read.cpu),
            ("memory", "MiB", memory, &read.memory),
        ];
        for (key, unit, parts, whole) in shares {
            if let Some(node) = fields.get(key) {
                self.uses.push(Use {
                    at: node.at,
                    wants: Wants::Share {
                        what: what.to_owned(),
                        unit,
                        parts,
                        whole: whole.clone(),
                    },
                });
            }
        }
    }

    fn check_overrides(&mut self, what: &str, fields: &Fields<'a>, read: &FargateService) {
        let Some(Kind::Map(entries)) = fields.get("overrides").map(|node| &node.kind) else {
            return;
        };
        let has_rule = read
            .load_balancers
            .iter()
            .any(|it| matches!(it.link, Link::ListenerRule(_)));
        for (resource, _) in &read.overrides {
            let (is_made, why) = match resource {
                OverriddenResource::Service | OverriddenResource::TaskDefinition => continue,
                OverriddenResource::LogGroup => (read.log_group.is_none(), "log_group names one that exists"),
                OverriddenResource::ExecutionRole => (
                    read.execution_role.is_none(),
                    "execution_role names one that exists",
                ),
                OverriddenResource::TargetGroup | OverriddenResource::ListenerRule => {
                    (has_rule, "no load balancer is linked by a listener_rule")
                }
            };
            if let (false, Some(entry)) = (
                is_made,
                entries.iter().find(|entry| entry.key == resource.as_str()),
            ) {
                self.report.error(
                    entry.key_at,
                    format!(
                        "{what}: overrides: the stack makes no {}: {why}",
                        resource.as_str()
                    ),
                );
            }
        }
    }
}

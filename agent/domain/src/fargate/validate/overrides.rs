//! The faults of overrides: what is patched must be made, must stay what it is, and
//! must not bring in by the back door what Fargate or Towline does not do.

use serde_json::Value;

use super::Faults;
use crate::fargate::spec::{FargateService, Link};

/// What an override is merged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Service,
    TaskDefinition,
    LogGroup,
    ExecutionRole,
    TargetGroup,
    ListenerRule,
}

impl Target {
    /// All of them, in the order in which they are named to people.
    pub const ALL: [Self; 6] = [
        Self::Service,
        Self::TaskDefinition,
        Self::LogGroup,
        Self::ExecutionRole,
        Self::TargetGroup,
        Self::ListenerRule,
    ];

    /// The specification's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::TaskDefinition => "task_definition",
            Self::LogGroup => "log_group",
            Self::ExecutionRole => "execution_role",
            Self::TargetGroup => "target_group",
            Self::ListenerRule => "listener_rule",
        }
    }

    /// CloudFormation's word.
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::Service => "AWS::ECS::Service",
            Self::TaskDefinition => "AWS::ECS::TaskDefinition",
            Self::LogGroup => "AWS::Logs::LogGroup",
            Self::ExecutionRole => "AWS::IAM::Role",
            Self::TargetGroup => "AWS::ElasticLoadBalancingV2::TargetGroup",
            Self::ListenerRule => "AWS::ElasticLoadBalancingV2::ListenerRule",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.as_str() == word)
    }

    /// The properties by which the rest of the template, and Towline, know the resource.
    fn fixed(self) -> &'static [&'static str] {
        match self {
            Self::Service => &["ServiceName", "Cluster", "TaskDefinition", "Tags"],
            Self::TaskDefinition => &["Family", "RequiresCompatibilities", "NetworkMode", "Tags"],
            Self::LogGroup => &["LogGroupName"],
            Self::ExecutionRole | Self::TargetGroup | Self::ListenerRule => &["Tags"],
        }
    }
}

/// What Fargate or Towline does not do, wherever it stands in a patch.
const LIMITS: [(&str, &str); 21] = [
    ("Privileged", "Fargate has no privileged containers"),
    (
        "DisableNetworking",
        "Fargate cannot disable a container's networking",
    ),
    ("DnsServers", "Fargate has no DNS servers of a container's own"),
    (
        "DnsSearchDomains",
        "Fargate has no DNS search domains of a container's own",
    ),
    ("ExtraHosts", "Fargate has no extra hosts"),
    ("Hostname", "Fargate has no host name of a container's own"),
    ("Links", "Fargate has no links between containers"),
    ("DockerSecurityOptions", "Fargate has no Docker security options"),
    ("ResourceRequirements", "Fargate has no GPUs"),
    ("InferenceAccelerators", "Fargate has no inference accelerators"),
    ("PlacementConstraints", "Fargate places tasks itself"),
    ("PlacementStrategies", "Fargate places tasks itself"),
    ("HostPort", "on Fargate the host's port is the container's"),
    ("Devices", "Fargate has no host devices"),
    ("SharedMemorySize", "Fargate has no shared memory size"),
    ("MaxSwap", "Fargate has no swap settings"),
    ("Swappiness", "Fargate has no swap settings"),
    ("FirelensConfiguration", "FireLens is not supported by Towline"),
    ("ProxyConfiguration", "App Mesh is not supported by Towline"),
    (
        "ServiceRegistries",
        "service discovery is not supported by Towline",
    ),
    (
        "LifecycleHooks",
        "blue/green deployments are not supported by Towline",
    ),
];

/// The patches, parsed; faults where one cannot be.
pub(super) fn check(service: &FargateService, faults: &mut Faults) -> Vec<(Target, Value)> {
    let mut patches = Vec::new();
    for (at, patch) in service.overrides.iter().enumerate() {
        let field = |member: &str| format!("overrides[{at}].{member}");
        let target = Target::parse(&patch.resource);
        match target {
            None => {
                let names: Vec<&str> = Target::ALL.into_iter().map(Target::as_str).collect();
                let message = format!("there is no resource {:?}", patch.resource);
                faults.add(
                    field("resource"),
                    message,
                    &format!("one of {}", names.join(", ")),
                );
            }
            Some(target) => {
                if let Some(why) = not_made(service, target) {
                    faults.add(
                        field("resource"),
                        format!("the stack makes no {}: {why}", target.as_str()),
                        "",
                    );
                }
            }
        }
        let value = match serde_json::from_str::<Value>(&patch.merge_patch) {
            Ok(value @ Value::Object(_)) => value,
            Ok(_) => {
                faults.add(
                    field("merge_patch"),
                    "it is no JSON object",
                    "{\"Properties\": {...}}",
                );
                continue;
            }
            Err(error) => {
                faults.add(
                    field("merge_patch"),
                    format!("it is no JSON: {error}"),
                    "{\"Properties\": {...}}",
                );
                continue;
            }
        };
        limits(&value, &field("merge_patch"), faults);
        if let Some(target) = target {
            shape(target, &value, &field("merge_patch"), faults);
            patches.push((target, value));
        }
    }
    patches
}

fn not_made(service: &FargateService, target: Target) -> Option<&'static str> {
    let rules = service
        .load_balancers
        .iter()
        .any(|link| matches!(link.link, Link::ListenerRule(_)));
    match target {
        Target::ExecutionRole if service.execution_role.is_some() => Some("execution_role is given"),
        Target::LogGroup if service.log_group.is_some() => Some("log_group is given"),
        Target::TargetGroup | Target::ListenerRule if !rules => Some("no load balancer is linked by a rule"),
        _ => None,
    }
}

/// A resource has these members beside its type; and some properties are fixed.
fn shape(target: Target, patch: &Value, field: &str, faults: &mut Faults) {
    const MEMBERS: [&str; 6] = [
        "Properties",
        "DependsOn",
        "DeletionPolicy",
        "UpdateReplacePolicy",
        "Metadata",
        "UpdatePolicy",
    ];
    let Value::Object(members) = patch else { return };
    for member in members
        .keys()
        .filter(|member| !MEMBERS.contains(&member.as_str()))
    {
        let message = format!("{member:?} is no member of a resource that can be patched");
        let hint = format!("one of {}; properties go below Properties", MEMBERS.join(", "));
        faults.add(field, message, &hint);
    }
    match members.get("Properties") {
        None => {}
        Some(Value::Object(properties)) => {
            for name in target
                .fixed()
                .iter()
                .filter(|name| properties.contains_key(**name))
            {
                let message = format!("Properties.{name} is not to be patched: Towline needs it as it is");
                faults.add(field, message, "use the specification's own member");
            }
            if target == Target::Service {
                controller(&properties.iter().collect::<Vec<_>>(), field, faults);
            }
        }
        Some(_) => faults.add(field, "Properties is no JSON object", ""),
    }
}

/// Towline follows ECS's rolling deployments of replicas.
fn controller(properties: &[(&String, &Value)], field: &str, faults: &mut Faults) {
    for (name, value) in properties {
        let message = match (name.as_str(), value) {
            ("DeploymentController", value) if value.get("Type").and_then(Value::as_str) != Some("ECS") => {
                "deployment controllers other than ECS are not supported by Towline"
            }
            ("SchedulingStrategy", value) if value.as_str() != Some("REPLICA") => {
                "Fargate has no DAEMON services"
            }
            ("LaunchType", value) if value.as_str() != Some("FARGATE") => "Towline makes Fargate services",
            ("DeploymentConfiguration", value)
                if value
                    .get("Strategy")
                    .is_some_and(|strategy| strategy.as_str() != Some("ROLLING")) =>
            {
                "blue/green, linear and canary deployments are not supported by Towline"
            }
            _ => continue,
        };
        faults.add(field, message, "");
    }
}

fn limits(patch: &Value, field: &str, faults: &mut Faults) {
    match patch {
        Value::Object(members) => {
            for (name, value) in members {
                let limit = LIMITS.iter().find(|(key, _)| key == name);
                // A null takes away, and `Privileged: false` says what is so anyway.
                let asked = !value.is_null() && *value != Value::Bool(false);
                if let Some((name, limit)) = limit.filter(|_| asked) {
                    faults.add(field, format!("{limit} ({name})"), "leave it out");
                } else {
                    limits(value, field, faults);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| limits(item, field, faults)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

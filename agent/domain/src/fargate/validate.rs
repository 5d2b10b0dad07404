//! All faults of a Fargate service at once, each with its field and, where there
//! is one, the next step. What passes is a [`ValidService`], and only that gets
//! a template.

mod containers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::fargate::cycle;
use crate::fargate::spec::{Condition, Container, FargateService, LoadBalancer};
use crate::fargate::template::SERVICE_TAG;
use crate::image_reference::ImageReference;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path in the service: `containers[1].ports[0].container_port`.
    pub field: String,
    pub message: String,
    /// The next step; empty when the message says it.
    pub hint: String,
}

/// A service without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidService {
    spec: FargateService,
    images: Vec<ImageReference>,
}

impl ValidService {
    pub fn spec(&self) -> &FargateService {
        &self.spec
    }

    /// The containers with their images, in order.
    pub fn containers(&self) -> impl Iterator<Item = (&Container, &ImageReference)> {
        self.spec.containers.iter().zip(&self.images)
    }

    /// The images, in the containers' order.
    pub fn images(&self) -> &[ImageReference] {
        &self.images
    }
}

/// Checks everything that can be checked without asking AWS.
///
/// # Errors
/// All faults at once.
pub fn validate(service: &FargateService) -> Result<ValidService, Vec<Violation>> {
    let mut faults = Faults::default();
    names(service, &mut faults);
    size(service, &mut faults);
    let images = containers::check(service, &mut faults);
    dependencies(service, &mut faults);
    network(service, &mut faults);
    load_balancers(service, &mut faults);
    roles(service, &mut faults);
    percentages(service, &mut faults);
    tags(&service.tags, &mut faults);
    if faults.0.is_empty() {
        Ok(ValidService {
            spec: service.clone(),
            images,
        })
    } else {
        Err(faults.0)
    }
}

#[derive(Default)]
struct Faults(Vec<Violation>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>, hint: &str) {
        self.0.push(Violation {
            field: field.into(),
            message: message.into(),
            hint: hint.to_owned(),
        });
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html>: up
/// to 255 letters, digits, underscores and hyphens.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 255 && name.chars().all(allowed)
}

const NAME_RULE: &str = "1 to 255 letters, digits, underscores and hyphens";

fn names(service: &FargateService, faults: &mut Faults) {
    if !is_name(&service.name) {
        faults.add(
            "name",
            format!("{:?} is no name for an ECS service", service.name),
            NAME_RULE,
        );
    }
    if let Some(stack) = &service.stack_name {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let starts = stack.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts || stack.len() > 128 || !stack.chars().all(allowed) {
            faults.add(
                "stack_name",
                format!("{stack:?} is no name for a stack"),
                "a letter, then up to 127 letters, digits and hyphens; or leave it out",
            );
        }
    }
}

/// Fargate's sizes: CPU units, and the MiB that go with them as lowest, highest and step.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html>
const SIZES: [(u32, u32, u32, u32); 7] = [
    (256, 512, 2048, 512),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
];

fn size(service: &FargateService, faults: &mut Faults) {
    let Some((_, lowest, highest, step)) = SIZES.iter().find(|size| size.0 == service.cpu) else {
        let all: Vec<String> = SIZES.iter().map(|size| size.0.to_string()).collect();
        faults.add(
            "cpu",
            format!("Fargate has no task with {} CPU units", service.cpu),
            &format!("one of {}", all.join(", ")),
        );
        return;
    };
    let fits =
        (*lowest..=*highest).contains(&service.memory) && (service.memory - lowest).is_multiple_of(*step);
    // The smallest size has 512, 1024 and 2048, and no 1536.
    if !fits || (service.cpu == 256 && service.memory == 1536) {
        let choice = if service.cpu == 256 {
            "512, 1024 or 2048 MiB".to_owned()
        } else {
            format!("{lowest} to {highest} MiB in steps of {step}")
        };
        faults.add(
            "memory",
            format!(
                "Fargate has no task with {} CPU units and {} MiB",
                service.cpu, service.memory
            ),
            &choice,
        );
    }
    let cpu: u64 = service
        .containers
        .iter()
        .filter_map(|c| c.cpu)
        .map(u64::from)
        .sum();
    if cpu > u64::from(service.cpu) {
        let message = format!(
            "the containers ask for {cpu} CPU units, the task has {}",
            service.cpu
        );
        faults.add("cpu", message, "");
    }
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, RESOURCE starting as given and going on.
fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, found, _, _, rest] = parts.as_slice() else {
        return false;
    };
    let clean = text.chars().all(|c| c.is_ascii_graphic());
    let goes_on = rest.strip_prefix(resource).is_some_and(|rest| !rest.is_empty());
    *arn == "arn" && partition.starts_with("aws") && *found == service && goes_on && clean
}

fn dependencies(service: &FargateService, faults: &mut Faults) {
    let names: Vec<&str> = service.containers.iter().map(|c| c.name.as_str()).collect();
    let mut edges = Vec::new();
    for (at, container) in service.containers.iter().enumerate() {
        for (index, dependency) in container.depends_on.iter().enumerate() {
            let field = format!("containers[{at}].depends_on[{index}]");
            edges.push((container.name.as_str(), dependency.container.as_str()));
            let Some(other) = service.containers.iter().find(|c| c.name == dependency.container) else {
                faults.add(
                    field,
                    format!("there is no container {:?}", dependency.container),
                    "",
                );
                continue;
            };
            match dependency.condition {
                Condition::Complete | Condition::Success if other.essential => faults.add(
                    field,
                    format!("{:?} is essential, so the task would end with it", other.name),
                    "set essential: false on the container that is to end",
                ),
                Condition::Healthy => faults.add(
                    field,
                    format!("{:?} has no health check that could turn HEALTHY", other.name),
                    "use the condition START",
                ),
                _ => {}
            }
        }
    }
    if let Some(circle) = cycle::find(&names, &edges) {
        let message = format!(
            "these containers wait for each other in a circle: {}",
            circle.join(", ")
        );
        faults.add("containers", message, "");
    }
}

fn network(service: &FargateService, faults: &mut Faults) {
    let network = &service.network;
    if network.subnets.is_empty() {
        faults.add(
            "network.subnets",
            "there is no subnet",
            "give at least one; tasks start there",
        );
    }
    // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html
    for (member, prefix, ids, most) in [
        ("subnets", "subnet-", &network.subnets, 16),
        ("security_groups", "sg-", &network.security_groups, 5),
    ] {
        if ids.len() > most {
            faults.add(
                format!("network.{member}"),
                format!("{} are more than {most}", ids.len()),
                "",
            );
        }
        for (at, id) in ids.iter().enumerate() {
            let known = id.strip_prefix(prefix).is_some_and(|rest| {
                !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            });
            if !known {
                let field = format!("network.{member}[{at}]");
                faults.add(field, format!("{id:?} does not start with {prefix}"), "");
            }
        }
    }
}

fn load_balancers(service: &FargateService, faults: &mut Faults) {
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/register-multiple-targetgroups.html
    if service.load_balancers.len() > 5 {
        faults.add("load_balancers", "a service has at most five target groups", "");
    }
    for (at, link) in service.load_balancers.iter().enumerate() {
        let field = |member: &str| format!("load_balancers[{at}].{member}");
        let target_group = link.target_group().unwrap_or_default();
        if !is_arn(target_group, "elasticloadbalancing", "targetgroup/") {
            faults.add(
                field("target_group"),
                format!("{target_group:?} is no ARN of a target group"),
                "arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID",
            );
        }
        linked_port(service, link, &field, faults);
    }
}

fn linked_port(
    service: &FargateService,
    link: &LoadBalancer,
    field: &impl Fn(&str) -> String,
    faults: &mut Faults,
) {
    let Some(container) = service.containers.iter().find(|c| c.name == link.container) else {
        faults.add(
            field("container"),
            format!("there is no container {:?}", link.container),
            "",
        );
        return;
    };
    if !container.ports.iter().any(|port| port.port == link.port) {
        faults.add(
            field("port"),
            format!("container {:?} does not open port {}", link.container, link.port),
            "add it to the container's ports",
        );
    }
}

fn roles(service: &FargateService, faults: &mut Faults) {
    for (field, role) in [
        ("task_role", &service.task_role),
        ("execution_role", &service.execution_role),
    ] {
        if role.as_ref().is_some_and(|role| !is_arn(role, "iam", "role/")) {
            faults.add(
                field,
                format!("{:?} is no ARN of a role", role.as_deref().unwrap_or_default()),
                "arn:aws:iam::ACCOUNT:role/NAME",
            );
        }
    }
}

fn percentages(service: &FargateService, faults: &mut Faults) {
    let minimum = u64::from(service.rollout.minimum_healthy_percent.unwrap_or(100));
    let maximum = u64::from(service.rollout.maximum_percent.unwrap_or(200));
    if minimum > 100 {
        let message = format!("{minimum} % healthy tasks cannot be kept");
        faults.add("rollout.minimum_healthy_percent", message, "0 to 100");
    }
    if !(100..=200).contains(&maximum) {
        faults.add(
            "rollout.maximum_percent",
            format!("{maximum} % is not allowed"),
            "100 to 200",
        );
    }
    let desired = u64::from(service.desired_count.unwrap_or(1));
    let lowest = (desired * minimum).div_ceil(100);
    let highest = desired * maximum / 100;
    if desired > 0 && lowest >= desired && highest <= desired {
        faults.add(
            "rollout",
            format!(
                "with {desired} tasks, {minimum} % and {maximum} % let ECS neither stop nor start a task"
            ),
            "raise maximum_percent or lower minimum_healthy_percent",
        );
    }
}

/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>:
/// at most 50 tags, one of which is Towline's.
fn tags(tags: &BTreeMap<String, String>, faults: &mut Faults) {
    if tags.len() > 49 {
        faults.add("tags", "a stack has at most 49 tags besides Towline's", "");
    }
    for (key, value) in tags {
        let field = format!("tags[{key}]");
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            faults.add(&field, "a key has 1 to 128 characters, a value at most 256", "");
        }
        if key.starts_with("aws:") || key == SERVICE_TAG {
            faults.add(&field, format!("the tag {key:?} is not yours to set"), "");
        }
    }
}

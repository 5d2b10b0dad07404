//! The faults of the containers, one by one.

use super::{Faults, NAME_RULE, is_arn, is_name};
use crate::fargate::spec::{Container, FargateService};
use crate::image_reference::ImageReference;

pub(super) fn check(service: &FargateService, faults: &mut Faults) -> Vec<ImageReference> {
    if service.containers.is_empty() {
        faults.add(
            "containers",
            "there is no container",
            "give at least one, with name and image",
        );
    } else if !service.containers.iter().any(|c| c.essential) {
        faults.add(
            "containers",
            "no container is essential",
            "leave essential out for the one that matters",
        );
    }
    let mut images = Vec::new();
    for (at, container) in service.containers.iter().enumerate() {
        let field = |member: &str| format!("containers[{at}].{member}");
        if !is_name(&container.name) {
            faults.add(
                field("name"),
                format!("{:?} is no name for a container", container.name),
                NAME_RULE,
            );
        } else if service
            .containers
            .iter()
            .take(at)
            .any(|c| c.name == container.name)
        {
            faults.add(
                field("name"),
                format!("the container {:?} is there twice", container.name),
                "",
            );
        }
        match container.image.parse() {
            Ok(image) => images.push(image),
            Err(fault) => faults.add(
                field("image"),
                format!("container {:?}: {fault}", container.name),
                "the whole reference: registry/repository:tag",
            ),
        }
        memory(service, container, &field, faults);
        ports(service, at, container, &field, faults);
        variables(container, &field, faults);
    }
    images
}

fn memory(
    service: &FargateService,
    container: &Container,
    field: &impl Fn(&str) -> String,
    faults: &mut Faults,
) {
    for (member, amount) in [
        ("memory", container.memory),
        ("memory_reservation", container.memory_reservation),
    ] {
        // ECS: a container has at least 6 MiB.
        if amount.is_some_and(|amount| amount < 6 || amount > service.memory) {
            faults.add(
                field(member),
                format!(
                    "{} MiB is not between 6 MiB and the task's {}",
                    amount.unwrap_or(0),
                    service.memory
                ),
                "",
            );
        }
    }
    if let (Some(hard), Some(soft)) = (container.memory, container.memory_reservation)
        && soft > hard
    {
        let message = format!("the soft limit {soft} is above the hard limit {hard}");
        faults.add(field("memory_reservation"), message, "");
    }
}

/// All containers of a task share one network interface (awsvpc), so ports must differ.
fn ports(
    service: &FargateService,
    at: usize,
    container: &Container,
    field: &impl Fn(&str) -> String,
    faults: &mut Faults,
) {
    for (index, port) in container.ports.iter().enumerate() {
        let path = field(&format!("ports[{index}].container_port"));
        if !(1..=65_535).contains(&port.port) {
            faults.add(path, format!("{} is no port", port.port), "1 to 65535");
            continue;
        }
        let before = service.containers.iter().take(at).flat_map(|c| &c.ports);
        if before
            .chain(container.ports.iter().take(index))
            .any(|other| other == port)
        {
            faults.add(
                path,
                format!("port {} is taken already in this task", port.port),
                "",
            );
        }
    }
}

fn variables(container: &Container, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    for name in container.environment.keys().chain(container.secrets.keys()) {
        if name.is_empty() || name.contains('=') {
            faults.add(
                field("environment"),
                format!("{name:?} is no name for a variable"),
                "",
            );
        }
    }
    for (name, value) in &container.secrets {
        if container.environment.contains_key(name) {
            let message = format!("{name} is in environment and in secrets");
            faults.add(field(&format!("secrets[{name}]")), message, "keep one of them");
        }
        let known = is_arn(value, "secretsmanager", "secret:") || is_arn(value, "ssm", "parameter/");
        if !known {
            faults.add(
                field(&format!("secrets[{name}]")),
                format!("{value:?} is no ARN of a secret or parameter"),
                "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME or arn:aws:ssm:REGION:ACCOUNT:parameter/NAME; \
                 values of secrets never go here",
            );
        }
    }
}

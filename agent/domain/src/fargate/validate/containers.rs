//! The faults of the containers, one by one and among each other.

use super::{Faults, NAME_RULE, is_arn, is_name, logging, secret_source, tmpfs};
use crate::fargate::cycle;
use crate::fargate::spec::{Condition, Container, FargateService, Protocol};
use crate::image_reference::ImageReference;

mod process;

pub(super) fn check(service: &FargateService, faults: &mut Faults) -> Vec<ImageReference> {
    if service.containers.is_empty() {
        let hint = "give at least one, with name and image";
        faults.add("containers", "there is no container", hint);
    } else if !service.containers.iter().any(|c| c.essential) {
        let hint = "leave essential out for the one that matters";
        faults.add("containers", "no container is essential", hint);
    }
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
    if service.containers.len() > 10 {
        let count = service.containers.len();
        faults.add(
            "containers",
            format!("a task has at most 10 containers, not {count}"),
            "",
        );
    }
    let mut images = Vec::new();
    for (at, container) in service.containers.iter().enumerate() {
        let field = |member: &str| format!("containers[{at}].{member}");
        let mut before = service.containers.iter().take(at);
        if !is_name(&container.name) {
            let message = format!("{:?} is no name for a container", container.name);
            faults.add(field("name"), message, NAME_RULE);
        } else if before.any(|c| c.name == container.name) {
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
        files_and_credentials(container, &field, faults);
        logging::check(container, &field, faults);
        process::check(container, &field, faults);
        tmpfs::check(container, &field, faults);
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
        if let Some(amount) = amount.filter(|amount| *amount < 6 || *amount > service.memory) {
            let message = format!(
                "{amount} MiB is not between 6 MiB and the task's {}",
                service.memory
            );
            faults.add(field(member), message, "");
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
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html>
fn ports(
    service: &FargateService,
    at: usize,
    container: &Container,
    field: &impl Fn(&str) -> String,
    faults: &mut Faults,
) {
    for (index, port) in container.ports.iter().enumerate() {
        let path = |member: &str| field(&format!("ports[{index}].{member}"));
        let earlier = || {
            let before = service.containers.iter().take(at).flat_map(|c| &c.ports);
            before.chain(container.ports.iter().take(index))
        };
        if !(1..=65_535).contains(&port.port) {
            faults.add(
                path("container_port"),
                format!("{} is no port", port.port),
                "1 to 65535",
            );
        } else if earlier().any(|other| (other.port, other.protocol) == (port.port, port.protocol)) {
            let message = format!("port {} is taken already in this task", port.port);
            faults.add(path("container_port"), message, "");
        }
        if let Some(name) = &port.name {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
            if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) || name.starts_with('-') {
                let message = format!("{name:?} is no name for a port");
                let hint = "1 to 64 lower-case letters, digits, underscores and hyphens, no hyphen first";
                faults.add(path("name"), message, hint);
            } else if earlier().any(|other| other.name.as_ref() == Some(name)) {
                faults.add(
                    path("name"),
                    format!("{name:?} names another port of this task"),
                    "",
                );
            }
        }
        let Some(protocol) = &port.app_protocol else {
            continue;
        };
        if !matches!(protocol.as_str(), "http" | "http2" | "grpc") {
            let message = format!("ECS has no application protocol {protocol:?}");
            faults.add(path("app_protocol"), message, "http, http2 or grpc");
        } else if port.protocol == Protocol::Udp {
            faults.add(
                path("app_protocol"),
                format!("{protocol} does not go over UDP"),
                "",
            );
        }
        if port.name.is_none() {
            let message = "an application protocol belongs to a port with a name";
            faults.add(path("app_protocol"), message, "name the port");
        }
    }
}

fn variables(container: &Container, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    let members = [
        ("environment", container.environment.keys()),
        ("secrets", container.secrets.keys()),
    ];
    for (member, names) in members {
        for name in names.filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            let field = field(&format!("{member}[{name}]"));
            faults.add(field, format!("{name:?} is no name for a variable"), "");
        }
    }
    for (name, value) in &container.secrets {
        let field = field(&format!("secrets[{name}]"));
        if container.environment.contains_key(name) {
            let message = format!("{name} is in environment and in secrets");
            faults.add(&field, message, "keep one of them");
        }
        if let Err(hint) = secret_source(value) {
            faults.add(
                field,
                format!("{value:?} is no ARN of a secret or parameter"),
                hint,
            );
        }
    }
}

fn files_and_credentials(container: &Container, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html
    if container.environment_files.len() > 10 {
        let message = "a container has at most 10 environment files";
        faults.add(field("environment_files"), message, "");
    }
    for (at, arn) in container.environment_files.iter().enumerate() {
        let object = arn.splitn(6, ':').nth(5).and_then(|rest| rest.split_once('/'));
        let is_file = object.is_some_and(|(bucket, key)| !bucket.is_empty() && key.ends_with(".env"));
        if !is_arn(arn, "s3", "") || !is_file {
            let field = field(&format!("environment_files[{at}]"));
            let message = format!("{arn:?} is no ARN of a file in S3 that ends in .env");
            faults.add(field, message, "arn:aws:s3:::BUCKET/PATH.env");
        }
    }
    let credentials = container.repository_credentials.as_ref();
    if let Some(arn) = credentials.filter(|arn| !is_arn(arn, "secretsmanager", "secret:")) {
        faults.add(
            field("repository_credentials"),
            format!("{arn:?} is no ARN of a Secrets Manager secret"),
            "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME",
        );
    }
}

/// Who waits for whom.
pub(super) fn dependencies(service: &FargateService, faults: &mut Faults) {
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
            let earlier = container.depends_on.iter().take(index);
            if earlier
                .into_iter()
                .any(|before| before.container == dependency.container)
            {
                faults.add(
                    &field,
                    format!("{:?} is waited for already", other.name),
                    "keep one condition",
                );
            }
            match dependency.condition {
                Condition::Complete | Condition::Success if other.essential => faults.add(
                    field,
                    format!("{:?} is essential, so the task would end with it", other.name),
                    "set essential: false on the container that is to end",
                ),
                Condition::Healthy if other.health_check.is_none() => faults.add(
                    field,
                    format!("{:?} has no health check that could turn HEALTHY", other.name),
                    "give it a health_check, or use the condition START",
                ),
                _ => {}
            }
        }
    }
    if let Some(circle) = cycle::find(&names, &edges) {
        let circle = circle.join(", ");
        faults.add(
            "containers",
            format!("these containers wait for each other in a circle: {circle}"),
            "",
        );
    }
}

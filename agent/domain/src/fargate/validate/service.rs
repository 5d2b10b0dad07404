//! The faults of the service itself: names, size, network, roles, rollout, tags.

use std::collections::BTreeMap;

use super::{Faults, NAME_RULE, is_arn, is_name};
use crate::fargate::spec::{FargateService, Rebalancing};
use crate::fargate::template::SERVICE_TAG;

pub(super) fn names(service: &FargateService, faults: &mut Faults) {
    if !is_name(&service.name) {
        let message = format!("{:?} is no name for an ECS service", service.name);
        faults.add("name", message, NAME_RULE);
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

/// Fargate's sizes: CPU units, and the MiB that go with them as lowest, highest and
/// step; the same for X86_64 and ARM64.
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

pub(super) fn size(service: &FargateService, faults: &mut Faults) {
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
        let (cpu, memory) = (service.cpu, service.memory);
        faults.add(
            "memory",
            format!("Fargate has no task with {cpu} CPU units and {memory} MiB"),
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
    let reserved = service
        .containers
        .iter()
        .filter_map(|c| c.memory_reservation.or(c.memory));
    let reserved: u64 = reserved.map(u64::from).sum();
    if fits && reserved > u64::from(service.memory) {
        let message = format!(
            "the containers reserve {reserved} MiB, the task has {}",
            service.memory
        );
        faults.add("memory", message, "");
    }
}

pub(super) fn network(service: &FargateService, faults: &mut Faults) {
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
            let field = format!("network.{member}[{at}]");
            if !is_id(id, prefix) {
                faults.add(field, format!("{id:?} does not start with {prefix}"), "");
            } else if ids.iter().take(at).any(|before| before == id) {
                faults.add(field, format!("{id} is there twice"), "");
            }
        }
    }
}

/// An id of EC2, EFS and their like: the prefix, then letters, digits and hyphens.
pub(super) fn is_id(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(|rest| {
        !rest.is_empty() && rest.len() <= 64 && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

pub(super) fn roles(service: &FargateService, faults: &mut Faults) {
    for (field, role) in [
        ("task_role", &service.task_role),
        ("execution_role", &service.execution_role),
    ] {
        if let Some(role) = role.as_ref().filter(|role| !is_arn(role, "iam", "role/")) {
            faults.add(
                field,
                format!("{role:?} is no ARN of a role"),
                "arn:aws:iam::ACCOUNT:role/NAME",
            );
        }
    }
    keys(service, faults);
    if service.execute_command && service.task_role.is_none() {
        faults.add(
            "execute_command",
            "ECS Exec acts with the task role, and there is none",
            "give a task_role that may ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel \
             and OpenDataChannel",
        );
    }
}

/// A policy names a key by its ARN; an alias in its place allows nothing.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html>
fn keys(service: &FargateService, faults: &mut Faults) {
    let keys = &service.kms_keys;
    if service.execution_role.is_some() && !keys.is_empty() {
        faults.add(
            "kms_keys",
            "they are for the role that the stack makes, and execution_role names another",
            "allow that role kms:Decrypt on the keys, and leave kms_keys out",
        );
    }
    for (at, key) in keys.iter().enumerate() {
        let field = format!("kms_keys[{at}]");
        if !is_arn(key, "kms", "key/") || key.contains(['*', '?']) {
            let hint =
                "arn:aws:kms:REGION:ACCOUNT:key/ID; for an alias: aws kms describe-key --key-id alias/NAME";
            faults.add(field, format!("{key:?} is no ARN of a KMS key"), hint);
        } else if keys.iter().take(at).any(|before| before == key) {
            faults.add(field, format!("{key} is there twice"), "");
        }
    }
}

pub(super) fn rollout(service: &FargateService, faults: &mut Faults) {
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
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
    if desired > 5000 {
        faults.add(
            "desired_count",
            format!("a service has at most 5000 tasks, not {desired}"),
            "",
        );
    }
    // A count that is left out is whatever the service has: then only what no count
    // could make right is a fault; the pre-flight looks at the count that there is.
    let stuck = match service.desired_count {
        Some(count) => is_stuck(count, service),
        None => minimum >= 100 && maximum <= 100,
    };
    if stuck {
        let tasks = service
            .desired_count
            .map_or_else(String::new, |count| format!("with {count} tasks, "));
        faults.add(
            "rollout",
            format!("{tasks}{minimum} % and {maximum} % let ECS neither stop nor start a task"),
            "raise maximum_percent or lower minimum_healthy_percent",
        );
    }
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html
    if service.availability_zone_rebalancing == Some(Rebalancing::Enabled) && maximum <= 100 {
        faults.add(
            "availability_zone_rebalancing",
            "ECS moves a task by starting another first, and maximum_percent leaves no room for one",
            "raise rollout.maximum_percent above 100",
        );
    }
    circuit_breaker(service, faults);
    if let Some(alarms) = &service.rollout.alarms {
        if alarms.names.is_empty() {
            faults.add(
                "rollout.alarms.names",
                "there is no alarm",
                "name one, or leave alarms out",
            );
        }
        for (at, name) in alarms.names.iter().enumerate() {
            // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
            if name.is_empty() || name.chars().count() > 255 {
                let field = format!("rollout.alarms.names[{at}]");
                faults.add(
                    field,
                    format!("{name:?} is no name of an alarm"),
                    "1 to 255 characters, no ARN",
                );
            }
        }
    }
}

/// Whether the percentages of a count leave no room to replace a task: the lower
/// bound rounds up, the upper one down.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html>
pub(crate) fn is_stuck(count: u32, service: &FargateService) -> bool {
    let desired = u64::from(count);
    let minimum = u64::from(service.rollout.minimum_healthy_percent.unwrap_or(100));
    let maximum = u64::from(service.rollout.maximum_percent.unwrap_or(200));
    let (lowest, highest) = ((desired * minimum).div_ceil(100), desired * maximum / 100);
    desired > 0 && lowest >= desired && highest <= desired
}

fn circuit_breaker(service: &FargateService, faults: &mut Faults) {
    let breaker = &service.rollout.circuit_breaker;
    let field = |member: &str| format!("rollout.circuit_breaker.{member}");
    if breaker.threshold_percent.is_some() && breaker.threshold_count.is_some() {
        faults.add(
            field("threshold_count"),
            "the threshold is a percentage or a number, not both",
            "",
        );
    }
    faults.range(
        field("threshold_percent"),
        "percentage",
        breaker.threshold_percent,
        1,
        100,
    );
    faults.range(
        field("threshold_count"),
        "number of failed tasks",
        breaker.threshold_count,
        1,
        5000,
    );
    if breaker.enabled == Some(false) {
        let set = [
            ("rollback", breaker.rollback == Some(true)),
            ("threshold_percent", breaker.threshold_percent.is_some()),
            ("threshold_count", breaker.threshold_count.is_some()),
            ("reset_on_healthy_task", breaker.reset_on_healthy_task.is_some()),
        ];
        for (member, _) in set.into_iter().filter(|(_, set)| *set) {
            faults.add(
                field(member),
                "means nothing while the circuit breaker is off",
                "",
            );
        }
    }
}

/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>:
/// at most 50 tags, one of which is Towline's.
pub(super) fn tags(tags: &BTreeMap<String, String>, faults: &mut Faults) {
    if tags.len() > 49 {
        faults.add("tags", "a stack has at most 49 tags besides Towline's", "");
    }
    for (key, value) in tags {
        for fault in tag_faults(key, value) {
            faults.add(format!("tags[{key}]"), fault, "");
        }
    }
}

/// What CloudFormation, or Towline, would refuse about one tag.
pub fn tag_faults(key: &str, value: &str) -> Vec<&'static str> {
    let allowed = |text: &str| {
        text.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@'))
    };
    let fits = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
    let mut faults = Vec::new();
    if !fits(key, 128) || !fits(value, 256) {
        faults.push("CloudFormation takes keys of 1 to 128 characters and values of 1 to 256");
    }
    if !allowed(key) || !allowed(value) {
        faults.push("a tag has letters, digits, spaces and _ . : / = + - @ only");
    }
    if key.to_ascii_lowercase().starts_with("aws:") || key == SERVICE_TAG {
        faults.push("its key is not yours to set");
    }
    faults
}

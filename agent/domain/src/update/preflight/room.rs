//! Whether the cluster's own instances have room for one task more, where a rollout
//! cannot begin by stopping one.

use serde_json::Value;

use super::{Facts, UpdateView, containers};
use crate::fargate::preflight::{Findings, said};
use crate::observed::surroundings::ContainerInstance;
use crate::observed::{Scheduling, TaskDefinition};

/// What one task takes of its instance.
struct Need {
    cpu: u32,
    /// MiB.
    memory: u32,
    /// Ports of the host that it names.
    ports: Vec<u32>,
}

/// Whether the service's tasks run where room may lack.
pub(super) fn matters(view: &UpdateView<'_>) -> bool {
    !is_fargate(view) && view.service.launch_type.as_deref() != Some("EXTERNAL")
}

/// By launch type; under capacity providers by what the task definition is made for.
pub(super) fn is_fargate(view: &UpdateView<'_>) -> bool {
    match view.service.launch_type.as_deref() {
        Some(launch_type) => launch_type == "FARGATE",
        None => {
            let made_for = view.next.definition.get("requiresCompatibilities");
            let made_for = made_for.and_then(Value::as_array);
            made_for.is_some_and(|made_for| made_for.iter().any(|one| one == "FARGATE"))
        }
    }
}

pub(super) fn judge(view: &UpdateView<'_>, facts: &Facts, found: &mut Findings) {
    let service = view.service;
    let Some(answer) = &facts.instances else { return };
    let Some(instances) = said(answer, "the room on the cluster's instances", found) else {
        return;
    };
    if service.desired == 0 || service.scheduling == Scheduling::Daemon || may_stop_first(view) {
        return;
    }
    let need = need(view.next);
    if instances.iter().any(|instance| fits(instance, &need)) {
        return;
    }
    let ports = match need.ports.as_slice() {
        [] => String::new(),
        ports => format!(
            " and the host's port {}",
            ports.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
        ),
    };
    let message = format!(
        "none of the cluster's {} container instances has room for one more task of service {} ({} CPU units, {} MiB{ports}), \
         and at {} % minimum healthy none may be stopped first",
        instances.len(),
        service.name,
        need.cpu,
        need.memory,
        service.minimum_healthy_percent
    );
    if service.launch_type.is_none() {
        found.note(
            "no_room",
            message,
            "its capacity provider may add an instance where managed scaling is on; that takes minutes",
        );
    } else {
        found.warning(
            "no_room",
            message,
            "add an instance, or lower minimumHealthyPercent, so that ECS can stop an old task first",
        );
    }
}

/// The lower bound rounds up.
fn may_stop_first(view: &UpdateView<'_>) -> bool {
    let desired = u64::from(view.service.desired);
    (desired * u64::from(view.service.minimum_healthy_percent)).div_ceil(100) < desired
}

fn fits(instance: &ContainerInstance, need: &Need) -> bool {
    instance.takes_tasks
        && instance.cpu >= need.cpu
        && instance.memory >= need.memory
        && !need.ports.iter().any(|port| instance.ports.contains(port))
}

/// The task's own size, or the sum of its containers'.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>
fn need(definition: &TaskDefinition) -> Need {
    let of_task = |member: &str| number(definition.definition.get(member)?);
    let sum = |members: &[&str]| {
        containers(definition)
            .filter_map(|container| members.iter().find_map(|member| number(container.get(*member)?)))
            .fold(0_u32, u32::saturating_add)
    };
    let mode = definition.definition.get("networkMode").and_then(Value::as_str);
    let mappings = containers(definition)
        .filter(|_| mode != Some("awsvpc"))
        .filter_map(|container| container.get("portMappings")?.as_array())
        .flatten();
    let port = |mapping: &Value| match mode {
        Some("host") => number(mapping.get("containerPort")?),
        _ => number(mapping.get("hostPort")?),
    };
    Need {
        cpu: of_task("cpu").unwrap_or_else(|| sum(&["cpu"])),
        memory: of_task("memory").unwrap_or_else(|| sum(&["memoryReservation", "memory"])),
        ports: mappings.filter_map(port).filter(|port| *port != 0).collect(),
    }
}

/// A number, also one that is written as a text, as a task's size is.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => u32::try_from(value.as_u64()?).ok(),
    }
}

//! The life of a task, one stage after another.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{containers, events, launch, obstacles, placement, task_is_at_rest};
use crate::{
    ecs::{
        model::Service,
        references::find_task_definition,
        task::{Place, Stage, StopCode, Task},
    },
    elb::{Target, TargetState},
    wire::json::{number, text},
    world::{Region, SimTime},
};

/// Moves every task on to `now`.
pub fn step(region: &mut Region, now: SimTime) {
    let tasks = region.ecs.tasks.values();
    let over: Vec<String> = tasks
        .clone()
        .filter(|task| forgotten(region, task, now))
        .map(|task| task.id.clone())
        .collect();
    // Most tasks run and run.
    let ids: Vec<String> = tasks
        .filter(|task| !task_is_at_rest(task, now))
        .map(|task| task.id.clone())
        .collect();
    for id in over {
        region.ecs.forget_task(&id);
    }
    let mut registered: BTreeMap<((String, String), String), usize> = BTreeMap::new();
    for id in ids {
        let Some(mut task) = region.ecs.tasks.remove(&id) else {
            continue;
        };
        for group in advance(region, &mut task, now) {
            let service = (task.cluster.clone(), task.service.clone());
            *registered.entry((service, group)).or_default() += 1;
        }
        region.ecs.tasks.insert(id, task);
    }
    for ((service, group), count) in registered {
        if let Some(mut service) = region.ecs.services.remove(&service) {
            let words = format!("registered {count} targets in (target-group {group})");
            events::add(region, &mut service, now, &words);
            region.ecs.services.insert(service.key(), service);
        }
    }
}

/// Stopped tasks are shown for about an hour.
fn forgotten(region: &Region, task: &Task, now: SimTime) -> bool {
    task.stopped
        .is_some_and(|stopped| now >= stopped.plus_s(region.timing.stopped_tasks_s))
}

/// Moves one task on; the ARNs of the target groups that it was registered in.
fn advance(region: &mut Region, task: &mut Task, now: SimTime) -> Vec<String> {
    if matches!(task.place, Place::Waiting { .. }) && !task.stopping {
        await_instance(region, task, now);
        return Vec::new();
    }
    move_processes(region, task, now);
    if now < task.next {
        return Vec::new();
    }
    match task.stage {
        Stage::Provisioning => provisioned(region, task, now),
        Stage::Pulling => pulled(region, task, now),
        Stage::Starting if !containers::all_have_started(task) => {}
        Stage::Starting => {
            task.started = Some(now);
            enter(task, Stage::Running, now);
            return register(region, task, now);
        }
        Stage::Running | Stage::Stopped => {}
        Stage::Deactivating => enter(task, Stage::Stopping, now.plus_s(stop_s(region, task))),
        Stage::Stopping => {
            for container in task.containers.iter_mut().filter(|container| !container.stopped) {
                container.stopped = true;
                if task.processes_started.is_some() {
                    container.exit_code = Some(container.code_when_stopped());
                }
            }
            let wait_s = if matches!(task.place, Place::Interface { .. }) {
                1.0
            } else {
                0.0
            };
            enter(task, Stage::Deprovisioning, now.plus_s(wait_s));
        }
        Stage::Deprovisioning => {
            release(region, task);
            task.stopped = Some(now);
            enter(task, Stage::Stopped, now);
        }
    }
    Vec::new()
}

fn enter(task: &mut Task, stage: Stage, next: SimTime) {
    task.stage = stage;
    task.next = next;
    task.version += 1;
}

fn release(region: &mut Region, task: &Task) {
    if let Place::Interface { subnet, ip, .. } = &task.place
        && !ip.is_empty()
        && let Some(subnet) = region.network.subnet_mut(subnet)
    {
        subnet.free += 1;
    }
}

/// Takes the instance that has come, or gives up after long.
fn await_instance(region: &mut Region, task: &mut Task, now: SimTime) {
    let Some(definition) = find_task_definition(region, &task.task_definition).cloned() else {
        fail_to_start(task, now, None, "TaskDefinition not found.".to_owned());
        return;
    };
    match placement::look_again(region, task, &definition) {
        Ok(place) => {
            task.place = place;
            task.architecture = launch::architecture(region, task.host(), &definition);
            if matches!(task.place, Place::Interface { .. }) {
                enter(task, Stage::Provisioning, now.plus_s(region.timing.provision_s));
            } else {
                task.pull_started = Some(now);
                enter(task, Stage::Pulling, now.plus_s(launch::pull_s(region, task)));
            }
        }
        Err(reason) if now >= task.next => fail_to_start(task, now, None, reason),
        Err(_) => {}
    }
}

fn provisioned(region: &mut Region, task: &mut Task, now: SimTime) {
    if let Place::Interface { ip, subnet, .. } = &task.place
        && ip.is_empty()
    {
        let reason = format!(
            "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment disabled in subnet '{subnet}': InsufficientFreeAddressesInSubnet"
        );
        fail_to_start(task, now, None, reason);
        return;
    }
    task.pull_started = Some(now);
    enter(task, Stage::Pulling, now.plus_s(launch::pull_s(region, task)));
}

fn pulled(region: &mut Region, task: &mut Task, now: SimTime) {
    let Some(definition) = find_task_definition(region, &task.task_definition).cloned() else {
        fail_to_start(task, now, None, "TaskDefinition not found.".to_owned());
        return;
    };
    task.pull_stopped = Some(now);
    if let Some(obstacle) = obstacles::obstacle(region, task, &definition, now) {
        fail_to_start(task, now, obstacle.container.as_deref(), obstacle.reason);
        return;
    }
    task.processes_started = Some(now);
    move_processes(region, task, now);
    if task.stopping {
        return;
    }
    enter(task, Stage::Starting, now.plus_s(region.timing.start_s));
}

/// What ECS says of a task on an instance whose container could not start.
pub const FAILED_TO_START: &str = "Task failed to start";

fn fail_to_start(task: &mut Task, now: SimTime, container: Option<&str>, reason: String) {
    for one in &mut task.containers {
        one.stopped = true;
        if container == Some(one.name.as_str()) {
            one.reason = Some(reason.clone());
        }
    }
    task.stopping = true;
    task.stopping_at = Some(now);
    task.stop_code = Some(StopCode::TaskFailedToStart);
    // The agent of an instance says of the container what Fargate says of the task.
    task.stopped_reason = Some(if task.launch_type == "EC2" && container.is_some() {
        FAILED_TO_START.to_owned()
    } else {
        reason
    });
    enter(task, Stage::Deprovisioning, now.plus_ms(500));
}

/// Moves the task's processes on; an essential one that ends takes its task along.
fn move_processes(region: &mut Region, task: &mut Task, now: SimTime) {
    if task.processes_started.is_none() || task.stage >= Stage::Deprovisioning {
        return;
    }
    let Some(definition) = find_task_definition(region, &task.task_definition).cloned() else {
        return;
    };
    match containers::step(region, task, &definition, now) {
        containers::Found::Nothing => {}
        _ if task.stopping => {}
        containers::Found::EssentialEnded => {
            task.stopping = true;
            task.stopping_at = Some(now);
            task.stop_code = Some(StopCode::EssentialContainerExited);
            task.stopped_reason = Some("Essential container in task exited".to_owned());
            region.elb.deregister(&task.id, now);
            enter(task, Stage::Stopping, now.plus_ms(500));
        }
        containers::Found::CannotStart { container, reason } => {
            fail_to_start(task, now, Some(&container), reason);
        }
    }
}

/// Seconds from SIGTERM until the last of a task's containers is gone.
fn stop_s(region: &Region, task: &Task) -> f64 {
    let stubborn = task
        .containers
        .iter()
        .filter(|one| one.ignores_sigterm && !one.stopped);
    let killed_after = stubborn.map(|one| one.stop_timeout_s).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "seconds of a task definition")]
    region.timing.stop_s.max(killed_after as f64)
}

/// Asks a task to stop.
pub fn stop(region: &mut Region, id: &str, now: SimTime, code: StopCode, reason: &str) {
    let Some(mut task) = region.ecs.tasks.remove(id) else {
        return;
    };
    if !task.stopping {
        task.stopping = true;
        task.stopping_at = Some(now);
        task.stop_code = Some(code);
        task.stopped_reason = Some(reason.to_owned());
        let (targets, delay_s) = region.elb.deregister(id, now);
        if task.processes_started.is_none() {
            for container in &mut task.containers {
                container.stopped = true;
            }
            enter(&mut task, Stage::Deprovisioning, now.plus_ms(500));
        } else if targets > 0 {
            enter(&mut task, Stage::Deactivating, now.plus_s(delay_s));
        } else {
            let seconds = stop_s(region, &task);
            enter(&mut task, Stage::Stopping, now.plus_s(seconds));
        }
    }
    region.ecs.tasks.insert(id.to_owned(), task);
}

/// Registers a task that runs in its service's target groups.
fn register(region: &mut Region, task: &Task, now: SimTime) -> Vec<String> {
    let service = region
        .ecs
        .services
        .get(&(task.cluster.clone(), task.service.clone()));
    let linked = service.map(Service::load_balancers).unwrap_or_default();
    let mut groups = Vec::new();
    for link in linked {
        let arn = text(&link, "targetGroupArn").unwrap_or_default();
        if let Some((key, target)) = target(task, &link, now)
            && let Some(group) = region.elb.target_groups.get_mut(arn)
        {
            group.targets.insert(key, target);
            groups.push(arn.to_owned());
        }
    }
    groups
}

fn target(task: &Task, link: &Value, now: SimTime) -> Option<((String, i64), Target)> {
    let name = text(link, "containerName")?;
    let port = number(link, "containerPort")?;
    let container = task.containers.iter().find(|container| container.name == name)?;
    let bound = container
        .bindings
        .iter()
        .find(|(container_port, ..)| *container_port == port);
    let (id, port, zone) = match &task.place {
        Place::Interface { ip, zone, .. } => (ip.clone(), port, zone.clone()),
        Place::Instance { ec2_id, zone, .. } => (ec2_id.clone(), bound?.1, zone.clone()),
        Place::Waiting { .. } => return None,
    };
    let target = Target {
        task: task.id.clone(),
        container: name.to_owned(),
        zone,
        state: TargetState::Initial,
        since: now,
        answers: true,
    };
    Some(((id, port), target))
}

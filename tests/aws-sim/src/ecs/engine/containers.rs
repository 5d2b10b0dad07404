//! The processes of a task's containers: which starts when (`dependsOn`), which
//! ends, which is restarted, and what its own health check says.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html>
//! and <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-restart-policy.html>.

use crate::{
    ecs::{
        engine::launch,
        model::TaskDefinition,
        task::{Condition, Container, Health, Task},
    },
    images::Behaviour,
    world::{Region, SimTime},
};

/// What a look at a task's processes found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// An essential container ended.
    EssentialEnded,
    /// A container can never start: its name, and why.
    CannotStart {
        container: String,
        reason: String,
    },
}

/// Starts what may start, ends what is over, and asks the health checks.
pub fn step(region: &mut Region, task: &mut Task, definition: &TaskDefinition, now: SimTime) -> Found {
    let found = end(region, task, definition, now);
    check(task, now);
    if found != Found::Nothing {
        return found;
    }
    start(region, task, definition, now)
}

/// Whether every container has started, or has ended already.
pub fn all_have_started(task: &Task) -> bool {
    task.containers
        .iter()
        .all(|container| container.started.is_some())
}

/// How a container's dependencies stand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Ready,
    Waits,
    Never(String),
}

fn start(region: &mut Region, task: &mut Task, definition: &TaskDefinition, now: SimTime) -> Found {
    let Some(since) = task.processes_started else {
        return Found::Nothing;
    };
    loop {
        let waiting = task.containers.iter().enumerate();
        let waiting = waiting.filter(|(_, container)| container.started.is_none());
        let mut next = None;
        for (index, container) in waiting {
            match standing(task, container) {
                Standing::Ready => {
                    next = Some(index);
                    break;
                }
                Standing::Never(reason) => {
                    let container = container.name.clone();
                    return Found::CannotStart { container, reason };
                }
                Standing::Waits => {
                    if let Some(reason) = timed_out(task, container, since, now) {
                        let container = container.name.clone();
                        return Found::CannotStart { container, reason };
                    }
                }
            }
        }
        let Some(index) = next else {
            return Found::Nothing;
        };
        launch::start_process(region, task, index, definition, now);
    }
}

fn standing(task: &Task, container: &Container) -> Standing {
    for (on, condition) in &container.waits_for {
        let Some(other) = task.containers.iter().find(|other| other.name == *on) else {
            continue;
        };
        let is_met = match condition {
            Condition::Start => other.started.is_some(),
            Condition::Complete => other.stopped,
            Condition::Success => other.stopped && other.exit_code == Some(0),
            Condition::Healthy => other.health == Health::Healthy && !other.stopped,
        };
        if is_met {
            continue;
        }
        let words = condition.word();
        let is_hopeless = match condition {
            Condition::Start | Condition::Complete => false,
            Condition::Success => other.stopped,
            Condition::Healthy => other.stopped || other.health == Health::Unhealthy,
        };
        if !is_hopeless {
            return Standing::Waits;
        }
        let what = match other.exit_code {
            Some(code) => format!("exited with code {code}"),
            None => "is UNHEALTHY".to_owned(),
        };
        return Standing::Never(format!(
            "dependency graph: container {} depends on container {on} being {words}, and {on} {what}",
            container.name
        ));
    }
    Standing::Ready
}

/// The dependency that a container waits for must be met within its `startTimeout`.
fn timed_out(task: &Task, container: &Container, since: SimTime, now: SimTime) -> Option<String> {
    for (on, condition) in &container.waits_for {
        let other = task.containers.iter().find(|other| other.name == *on)?;
        let timeout_s = other.start_timeout_s;
        let begun = other.started.unwrap_or(since);
        if *condition != Condition::Start && now.since_ms(begun) > timeout_s * 1000 {
            return Some(format!(
                "dependency graph: container {on} did not become {} within its startTimeout of {timeout_s} seconds",
                condition.word()
            ));
        }
    }
    None
}

/// Lets processes end whose time has come; those with a restart policy begin anew.
fn end(region: &mut Region, task: &mut Task, definition: &TaskDefinition, now: SimTime) -> Found {
    let mut is_essential = false;
    for index in 0..task.containers.len() {
        let Some(container) = task.containers.get_mut(index) else {
            break;
        };
        if container.stopped {
            continue;
        }
        let Some((_, code)) = container.ends.filter(|(at, _)| now >= *at) else {
            continue;
        };
        if container.is_restarted_after(code, now) && !task.stopping {
            container.restarts += 1;
            launch::start_process(region, task, index, definition, now);
            continue;
        }
        container.stopped = true;
        container.exit_code = Some(code);
        if container.behaviour == Behaviour::OutOfMemory {
            container.reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
        }
        is_essential |= container.essential;
    }
    if is_essential {
        Found::EssentialEnded
    } else {
        Found::Nothing
    }
}

/// Asks the containers' own checks whose time has come.
fn check(task: &mut Task, now: SimTime) {
    for container in &mut task.containers {
        let (answers, is_over) = (container.answers(now), container.stopped);
        let (Some(started), Some(check)) = (container.started, &mut container.check) else {
            continue;
        };
        if now < check.next {
            continue;
        }
        check.next = now.plus_ms(check.interval_ms);
        if answers {
            check.failures = 0;
            container.health = Health::Healthy;
        } else if is_over || now.since_ms(started) > check.start_period_ms {
            check.failures += 1;
            if is_over || check.failures >= check.retries {
                container.health = Health::Unhealthy;
            }
        }
    }
}

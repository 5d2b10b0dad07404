//! What moves ECS as time passes: tasks along their lives ([`lifecycle`]),
//! then services towards what they want ([`scheduler`]).
//!
//! Everything happens in [`step`], on the world's grid of time; the order is
//! tasks, targets, services, each by name, so that it is the same in every run.

mod alarms;
mod breaker;
mod capacity;
mod containers;
pub mod events;
mod failure;
mod health;
mod launch;
pub mod lifecycle;
mod obstacles;
mod placement;
mod scheduler;

pub use capacity::{drain_instances, lose_instances};
pub use launch::start as start_task;

use super::{
    model::ServiceStatus,
    task::{Health, Stage, Task},
};
use crate::{
    elb::TargetState,
    world::{Region, SimTime},
};

/// How long a region at rest is left alone; stopped tasks are forgotten that much later at most.
const REST_MS: i64 = 30_000;

/// Moves everything of ECS and its targets one step on, to `now`.
pub fn step(region: &mut Region, now: SimTime) {
    if now < region.ecs.at_rest_until {
        return;
    }
    capacity::step(region, now);
    lifecycle::step(region, now);
    crate::elb::step(region, now);
    let keys: Vec<(String, String)> = region.ecs.services.keys().cloned().collect();
    for key in keys {
        if let Some(mut service) = region.ecs.services.remove(&key) {
            scheduler::reconcile(region, &mut service, now);
            region.ecs.services.insert(key, service);
        }
    }
    if is_at_rest(region, now) {
        region.ecs.at_rest_until = now.plus_ms(REST_MS);
    }
}

/// Whether nothing would come of any number of steps, but that stopped tasks are forgotten.
fn is_at_rest(region: &Region, now: SimTime) -> bool {
    let services = region.ecs.services.values().all(|service| match service.status {
        ServiceStatus::Active => service.steady,
        ServiceStatus::Draining => false,
        ServiceStatus::Inactive => true,
    });
    let mut targets = region
        .elb
        .target_groups
        .values()
        .flat_map(|group| group.targets.values());
    services
        && region.ecs.tasks.values().all(|task| task_is_at_rest(task, now))
        && targets.all(|target| target.state == TargetState::Healthy && target.answers)
}

fn task_is_at_rest(task: &Task, now: SimTime) -> bool {
    let settled = |container: &super::task::Container| {
        let ends = container.ends.is_some();
        let unchecked = container.check.is_some() && container.health != Health::Healthy;
        let turns = container.answers_until.is_some_and(|until| now < until);
        let fails = container.check.is_some() && !container.answers(now);
        container.stopped || !ends && !unchecked && !turns && !fails
    };
    match task.stage {
        Stage::Stopped => true,
        Stage::Running => !task.stopping && task.containers.iter().all(settled),
        _ => false,
    }
}

//! What moves ECS as time passes: tasks along their lives ([`lifecycle`]),
//! then services towards what they want ([`scheduler`]).
//!
//! Everything happens in [`step`], on the world's grid of time; the order is
//! tasks, targets, services, each by name, so that it is the same in every run.

mod breaker;
mod containers;
pub mod events;
mod health;
mod launch;
pub mod lifecycle;
mod obstacles;
mod placement;
mod scheduler;

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
    lifecycle::step(region, now);
    crate::elb::step(region, now);
    let keys: Vec<(String, String)> = region.ecs.services.keys().cloned().collect();
    for key in keys {
        if let Some(mut service) = region.ecs.services.remove(&key) {
            scheduler::reconcile(region, &mut service, now);
            region.ecs.services.insert(key, service);
        }
    }
    if is_at_rest(region) {
        region.ecs.at_rest_until = now.plus_ms(REST_MS);
    }
}

/// Whether nothing would come of any number of steps, but that stopped tasks are forgotten.
fn is_at_rest(region: &Region) -> bool {
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
        && region.ecs.tasks.values().all(task_is_at_rest)
        && targets.all(|target| target.state == TargetState::Healthy && target.answers)
}

fn task_is_at_rest(task: &Task) -> bool {
    let settled = |container: &super::task::Container| {
        let ends = container.ends.is_some() && !container.stopped;
        let unchecked = container.check.is_some() && container.health == Health::Unknown;
        !ends && !unchecked
    };
    match task.stage {
        Stage::Stopped => true,
        Stage::Running => !task.stopping && task.containers.iter().all(settled),
        _ => false,
    }
}

//! What moves ECS as time passes: tasks along their lives ([`lifecycle`]),
//! then services towards what they want ([`scheduler`]).
//!
//! Everything happens in [`step`], on the world's grid of time; the order is
//! tasks, targets, services, each by name, so that it is the same in every run.

mod breaker;
pub mod events;
mod health;
mod launch;
pub mod lifecycle;
mod placement;
mod scheduler;

use crate::world::{Region, SimTime};

/// Moves everything of ECS and its targets one step on, to `now`.
pub fn step(region: &mut Region, now: SimTime) {
    lifecycle::step(region, now);
    crate::elb::step(region, now);
    let keys: Vec<(String, String)> = region.ecs.services.keys().cloned().collect();
    for key in keys {
        if let Some(mut service) = region.ecs.services.remove(&key) {
            scheduler::reconcile(region, &mut service, now);
            region.ecs.services.insert(key, service);
        }
    }
}

//! Which tasks are healthy, and which ECS gives up on.

use super::{breaker, events, lifecycle};
use crate::{
    ecs::{
        model::Service,
        task::{Health, Stage, StopCode, Task},
    },
    elb::TargetState,
    world::{Region, SimTime},
};

/// Healthy by every check that its service has: its state, its containers' checks, its targets.
pub fn is_healthy(region: &Region, service: &Service, task: &Task) -> bool {
    if task.stage != Stage::Running || task.stopping {
        return false;
    }
    if task.has_check() && task.health() != Health::Healthy {
        return false;
    }
    if service.load_balancers().is_empty() {
        return true;
    }
    let mut states = region
        .elb
        .targets_of(&task.id)
        .map(|(_, _, _, state)| state)
        .peekable();
    states.peek().is_some() && states.all(|state| state == TargetState::Healthy)
}

/// Notes which tasks became healthy for the first time.
pub fn observe(region: &mut Region, service: &mut Service) {
    let healthy: Vec<(String, String)> = ours(region, service)
        .filter(|task| !task.was_healthy && is_healthy(region, service, task))
        .map(|task| (task.id.clone(), task.deployment.clone()))
        .collect();
    for (id, deployment) in healthy {
        if let Some(task) = region.ecs.tasks.get_mut(&id) {
            task.was_healthy = true;
        }
        breaker::forgive(service, &deployment);
    }
}

/// The service's tasks.
pub fn ours<'a>(region: &'a Region, service: &Service) -> impl Iterator<Item = &'a Task> {
    region.ecs.tasks_of(service)
}

/// Stops running tasks whose checks fail past the service's grace period.
pub fn give_up_on_unhealthy(region: &mut Region, service: &mut Service, now: SimTime) {
    let grace_ms = service.grace_s() * 1000;
    let past_grace = |task: &&Task| {
        task.stage == Stage::Running
            && !task.stopping
            && task
                .started
                .is_some_and(|started| now.since_ms(started) >= grace_ms)
    };
    let mut failed: Vec<(String, String, String)> = Vec::new();
    for task in ours(region, service).filter(past_grace) {
        let target = region
            .elb
            .targets_of(&task.id)
            .find(|(_, _, _, state)| *state == TargetState::Unhealthy);
        if let Some((group, id, port, _)) = target {
            let words = format!(
                "(instance {id}) (port {port}) is unhealthy in (target-group {group}) due to (reason Health checks failed with these codes: [503])"
            );
            let reason = format!("Task failed ELB health checks in (target-group {group})");
            failed.push((task.id.clone(), words, reason));
        } else if task.health() == Health::Unhealthy {
            let words = format!("(task {}) failed container health checks.", task.id);
            failed.push((
                task.id.clone(),
                words,
                "Task failed container health checks".to_owned(),
            ));
        }
    }
    for (id, words, reason) in failed {
        events::add(region, service, now, &words);
        if let Some(task) = region.ecs.tasks.get_mut(&id) {
            task.failed_checks = true;
        }
        lifecycle::stop(region, &id, now, StopCode::ServiceSchedulerInitiated, &reason);
        let words = format!("has stopped 1 running tasks: (task {id}).");
        events::add(region, service, now, &words);
    }
}

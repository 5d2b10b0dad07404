//! The deployment circuit breaker: counts tasks that could not start, ended or
//! failed their checks, and ends a deployment that has too many of them. A task
//! that becomes healthy forgives all of them, unless the service says otherwise:
//! so tasks that start well and die later can evade it for ever.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html>.

use super::{
    events,
    failure::{self, Failure},
    health,
    lifecycle::FAILED_TO_START,
};
use crate::{
    ecs::{
        model::{DeploymentStatus, Rollout, Service},
        task::StopCode,
    },
    world::{Region, SimTime},
};

/// Failures in a row after which ECS waits between two attempts.
const PATIENCE: u32 = 3;

/// Counts the failures that nobody has counted yet.
pub fn judge(region: &mut Region, service: &mut Service, now: SimTime) {
    let mut failed: Vec<FailedTask> = Vec::new();
    let unjudged = health::ours(region, service).filter(|task| task.stopping && !task.judged);
    let ids: Vec<String> = unjudged.map(|task| task.id.clone()).collect();
    for id in ids {
        let Some(task) = region.ecs.tasks.get_mut(&id) else {
            continue;
        };
        task.judged = true;
        let ended = matches!(
            task.stop_code,
            Some(StopCode::TaskFailedToStart | StopCode::EssentialContainerExited)
        );
        if task.failed_checks || ended {
            failed.push(FailedTask {
                deployment: task.deployment.clone(),
                was_healthy: task.was_healthy,
                cannot_start: (task.stop_code == Some(StopCode::TaskFailedToStart))
                    .then(|| task.stopped_reason.clone().unwrap_or_default()),
            });
        }
    }
    for task in failed {
        if let Some(reason) = task
            .cannot_start
            .as_ref()
            .filter(|reason| *reason != FAILED_TO_START)
        {
            say_why(region, service, now, reason);
        }
        count_failure(region, service, now, &task);
    }
}

/// A task that failed, and that nobody has counted yet.
struct FailedTask {
    deployment: String,
    was_healthy: bool,
    /// The reason of one that never started.
    cannot_start: Option<String>,
}

/// ECS says the reason once, and not again while it stays the same.
fn say_why(region: &mut Region, service: &mut Service, now: SimTime, reason: &str) {
    let words = format!(
        "was unable to place a task. Reason: {}.",
        reason.trim_end_matches('.')
    );
    let said = format!("(service {}) {words}", service.name);
    if service.last_reason.as_ref() != Some(&said) {
        events::add(region, service, now, &words);
        service.last_reason = Some(said);
    }
}

fn count_failure(region: &mut Region, service: &mut Service, now: SimTime, task: &FailedTask) {
    if !task.was_healthy {
        delay_next_start(region, service, now);
    }
    let Some(deployment) = service.deployment_mut(&task.deployment) else {
        return;
    };
    if deployment.status == DeploymentStatus::Primary && deployment.rollout == Rollout::InProgress {
        deployment.failed_tasks += 1;
        deployment.updated = now;
        let (failed, record) = (deployment.failed_tasks, deployment.service_deployment.clone());
        if let Some(record) = service.service_deployment_mut(&record) {
            record.failures = failed;
            record.updated = now;
        }
    }
}

/// After failures in a row ECS waits longer and longer.
fn delay_next_start(region: &mut Region, service: &mut Service, now: SimTime) {
    service.start_failures += 1;
    let wait_s = if service.start_failures > PATIENCE {
        let doublings = (service.start_failures - PATIENCE - 1).min(5);
        (15.0 * f64::from(1_u32 << doublings)).min(300.0)
    } else {
        region.timing.reschedule_s
    };
    service.next_start = service.next_start.max(now.plus_s(wait_s));
    if service.start_failures == PATIENCE + 1 {
        let words = format!(
            "is unable to consistently start tasks successfully. {}",
            events::GUIDE
        );
        events::add(region, service, now, &words);
    }
}

/// A task became healthy: by default that forgives all failures before it.
pub fn forgive(service: &mut Service, deployment: &str) {
    service.start_failures = 0;
    service.last_reason = None;
    if !service.breaker().resets_on_healthy_task {
        return;
    }
    let Some(deployment) = service.deployment_mut(deployment) else {
        return;
    };
    if deployment.rollout == Rollout::InProgress {
        deployment.failed_tasks = 0;
        let record = deployment.service_deployment.clone();
        if let Some(record) = service.service_deployment_mut(&record) {
            record.failures = 0;
        }
    }
}

/// Ends the PRIMARY deployment when it has failed too often.
pub fn trip(region: &mut Region, service: &mut Service, now: SimTime) {
    let breaker = service.breaker();
    let Some(primary) = service.primary() else {
        return;
    };
    let tripped = breaker.enabled
        && primary.rollout == Rollout::InProgress
        && primary.failed_tasks >= breaker.threshold;
    if !tripped {
        return;
    }
    let record = primary.service_deployment.clone();
    if let Some(record) = service.service_deployment_mut(&record) {
        record.breaker_triggered = true;
    }
    let failure = Failure {
        event: "tasks failed to start.",
        words: "ECS deployment circuit breaker: tasks failed to start.",
        because: "the circuit breaker threshold was exceeded.",
        rolls_back: breaker.rolls_back,
    };
    failure::end(region, service, now, &failure);
}

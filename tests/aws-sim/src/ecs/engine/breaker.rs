//! The deployment circuit breaker: counts tasks that never became healthy, and
//! ends a deployment that has too many of them.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html>.

use super::events;
use crate::{
    ecs::{
        deployments,
        model::{DeploymentStatus, Rollout, Service, ServiceDeploymentStatus},
        task::StopCode,
    },
    world::{Region, SimTime},
};

/// Failures in a row after which ECS waits between two attempts.
const PATIENCE: u32 = 3;

/// Counts the failures that nobody has counted yet.
pub fn judge(region: &mut Region, service: &mut Service, now: SimTime) {
    let mut failed_of: Vec<String> = Vec::new();
    for task in region.ecs.tasks.values_mut() {
        let ours = task.service == service.name && task.cluster == service.cluster;
        if !ours || task.judged || !task.stopping {
            continue;
        }
        task.judged = true;
        let ended = matches!(
            task.stop_code,
            Some(StopCode::TaskFailedToStart | StopCode::EssentialContainerExited)
        );
        if task.failed_checks || ended && !task.was_healthy {
            failed_of.push(task.deployment.clone());
        }
    }
    for deployment in failed_of {
        count_failure(region, service, now, &deployment);
    }
}

fn count_failure(region: &mut Region, service: &mut Service, now: SimTime, deployment: &str) {
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
    let Some(deployment) = service.deployment_mut(deployment) else {
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

/// A task became healthy: by default that forgives all failures before it.
pub fn forgive(service: &mut Service, deployment: &str) {
    service.start_failures = 0;
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
    const FAILURE: &str = "ECS deployment circuit breaker: tasks failed to start.";
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
    let (id, is_rollback) = (primary.id.clone(), primary.is_rollback);
    let record = primary.service_deployment.clone();
    if let Some(record) = service.service_deployment_mut(&record) {
        record.breaker_triggered = true;
    }
    events::add(
        region,
        service,
        now,
        &format!("(deployment {id}) deployment failed: tasks failed to start."),
    );
    let target = deployments::rollback_target(region, service);
    match target.filter(|_| breaker.rolls_back && !is_rollback) {
        Some(target) => {
            let reason = "Service deployment rolled back because the circuit breaker threshold was exceeded.";
            let shown = deployments::roll_back(region, service, now, target, FAILURE, reason);
            events::add(
                region,
                service,
                now,
                &format!("rolling back to deployment {shown}."),
            );
        }
        None => {
            let record = deployments::fail(service, now, FAILURE);
            if let Some(record) = service.service_deployment_mut(&record) {
                record.status = if is_rollback {
                    ServiceDeploymentStatus::RollbackFailed
                } else {
                    ServiceDeploymentStatus::Stopped
                };
                record.reason = Some(
                    "Service deployment stopped because the circuit breaker threshold was exceeded.".into(),
                );
                record.stopped = Some(now);
                record.finished = Some(now);
                record.updated = now;
            }
        }
    }
}

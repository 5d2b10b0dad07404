//! The end of a deployment that one of its guards has found to have failed:
//! rolled back, or stopped where it is.

use super::events;
use crate::{
    ecs::{
        deployments,
        model::{Service, ServiceDeploymentStatus},
    },
    world::{Region, SimTime},
};

/// Which guard it was, in ECS's words.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Of the service's event.
    pub event: &'static str,
    /// Of the deployment: the guard, a colon, and what it saw.
    pub words: &'static str,
    /// Of the service deployment.
    pub because: &'static str,
    pub rolls_back: bool,
}

/// Ends the PRIMARY deployment.
pub fn end(region: &mut Region, service: &mut Service, now: SimTime, failure: &Failure) {
    let Some(primary) = service.primary() else {
        return;
    };
    let (id, is_rollback) = (primary.id.clone(), primary.is_rollback);
    let words = format!("(deployment {id}) deployment failed: {}", failure.event);
    events::add(region, service, now, &words);
    let target = deployments::rollback_target(region, service);
    match target.filter(|_| failure.rolls_back && !is_rollback) {
        Some(target) => {
            let reason = format!("Service deployment rolled back because {}", failure.because);
            let shown = deployments::roll_back(region, service, now, target, failure.words, &reason);
            let words = format!("rolling back to deployment {shown}.");
            events::add(region, service, now, &words);
        }
        None => stop(service, now, failure, is_rollback),
    }
}

fn stop(service: &mut Service, now: SimTime, failure: &Failure, is_rollback: bool) {
    let record = deployments::fail(service, now, failure.words);
    let Some(record) = service.service_deployment_mut(&record) else {
        return;
    };
    record.status = if is_rollback {
        ServiceDeploymentStatus::RollbackFailed
    } else {
        ServiceDeploymentStatus::Stopped
    };
    record.reason = Some(format!("Service deployment stopped because {}", failure.because));
    record.stopped = Some(now);
    record.finished = Some(now);
    record.updated = now;
}

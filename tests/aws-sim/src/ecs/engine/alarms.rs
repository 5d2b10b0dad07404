//! Deployment alarms: a CloudWatch alarm that goes into ALARM while a service
//! is deployed, or while the deployment bakes, ends the deployment.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html>.
//! The length of the bake is ECS's own and not published: here it is the
//! longest evaluation of the alarms.

use super::failure::{self, Failure};
use crate::{
    ecs::{
        deployments,
        model::{Rollout, Service, WatchedAlarms},
    },
    world::{Region, SimTime},
};

/// What the PRIMARY is watched by while it is in progress; nothing for a rollback.
fn watched(service: &Service) -> Option<&WatchedAlarms> {
    let primary = service.primary()?;
    if primary.rollout != Rollout::InProgress || primary.is_rollback {
        return None;
    }
    let record = service
        .service_deployments
        .iter()
        .find(|record| record.arn == primary.service_deployment)?;
    record.alarms.as_ref().filter(|alarms| !alarms.is_ignored)
}

/// Ends the PRIMARY deployment when one of its alarms is in ALARM.
pub fn watch(region: &mut Region, service: &mut Service, now: SimTime) {
    let Some(alarms) = watched(service) else {
        return;
    };
    let triggered = deployments::in_alarm(region, &alarms.names);
    if triggered.is_empty() {
        return;
    }
    let rolls_back = alarms.rolls_back;
    let record = service
        .primary()
        .map(|primary| primary.service_deployment.clone());
    if let Some(record) = service.service_deployment_mut(&record.unwrap_or_default())
        && let Some(alarms) = &mut record.alarms
    {
        alarms.triggered = triggered;
    }
    let failure = Failure {
        event: "alarm detected.",
        words: "ECS deployment alarms: alarm detected.",
        because: "a deployment alarm was triggered.",
        rolls_back,
    };
    failure::end(region, service, now, &failure);
}

/// Seconds for which a settled deployment is still watched.
pub fn bake_s(region: &Region, service: &Service) -> f64 {
    let names = watched(service)
        .map(|alarms| alarms.names.as_slice())
        .unwrap_or_default();
    let evaluated = names.iter().filter_map(|name| region.alarms.get(name));
    evaluated.map(|alarm| alarm.evaluation_s).fold(0.0, f64::max)
}

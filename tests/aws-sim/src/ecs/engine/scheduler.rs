//! The service scheduler: brings each service from what runs to what is
//! wanted, within its minimum and maximum healthy percent.

use super::{alarms, breaker, events, health, launch, lifecycle};
use crate::{
    ecs::{
        deployments,
        model::{DeploymentStatus, Rollout, Service, ServiceStatus},
        task::{StopCode, Task},
    },
    world::{Region, SimTime},
};

/// Tasks that ECS starts at once for one service.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const STARTED_AT_ONCE: i64 = 20;

/// An event that says that nothing can be placed is not repeated sooner.
const PLACEMENT_EVENT_MS: i64 = 60_000;

/// Moves one service on.
pub fn reconcile(region: &mut Region, service: &mut Service, now: SimTime) {
    if service.status == ServiceStatus::Inactive {
        return;
    }
    health::observe(region, service);
    health::give_up_on_unhealthy(region, service, now);
    breaker::judge(region, service, now);
    breaker::trip(region, service, now);
    alarms::watch(region, service, now);
    deployments::begin_requested_rollback(service, now);
    if service.status == ServiceStatus::Draining {
        drain(region, service, now);
        return;
    }
    if service.is_daemon() {
        count_instances(region, service);
    }
    scale(region, service, now);
    retire(region, service);
    settle(region, service, now);
}

/// A daemon wants a task on every instance that takes tasks.
fn count_instances(region: &Region, service: &mut Service) {
    let cluster = region.ecs.clusters.get(&service.cluster);
    let instances = cluster.into_iter().flat_map(|one| &one.instances);
    let taking = instances.filter(|one| !one.is_draining).count();
    let desired = i64::try_from(taking).unwrap_or(i64::MAX);
    service.steady &= desired == service.desired;
    service.desired = desired;
}

/// The wanted tasks of a service, split as the scheduler sees them.
#[derive(Debug, Default)]
struct Tally {
    new: i64,
    healthy_new: i64,
    healthy_old: Vec<String>,
    unhealthy_old: Vec<String>,
    /// Of the PRIMARY, those to give up first in front.
    new_ids: Vec<String>,
}

fn tally(region: &Region, service: &Service, primary: &str) -> Tally {
    let mut tally = Tally::default();
    let mut new: Vec<(bool, std::cmp::Reverse<SimTime>, String)> = Vec::new();
    for task in health::ours(region, service).filter(|task| task.is_wanted()) {
        let healthy = health::is_healthy(region, service, task);
        if task.deployment == primary && !is_drained(region, task) {
            tally.new += 1;
            tally.healthy_new += i64::from(healthy);
            new.push((healthy, std::cmp::Reverse(task.created), task.id.clone()));
        } else if healthy {
            tally.healthy_old.push(task.id.clone());
        } else {
            tally.unhealthy_old.push(task.id.clone());
        }
    }
    new.sort();
    tally.new_ids = new.into_iter().map(|(_, _, id)| id).collect();
    tally
}

/// A task on an instance that is drained is replaced as one of an older deployment is.
fn is_drained(region: &Region, task: &Task) -> bool {
    let Some(host) = task.host() else {
        return false;
    };
    let cluster = region.ecs.clusters.get(&task.cluster);
    let mut instances = cluster.into_iter().flat_map(|one| &one.instances);
    instances.any(|one| one.is_draining && one.arn == host)
}

fn length(ids: &[String]) -> i64 {
    i64::try_from(ids.len()).unwrap_or(i64::MAX)
}

fn scale(region: &mut Region, service: &mut Service, now: SimTime) {
    let Some(primary) = service.primary().cloned() else {
        return;
    };
    if primary.halted {
        return;
    }
    let tally = tally(region, service, &primary.id);
    let old = length(&tally.healthy_old) + length(&tally.unhealthy_old);
    let lacking = service.desired - tally.new;
    let room = (service.most_tasks() - tally.new - old).max(0);
    let mut crowded = lacking > 0 && room == 0;
    if lacking > 0 && room > 0 && now >= service.next_start {
        let count = lacking.min(room).min(STARTED_AT_ONCE);
        crowded |= !start_tasks(region, service, now, &primary.id, count);
    }
    let mut leaving = Vec::new();
    if old > 0 {
        leaving.clone_from(&tally.unhealthy_old);
        let healthy = tally.healthy_new + length(&tally.healthy_old);
        let kept = if crowded {
            service.least_healthy()
        } else {
            service.desired
        };
        let spare = usize::try_from(healthy - kept).unwrap_or(0);
        leaving.extend(tally.healthy_old.iter().take(spare).cloned());
    } else if lacking < 0 {
        let excess = usize::try_from(-lacking).unwrap_or(0);
        leaving.extend(tally.new_ids.iter().take(excess).cloned());
    }
    leaving.retain(|id| {
        !region
            .ecs
            .tasks
            .get(id)
            .is_some_and(|task| task.is_protected(now))
    });
    let reason = format!("Scaling activity initiated by (deployment {})", primary.id);
    stop_tasks(region, service, now, &leaving, &reason);
}

/// Starts tasks; false when there was no place for one.
fn start_tasks(
    region: &mut Region,
    service: &mut Service,
    now: SimTime,
    deployment: &str,
    count: i64,
) -> bool {
    let mut started = Vec::new();
    let mut refusal = None;
    for _ in 0..count {
        match launch::start(region, service, deployment, now) {
            Ok(id) => started.push(id),
            Err(words) => {
                refusal = Some(words);
                break;
            }
        }
    }
    if !started.is_empty() {
        let words = format!(
            "has started {} tasks: {}.",
            started.len(),
            events::task_list(&started)
        );
        events::add(region, service, now, &words);
    }
    service.next_start = now.plus_s(region.timing.reschedule_s);
    let Some(words) = refusal else {
        return true;
    };
    let quiet = service
        .last_placement_event
        .is_some_and(|last| now.since_ms(last) < PLACEMENT_EVENT_MS);
    if !quiet {
        service.last_placement_event = Some(now);
        events::add(region, service, now, &words);
    }
    false
}

fn stop_tasks(region: &mut Region, service: &mut Service, now: SimTime, ids: &[String], reason: &str) {
    if ids.is_empty() {
        return;
    }
    let mut draining: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for id in ids {
        let groups: Vec<String> = region
            .elb
            .targets_of(id)
            .map(|(group, ..)| group.to_owned())
            .collect();
        for group in groups {
            *draining.entry(group).or_default() += 1;
        }
        lifecycle::stop(region, id, now, StopCode::ServiceSchedulerInitiated, reason);
    }
    if !draining.is_empty() {
        let words = format!("has begun draining connections on {} tasks.", ids.len());
        events::add(region, service, now, &words);
    }
    for (group, count) in draining {
        let words = format!("deregistered {count} targets in (target-group {group})");
        events::add(region, service, now, &words);
    }
    let words = format!(
        "has stopped {} running tasks: {}.",
        ids.len(),
        events::task_list(ids)
    );
    events::add(region, service, now, &words);
}

/// A service that is being deleted lets its tasks go, and is INACTIVE when they are gone.
fn drain(region: &mut Region, service: &mut Service, now: SimTime) {
    let leaving: Vec<String> = health::ours(region, service)
        .filter(|task| task.is_wanted())
        .map(|task| task.id.clone())
        .collect();
    stop_tasks(region, service, now, &leaving, "Service is being deleted");
    if health::ours(region, service).all(|task| task.is_over()) {
        service.status = ServiceStatus::Inactive;
        service.deployments.clear();
    }
}

/// Forgets deployments whose tasks are gone; a failed one is shown until the PRIMARY is complete.
fn retire(region: &Region, service: &mut Service) {
    let completing = service
        .primary()
        .is_some_and(|primary| primary.rollout == Rollout::InProgress);
    let live: Vec<String> = health::ours(region, service)
        .filter(|task| !task.is_over())
        .map(|task| task.deployment.clone())
        .collect();
    service.deployments.retain_mut(|deployment| {
        if deployment.status == DeploymentStatus::Primary || live.contains(&deployment.id) {
            return true;
        }
        let shown = deployment.rollout == Rollout::Failed && completing;
        if shown {
            deployment.status = DeploymentStatus::Inactive;
        }
        shown
    });
}

/// Says that the service is steady, and the deployment complete, when that has held for a while.
fn settle(region: &mut Region, service: &mut Service, now: SimTime) {
    let Some(primary) = service.primary().cloned() else {
        return;
    };
    let tally = tally(region, service, &primary.id);
    let alone = health::ours(region, service).all(|task| task.is_over() || task.is_wanted());
    let has_old = !tally.healthy_old.is_empty() || !tally.unhealthy_old.is_empty();
    let settled = !primary.halted
        && alone
        && !has_old
        && tally.new == service.desired
        && tally.healthy_new == service.desired;
    if !settled {
        service.settled_since = None;
        service.steady = false;
        return;
    }
    let since = *service.settled_since.get_or_insert(now);
    let needed_s = region.timing.steady_s + alarms::bake_s(region, service);
    if service.steady || now < since.plus_s(needed_s) {
        return;
    }
    service.steady = true;
    if primary.rollout == Rollout::InProgress {
        deployments::complete(service, now);
        let words = format!("(deployment {}) deployment completed.", primary.id);
        events::add(region, service, now, &words);
    }
    events::add(region, service, now, "has reached a steady state.");
}

//! When to look at a service again, by how its rollout stands. All intervals are
//! multiples of the agent's shortest one, and shares of the time in which nothing
//! moved: a look comes late by a small part of what was waited for already. Short
//! near the end, because the verdict waits for it; longer in the middle, because
//! tasks take their time; longest when nothing has moved for minutes.

use std::time::Duration;

use crate::observed::{Deployment, DeploymentStatus, ObservedService, RolloutState, ServiceStatus};

#[cfg(test)]
mod tests;

/// What whoever follows a service expects of its next look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outlook {
    /// What the service itself shows.
    #[default]
    AsItStands,
    /// Nothing in a hurry: a bake time, or something that must be seen several times,
    /// and over some seconds, before it is believed.
    Unhurried,
}

/// How a service's rollout stands, for whoever wants to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// ECS does not show the service.
    Missing,
    /// Tasks are being started.
    Underway,
    /// All new tasks run: the load balancer, the old tasks or ECS's own patience are what is left.
    NearEnd,
    /// Tasks fail, or ECS gave a deployment up.
    Failing,
    /// Nothing is under way.
    Settled,
}

/// How the service stands.
pub fn standing(service: Option<&ObservedService>) -> Standing {
    let Some(service) = service.filter(|service| service.status != ServiceStatus::Inactive) else {
        return Standing::Missing;
    };
    let Some(primary) = service.primary() else {
        return Standing::Underway;
    };
    let given_up =
        |d: &Deployment| d.rollout == RolloutState::Failed && d.status != DeploymentStatus::Inactive;
    if primary.failed > 0 || service.deployments.iter().any(given_up) {
        return Standing::Failing;
    }
    let alone = service.deployments.len() == 1;
    let full = primary.running >= primary.desired && primary.pending == 0;
    match primary.rollout {
        RolloutState::Completed | RolloutState::Unreported if alone && full => Standing::Settled,
        _ if full => Standing::NearEnd,
        _ => Standing::Underway,
    }
}

/// Nothing has moved for so many shortest intervals: it may take long.
const LONG_QUIET: f64 = 180.0;

/// How long after one look the next one is due. `quiet`: for how long the service has
/// looked the same. Never shorter than `shortest`, never longer than ten of them.
pub fn interval(standing: Standing, outlook: Outlook, quiet: Duration, shortest: Duration) -> Duration {
    if shortest.is_zero() {
        return shortest;
    }
    let quiet = quiet.as_secs_f64() / shortest.as_secs_f64();
    let intervals = match (outlook, standing) {
        (Outlook::Unhurried, _) => (quiet / 10.0).clamp(3.0, 10.0),
        (_, Standing::Missing) => 3.0,
        (_, Standing::Underway) if quiet > LONG_QUIET => (quiet / 30.0).clamp(4.0, 10.0),
        // Whatever is left when all tasks run (old ones that stop, ECS's own patience)
        // takes longer than this: a look falls into it, and from then on they are short.
        (_, Standing::Underway) => (quiet / 10.0).clamp(3.0, 4.0),
        (_, Standing::NearEnd) => (quiet / 60.0).clamp(1.0, 5.0),
        (_, Standing::Failing | Standing::Settled) => (quiet / 20.0).clamp(1.0, 5.0),
    };
    shortest.mul_f64(intervals)
}

/// Whether tasks of the service seem to have died between two looks: then their
/// reasons are read at once, before ECS forgets them. A rollout that goes well stops
/// tasks too, of which nobody needs to know why.
pub fn shows_failures(before: Option<&ObservedService>, now: &ObservedService) -> bool {
    now.deployments
        .iter()
        .any(|d| has_lost_tasks(before.and_then(|b| deployment_of(b, &d.id)), d))
        || tells_of_failures(before, now)
}

fn has_lost_tasks(before: Option<&Deployment>, now: &Deployment) -> bool {
    let more_failed = now.failed > before.map_or(0, |b| b.failed);
    let given_up =
        now.rollout == RolloutState::Failed && before.is_none_or(|b| b.rollout != RolloutState::Failed);
    // Old tasks leave in every rollout; new ones only when something is wrong with them.
    let fewer = now.status == DeploymentStatus::Primary
        && before.is_some_and(|b| b.desired <= now.desired && in_play(b) > in_play(now));
    more_failed || given_up || fewer
}

fn tells_of_failures(before: Option<&ObservedService>, now: &ObservedService) -> bool {
    let Some(primary) = now.primary() else {
        return false;
    };
    // A task that is started where none was missing replaces one that died unseen.
    let was_full = before
        .and_then(|b| deployment_of(b, &primary.id))
        .is_some_and(|b| b.desired == primary.desired && in_play(b) >= b.desired);
    let known = |id: &str| before.is_some_and(|b| b.events.iter().any(|event| event.id == id));
    let news = now
        .events
        .iter()
        .filter(|event| event.at >= primary.created && !known(&event.id));
    news.map(|event| event.message.as_str())
        .any(|words| speaks_of_failure(words) || (was_full && words.contains("has started")))
}

fn deployment_of<'s>(service: &'s ObservedService, id: &str) -> Option<&'s Deployment> {
    service.deployments.iter().find(|deployment| deployment.id == id)
}

fn in_play(deployment: &Deployment) -> u32 {
    deployment.running.saturating_add(deployment.pending)
}

/// ECS's service events about tasks that died or cannot be placed.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>
fn speaks_of_failure(message: &str) -> bool {
    const WORDS: [&str; 5] = ["unable to", "unhealthy", "failed", "failing", "circuit breaker"];
    WORDS.iter().any(|word| message.contains(word))
}

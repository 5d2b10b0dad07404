//! Rollouts that ECS would try for ever. The circuit breaker counts failed tasks,
//! and a task that starts, turns healthy and then dies resets its count
//! (aws/copilot-cli#1879); a service without a breaker never gives up at all.

use crate::observed::{Deployment, ObservedService, StoppedTask};
use crate::verdict::Reason;

/// The end of a rollout that gets nowhere, where nothing else will end it.
pub fn verdict(
    service: &ObservedService,
    ours: &Deployment,
    stopped: &[StoppedTask],
) -> Option<(Reason, String)> {
    if ours.running >= ours.desired && ours.pending == 0 {
        return None;
    }
    let died: Vec<_> = stopped.iter().filter(|task| died_by_itself(task, ours)).collect();
    let deaths = u32::try_from(died.len()).unwrap_or(u32::MAX);
    if deaths < limit(service, ours.desired) {
        return None;
    }
    let last = died.iter().max_by_key(|task| task.stopped)?;
    let cannot_pull = died.iter().all(|task| is_pull_failure(task));
    let reason = if cannot_pull {
        Reason::CannotPullImage
    } else {
        Reason::CrashLooping
    };
    Some((
        reason,
        format!(
            "{deaths} tasks of {} stopped by themselves, and ECS goes on starting more; last: {}",
            ours.task_definition, last.reason
        ),
    ))
}

/// Whether a task of our deployment died, rather than being stopped on purpose
/// (scaling in, a newer deployment, a person).
pub fn died_by_itself(task: &StoppedTask, ours: &Deployment) -> bool {
    let by_itself = matches!(
        task.stop_code.as_str(),
        "EssentialContainerExited" | "TaskFailedToStart"
    ) || (task.stop_code == "ServiceSchedulerInitiated" && task.reason.contains("failed"));
    by_itself
        && task.task_definition == ours.task_definition
        && task.stopped.is_none_or(|stopped| stopped >= ours.created)
}

/// Whether a task never started because its image could not be had.
pub fn is_pull_failure(task: &StoppedTask) -> bool {
    let pull =
        |reason: &str| reason.contains("CannotPullContainer") || reason.contains("CannotPullImageManifest");
    pull(&task.reason) || task.containers.iter().any(|container| pull(&container.reason))
}

/// With a circuit breaker, three times what trips it: whoever gets that far has
/// evaded it. Without one, five deaths, or as many as there should be tasks.
fn limit(service: &ObservedService, desired: u32) -> u32 {
    let breaker = service.circuit_breaker;
    if breaker.enabled {
        breaker.threshold.tasks(desired).saturating_mul(3)
    } else {
        desired.clamp(5, 200)
    }
}

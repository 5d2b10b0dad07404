//! Rollouts that ECS would try for ever. A service without a circuit breaker never
//! gives up at all, and one with a breaker may never see what happens: a task that
//! starts, turns healthy and then dies is not counted, and resets the count
//! (aws/copilot-cli#1879). While the breaker can still end a rollout, the decision
//! is the breaker's: it can put back what ran before in the same moment.
//!
//! What is counted is a rate: tasks of our revision that died by themselves within
//! [`WINDOW`] of AWS's time.

use jiff::SignedDuration;

use crate::observed::{Deployment, ObservedService, StoppedTask};
use crate::rollout::cause::{self, Kind};
use crate::rollout::diagnosis::ContainerLog;
use crate::verdict::Reason;

#[cfg(test)]
mod tests;

/// Deaths longer ago than this before the latest one belong to no loop of today.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// A breaker that has not ended a loop for so long, by the times of its first and
/// latest death, never will. ECS starts failing tasks again more and more slowly,
/// with pauses of up to 27 minutes.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-throttle-logic.html>
const PATIENCE_WITH_BREAKER: SignedDuration = SignedDuration::from_mins(30);

/// Fewer deaths than this are bad luck.
const LEAST: u32 = 5;
/// Fewer than this are, where nothing of ours runs and no cause will go away.
const LEAST_DEFINITE: u32 = 3;
const MOST: u32 = 200;

/// The end of a rollout that gets nowhere, where nothing else will end it. The
/// reason is the cause.
pub fn verdict(
    service: &ObservedService,
    ours: &Deployment,
    stopped: &[StoppedTask],
    logs: &[ContainerLog],
) -> Option<(Reason, String)> {
    if ours.running >= ours.desired && ours.pending == 0 {
        return None;
    }
    let deaths = Deaths::of(ours, stopped, logs);
    let last = deaths.latest()?;
    if !deaths.are_enough(service, ours) {
        return None;
    }
    Some((
        deaths.main_cause().reason(),
        format!(
            "{} tasks of {} stopped by themselves, and ECS goes on starting more; last: {}",
            deaths.recent.len(),
            ours.task_definition,
            cause::of(last, logs).sentence
        ),
    ))
}

/// The end of a rollout that somebody scaled to nothing while its tasks died: ECS calls
/// it complete, and nothing of it ever ran well.
pub fn scaled_away(
    ours: &Deployment,
    stopped: &[StoppedTask],
    logs: &[ContainerLog],
) -> Option<(Reason, String)> {
    // A healthy task would have set back what ECS counts as failed.
    if ours.desired > 0 || ours.running > 0 || ours.failed == 0 {
        return None;
    }
    let deaths = Deaths::of(ours, stopped, logs);
    let last = deaths.latest()?;
    Some((
        deaths.main_cause().reason(),
        format!(
            "{} is complete without a task, because the service was scaled to nothing after {} tasks of it had \
             stopped by themselves; last: {}",
            ours.task_definition,
            deaths.recent.len(),
            cause::of(last, logs).sentence
        ),
    ))
}

/// What a person should know of a rollout whose tasks die, before it is decided.
pub fn outlook(service: &ObservedService, ours: &Deployment, stopped: &[StoppedTask]) -> Option<String> {
    let deaths = Deaths::of(ours, stopped, &[]);
    let died = deaths.recent.len();
    deaths.latest()?;
    let breaker = service.circuit_breaker;
    let at = breaker.threshold.tasks(ours.desired);
    Some(match (breaker.enabled, breaker.rolls_back) {
        (true, rolls_back) => format!(
            "{died} tasks of {} died; ECS's circuit breaker has counted {} of {at}{}, and will then {}",
            ours.task_definition,
            ours.failed,
            if breaker.resets_on_healthy {
                " (a healthy task sets that back)"
            } else {
                ""
            },
            if rolls_back {
                "roll back"
            } else {
                "give up without rolling back"
            },
        ),
        (false, _) => format!(
            "{died} tasks of {} died; the service has no circuit breaker, so ECS goes on starting more",
            ours.task_definition
        ),
    })
}

/// Whether a deployment in progress is known not to get anywhere, by its dead tasks.
pub fn is_hopeless(service: &ObservedService, deployment: &Deployment, stopped: &[StoppedTask]) -> bool {
    let deaths = Deaths::of(deployment, stopped, &[]);
    deaths.latest().is_some() && deaths.are_enough(service, deployment)
}

/// Whether a task died, rather than being stopped on purpose (scaling in, a newer
/// deployment, a person, a Spot interruption).
pub fn died(task: &StoppedTask) -> bool {
    matches!(
        task.stop_code.as_str(),
        "EssentialContainerExited" | "TaskFailedToStart"
    ) || (task.stop_code == "ServiceSchedulerInitiated" && task.reason.contains("failed"))
}

/// Whether a task of our deployment died.
pub fn died_by_itself(task: &StoppedTask, ours: &Deployment) -> bool {
    died(task)
        && task.task_definition == ours.task_definition
        && task.stopped.is_none_or(|stopped| stopped >= ours.created)
}

/// The tasks of one deployment that died by themselves.
struct Deaths<'a> {
    all: Vec<&'a StoppedTask>,
    /// Those of the last [`WINDOW`].
    recent: Vec<&'a StoppedTask>,
    logs: &'a [ContainerLog],
}

impl<'a> Deaths<'a> {
    fn of(ours: &Deployment, stopped: &'a [StoppedTask], logs: &'a [ContainerLog]) -> Self {
        let all: Vec<_> = stopped.iter().filter(|task| died_by_itself(task, ours)).collect();
        let latest = all.iter().filter_map(|task| task.stopped).max();
        let in_window = |task: &&&StoppedTask| match (task.stopped, latest) {
            (Some(stopped), Some(latest)) => latest.duration_since(stopped) <= WINDOW,
            _ => true,
        };
        let recent = all.iter().filter(in_window).copied().collect();
        Self { all, recent, logs }
    }

    fn latest(&self) -> Option<&'a StoppedTask> {
        self.recent.iter().max_by_key(|task| task.stopped).copied()
    }

    /// From the first death to the latest, by AWS's times.
    fn span(&self) -> SignedDuration {
        let times = || self.all.iter().filter_map(|task| task.stopped);
        match (times().min(), times().max()) {
            (Some(first), Some(latest)) => latest.duration_since(first),
            _ => SignedDuration::ZERO,
        }
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.recent.iter().map(|task| cause::of(task, self.logs).kind)
    }

    /// The most frequent cause; of equally frequent ones the more basic.
    fn main_cause(&self) -> Kind {
        let kinds: Vec<Kind> = self.kinds().collect();
        let count = |kind: &Kind| kinds.iter().filter(|other| *other == kind).count();
        let main = kinds
            .iter()
            .max_by_key(|kind| (count(kind), std::cmp::Reverse(**kind)));
        main.copied().unwrap_or(Kind::Other)
    }

    fn are_enough(&self, service: &ObservedService, ours: &Deployment) -> bool {
        let deaths = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        let limit = self.limit(ours);
        let breaker = service.circuit_breaker;
        if !breaker.enabled {
            return deaths >= limit;
        }
        // Three times what trips it: what the breaker did not count by then, it does not see.
        let unseen = deaths.saturating_sub(ours.failed);
        let beyond = breaker.threshold.tasks(ours.desired).saturating_mul(3);
        let total = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        unseen >= limit.max(beyond) || (total >= limit && self.span() >= PATIENCE_WITH_BREAKER)
    }

    fn limit(&self, ours: &Deployment) -> u32 {
        if ours.running > 0 {
            return ours.desired.div_ceil(2).clamp(LEAST, MOST);
        }
        match self.kinds().all(Kind::is_definite) {
            true => LEAST_DEFINITE,
            false => LEAST,
        }
    }
}

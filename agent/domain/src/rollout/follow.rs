//! One observation of a service → how our rollout stands. The same judge serves
//! updates and stacks: a stack that claims to be done is believed only when the
//! service agrees.
//!
//! What is expensive to read is asked for only when it decides something
//! ([`Evidence`]); the caller reads it and asks again.
//!
//! The order in which a rollout is judged: is it still there ([`shows_ours`]); did
//! ECS end it (the breaker, an alarm, a stop: [`undone`]); is it complete; and only
//! then whether it will ever be ([`crash_loop`], [`stuck`]). Which reason a failure
//! gets is the rule in [`crate::verdict`].

use crate::observed::{
    Deployment, DeploymentStatus, ObservedService, RolloutState, ServiceDeployment, ServiceDeploymentStatus,
    ServiceStatus, StoppedTask, TaskDefinitionArn,
};
use crate::rollout::{
    crash_loop,
    diagnosis::ContainerLog,
    stuck::{self, Stillness},
    targets::{Targets, TargetsState},
    undone::{self, UndoneBy, our_record},
};
use crate::update::start::is_stable;
use crate::verdict::Reason;

#[cfg(test)]
mod tests;

/// Observations in a row in which something must be missing before it counts as
/// gone: DescribeServices is eventually consistent (bugcrowd/ecs-deployment-monitor#2).
pub const MISSES_BEFORE_GONE: u32 = 4;

/// Switches of the judge. Only tests ever set one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JudgeOptions {
    /// Plants a wrong verdict: a deployment that was rolled back counts as a
    /// success. Exists so that the demo can prove that it would notice.
    pub rolled_back_is_success: bool,
}

/// What is ours in the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurDeployment {
    /// Known after UpdateService answered, or from re-attaching. `None` for the
    /// service of a stack: then PRIMARY on our revision is ours. The ARN of its
    /// record for one that is gone, where its revision does not tell it from others.
    pub id: Option<String>,
    pub task_definition: TaskDefinitionArn,
}

impl OurDeployment {
    /// Only its record is known: no deployment that shows is ours.
    pub fn is_known_by_record(&self) -> bool {
        self.id.as_ref().is_some_and(|id| id.starts_with("arn:"))
    }
}

/// One observation.
#[derive(Clone, Copy, Debug)]
pub struct RolloutView<'a> {
    /// `None`: ECS reported the service MISSING this time.
    pub service: Option<&'a ObservedService>,
    pub ours: &'a OurDeployment,
    /// How many observations in a row, this one included, did not show our
    /// deployment as PRIMARY (or did not show the service). The caller counts
    /// with [`shows_ours`].
    pub misses: u32,
    /// Newest first. `None`: not read.
    pub service_deployments: Option<&'a [ServiceDeployment]>,
    /// All stopped tasks of the service seen since the start, each once.
    pub stopped: &'a [StoppedTask],
    /// The last lines of dead containers, as far as they were read.
    pub logs: &'a [ContainerLog],
    pub targets: Targets<'a>,
    /// For how long nothing moved; counted by the caller with [`stuck::Position`].
    pub stillness: Stillness,
    /// No task of ours died for as long as AWS may lag. Tasks that start, turn healthy
    /// and die make a deployment COMPLETED for a moment.
    pub calm: bool,
}

/// What the judge needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The service's deployments on record.
    ServiceDeployments,
    /// The running tasks of our revision and the health of all linked target groups.
    Targets,
}

/// Where a rollout in progress stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    pub desired: u32,
    pub running: u32,
    pub pending: u32,
    pub failed: u32,
}

impl Progress {
    /// Nothing is known of it.
    pub const NOT_SEEN: Self = Self {
        phase: Phase::NotSeenYet,
        desired: 0,
        running: 0,
        pending: 0,
        failed: 0,
    };
}

/// What a rollout in progress waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Our deployment does not show yet.
    NotSeenYet,
    /// Tasks are being started and stopped.
    Replacing,
    /// All tasks run; the load balancer does not yet call these healthy.
    Targets { unhealthy: Vec<String> },
    /// ECS calls it complete, and tasks of ours died a moment ago.
    Settling,
    /// ECS is putting back what ran before. Should the deadline pass now, the
    /// verdict is `failed: rolled_back` all the same.
    RollingBack,
}

/// How our rollout stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutJudgement {
    InProgress(Progress),
    /// Read this and judge again.
    Needs(Evidence),
    Succeeded {
        deployment_id: String,
    },
    /// Ended, and not well. The reason's verdict says whether the release is bad
    /// or the agent cannot know.
    Ended {
        reason: Reason,
        summary: String,
    },
}

/// Whether the observation shows our deployment as the PRIMARY of a live service.
pub fn shows_ours(service: Option<&ObservedService>, ours: &OurDeployment) -> bool {
    service
        .filter(|service| service.status == ServiceStatus::Active)
        .and_then(ObservedService::primary)
        .is_some_and(|primary| is_ours(primary, ours))
}

/// Whether a deployment is ours.
pub fn is_ours(deployment: &Deployment, ours: &OurDeployment) -> bool {
    match &ours.id {
        Some(id) => *id == deployment.id,
        None => {
            deployment.status == DeploymentStatus::Primary
                && deployment.task_definition == ours.task_definition
        }
    }
}

/// Judges one observation.
pub fn judge(view: &RolloutView<'_>, options: JudgeOptions) -> RolloutJudgement {
    let Some(service) = view.service else {
        return gone_or_late(view, "ECS reports it MISSING");
    };
    if service.status != ServiceStatus::Active {
        return gone_or_late(view, service.status.as_str());
    }
    match service.primary() {
        Some(primary) if is_ours(primary, view.ours) => as_primary(view, service, primary, options),
        primary => undone::not_primary(view, service, primary, options),
    }
}

/// The verdict on a rollout that was undone. The one place where it is decided.
pub fn rolled_back(summary: String, options: JudgeOptions, deployment_id: &str) -> RolloutJudgement {
    undone::rolled_back(Reason::RolledBack, summary, options, deployment_id)
}

pub(super) fn gone_or_late(view: &RolloutView<'_>, seen: &str) -> RolloutJudgement {
    if view.misses < MISSES_BEFORE_GONE {
        return RolloutJudgement::InProgress(progress(None, Phase::NotSeenYet));
    }
    ended(
        Reason::ServiceGone,
        format!(
            "the service is gone while {} was rolled out: {seen} in {} observations in a row",
            view.ours.task_definition, view.misses
        ),
    )
}

fn as_primary(
    view: &RolloutView<'_>,
    service: &ObservedService,
    primary: &Deployment,
    options: JudgeOptions,
) -> RolloutJudgement {
    if primary.rollout == RolloutState::Failed {
        return given_up(view, service, primary, options);
    }
    if is_stable(service, primary) {
        return completed(view, service, primary);
    }
    let hopeless = crash_loop::verdict(service, primary, view.stopped, view.logs)
        .or_else(|| stuck::verdict(service, primary, view.stillness));
    match hopeless {
        Some((reason, summary)) => ended(reason, summary),
        None => RolloutJudgement::InProgress(progress(Some(primary), Phase::Replacing)),
    }
}

/// ECS called our deployment FAILED: the breaker tripped, or an alarm went off. With
/// roll-back, the record shows it before the service does.
fn given_up(
    view: &RolloutView<'_>,
    service: &ObservedService,
    primary: &Deployment,
    options: JudgeOptions,
) -> RolloutJudgement {
    let Some(records) = view.service_deployments else {
        return RolloutJudgement::Needs(Evidence::ServiceDeployments);
    };
    match our_record(records, view.ours, Some(primary)) {
        Some(record) if record.status.is_rollback() => {
            return undone::by_ecs(record, primary, view, options);
        }
        Some(ServiceDeployment {
            status: ServiceDeploymentStatus::Pending | ServiceDeploymentStatus::InProgress,
            ..
        }) if service.circuit_breaker.rolls_back => {
            return RolloutJudgement::InProgress(progress(Some(primary), Phase::RollingBack));
        }
        _ => {}
    }
    let words = or_else(&primary.rollout_reason, "ECS gave no reason");
    let reason = match UndoneBy::by_words(words) {
        UndoneBy::Alarm => Reason::AlarmFired,
        UndoneBy::Breaker | UndoneBy::Request => Reason::DeploymentFailed,
    };
    ended(
        reason,
        format!(
            "{} failed, and was not rolled back: {words}",
            primary.task_definition
        ),
    )
}

fn completed(view: &RolloutView<'_>, service: &ObservedService, primary: &Deployment) -> RolloutJudgement {
    let succeeded = || RolloutJudgement::Succeeded {
        deployment_id: primary.id.clone(),
    };
    if let Some((reason, summary)) = crash_loop::scaled_away(primary, view.stopped, view.logs) {
        return ended(reason, summary);
    }
    if !view.calm {
        return RolloutJudgement::InProgress(progress(Some(primary), Phase::Settling));
    }
    if service.load_balancers.is_empty() || primary.running == 0 {
        return succeeded();
    }
    match view.targets.state(&service.load_balancers, primary.running) {
        TargetsState::NotRead => RolloutJudgement::Needs(Evidence::Targets),
        TargetsState::Healthy => succeeded(),
        TargetsState::Waiting { unhealthy } if view.stillness.still >= view.stillness.limit => ended(
            Reason::UnhealthyTargets,
            format!(
                "all tasks of {} run, and the load balancer does not call them healthy: {}",
                primary.task_definition,
                unhealthy.join(", ")
            ),
        ),
        TargetsState::Waiting { unhealthy } => {
            RolloutJudgement::InProgress(progress(Some(primary), Phase::Targets { unhealthy }))
        }
    }
}

pub(super) fn ended(reason: Reason, summary: String) -> RolloutJudgement {
    RolloutJudgement::Ended { reason, summary }
}

pub(super) fn progress(deployment: Option<&Deployment>, phase: Phase) -> Progress {
    let count = |of: fn(&Deployment) -> u32| deployment.map_or(0, of);
    Progress {
        phase,
        desired: count(|d| d.desired),
        running: count(|d| d.running),
        pending: count(|d| d.pending),
        failed: count(|d| d.failed),
    }
}

pub(super) fn or_else<'a>(words: &'a str, otherwise: &'a str) -> &'a str {
    if words.is_empty() { otherwise } else { words }
}

//! One observation of a service → how our rollout stands. The same judge serves
//! updates and stacks: a stack that claims to be done is believed only when the
//! service agrees.
//!
//! What is expensive to read is asked for only when it decides something
//! ([`Evidence`]); the caller reads it and asks again.

use jiff::SignedDuration;

use crate::observed::{
    Deployment, DeploymentStatus, ObservedService, RolloutState, ServiceDeployment, ServiceDeploymentStatus,
    ServiceStatus, StoppedTask, TaskDefinitionArn,
};
use crate::rollout::{
    crash_loop,
    targets::{Targets, TargetsState},
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
    /// service of a stack: then PRIMARY on our revision is ours.
    pub id: Option<String>,
    pub task_definition: TaskDefinitionArn,
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
    pub targets: Targets<'a>,
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

/// What a rollout in progress waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Our deployment does not show yet.
    NotSeenYet,
    /// Tasks are being started and stopped.
    Replacing,
    /// All tasks run; the load balancer does not yet call these healthy.
    Targets { unhealthy: Vec<String> },
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

/// Whether the observation shows our deployment as the service's PRIMARY.
pub fn shows_ours(service: Option<&ObservedService>, ours: &OurDeployment) -> bool {
    service
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
        primary => not_primary(view, service, primary, options),
    }
}

/// The verdict on a rollout that was undone. The one place where it is decided.
pub fn rolled_back(summary: String, options: JudgeOptions, deployment_id: &str) -> RolloutJudgement {
    if options.rolled_back_is_success {
        return RolloutJudgement::Succeeded {
            deployment_id: deployment_id.to_owned(),
        };
    }
    RolloutJudgement::Ended {
        reason: Reason::RolledBack,
        summary,
    }
}

fn gone_or_late(view: &RolloutView<'_>, seen: &str) -> RolloutJudgement {
    if view.misses < MISSES_BEFORE_GONE {
        return RolloutJudgement::InProgress(progress(None, Phase::NotSeenYet));
    }
    RolloutJudgement::Ended {
        reason: Reason::ServiceGone,
        summary: format!(
            "the service is gone while {} was rolled out: {seen} in {} observations in a row",
            view.ours.task_definition, view.misses
        ),
    }
}

fn as_primary(
    view: &RolloutView<'_>,
    service: &ObservedService,
    primary: &Deployment,
    options: JudgeOptions,
) -> RolloutJudgement {
    if primary.rollout == RolloutState::Failed {
        return breaker_gave_up(view, service, primary, options);
    }
    if is_stable(service, primary) {
        return completed(view, service, primary);
    }
    if let Some((reason, summary)) = crash_loop::verdict(service, primary, view.stopped) {
        return RolloutJudgement::Ended { reason, summary };
    }
    RolloutJudgement::InProgress(progress(Some(primary), Phase::Replacing))
}

fn breaker_gave_up(
    view: &RolloutView<'_>,
    service: &ObservedService,
    primary: &Deployment,
    options: JudgeOptions,
) -> RolloutJudgement {
    if service.circuit_breaker.rolls_back {
        let Some(records) = view.service_deployments else {
            return RolloutJudgement::Needs(Evidence::ServiceDeployments);
        };
        match our_record(records, view.ours, Some(primary)) {
            Some(record) if record.status.is_rollback() => {
                return undone_by_ecs(record, service, primary, view, options);
            }
            // The breaker trips a moment before the rollback shows.
            Some(ServiceDeployment {
                status: ServiceDeploymentStatus::Pending | ServiceDeploymentStatus::InProgress,
                ..
            }) => return RolloutJudgement::InProgress(progress(Some(primary), Phase::RollingBack)),
            _ => {}
        }
    }
    RolloutJudgement::Ended {
        reason: Reason::DeploymentFailed,
        summary: format!(
            "{} failed, and was not rolled back: {}",
            primary.task_definition,
            or_else(&primary.rollout_reason, "ECS gave no reason")
        ),
    }
}

fn completed(view: &RolloutView<'_>, service: &ObservedService, primary: &Deployment) -> RolloutJudgement {
    if service.load_balancers.is_empty() || primary.running == 0 {
        return RolloutJudgement::Succeeded {
            deployment_id: primary.id.clone(),
        };
    }
    match view.targets.state(&service.load_balancers, primary.running) {
        TargetsState::NotRead => RolloutJudgement::Needs(Evidence::Targets),
        TargetsState::Healthy => RolloutJudgement::Succeeded {
            deployment_id: primary.id.clone(),
        },
        TargetsState::Waiting { unhealthy } => {
            RolloutJudgement::InProgress(progress(Some(primary), Phase::Targets { unhealthy }))
        }
    }
}

/// PRIMARY is not ours: ECS lags, undid us, or somebody replaced us.
fn not_primary(
    view: &RolloutView<'_>,
    service: &ObservedService,
    primary: Option<&Deployment>,
    options: JudgeOptions,
) -> RolloutJudgement {
    let ours = service.deployments.iter().find(|d| is_ours(d, view.ours));
    if ours.is_none() && view.misses < MISSES_BEFORE_GONE {
        return RolloutJudgement::InProgress(progress(None, Phase::NotSeenYet));
    }
    let Some(primary) = primary else {
        return gone_or_late(view, "it has no PRIMARY deployment");
    };
    let Some(records) = view.service_deployments else {
        return RolloutJudgement::Needs(Evidence::ServiceDeployments);
    };
    if let Some(record) = our_record(records, view.ours, ours)
        && record.status.is_rollback()
    {
        return undone_by_ecs(record, service, primary, view, options);
    }
    if ours.is_some_and(|d| d.rollout == RolloutState::Failed) && view.misses < MISSES_BEFORE_GONE {
        return RolloutJudgement::InProgress(progress(ours, Phase::RollingBack));
    }
    if view.misses < MISSES_BEFORE_GONE {
        return RolloutJudgement::InProgress(progress(ours, Phase::NotSeenYet));
    }
    replaced(view, ours, primary)
}

fn replaced(view: &RolloutView<'_>, ours: Option<&Deployment>, primary: &Deployment) -> RolloutJudgement {
    let ours_id = view.ours.id.as_deref().or(ours.map(|d| d.id.as_str()));
    match ours_id {
        Some(id) => RolloutJudgement::Ended {
            reason: Reason::Superseded,
            summary: format!(
                "deployment {id} of {} was replaced by deployment {} of {}",
                view.ours.task_definition, primary.id, primary.task_definition
            ),
        },
        None => RolloutJudgement::Ended {
            reason: Reason::OtherRevisionRuns,
            summary: format!(
                "{} was to run, but the service runs {} (deployment {})",
                view.ours.task_definition, primary.task_definition, primary.id
            ),
        },
    }
}

fn undone_by_ecs(
    record: &ServiceDeployment,
    service: &ObservedService,
    primary: &Deployment,
    view: &RolloutView<'_>,
    options: JudgeOptions,
) -> RolloutJudgement {
    let words = or_else(&record.status_reason, "ECS gave no reason");
    match record.status {
        ServiceDeploymentStatus::RollbackFailed => RolloutJudgement::Ended {
            reason: Reason::RollbackFailed,
            summary: format!(
                "{} failed, and so did rolling it back: {words}",
                view.ours.task_definition
            ),
        },
        ServiceDeploymentStatus::RollbackSuccessful if is_stable(service, primary) => rolled_back(
            format!(
                "{} was rolled back; {} runs again: {words}",
                view.ours.task_definition, primary.task_definition
            ),
            options,
            &primary.id,
        ),
        _ => RolloutJudgement::InProgress(progress(Some(primary), Phase::RollingBack)),
    }
}

/// The newest record of our revision. One from well before our deployment began
/// stems from an earlier attempt with the same revision.
fn our_record<'a>(
    records: &'a [ServiceDeployment],
    ours: &OurDeployment,
    seen: Option<&Deployment>,
) -> Option<&'a ServiceDeployment> {
    let newest = records
        .iter()
        .find(|record| record.task_definition.as_ref() == Some(&ours.task_definition))?;
    let earlier_attempt = seen.is_some_and(|d| d.created.duration_since(newest.created) > RECORD_LAG);
    (!earlier_attempt).then_some(newest)
}

/// How much earlier than its deployment a record may have been written.
const RECORD_LAG: SignedDuration = SignedDuration::from_secs(60);

fn progress(deployment: Option<&Deployment>, phase: Phase) -> Progress {
    let count = |of: fn(&Deployment) -> u32| deployment.map_or(0, of);
    Progress {
        phase,
        desired: count(|d| d.desired),
        running: count(|d| d.running),
        pending: count(|d| d.pending),
        failed: count(|d| d.failed),
    }
}

fn or_else<'a>(words: &'a str, otherwise: &'a str) -> &'a str {
    if words.is_empty() { otherwise } else { words }
}

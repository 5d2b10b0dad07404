//! From a rollout that is followed to the operation's end: the verdict with its
//! evidence, the bake time after a success, the roll-back after a failure. Which
//! reason an ending gets is the rule in [`towline_agent_domain::verdict`].

use towline_agent_domain::{
    observed::TaskDefinitionArn,
    outside::Account,
    rollout::{
        crash_loop,
        diagnosis::Diagnosis,
        follow::{Phase, Progress},
    },
    update::spec::{Bake, OnFailure},
    verdict::{Reason, Verdict},
};
use towline_proto::agent::v1::{Step, StepState};

use super::{
    CancelMode, Ending, Interruption,
    bake::{self, Baked},
    evidence,
    follow::{Followed, Follower},
    interruption,
    undo::{self, Failure, Why},
};
use crate::wire;

/// What is to happen once a rollout has its verdict.
#[derive(Clone, Debug, Default)]
pub(super) struct Afterwards<'a> {
    /// What runs again after a roll-back.
    pub previous: Option<TaskDefinitionArn>,
    pub on_failure: OnFailure,
    pub bake: Option<&'a Bake>,
    /// A cancel is by ECS's own means alone.
    pub by_ecs_alone: bool,
}

/// Follows a rollout to its end. `previous` is what runs again after a cancel.
pub(super) async fn rollout<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<TaskDefinitionArn>,
) -> Result<Ending, Ending> {
    let afterwards = Afterwards {
        previous,
        ..Afterwards::default()
    };
    rollout_and(follower, &afterwards).await
}

/// Follows the rollout of a service that is a stack's to its end: beside the one
/// UpdateService that made it nothing is written but a stop of it.
pub(super) async fn rollout_of_stack<A: Account>(follower: &mut Follower<'_, A>) -> Result<Ending, Ending> {
    let afterwards = Afterwards {
        by_ecs_alone: true,
        ..Afterwards::default()
    };
    rollout_and(follower, &afterwards).await
}

/// Follows a rollout to its end, and does what is to happen afterwards.
pub(super) async fn rollout_and<A: Account>(
    follower: &mut Follower<'_, A>,
    afterwards: &Afterwards<'_>,
) -> Result<Ending, Ending> {
    match follower.run().await.map_err(interruption::out_of_sight)? {
        Followed::Succeeded { deployment_id } => {
            let ending = succeeded(follower, &deployment_id);
            match afterwards.bake {
                Some(bake) => baked(follower, bake, ending, afterwards).await,
                None => Ok(ending),
            }
        }
        Followed::Ended { reason, summary } => {
            let handle = follower.handle();
            handle.step(Step::Rollout, StepState::Failed, summary.clone());
            failed(follower, reason, &summary, afterwards).await
        }
        Followed::Interrupted { by, at } => match by {
            Interruption::Deadline => past_deadline(follower, &at, afterwards).await,
            Interruption::Cancel(CancelMode::Detach) => Ok(outputs(
                follower,
                interruption::detached(&format!("service {}", follower.service())),
            )),
            Interruption::Cancel(CancelMode::RollBack) if afterwards.by_ecs_alone => {
                undo::by_ecs_alone(follower).await
            }
            Interruption::Cancel(CancelMode::RollBack) => {
                undo::roll_back(follower, afterwards.previous.as_ref(), Why::Cancelled).await
            }
        },
    }
}

/// The bake time, and what comes of it.
async fn baked<A: Account>(
    follower: &mut Follower<'_, A>,
    bake: &Bake,
    succeeded: Ending,
    afterwards: &Afterwards<'_>,
) -> Result<Ending, Ending> {
    let handle = follower.handle();
    match bake::watch(follower, bake)
        .await
        .map_err(interruption::out_of_sight)?
    {
        Baked::Good { silent } if silent.is_empty() => Ok(succeeded),
        // What was not watched is no proof, and said with the success.
        Baked::Good { silent } => {
            let details = silent
                .iter()
                .map(|silence| format!("in the bake time {}", silence.message()));
            let found = Diagnosis {
                details: details.collect(),
                ..Diagnosis::default()
            };
            Ok(succeeded.diagnosis(wire::diagnosis(&found)))
        }
        Baked::Ended { reason, summary } => {
            handle.step(Step::Bake, StepState::Failed, summary.clone());
            failed(follower, reason, &summary, afterwards).await
        }
        Baked::Interrupted(Interruption::Cancel(CancelMode::Detach)) => {
            let summary = format!(
                "no longer watched, as asked; {} completed in service {} and runs",
                follower.ours.task_definition,
                follower.service()
            );
            Ok(outputs(follower, Ending::new(Reason::Detached, summary)))
        }
        Baked::Interrupted(Interruption::Cancel(CancelMode::RollBack)) => {
            undo::roll_back(follower, afterwards.previous.as_ref(), Why::Cancelled).await
        }
        Baked::Interrupted(Interruption::Deadline) => {
            let summary = format!(
                "{} completed in service {}, and the deadline came before its bake time was over",
                follower.ours.task_definition,
                follower.service()
            );
            handle.step(Step::Bake, StepState::Failed, summary.clone());
            let ending = outputs(follower, Ending::new(Reason::DeadlineExceeded, summary));
            let stays = match afterwards.on_failure {
                OnFailure::Leave => "",
                OnFailure::RollBack => {
                    "nothing failed, so the release stays and is not rolled back; look at its alarms, and "
                }
            };
            Ok(ending.hint(format!(
                "{stays}give the operation a later deadline, or a shorter bake time"
            )))
        }
    }
}

/// A rollout that failed: left, or put back, as asked. What ECS or somebody else has
/// put something else in the place of is not touched.
async fn failed<A: Account>(
    follower: &mut Follower<'_, A>,
    reason: Reason,
    summary: &str,
    afterwards: &Afterwards<'_>,
) -> Result<Ending, Ending> {
    let is_ours_to_undo = reason.verdict() == Verdict::Failed
        && !matches!(
            reason,
            Reason::Superseded
                | Reason::RolledBack
                | Reason::RolledBackByAlarm
                | Reason::RollbackFailed
                | Reason::OtherRevisionRuns
        );
    if afterwards.on_failure == OnFailure::RollBack
        && matches!(reason, Reason::Superseded | Reason::RolledBack)
        && let Some(own) = undo::own(follower, afterwards.previous.as_ref()).await
    {
        let summary = format!("{} was taken back", follower.ours.task_definition);
        let failure = failure(follower, Reason::DeploymentFailed, &summary).await;
        let why = Why::Failed(Box::new(failure));
        return undo::go_on(follower, own.back, afterwards.previous.as_ref(), why).await;
    }
    if afterwards.on_failure == OnFailure::Leave || !is_ours_to_undo {
        return Ok(ended(follower, reason, summary).await);
    }
    let failure = failure(follower, reason, summary).await;
    let why = Why::Failed(Box::new(failure));
    undo::roll_back(follower, afterwards.previous.as_ref(), why).await
}

/// What failed, with its evidence.
pub(super) async fn failure<A: Account>(
    follower: &mut Follower<'_, A>,
    reason: Reason,
    summary: &str,
) -> Failure {
    let diagnosis = evidence::explain(follower, &[]).await;
    Failure {
        cause: cause_of(reason, &diagnosis),
        summary: summary.to_owned(),
        revision: follower.ours.task_definition.clone(),
        diagnosis,
    }
}

/// The verdict of a rollout that is PRIMARY, COMPLETED, stable and healthy.
pub(super) fn succeeded<A: Account>(follower: &Follower<'_, A>, deployment_id: &str) -> Ending {
    let (service, revision) = (follower.service(), &follower.ours.task_definition);
    let summary = format!("service {service} runs {revision}");
    follower
        .handle()
        .step(Step::Rollout, StepState::Done, summary.clone());
    outputs(follower, Ending::new(Reason::Completed, summary)).output("deployment_id", deployment_id)
}

/// The verdict of one that ended otherwise, with its diagnosis.
pub(super) async fn ended<A: Account>(
    follower: &mut Follower<'_, A>,
    reason: Reason,
    summary: &str,
) -> Ending {
    let diagnosis = evidence::explain(follower, &[]).await;
    let summary = format!("service {}: {summary}", follower.service());
    let cause = cause_of(reason, &diagnosis);
    // Left where it is, a rollout that ECS gave up is named by what it failed of.
    let reason = match (reason, cause) {
        (Reason::DeploymentFailed, Some(cause)) => cause,
        (reason, _) => reason,
    };
    let ending = Ending::new(reason, summary);
    let ending = match reason {
        Reason::DeadlineExceeded => ending.hint("DescribeService shows how it goes on"),
        _ => ending,
    };
    with_cause(outputs(follower, ending.because(&diagnosis)), cause)
}

pub(super) fn with_cause(ending: Ending, cause: Option<Reason>) -> Ending {
    match cause {
        Some(cause) => ending.output("cause", cause.as_str()),
        None => ending,
    }
}

/// The stable word for why; see the rule in [`towline_agent_domain::verdict`].
pub(super) fn cause_of(reason: Reason, diagnosis: &Diagnosis) -> Option<Reason> {
    match reason {
        reason if Reason::CAUSES.contains(&reason) => Some(reason),
        Reason::AlarmFired | Reason::RolledBackByAlarm => Some(Reason::AlarmFired),
        Reason::DeploymentFailed | Reason::CrashLooping | Reason::BecameUnstable | Reason::RolloutStuck => {
            Some(diagnosis.cause.unwrap_or(reason))
        }
        Reason::RolledBack | Reason::RollbackFailed | Reason::DeadlineExceeded => diagnosis.cause,
        _ => None,
    }
}

async fn past_deadline<A: Account>(
    follower: &mut Follower<'_, A>,
    at: &Progress,
    afterwards: &Afterwards<'_>,
) -> Result<Ending, Ending> {
    let revision = follower.ours.task_definition.clone();
    // What ECS is undoing is a bad release, however long undoing it takes.
    if at.phase == Phase::RollingBack {
        let summary = format!("{revision} is being rolled back, and the deadline came before the end of it");
        return Ok(ended(follower, Reason::RolledBack, &summary).await);
    }
    let summary = format!(
        "the deadline came while {revision} was rolled out: {} of {} tasks run, {} are pending, {} failed",
        at.running, at.desired, at.pending, at.failed
    );
    follower
        .handle()
        .step(Step::Rollout, StepState::Failed, summary.clone());
    // Best effort: the verdict stands without it.
    if let Err(ending) = follower.read_stopped().await {
        tracing::warn!("{}", ending.into_finished().summary);
    }
    if afterwards.on_failure == OnFailure::Leave {
        return Ok(ended(follower, Reason::DeadlineExceeded, &summary).await);
    }
    let fails = follower.stopped().iter().any(crash_loop::died);
    let failure = failure(follower, Reason::DeadlineExceeded, &summary).await;
    Ok(undo::begin_late(follower, afterwards.previous.as_ref(), failure, fails).await)
}

/// What scripts want to know of the rollout, beside what the ending names already.
pub(super) fn outputs<A: Account>(follower: &Follower<'_, A>, ending: Ending) -> Ending {
    let ending = ending.output_if_new("task_definition", follower.ours.task_definition.0.clone());
    let ending = match &follower.ours.id {
        Some(id) if !follower.ours.is_known_by_record() => ending.output_if_new("deployment_id", id.clone()),
        _ => ending,
    };
    match follower.last() {
        Some(service) => ending.output_if_new("service_arn", service.arn.clone()),
        None => ending,
    }
}

impl Ending {
    /// Adds why, and the next step that follows from it.
    #[must_use]
    pub(super) fn because(self, found: &Diagnosis) -> Self {
        let ending = self.diagnosis(wire::diagnosis(found));
        if found.hint.is_empty() {
            ending
        } else {
            ending.hint(found.hint.clone())
        }
    }
}

//! From a rollout that is followed to the operation's end, with the evidence.

use towline_agent_domain::{
    observed::TaskDefinitionArn,
    outside::Account,
    rollout::follow::{Phase, Progress},
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{
    CancelMode, Ending, Interruption, evidence,
    follow::{Followed, Follower},
    interruption, undo,
};
use crate::wire;

/// Follows a rollout to its end. `previous` is what runs again after a roll-back.
pub(super) async fn rollout<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<TaskDefinitionArn>,
) -> Result<Ending, Ending> {
    match follower.run().await? {
        Followed::Succeeded { deployment_id } => Ok(succeeded(follower, &deployment_id)),
        Followed::Ended { reason, summary } => {
            let handle = follower.handle();
            handle.step(Step::Rollout, StepState::Failed, summary.clone());
            Ok(ended(follower, reason, &summary).await)
        }
        Followed::Interrupted { by, at } => match by {
            Interruption::Deadline => Ok(past_deadline(follower, &at).await),
            Interruption::Cancel(CancelMode::Detach) => Ok(outputs(
                follower,
                interruption::detached(&format!("service {}", follower.service())),
            )),
            Interruption::Cancel(CancelMode::RollBack) => undo::roll_back(follower, previous).await,
        },
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
    outputs(follower, Ending::new(reason, summary).because(&diagnosis))
}

async fn past_deadline<A: Account>(follower: &mut Follower<'_, A>, at: &Progress) -> Ending {
    let revision = follower.ours.task_definition.clone();
    // What ECS is undoing is a bad release, however long undoing it takes.
    if at.phase == Phase::RollingBack {
        let summary = format!("{revision} is being rolled back, and the deadline came before the end of it");
        return ended(follower, Reason::RolledBack, &summary).await;
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
    ended(follower, Reason::DeadlineExceeded, &summary).await
}

/// What scripts want to know of the rollout.
pub(super) fn outputs<A: Account>(follower: &Follower<'_, A>, ending: Ending) -> Ending {
    let ending = ending.output("task_definition", follower.ours.task_definition.0.clone());
    let ending = match &follower.ours.id {
        Some(id) => ending.output("deployment_id", id.clone()),
        None => ending,
    };
    match follower.last() {
        Some(service) => ending.output("service_arn", service.arn.clone()),
        None => ending,
    }
}

impl Ending {
    /// Adds why, and the next step that follows from it.
    #[must_use]
    pub(super) fn because(self, found: &towline_agent_domain::rollout::diagnosis::Diagnosis) -> Self {
        let ending = self.diagnosis(wire::diagnosis(found));
        if found.hint.is_empty() {
            ending
        } else {
            ending.hint(found.hint.clone())
        }
    }
}

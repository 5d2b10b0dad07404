//! Going on from what an earlier send of the same operation did. It ends as it would
//! have ended had nobody killed the agent.

use towline_agent_domain::{
    observed::TaskDefinitionArn,
    outside::Account,
    rollout::{follow::OurDeployment, undone::UndoneBy},
    update::spec::{OnFailure, WaitFor},
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{
    super::{CancelMode, Ending, Interruption, conclude, follow::Follower, undo},
    Before, Update,
};

impl<A: Account> Update<'_, A> {
    /// The rollout is under way, or done.
    pub(super) async fn reattach(
        &self,
        deployment_id: String,
        revision: TaskDefinitionArn,
        now: &Before,
    ) -> Result<Ending, Ending> {
        // A first send has done nothing yet: the content that is wanted is somebody else's.
        let whose = match self.order.repeated_send {
            true => "",
            false => ", begun by somebody else",
        };
        let detail = format!("deployment {deployment_id} of {revision} is there already{whose}");
        self.handle.step(Step::ServiceUpdate, StepState::Skipped, detail);
        if self.order.spec.wait_for == WaitFor::Started {
            return Ok(self.started(Some(deployment_id), &revision));
        }
        let expected = self.order.expected.as_ref();
        let previous = self.back(now.service.as_ref(), &revision, expected).await;
        let mut follower = self.follower(Some(deployment_id), revision);
        follower.look_back();
        if self.order.repeated_send {
            follower.resume();
        }
        self.follow(follower, previous).await
    }

    /// ECS rolled it back, or is at it: because it failed, or because it was asked to.
    pub(super) async fn rolled_back(
        &self,
        mut follower: Follower<'_, A>,
        by: UndoneBy,
    ) -> Result<Ending, Ending> {
        follower.presume_gone();
        follower.resume();
        let why = match by {
            UndoneBy::Request => self.why_undone(&mut follower).await?,
            UndoneBy::Breaker | UndoneBy::Alarm => None,
        };
        match why {
            Some(why) => undo::go_on(&mut follower, None, self.expected_revision().as_ref(), why).await,
            // The record is judged, and its evidence gathered, where every rollout is.
            None => conclude::rollout(&mut follower, self.expected_revision()).await,
        }
    }

    /// An UpdateService to what ran before followed ours.
    pub(super) async fn put_back(
        &self,
        revision: TaskDefinitionArn,
        deployment_id: String,
        by: TaskDefinitionArn,
    ) -> Result<Ending, Ending> {
        let mut follower = self.follower(None, revision.clone());
        match self.why_undone(&mut follower).await? {
            Some(why) => {
                let back = OurDeployment {
                    id: Some(deployment_id),
                    task_definition: by.clone(),
                };
                undo::go_on(&mut follower, Some(back), Some(&by), why).await
            }
            None => self.superseded(revision, &by).await,
        }
    }

    /// Another revision took its place.
    pub(super) async fn superseded(
        &self,
        revision: TaskDefinitionArn,
        by: &TaskDefinitionArn,
    ) -> Result<Ending, Ending> {
        let summary = format!("{revision} was replaced by {by}");
        let mut follower = self.follower(None, revision);
        follower.read_stopped().await?;
        Ok(conclude::ended(&mut follower, Reason::Superseded, &summary).await)
    }

    /// Why this operation undid its own rollout; `None`: it did not.
    async fn why_undone(&self, follower: &mut Follower<'_, A>) -> Result<Option<undo::Why>, Ending> {
        // A cancel is sent again after the operation, and may be what it was undone for.
        let heard = match self.handle.interruption() {
            None => self.handle.pause(self.surroundings.timing.settle).await,
            heard => heard,
        };
        if heard == Some(Interruption::Cancel(CancelMode::RollBack)) {
            return Ok(Some(undo::Why::Cancelled));
        }
        if self.order.spec.on_failure == OnFailure::Leave {
            return Ok(None);
        }
        follower.read_records().await?;
        follower.read_stopped().await?;
        let summary = format!("{} was taken back", follower.ours.task_definition);
        let failure = conclude::failure(follower, Reason::DeploymentFailed, &summary).await;
        Ok(Some(undo::Why::Failed(Box::new(failure))))
    }
}

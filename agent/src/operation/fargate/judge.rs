//! How a stack's change ends: CloudFormation's word first, then the service's,
//! because a stack can be complete while its service runs something else.

use towline_agent_domain::{
    fargate::stack::{StackOutcome, StackStatus, cancelled_by, outcome, task_definition_of},
    observed::{Stack, TaskDefinitionArn},
    outside::{Account, CallError},
    rollout::{
        diagnosis::{Findings, diagnose},
        follow::RolloutJudgement,
    },
    verdict::Reason,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{Deploy, Ending, Interruption, Turn, observe::Observation};
use crate::operation::{
    conclude, evidence,
    follow::{Followed, Follower},
};

impl<A: Account> Deploy<'_, A> {
    /// Our change has ended in CloudFormation's eyes.
    pub(super) async fn conclude(
        &mut self,
        observation: &Observation,
        ended: StackOutcome,
    ) -> Result<Ending, Ending> {
        let words = self.words_of_failure(observation);
        let name = &self.order.stack_name;
        let judged = outcome(ended, name, &words, self.surroundings.judge_options());
        let ending = match judged {
            None => self.service_agrees(observation).await?,
            Some(RolloutJudgement::Succeeded { .. }) => {
                Ending::new(Reason::Completed, format!("stack {name} is complete"))
            }
            Some(RolloutJudgement::Ended {
                reason: Reason::RolledBack | Reason::CreateRolledBack,
                summary,
            }) if self.was_cancelled() => {
                self.handle.step(Step::Rollback, StepState::Done, summary.clone());
                Ending::new(Reason::UpdateCancelled, format!("cancelled; {summary}"))
            }
            Some(RolloutJudgement::Ended { reason, summary }) => {
                let ending = self.explained(reason, summary).await;
                match ended {
                    StackOutcome::Stuck => ending.hint(self.way_out(observation).await?),
                    _ => ending,
                }
            }
            Some(RolloutJudgement::InProgress(_) | RolloutJudgement::Needs(_)) => Ending::new(
                Reason::Unknown,
                format!("how stack {name} ended cannot be judged"),
            ),
        };
        Ok(self.with_outputs(ending, observation))
    }

    /// What a person can do with a stack that CloudFormation could not take back.
    async fn way_out(&self, observation: &Observation) -> Result<String, Ending> {
        let name = &self.order.stack_name;
        let status = observation.stack.as_ref().map(|stack| stack.status.as_str());
        if status != Some("UPDATE_ROLLBACK_FAILED") {
            return Ok(format!(
                "look at the events of stack {name} in the CloudFormation console"
            ));
        }
        let resources = self.read_resources(name).await?;
        let failed: Vec<&str> = resources
            .iter()
            .filter(|resource| resource.status.ends_with("_FAILED"))
            .map(|resource| resource.logical_id.as_str())
            .collect();
        Ok(format!(
            "repair what its events name, or leave those resources as they are: aws cloudformation \
             continue-update-rollback --stack-name {name} --resources-to-skip {}; then deploy again",
            failed.join(" ")
        ))
    }

    /// A person stopped the creation, and the stack is gone. Its log group is not:
    /// CloudFormation keeps it on a deletion, and the next creation would find its name taken.
    pub(super) async fn cancelled_creation(&mut self) -> Result<Ending, Ending> {
        self.tell_events();
        let (name, region) = (&self.order.stack_name, &self.order.at.region);
        if let Some(group) = &self.progress.log_group {
            let aws = &self.surroundings.aws;
            let what = format!("delete log group {group}, which stack {name} left behind");
            let cleared = self.handle.read(&what, || async {
                match aws.delete_log_group(region, group).await {
                    Err(CallError::Missing { .. }) => Ok(()),
                    answer => answer,
                }
            });
            if let Err(ending) = cleared.await {
                let hint = format!("delete log group {group} before the next deployment: its name is taken");
                let message = ending.into_finished().summary;
                self.handle
                    .finding(Severity::Warning, "log_group_left_behind", message, &hint);
            }
        }
        let summary = format!("cancelled; stack {name} was deleted before it was healthy");
        self.handle.step(Step::Rollback, StepState::Done, summary.clone());
        Ok(Ending::new(Reason::CreateCancelled, summary))
    }

    /// The change set was empty; that may hide a service on another revision.
    pub(super) async fn no_changes(&mut self, observation: &Observation) -> Result<Turn, Ending> {
        let name = &self.order.stack_name;
        self.handle.step(
            Step::ChangeSet,
            StepState::Skipped,
            format!("stack {name} has nothing to change"),
        );
        self.delete_change_set().await?;
        let said = observation.stack.as_ref().and_then(task_definition_of);
        let revision = said.ok_or_else(|| self.no_revision_said())?;
        let ending = self.put_right(observation, revision, None).await?;
        Ok(Turn::End(self.with_outputs(ending, observation)))
    }

    pub(super) fn no_revision_said(&self) -> Ending {
        let summary = format!(
            "stack {} does not say which revision it made",
            self.order.stack_name
        );
        Ending::new(Reason::Unknown, summary).hint("look at the stack's outputs; was its template replaced?")
    }

    pub(super) async fn change_set_failed(&mut self, reason: &str) -> Result<Turn, Ending> {
        self.handle.step(Step::ChangeSet, StepState::Failed, reason);
        self.discard_change_set().await?;
        let summary = format!(
            "CloudFormation cannot change stack {}: {reason}",
            self.order.stack_name
        );
        Ok(Turn::End(Ending::new(Reason::ChangeSetFailed, summary).hint(
            "the stack was not changed; correct what CloudFormation names",
        )))
    }

    /// Judges the service that the stack claims to have made.
    async fn service_agrees(&mut self, observation: &Observation) -> Result<Ending, Ending> {
        let said = observation.stack.as_ref().and_then(task_definition_of);
        let Some(revision) = said.or_else(|| self.our_revision()) else {
            return Err(self.no_revision_said());
        };
        let follower = self.follower_of(revision);
        loop {
            match follower.run().await? {
                Followed::Succeeded { deployment_id } => {
                    return Ok(conclude::succeeded(follower, &deployment_id));
                }
                Followed::Ended { reason, summary } => {
                    let handle = follower.handle();
                    handle.step(Step::Rollout, StepState::Failed, summary.clone());
                    return Ok(conclude::ended(follower, reason, &summary).await);
                }
                // The stack is done: there is no update any more that could be cancelled.
                Followed::Interrupted {
                    by: Interruption::Cancel(_),
                    ..
                } => follower.handle().take_cancel(),
                Followed::Interrupted {
                    by: Interruption::Deadline,
                    ..
                } => {
                    let summary =
                        "the stack is complete, and the deadline came before its service was stable";
                    return Ok(conclude::ended(follower, Reason::DeadlineExceeded, summary).await);
                }
            }
        }
    }

    /// The deadline came while CloudFormation works. What is being rolled back is a bad
    /// release, however long that takes.
    pub(super) async fn too_late(&mut self, stack: &Stack) -> Ending {
        let status = StackStatus::parse(&stack.status);
        let going_back = matches!(
            status,
            StackStatus::RollbackInProgress
                | StackStatus::UpdateRollbackInProgress
                | StackStatus::UpdateRollbackCompleteCleanupInProgress
        );
        let summary = format!("the deadline came while stack {} was {status}", stack.name);
        let (reason, summary) = match (going_back && !self.was_cancelled(), self.progress.hopeless.take()) {
            (true, _) => (Reason::RolledBack, summary),
            (false, Some((reason, words))) => (reason, format!("{summary}: {words}")),
            (false, None) => (Reason::DeadlineExceeded, summary),
        };
        self.explained(reason, summary)
            .await
            .output("stack_id", stack.id.clone())
    }

    async fn explained(&mut self, reason: Reason, summary: String) -> Ending {
        if self.follower.is_none() {
            // After a restart the revision is in the events, and its dead tasks still show.
            if let Some(revision) = self.our_revision() {
                self.follower_of(revision);
            }
        }
        let events: Vec<_> = self.our_events().cloned().collect();
        let diagnosis = match &mut self.follower {
            Some(follower) => {
                // Best effort: without the tasks the stack's own words remain.
                if let Err(ending) = look_back(follower).await {
                    tracing::warn!("{}", ending.into_finished().summary);
                }
                evidence::explain(follower, &events).await
            }
            None => diagnose(&Findings {
                stack_events: &events,
                ..Findings::default()
            }),
        };
        Ending::new(reason, summary).because(&diagnosis)
    }

    /// CloudFormation's words for the first resource of ours that failed.
    fn words_of_failure(&self, observation: &Observation) -> String {
        let first = self
            .our_events()
            .rev()
            .find(|event| event.status.ends_with("_FAILED") && !event.reason.contains("cancelled"));
        match (first, &observation.stack) {
            (Some(event), _) => format!("{} {}: {}", event.logical_id, event.status, event.reason),
            (None, Some(stack)) => stack.status_reason.clone(),
            (None, None) => String::new(),
        }
    }

    /// The stack was taken back because a person said so.
    pub(super) fn was_cancelled(&self) -> bool {
        self.progress.undoing || cancelled_by(&self.events, self.handle.id())
    }

    pub(super) fn with_outputs(&self, ending: Ending, observation: &Observation) -> Ending {
        let Some(stack) = &observation.stack else {
            return ending;
        };
        let ending = ending
            .output("stack_id", stack.id.clone())
            .output("stack_name", stack.name.clone());
        match task_definition_of(stack) {
            Some(TaskDefinitionArn(arn)) => ending.output("task_definition", arn),
            None => ending,
        }
    }
}

async fn look_back<A: Account>(follower: &mut Follower<'_, A>) -> Result<(), Ending> {
    follower.look().await?;
    follower.read_stopped().await
}

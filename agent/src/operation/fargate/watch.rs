//! Watching our change: one thing at a time. While the service is rolled out its own
//! looks tell what happens, through the poller that all operations share; the stack's
//! events are read seldom then, and often once the service has come to rest. The
//! stack's status stands in its events, so DescribeStacks is needed at the ends alone.
//! How long each wait is: [`towline_agent_domain::fargate::stack::until_next_look`].

use std::time::Duration;

use towline_agent_domain::{
    fargate::stack::{
        OurTrace, StackDecision, StackStatus, StatusKind, Waiting, continuation, deleted_by, last_of_stack,
        trace, until_next_look,
    },
    observed::{ChangeSet, ObservedService, RolloutState, Stack, TaskDefinitionArn},
    outside::Account,
    rollout::{
        follow::{OurDeployment, RolloutJudgement, is_ours},
        pace::{Standing, standing},
    },
    verdict::Verdict,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{Deploy, Ending, Turn, observe::Observation};
use crate::operation::follow::Follower;

/// What one call can show after the look before.
#[derive(Clone, Debug)]
pub(super) enum Glance {
    /// Our change set, which is being made, on what was seen of its stack.
    ChangeSet(Box<Observation>),
    /// The events of the stack that our change is under way on.
    UnderWay(Box<Stack>),
}

/// The service has been at rest for so many usual intervals, and its stack has not
/// ended: it is looked at again.
const REST: u32 = 20;

impl<'a, A: Account> Deploy<'a, A> {
    /// Keeps what makes the next look cheap.
    pub(super) fn remember(&mut self, observation: &Observation, decision: &StackDecision) {
        self.glance = match (decision, &observation.stack) {
            (StackDecision::Follow, Some(stack)) => Some(Glance::UnderWay(Box::new(stack.clone()))),
            (StackDecision::AwaitChangeSet, Some(_)) => {
                Some(Glance::ChangeSet(Box::new(observation.clone())))
            }
            _ => None,
        };
    }

    /// One call, where one call can tell. `None`: a whole look is due.
    pub(super) async fn glance(&mut self) -> Result<Option<Observation>, Ending> {
        match self.glance.take() {
            Some(Glance::UnderWay(stack)) => self.glance_at_events(*stack).await,
            Some(Glance::ChangeSet(seen)) => {
                let Some(stack) = &seen.stack else { return Ok(None) };
                let change_set = self.read_change_set(&stack.name).await?;
                Ok(change_set.map(|change_set| with_change_set(*seen, change_set)))
            }
            None => Ok(None),
        }
    }

    async fn glance_at_events(&mut self, seen: Stack) -> Result<Option<Observation>, Ending> {
        self.read_events(&seen.id).await?;
        let id = self.handle.id();
        let Some(last) = last_of_stack(&self.events, &seen.id) else {
            return Ok(None);
        };
        let trace = trace(&self.events, id);
        let status = StackStatus::parse(&last.status);
        let goes_on = trace == OurTrace::Latest
            && status.kind() == StatusKind::Busy
            && status != StackStatus::UpdateCompleteCleanupInProgress;
        if !goes_on {
            // The look that is due needs the events no more.
            self.events_are_new = true;
            return Ok(None);
        }
        Ok(Some(Observation {
            settled: self.settled(),
            stack: Some(Stack {
                status: last.status.clone(),
                status_reason: last.reason.clone(),
                ..seen
            }),
            trace,
            deleted_by_us: deleted_by(&self.events, id),
            continuation: continuation(&self.events, id),
            ..Observation::default()
        }))
    }

    /// How long to the next look.
    pub(super) fn pause(&self, waiting: Waiting) -> Duration {
        until_next_look(waiting, self.quiet(), self.surroundings.timing.stack_look())
    }

    /// For how long nothing has moved.
    fn quiet(&self) -> Duration {
        self.handle.clock().instant().duration_since(self.moved)
    }

    pub(super) fn stirred(&mut self) {
        self.moved = self.handle.clock().instant();
    }

    /// Waits for the next look at the stack. Meanwhile the service's tasks and events
    /// are told as they happen; the verdict waits for the stack.
    pub(super) async fn watch(&mut self, stack: &Stack) -> Result<Turn, Ending> {
        let forward = goes_forward(&stack.status);
        // Also when it was an earlier incarnation that carried the cancel out.
        self.progress.undoing |= self.was_cancelled();
        let clock = self.handle.clock();
        if let Some(revision) = self.our_revision() {
            self.follower_of(revision);
        }
        loop {
            let waiting = self.waiting(forward);
            let due = self.looked + self.pause(waiting);
            let left = due.saturating_duration_since(clock.instant());
            if left.is_zero() || self.handle.interruption().is_some() {
                return Ok(Turn::Again);
            }
            match (waiting, &mut self.follower) {
                (Waiting::Service, Some(follower)) => {
                    if let Some(service) = follower.next_within(left).await? {
                        self.see_service(service, forward).await?;
                    }
                }
                _ => {
                    self.handle.pause(left).await;
                }
            }
        }
    }

    fn waiting(&self, forward: bool) -> Waiting {
        let rests = self.progress.at_rest && self.quiet() < self.surroundings.timing.stack_look() * REST;
        match (&self.follower, forward) {
            (Some(_), _) if !rests => Waiting::Service,
            (None, true) if !self.service_is_begun() => Waiting::Resources,
            _ => Waiting::End,
        }
    }

    /// CloudFormation is at the service, which comes last.
    fn service_is_begun(&self) -> bool {
        self.our_events()
            .any(|event| event.resource_type == "AWS::ECS::Service")
    }

    async fn see_service(&mut self, service: Option<ObservedService>, forward: bool) -> Result<(), Ending> {
        let Some(follower) = &mut self.follower else {
            return Ok(());
        };
        let rests = if forward {
            let goes_on = service
                .as_ref()
                .is_some_and(|service| goes_on(service, &follower.ours));
            let judged = follower.see(service).await?;
            self.heed_service(judged, goes_on)
        } else {
            let rests = matches!(
                standing(service.as_ref()),
                Standing::Settled | Standing::Missing | Standing::Failing
            );
            follower.note(service).await?;
            rests
        };
        if rests && !self.progress.at_rest {
            // What the stack waited for has happened: its end is near.
            self.stirred();
        }
        self.progress.at_rest = rests;
        Ok(())
    }

    /// Whether the service has come to rest; a rollout that is judged lost, and that ECS
    /// lets go on, is told: CloudFormation will not see it by itself.
    fn heed_service(&mut self, judged: RolloutJudgement, goes_on: bool) -> bool {
        let (reason, summary) = match judged {
            RolloutJudgement::Succeeded { .. } => return true,
            RolloutJudgement::Ended { reason, summary } => (reason, summary),
            RolloutJudgement::InProgress(_) | RolloutJudgement::Needs(_) => {
                self.progress.hopeless = None;
                return false;
            }
        };
        if goes_on && self.progress.hopeless.is_none() {
            let message = format!("{summary}; CloudFormation does not give up yet");
            self.handle.finding(
                Severity::Warning,
                reason.as_str(),
                message,
                "cancel it, or wait for the deadline",
            );
        }
        self.progress.hopeless = (reason.verdict() == Verdict::Failed).then_some((reason, summary));
        !goes_on
    }

    /// The eyes on the service for this revision; new ones when it is another than before.
    pub(super) fn follower_of(&mut self, task_definition: TaskDefinitionArn) -> &mut Follower<'a, A> {
        let same = |follower: &Follower<'_, A>| follower.ours.task_definition == task_definition;
        if !self.follower.as_ref().is_some_and(same) {
            let detail = format!("{task_definition} in service {}", self.order.service_name());
            self.handle.step(Step::Rollout, StepState::Started, detail);
            self.follower = None;
        }
        let (surroundings, handle, order) = (self.surroundings, self.handle, self.order);
        self.follower.get_or_insert_with(|| {
            let ours = OurDeployment {
                id: None,
                task_definition,
            };
            Follower::new(surroundings, handle, &order.at, order.service_name(), ours)
        })
    }
}

/// Whether ECS still rolls our revision out.
fn goes_on(service: &ObservedService, ours: &OurDeployment) -> bool {
    let primary = service.primary().filter(|primary| is_ours(primary, ours));
    primary.is_some_and(|primary| primary.rollout == RolloutState::InProgress)
}

/// Whether a stack of this status still does what was asked of it.
fn goes_forward(status: &str) -> bool {
    matches!(
        status,
        "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    )
}

fn with_change_set(seen: Observation, change_set: ChangeSet) -> Observation {
    Observation {
        change_set: Some(change_set),
        ..seen
    }
}

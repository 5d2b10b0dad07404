//! The driver of `DeployFargateService`: observe the stack, decide
//! ([`towline_agent_domain::fargate::stack`]), act once, look again. Start with
//! [`Deploy::run`]; [`observe`] reads the account, [`act`] changes it, [`judge`]
//! ends it.
//!
//! What always holds: every write carries a token made of the operation's id, so
//! CloudFormation does nothing twice; and a stack that says it is done is
//! believed only when its service agrees.

mod act;
mod judge;
mod observe;

use std::collections::HashSet;

use tokio::time::Instant;
use towline_agent_domain::{
    fargate::{
        Template, ValidService,
        stack::{ExpectedStack, OurTrace, StackDecision, decide},
    },
    observed::{ClusterRef, StackEvent},
    outside::Account,
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{Ending, Handle, Interruption, Surroundings, follow::Follower, interruption};
use observe::Observation;

/// A Fargate service to create or update, checked.
#[derive(Clone, Debug)]
pub(crate) struct FargateOrder {
    pub at: ClusterRef,
    pub service: ValidService,
    pub template: Template,
    pub stack_name: String,
    /// `None`: what is observed is where it starts from.
    pub expected: Option<ExpectedStack>,
    /// The operation was sent before.
    pub repeated_send: bool,
}

impl FargateOrder {
    fn service_name(&self) -> &str {
        &self.service.spec().name
    }
}

/// Carries a deployment out, to its verdict.
pub(crate) async fn deploy<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    order: &FargateOrder,
) -> Ending {
    let mut driver = Deploy {
        surroundings,
        handle,
        order,
        events: Vec::new(),
        told_events: HashSet::new(),
        told_status: String::new(),
        follower: None,
        progress: Progress::default(),
        since_write: handle.clock().instant(),
    };
    driver.run().await.unwrap_or_else(|ending| ending)
}

struct Deploy<'a, A> {
    surroundings: &'a Surroundings<A>,
    handle: &'a Handle,
    order: &'a FargateOrder,
    /// The stack's events as far as they were read, newest first.
    events: Vec<StackEvent>,
    told_events: HashSet<String>,
    told_status: String,
    /// The eyes on the service, once our revision is known.
    follower: Option<Follower<'a, A>>,
    progress: Progress,
    /// When this incarnation last wrote, or began to look.
    since_write: Instant,
}

/// What this incarnation has done so far.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Between two looks something was said to the person who waits.
    waiting: bool,
    change_set_made: bool,
    executed: bool,
    deleting: bool,
    /// A person said stop, and the stack is being taken back.
    undoing: bool,
    /// What the service's rollout came to, while CloudFormation still waits for it.
    hopeless: Option<(Reason, String)>,
    /// The log group that this operation's creation made.
    log_group: Option<String>,
}

/// What to do after one look.
enum Turn {
    /// Look again after the usual pause.
    Pause,
    /// Look again at once: something was written.
    Again,
    End(Ending),
}

impl<A: Account> Deploy<'_, A> {
    async fn run(&mut self) -> Result<Ending, Ending> {
        loop {
            let observation = self.observe().await?;
            if self.progress.undoing && observation.is_gone() {
                return self.cancelled_creation().await;
            }
            let decision = decide(&self.view(&observation));
            self.tell(&observation, &decision);
            let turn = match self.turn(&observation, decision).await? {
                Turn::Pause => self.handle.pause(self.surroundings.timing.poll).await,
                Turn::Again => self.handle.interruption(),
                Turn::End(ending) => return Ok(ending),
            };
            match turn {
                Some(Interruption::Cancel(_)) => {
                    self.handle.take_cancel();
                    if let Some(ending) = self.undo().await? {
                        return Ok(ending);
                    }
                }
                Some(Interruption::Deadline) => return Ok(self.past_deadline(&observation).await),
                None => {}
            }
        }
    }

    /// Carries one decision out.
    async fn turn(&mut self, observation: &Observation, decision: StackDecision) -> Result<Turn, Ending> {
        if let Some(turn) = self.still_settling(&decision) {
            return turn;
        }
        match decision {
            StackDecision::Unchanged { task_definition } => {
                Ok(Turn::End(self.unchanged(observation, &task_definition)))
            }
            StackDecision::CreateChangeSet { creates_stack } => self.create_change_set(creates_stack).await,
            StackDecision::ExecuteChangeSet => self.execute_change_set().await,
            StackDecision::NoChanges => self.no_changes(observation).await,
            StackDecision::ChangeSetFailed { reason } => self.change_set_failed(&reason).await,
            StackDecision::DeleteNeverHealthy { stack_id } => self.delete_never_healthy(&stack_id).await,
            StackDecision::Follow => self.look_at_service().await,
            StackDecision::AwaitChangeSet
            | StackDecision::AwaitDeletion
            | StackDecision::AwaitRollback
            | StackDecision::ContinueRollback => Ok(Turn::Pause),
            StackDecision::CheckService { .. } => self.no_changes(observation).await,
            StackDecision::KeepObserving { why } | StackDecision::AwaitOther { who: why } => {
                self.say_waiting(&why);
                Ok(Turn::Pause)
            }
            StackDecision::Conclude(outcome) => self.conclude(observation, outcome).await.map(Turn::End),
            StackDecision::Refuse(refusal) => {
                self.handle
                    .step(Step::Preflight, StepState::Failed, refusal.message.clone());
                Err(refusal.into())
            }
        }
    }

    /// After ExecuteChangeSet was answered, only what shows our token is news: all else
    /// is the account lagging.
    fn still_settling(&mut self, decision: &StackDecision) -> Option<Result<Turn, Ending>> {
        let shows_it = matches!(decision, StackDecision::Follow | StackDecision::Conclude(_));
        if !self.progress.executed || shows_it {
            return None;
        }
        if !self.settled() {
            return Some(Ok(Turn::Pause));
        }
        let name = &self.order.stack_name;
        Some(Err(Ending::unknown(
            &format!("the execution of the change set on stack {name}"),
            format!("look at the events of stack {name} in CloudFormation, then deploy again"),
        )))
    }

    /// Whether the account was observed for as long as AWS may lag.
    fn settled(&self) -> bool {
        let clock = self.handle.clock();
        clock.instant().duration_since(self.since_write) >= self.surroundings.timing.settle
    }

    fn wrote(&mut self) {
        self.since_write = self.handle.clock().instant();
    }

    fn say_waiting(&mut self, why: &str) {
        if !std::mem::replace(&mut self.progress.waiting, true) {
            self.handle.step(
                Step::Preflight,
                StepState::Started,
                format!("{why}; looking again"),
            );
        }
    }

    /// Nothing was written before the deadline, or the stack is still under way.
    async fn past_deadline(&mut self, observation: &Observation) -> Ending {
        let written = self.progress.executed || observation.trace != OurTrace::None;
        match &observation.stack {
            Some(stack) if written => self.too_late(stack).await,
            _ => interruption::before_the_write(Interruption::Deadline, "the stack was not changed"),
        }
    }

    fn unchanged(
        &self,
        observation: &Observation,
        revision: &towline_agent_domain::observed::TaskDefinitionArn,
    ) -> Ending {
        let name = self.order.service_name();
        let summary = format!("service {name} runs {revision} as wanted already; nothing was changed");
        self.with_outputs(Ending::new(Reason::Unchanged, summary), observation)
    }
}

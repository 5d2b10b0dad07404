//! The driver of `DeployFargateService`, and of what only looks
//! (`PlanFargateService`, `GetFargateTemplate`): observe the stack, decide
//! ([`towline_agent_domain::fargate::stack`]), act once, look again. Start with
//! [`Deploy::run`]; [`observe`] reads the account, [`wanted`] makes the template,
//! [`preflight`] looks before anything is written, [`act`] changes the stack,
//! [`watch`] follows it, [`redeploy`] changes its service, [`cancel`] takes back,
//! [`discard`] clears away, [`judge`] ends it.
//!
//! What always holds: every write to CloudFormation carries a token made of the
//! operation's id, so nothing is done twice; a stack is changed by a change set
//! only, compared with the plan that was approved; and a stack that says it is done
//! is believed only when its service agrees.
//!
//! Who rolls back: a service that does not come up is given up by ECS's circuit
//! breaker, which puts the revision before back; the stack's update then fails on
//! that service, and CloudFormation puts the stack back. Towline itself rolls
//! nothing back unless a person cancels: then CloudFormation does it
//! (CancelUpdateStack), or, for a first creation, the stack is deleted.

mod act;
mod cancel;
mod discard;
mod judge;
mod look;
mod observe;
mod planned;
pub(super) mod preflight;
mod redeploy;
mod wanted;
mod watch;

use std::collections::HashSet;

use tokio::time::Instant;
use towline_agent_domain::{
    fargate::{
        AccountFacts, ValidService,
        stack::{ExpectedStack, OurTrace, StackDecision, Waiting, decide},
    },
    observed::{ClusterRef, StackEvent},
    outside::Account,
    update::start::ExpectedService,
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{Ending, Handle, Interruption, Surroundings, follow::Follower, interruption};
pub(crate) use look::{plan, print};
use observe::Observation;
use wanted::Wanted;
use watch::Glance;

/// Looks in a row in which a stack must be missing before it counts as gone.
const MISSES_BEFORE_GONE: u32 = 4;

/// A Fargate service to create or update, checked.
#[derive(Clone, Debug)]
pub(crate) struct FargateOrder {
    pub at: ClusterRef,
    pub service: ValidService,
    pub facts: AccountFacts,
    pub stack_name: String,
    /// `None`: what is observed is where it starts from.
    pub expected: Option<ExpectedStack>,
    /// The same of the service, for the one write outside CloudFormation.
    pub expected_service: Option<ExpectedService>,
    /// A stack that Towline did not make may be taken over.
    pub adopt: bool,
    /// A new deployment also when nothing changed.
    pub force: bool,
    /// The hash of the plan that was approved.
    pub approved: Option<String>,
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
    let mut driver = Deploy::new(surroundings, handle, order);
    let ending = Box::pin(driver.run()).await.unwrap_or_else(|ending| ending);
    driver.leave_nothing_behind().await;
    driver.told_apart(ending)
}

struct Deploy<'a, A> {
    surroundings: &'a Surroundings<A>,
    handle: &'a Handle,
    order: &'a FargateOrder,
    /// Only a plan is asked for.
    plans: bool,
    /// The template, once it was needed.
    wanted: Option<Wanted>,
    /// The stack's events as far as they were read, newest first.
    events: Vec<StackEvent>,
    told_events: HashSet<String>,
    told_status: String,
    /// The eyes on the service, once our revision is known.
    follower: Option<Follower<'a, A>>,
    progress: Progress,
    /// What makes the next look cheap.
    glance: Option<Glance>,
    /// The events were read by a look that could not tell all.
    events_are_new: bool,
    /// When this incarnation last wrote, or began to look.
    since_write: Instant,
    /// When the stack's events were last read.
    looked: Instant,
    /// When something last moved.
    moved: Instant,
}

/// What this incarnation has done so far.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// What the person who waits was told last between two looks.
    waiting: Option<String>,
    /// Somebody else who changes the stack.
    waits_for: Option<String>,
    preflighted: bool,
    /// The change set was compared with the plan that was approved.
    approved: bool,
    /// Asked for, whatever came of it.
    change_set_sent: bool,
    change_set_made: bool,
    /// It is there, perhaps, and nobody has asked for its execution.
    change_set_open: bool,
    /// Our change set made the stack, which is empty until it is executed.
    stack_made: bool,
    executed: bool,
    /// The answer to ExecuteChangeSet was lost, and nothing has shown yet what came of it.
    in_doubt: bool,
    /// The service has come to rest; only the stack is still at work.
    at_rest: bool,
    /// The stack showed our change; it may not vanish from now on.
    followed: bool,
    /// Looks in a row that did not show the stack.
    misses: u32,
    deleting: bool,
    /// A roll-back that was stuck was asked to go on.
    continuing: bool,
    /// A person said stop, and the stack is being taken back.
    undoing: bool,
    /// An earlier send's stack was looked for among the deleted ones.
    looked_for_deleted: bool,
    /// What the service's rollout came to, while CloudFormation still waits for it.
    hopeless: Option<(Reason, String)>,
    /// The log group that this operation's creation made.
    log_group: Option<String>,
}

/// What to do after one look.
enum Turn {
    /// Look again after a pause that fits what is waited for.
    Pause(Waiting),
    /// Look again at once.
    Again,
    End(Ending),
}

impl<'a, A: Account> Deploy<'a, A> {
    fn new(surroundings: &'a Surroundings<A>, handle: &'a Handle, order: &'a FargateOrder) -> Self {
        let now = handle.clock().instant();
        Self {
            surroundings,
            handle,
            order,
            plans: false,
            wanted: None,
            events: Vec::new(),
            told_events: HashSet::new(),
            told_status: String::new(),
            follower: None,
            progress: Progress::default(),
            glance: None,
            events_are_new: false,
            since_write: now,
            looked: now,
            moved: now,
        }
    }

    async fn run(&mut self) -> Result<Ending, Ending> {
        loop {
            let observation = self.observe().await?;
            if self.progress.undoing && observation.is_gone() {
                return self.cancelled_creation().await;
            }
            let vanished = self.vanished(&observation)?;
            let decision = decide(&self.view(&observation));
            self.tell(&observation, &decision);
            self.remember(&observation, &decision);
            let turn = match vanished {
                true => Turn::Pause(Waiting::Others),
                false => self.turn(&observation, decision).await?,
            };
            let interruption = match turn {
                Turn::Pause(waiting) => self.handle.pause(self.pause(waiting)).await,
                Turn::Again => self.handle.interruption(),
                Turn::End(ending) => return Ok(ending),
            };
            match interruption {
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
            StackDecision::Unchanged { task_definition } if !self.order.repeated_send => {
                let ending = self.as_wanted(&task_definition);
                Ok(Turn::End(self.with_outputs(ending, observation)))
            }
            // As wanted perhaps by an earlier send's one UpdateService: then it was us.
            StackDecision::Unchanged { task_definition }
            | StackDecision::CheckService { task_definition } => {
                let seen = observation.service.clone();
                let ending = Box::pin(self.put_right(observation, task_definition, seen)).await?;
                Ok(Turn::End(self.with_outputs(ending, observation)))
            }
            StackDecision::CreateChangeSet { creates_stack } => {
                self.preflight(observation).await?;
                self.create_change_set(observation, creates_stack).await
            }
            StackDecision::ExecuteChangeSet => self.execute_change_set(observation).await,
            StackDecision::NoChanges => Box::pin(self.no_changes(observation)).await,
            StackDecision::ChangeSetFailed { reason } => self.change_set_failed(&reason).await,
            StackDecision::DeleteNeverHealthy { stack_id } => {
                self.preflight(observation).await?;
                self.delete_never_healthy(observation, &stack_id).await
            }
            StackDecision::ContinueRollback => {
                self.before_continuing(observation).await?;
                self.continue_rollback().await
            }
            StackDecision::Follow => {
                self.progress.followed = true;
                self.progress.in_doubt = false;
                self.progress.change_set_open = false;
                match &observation.stack {
                    Some(stack) => self.watch(stack).await,
                    None => Ok(Turn::Pause(Waiting::Answer)),
                }
            }
            StackDecision::AwaitChangeSet => Ok(Turn::Pause(Waiting::Answer)),
            StackDecision::AwaitDeletion | StackDecision::AwaitRollback => {
                self.wanted = None;
                Ok(Turn::Pause(Waiting::End))
            }
            StackDecision::AwaitOther { who } => {
                // What they leave behind is another place to start from.
                self.wanted = None;
                self.say_waiting(&who);
                self.progress.waits_for = Some(who);
                Ok(Turn::Pause(Waiting::Others))
            }
            StackDecision::KeepObserving { why } => {
                self.say_waiting(&why);
                Ok(Turn::Pause(Waiting::Answer))
            }
            StackDecision::Conclude(outcome) => {
                Box::pin(self.conclude(observation, outcome)).await.map(Turn::End)
            }
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
        if self.progress.continuing && *decision == StackDecision::ContinueRollback && !self.settled() {
            return Some(Ok(Turn::Pause(Waiting::Answer)));
        }
        let shows_it = matches!(
            decision,
            StackDecision::Follow
                | StackDecision::Conclude(_)
                | StackDecision::ContinueRollback
                | StackDecision::AwaitRollback
        );
        if !self.progress.executed || shows_it {
            return None;
        }
        if !self.settled() {
            return Some(Ok(Turn::Pause(Waiting::Answer)));
        }
        Some(Err(self.execution_unknown()))
    }

    /// Nothing shows whether the change set was executed.
    fn execution_unknown(&self) -> Ending {
        let name = &self.order.stack_name;
        Ending::unknown(
            &format!("the execution of the change set on stack {name}"),
            format!("look at the events of stack {name} in CloudFormation, then deploy again"),
        )
    }

    /// Whether a stack that was followed does not show. Missing for long, it is gone.
    fn vanished(&mut self, observation: &Observation) -> Result<bool, Ending> {
        if !self.progress.followed || !observation.is_gone() {
            self.progress.misses = 0;
            return Ok(false);
        }
        self.progress.misses += 1;
        if self.progress.misses < MISSES_BEFORE_GONE {
            return Ok(true);
        }
        let name = &self.order.stack_name;
        let summary = format!("stack {name} is gone: somebody deleted it while this operation changed it");
        self.handle.step(Step::Stack, StepState::Failed, summary.clone());
        Err(Ending::new(Reason::StackGone, summary)
            .hint("AWS CloudTrail shows who called DeleteStack; deploy again to make it anew"))
    }

    /// Access that is lost while AWS carries on is another thing than access that never was.
    fn told_apart(&self, ending: Ending) -> Ending {
        let under_way = self.progress.followed || self.progress.executed;
        if !under_way || ending.reason() != Reason::AccessDenied.as_str() {
            return ending;
        }
        let name = &self.order.stack_name;
        let finished = ending.into_finished();
        let summary = format!(
            "access was lost while stack {name} was followed, and CloudFormation carries on: {}",
            finished.summary
        );
        Ending::new(Reason::AccessLost, summary)
            .hint("give the agent's role its rights back, and look at the stack; nothing was taken back")
    }

    /// Whether the account was observed for as long as AWS may lag.
    fn settled(&self) -> bool {
        let clock = self.handle.clock();
        clock.instant().duration_since(self.since_write) >= self.surroundings.timing.settle
    }

    fn wrote(&mut self) {
        self.since_write = self.handle.clock().instant();
        self.moved = self.since_write;
    }

    fn say_waiting(&mut self, why: &str) {
        if self.progress.waiting.as_deref() != Some(why) {
            self.progress.waiting = Some(why.to_owned());
            let detail = format!("{why}; looking again");
            self.handle.step(Step::Preflight, StepState::Started, detail);
        }
    }

    /// Nothing was written before the deadline, or the stack is still under way.
    async fn past_deadline(&mut self, observation: &Observation) -> Ending {
        let written = self.progress.executed || observation.trace != OurTrace::None;
        match (&observation.stack, &self.progress.waits_for) {
            (Some(stack), _) if written => self.too_late(stack).await,
            _ if self.progress.in_doubt => self.execution_unknown(),
            (_, Some(who)) => Ending::new(
                Reason::StackInProgress,
                format!("the deadline came while somebody else was at work: {who}"),
            )
            .hint("nothing was written; wait until that change has ended, then deploy again"),
            _ => interruption::before_the_write(Interruption::Deadline, "the stack was not changed"),
        }
    }
}

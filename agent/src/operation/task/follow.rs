//! Following a task to STOPPED, and stopping it when its time is up or a person says so.

use std::time::Duration;

use tokio::time::Instant;
use towline_agent_domain::{
    observed::one_off::ObservedTask,
    outside::{Account, CallError},
    rollout::diagnosis::log_source,
    task::judge::{StoppedFor, TaskEnd, judge},
    verdict::{Reason, Verdict},
};
use towline_proto::agent::v1::{Severity, Step, StepState, operation_event::Event};

use super::{Once, Prepared, log::Tail};
use crate::{
    operation::{CancelMode, Ending, Interruption},
    wire,
};

/// For how long a task that was asked to stop is waited for: SIGKILL comes after two
/// minutes at the latest, and its network interface takes its time.
const STOPPING: Duration = Duration::from_secs(10 * 60);
/// A task that does not change for so long is looked at less often.
const QUIET: Duration = Duration::from_secs(60);

/// One task on its way.
pub(super) struct Following<'a, A> {
    once: &'a Once<'a, A>,
    exit_container: String,
    task: ObservedTask,
    tail: Tail,
    /// When its time is up.
    until: Instant,
    /// When it last changed.
    changed: Instant,
    /// Since when it is to stop, and why.
    stopping: Option<(Instant, StoppedFor)>,
    /// StopTask was taken.
    stop_taken: bool,
}

impl<'a, A: Account> Following<'a, A> {
    pub(super) fn of(once: &'a Once<'a, A>, prepared: &Prepared, task: ObservedTask, found: bool) -> Self {
        let clock = once.handle.clock();
        let exit_container = prepared.revision.exit_container.clone();
        let definition = prepared.revision.next.definition();
        let source = log_source(&definition, &exit_container, task.id());
        let timeout = once.order.spec.timeout;
        // Of a task that was found, some of its time has passed.
        let passed = match task.created {
            Some(created) if found => clock.now().duration_since(created),
            _ => jiff::SignedDuration::ZERO,
        };
        let left = timeout
            .saturating_sub(passed)
            .clamp(jiff::SignedDuration::ZERO, timeout);
        let now = clock.instant();
        Self {
            tail: Tail::of(source, task.id(), &exit_container),
            until: now + Duration::try_from(left).unwrap_or_default(),
            changed: now,
            stopping: None,
            stop_taken: false,
            once,
            exit_container,
            task,
        }
    }

    pub(super) async fn into_ending(mut self) -> Result<Ending, Ending> {
        let (handle, surroundings) = (self.once.handle, self.once.surroundings);
        loop {
            if self.task.is_stopped() {
                return Ok(self.ended().await);
            }
            self.tail.glance(surroundings, handle).await;
            let now = handle.clock().instant();
            if self.stopping.is_none() && now >= self.until {
                self.begin_stop(StoppedFor::Timeout);
            }
            self.stop().await?;
            if let Some((since, _)) = self.stopping
                && now.duration_since(since) >= STOPPING
            {
                return Err(self.does_not_stop());
            }
            if let Some(by) = handle.pause(self.pace(now)).await {
                match by {
                    Interruption::Cancel(CancelMode::Detach) => return Ok(self.detached()),
                    Interruption::Cancel(CancelMode::RollBack) => {
                        handle.take_cancel();
                        handle.heed_detach();
                        self.begin_stop(StoppedFor::Cancel);
                    }
                    Interruption::Deadline => {
                        handle.outlive_deadline();
                        self.begin_stop(StoppedFor::Deadline);
                    }
                }
                continue;
            }
            self.look().await?;
        }
    }

    /// The least time until the next look.
    fn pace(&self, now: Instant) -> Duration {
        let poll = self.once.surroundings.timing.poll;
        let left = self.until.saturating_duration_since(now);
        let pace = match now.duration_since(self.changed) > QUIET {
            true => poll * 3,
            false => poll,
        };
        match self.stopping {
            None => pace.min(left.max(Duration::from_millis(1))),
            Some(_) => pace,
        }
    }

    async fn look(&mut self) -> Result<(), Ending> {
        let (handle, timing) = (self.once.handle, self.once.surroundings.timing);
        let (at, aws) = (&self.once.order.at, &self.once.surroundings.aws);
        let arn = self.task.arn.clone();
        let what = format!("describe task {}", self.task.id());
        let seen = handle.read(&what, || aws.task(at, &arn)).await;
        let seen = match seen {
            Ok(seen) => seen,
            // Read with patience, and yet no answer: its time goes on.
            Err(ending) if ending.reason() == Reason::DeadlineExceeded.as_str() => return Ok(()),
            Err(ending) => return Err(self.out_of_sight(ending)),
        };
        let now = handle.clock().instant();
        match seen {
            Some(seen) => {
                if seen.last_status != self.task.last_status {
                    let detail = format!("task {}: {}", seen.id(), seen.last_status);
                    handle.step(Step::Task, StepState::Started, detail);
                    self.changed = now;
                }
                self.task = seen;
                Ok(())
            }
            // ECS may show a new task a moment later.
            None if now.duration_since(self.changed) < timing.settle => Ok(()),
            None => Err(self.gone()),
        }
    }

    fn begin_stop(&mut self, why: StoppedFor) {
        if self.stopping.is_none() {
            let handle = self.once.handle;
            let detail = format!("stopping task {}: {}", self.task.id(), words(why));
            handle.step(Step::Task, StepState::Started, detail);
            self.stopping = Some((handle.clock().instant(), why));
        }
    }

    /// Sends StopTask until it is taken; it is safe to repeat.
    async fn stop(&mut self) -> Result<(), Ending> {
        let Some((_, why)) = self.stopping.filter(|_| !self.stop_taken) else {
            return Ok(());
        };
        let (at, aws) = (&self.once.order.at, &self.once.surroundings.aws);
        let what = format!("stop task {}", self.task.id());
        match aws.stop_task(at, &self.task.arn, why.words()).await {
            Ok(()) => self.stop_taken = true,
            Err(error @ (CallError::Throttled { .. } | CallError::Unknown { .. })) => {
                tracing::warn!(operation = %self.once.handle.id(), "cannot {what} yet: {error}");
            }
            // It ended meanwhile, and the next look shows it.
            Err(CallError::Missing { .. }) => self.stop_taken = true,
            Err(CallError::Refused { message, .. }) if message.contains("not found") => {
                self.stop_taken = true
            }
            Err(error) => {
                let ending = Ending::call(&what, &error);
                let hint = format!("the task runs on; stop it in ECS. {}", ending.next_step());
                return Err(self.with_outputs(ending.hint(hint)));
            }
        }
        Ok(())
    }

    /// The verdict on a stopped task.
    async fn ended(self) -> Ending {
        let (handle, surroundings) = (self.once.handle, self.once.surroundings);
        let name = self.once.order.spec.name.as_str();
        let outputs = Outputs::of(&self);
        let logs = self.tail.finish(surroundings, handle).await;
        handle.emit(Event::TaskStopped(wire::stopped_task(&self.task.as_stopped())));
        let TaskEnd {
            reason,
            summary,
            hint,
            diagnosis,
            exit_code,
        } = judge(name, &self.exit_container, &self.task, &logs);
        let state = match reason.verdict() {
            Verdict::Succeeded => StepState::Done,
            _ => StepState::Failed,
        };
        handle.step(Step::Task, state, summary.clone());
        let mut ending = Ending::new(reason, summary);
        if reason.verdict() == Verdict::Failed {
            ending = ending.diagnosis(wire::diagnosis(&diagnosis));
        }
        if let Some(code) = exit_code {
            ending = ending.output("exit_code", code.to_string());
        }
        outputs.on(ending.hint(hint))
    }

    fn with_outputs(&self, ending: Ending) -> Ending {
        Outputs::of(self).on(ending)
    }

    fn detached(&self) -> Ending {
        let goes_on = match self.stopping {
            Some(_) => "it is stopping",
            None => "it runs on",
        };
        let ending = Ending::new(
            Reason::Detached,
            format!(
                "task {} is no longer followed, as asked; {goes_on}",
                self.once.order.spec.name
            ),
        );
        self.with_outputs(ending.hint("DescribeTasks of ECS shows how it ends"))
    }

    fn gone(&self) -> Ending {
        let ending = Ending::new(
            Reason::Unknown,
            format!(
                "ECS does not show task {} any more; how it ended is not known",
                self.task.id()
            ),
        );
        self.with_outputs(ending.hint("look at its container's log, and at what it was to change"))
    }

    fn out_of_sight(&self, ending: Ending) -> Ending {
        if ending.reason() != Reason::AccessDenied.as_str() {
            return self.with_outputs(ending);
        }
        let summary = format!("{}; task {} goes on unseen", ending.summary(), self.task.id());
        let ending = Ending::new(Reason::AccessLost, summary);
        self.with_outputs(
            ending.hint("give the agent's IAM role its rights back; ECS then shows how it went on"),
        )
    }

    fn does_not_stop(&self) -> Ending {
        let (summary, hint) = (
            format!(
                "task {} was asked to stop long ago, and is {}",
                self.task.id(),
                self.task.last_status
            ),
            "look at the instance that it runs on: its ECS agent may be gone",
        );
        self.once
            .handle
            .finding(Severity::Warning, "task_does_not_stop", summary.clone(), hint);
        self.with_outputs(Ending::new(Reason::Unknown, summary).hint(hint))
    }
}

/// What scripts want to know of a task.
struct Outputs {
    task: String,
    definition: String,
    container: String,
}

impl Outputs {
    fn of<A>(following: &Following<'_, A>) -> Self {
        Self {
            task: following.task.arn.clone(),
            definition: following.task.task_definition.0.clone(),
            container: following.exit_container.clone(),
        }
    }

    fn on(self, ending: Ending) -> Ending {
        ending
            .output("task", self.task)
            .output("task_definition", self.definition)
            .output("container", self.container)
    }
}

fn words(why: StoppedFor) -> &'static str {
    match why {
        StoppedFor::Timeout => "its time is up",
        StoppedFor::Deadline => "the operation's deadline has come",
        StoppedFor::Cancel => "cancelled",
    }
}

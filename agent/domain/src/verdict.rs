//! How an operation ends: five verdicts, and under them the stable reasons that
//! scripts and tests rely on. A reason belongs to exactly one verdict.
//!
//! One rule chooses the reason of a rollout that failed: **it names what became of
//! the rollout, and the cause names why.**
//! - Put back by ECS: `rolled_back` (its circuit breaker, or somebody who asked ECS
//!   for it), `rolled_back_by_alarm` (ECS's own deployment alarms), `rollback_failed`.
//! - Put back by this operation (`on_failure: roll_back`): `rolled_back_after_failure`
//!   ("failed, rolled back to orders:41, stable"), `rollback_failed`, or, when the
//!   deadline came first, `rollback_under_way`.
//! - Replaced by somebody else's deployment: `superseded`, which has no cause.
//! - Left where it is: the cause itself.
//!
//! The cause is one of [`Reason::CAUSES`] or `crash_looping`, `deployment_failed`,
//! `alarm_fired`, `became_unstable`, `rollout_stuck`. Every failed ending of a rollout
//! carries it as the output `cause`, also where it is the reason, and the diagnosis
//! says it in words, root cause first.

use std::fmt;

mod next_step;

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// This operation's revision is PRIMARY, COMPLETED, stable and healthy.
    Succeeded,
    /// It was so already; nothing was changed.
    Unchanged,
    /// The release is bad.
    Failed,
    /// The agent could not act, or cannot know.
    Errored,
    /// A person said stop.
    Cancelled,
}

impl Verdict {
    /// The word that people and scripts see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
            Self::Errored => "errored",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal => $verdict:ident,)+) => {
        /// Why an operation ended as it did. The words are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The verdict that the reason stands for.
            pub fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::$verdict,)+ }
            }
        }
    };
}

reasons! {
    /// The rollout completed and is stable.
    Completed = "completed" => Succeeded,
    /// The rollout began, and only that was asked for; nobody follows it.
    Started = "started" => Succeeded,
    /// The service ran this already.
    Unchanged = "unchanged" => Unchanged,

    /// ECS, or CloudFormation, put back what ran before.
    RolledBack = "rolled_back" => Failed,
    /// The rollback failed as well.
    RollbackFailed = "rollback_failed" => Failed,
    /// The first creation failed and was taken back; nothing runs.
    CreateRolledBack = "create_rolled_back" => Failed,
    /// The circuit breaker gave up, and there was nothing to go back to.
    DeploymentFailed = "deployment_failed" => Failed,
    /// ECS put back what ran before, because an alarm of the service's own
    /// deployment configuration went off.
    RolledBackByAlarm = "rolled_back_by_alarm" => Failed,
    /// This operation put back what ran before, and that is stable.
    RolledBackAfterFailure = "rolled_back_after_failure" => Failed,
    /// This operation is putting back what ran before; the deadline came before the end of it.
    RollbackUnderWay = "rollback_under_way" => Failed,
    /// A newer deployment, not ours, took the service's place.
    Superseded = "superseded" => Failed,
    /// Tasks start and die, below the circuit breaker's sight. As a cause: their
    /// containers exit by themselves.
    CrashLooping = "crash_looping" => Failed,
    /// The image is not there, or may not be pulled.
    CannotPullImage = "cannot_pull_image" => Failed,
    /// The image is built for another CPU.
    WrongArchitecture = "wrong_architecture" => Failed,
    /// A container used more memory than it may, and was killed.
    OutOfMemory = "out_of_memory" => Failed,
    /// A secret or parameter cannot be read when the task starts.
    SecretNotFound = "secret_not_found" => Failed,
    /// A container cannot be set up or started: its role, its log group, its command.
    CannotStart = "cannot_start" => Failed,
    /// A container's own health check fails.
    KilledByHealthCheck = "killed_by_health_check" => Failed,
    /// The load balancer's health checks fail.
    UnhealthyTargets = "unhealthy_targets" => Failed,
    /// No instance, Fargate capacity or subnet has room for the tasks.
    NoCapacity = "no_capacity" => Failed,
    /// Nothing moves any more, and ECS will not end it: tasks that never start, old
    /// ones that never go.
    RolloutStuck = "rollout_stuck" => Failed,
    /// A CloudWatch alarm went off during the bake time, or one of the service's own
    /// deployment configuration, which ECS then does not roll back.
    AlarmFired = "alarm_fired" => Failed,
    /// The service stopped being stable during the bake time.
    BecameUnstable = "became_unstable" => Failed,
    /// The stack says that it is done, but the service runs another revision.
    OtherRevisionRuns = "other_revision_runs" => Failed,
    /// The stack failed in a way that CloudFormation did not undo.
    StackFailed = "stack_failed" => Failed,
    /// CloudFormation refused the change set's content.
    ChangeSetFailed = "change_set_failed" => Failed,
    /// A one-off task's container exited with another code than 0.
    TaskFailed = "task_failed" => Failed,
    /// A one-off task took longer than it may, and was stopped.
    TaskTimedOut = "task_timed_out" => Failed,
    /// A one-off task was stopped, by a person or by AWS, before it ended.
    TaskStopped = "task_stopped" => Failed,

    /// The account is in a state that the operation did not expect; nothing was written.
    UnexpectedState = "unexpected_state" => Errored,
    /// A write's answer was lost, and whether it took effect cannot be seen.
    Unknown = "unknown" => Errored,
    /// The deadline passed before the end could be seen.
    DeadlineExceeded = "deadline_exceeded" => Errored,
    /// There is no such service.
    ServiceNotFound = "service_not_found" => Errored,
    /// The service is being deleted, or is gone.
    ServiceNotActive = "service_not_active" => Errored,
    /// The service vanished while it was followed.
    ServiceGone = "service_gone" => Errored,
    /// The service's rollouts are driven by something that Towline does not follow.
    ControllerNotFollowed = "controller_not_followed" => Errored,
    /// Somebody else's deployment is in progress.
    DeploymentInProgress = "deployment_in_progress" => Errored,
    /// ECS allows no further deployment on the service.
    TooManyDeployments = "too_many_deployments" => Errored,
    /// The service's percentages allow ECS neither to stop nor to start a task.
    DeploymentDeadlock = "deployment_deadlock" => Errored,
    /// The task definition cannot be read or changed as asked.
    TaskDefinitionUnusable = "task_definition_unusable" => Errored,
    /// A stack of this name exists that Towline did not make.
    StackNotOurs = "stack_not_ours" => Errored,
    /// Somebody else changes the stack now.
    StackInProgress = "stack_in_progress" => Errored,
    /// The stack can only be freed by a person.
    StackStuck = "stack_stuck" => Errored,
    /// The stack vanished while it was followed.
    StackGone = "stack_gone" => Errored,
    /// The agent's role lost its rights while the change was followed; AWS carries on.
    AccessLost = "access_lost" => Errored,
    /// What would be done is not what was approved; nothing was changed.
    PlanChanged = "plan_changed" => Errored,
    /// An alarm that must stay OK is in ALARM, or does not exist, before anything was written.
    AlarmNotOk = "alarm_not_ok" => Errored,
    /// Pre-flight found what would make the deployment fail; nothing was written.
    PreflightFailed = "preflight_failed" => Errored,
    /// CloudFormation cannot replace a resource that has a name; nothing was changed.
    ReplacementImpossible = "replacement_impossible" => Errored,
    /// The template is too large for CloudFormation.
    TemplateTooLarge = "template_too_large" => Errored,
    /// The template is too large for a request, and its bucket does not take it.
    TemplateNotStored = "template_not_stored" => Errored,
    /// The agent's role may not do this.
    AccessDenied = "access_denied" => Errored,
    /// AWS refused the call.
    Refused = "aws_refused" => Errored,
    /// AWS asked for patience until the deadline.
    Throttled = "throttled" => Errored,

    /// Cancelled, and put back.
    Cancelled = "cancelled" => Cancelled,
    /// A stack's update was cancelled; CloudFormation put back what ran before.
    UpdateCancelled = "update_cancelled" => Cancelled,
    /// A first creation was cancelled; its stack was deleted.
    CreateCancelled = "create_cancelled" => Cancelled,
    /// Cancelled; ECS carries on and nobody follows.
    Detached = "detached" => Cancelled,
}

impl Reason {
    /// What a task can die of, or never start for: the causes that tasks and events tell.
    pub const CAUSES: &'static [Self] = &[
        Self::CannotPullImage,
        Self::WrongArchitecture,
        Self::OutOfMemory,
        Self::SecretNotFound,
        Self::CannotStart,
        Self::KilledByHealthCheck,
        Self::UnhealthyTargets,
        Self::NoCapacity,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Nothing was done, and why, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// What is the matter, with which thing.
    pub message: String,
    /// The next step.
    pub hint: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_reasons_are_all_different() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn only_a_completed_or_an_unwatched_rollout_is_a_success() {
        let succeeded: Vec<_> = Reason::ALL
            .iter()
            .filter(|r| r.verdict() == Verdict::Succeeded)
            .collect();
        assert_eq!(succeeded, [&Reason::Completed, &Reason::Started]);
    }
}

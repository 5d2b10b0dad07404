//! The stack that the account shows → what to do next. One table, in one pure
//! function; the same after a restart as before it. CloudFormation deduplicates
//! by token, so a repeat is safe wherever our token or our change set shows.

mod leftover;
mod outcome;
mod pace;
mod people;
mod status;
#[cfg(test)]
mod tests;
mod trace;

pub use leftover::of_plans;
pub use outcome::{StackOutcome, outcome};
pub use pace::{Waiting, until_next_look};
pub use status::{StackStatus, StatusKind};
pub use trace::{Continuation, OurTrace, cancelled_by, continuation, deleted_by, last_of_stack, trace};

use self::people::{busy, is_towlines, not_adoptable, stuck};
use crate::fargate::template::OUTPUT_TASK_DEFINITION;
use crate::observed::{ChangeSet, ObservedService, Stack, StackEvent, StackResource, TaskDefinitionArn};
use crate::update::start::is_stable;
use crate::verdict::{Reason, Refusal};

/// The state that the operation was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedStack {
    Absent,
    /// The stack's id (ARN).
    Id(String),
}

/// All that the decision rests on.
#[derive(Clone, Copy, Debug, Default)]
pub struct StackView<'a> {
    /// The stack's name, for messages.
    pub name: &'a str,
    /// `None`: there is none of this name.
    pub stack: Option<&'a Stack>,
    pub trace: OurTrace,
    /// The stack that was expected, or the one that is there, was deleted by this
    /// operation ([`deleted_by`]).
    pub deleted_by_us: bool,
    /// Whether this operation continued a stuck roll-back ([`continuation`]).
    pub continuation: Continuation,
    /// The stack's events, newest first, as far as they were read; for saying who
    /// changes it.
    pub events: &'a [StackEvent],
    /// The stack's resources, where its status is one that a person must free; empty
    /// when not read.
    pub resources: &'a [StackResource],
    /// The change set of our name.
    pub change_set: Option<&'a ChangeSet>,
    /// The ECS service that the stack makes.
    pub service: Option<&'a ObservedService>,
    /// The stack has the template that is wanted
    /// ([`crate::fargate::Template::is`]).
    pub same_template: bool,
    /// The parameters that are wanted.
    pub wanted_parameters: &'a [(String, String)],
    /// `None`: the caller expects nothing, what is observed is where it starts from.
    pub expected: Option<&'a ExpectedStack>,
    /// A stack that Towline did not make may be taken over.
    pub adopt: bool,
    /// A new deployment is wanted also when nothing changed.
    pub force: bool,
    /// The operation was sent before.
    pub repeated_send: bool,
    /// The account was observed for as long as AWS may lag.
    pub settled: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackDecision {
    /// Stack and service are as wanted. Nothing to write.
    Unchanged { task_definition: TaskDefinitionArn },
    /// The stack is as wanted, its service may not be, or a new deployment is forced:
    /// nothing to change in the stack, [`crate::fargate::repair::decide`] goes on with
    /// the stack's own revision.
    CheckService { task_definition: TaskDefinitionArn },
    /// CreateChangeSet, of type CREATE or UPDATE.
    CreateChangeSet { creates_stack: bool },
    /// The change set is being made: look at it again.
    AwaitChangeSet,
    /// ExecuteChangeSet with our token.
    ExecuteChangeSet,
    /// The change set found nothing to change. Delete it, then go on as with
    /// [`StackDecision::CheckService`] on [`task_definition_of`] the stack.
    NoChanges,
    /// CloudFormation cannot make the change set. Delete it and end so.
    ChangeSetFailed { reason: String },
    /// Our change is under way: follow the stack and, once it is there, the service.
    Follow,
    /// Our change has ended: [`outcome`] judges.
    Conclude(StackOutcome),
    /// DeleteStack with the delete token, announced; then make it anew.
    DeleteNeverHealthy { stack_id: String },
    /// Our deletion is under way.
    AwaitDeletion,
    /// ContinueUpdateRollback with the continue token, announced; once.
    ContinueRollback,
    /// The roll-back that we continued is under way.
    AwaitRollback,
    /// Somebody else changes the stack: wait until the deadline, saying so.
    AwaitOther { who: String },
    /// Wait a little, observe and decide again.
    KeepObserving { why: String },
    /// End here; nothing was written.
    Refuse(Refusal),
}

/// Decides how a stack's change starts, or goes on after a restart.
pub fn decide(view: &StackView<'_>) -> StackDecision {
    let Some(stack) = view.stack else {
        return absent(view);
    };
    let status = StackStatus::parse(&stack.status);
    if status.kind() == StatusKind::Gone {
        return absent(view);
    }
    if status == StackStatus::DeleteInProgress {
        return being_deleted(view, &status);
    }
    if !is_towlines(stack, &status)
        && let Some(refusal) = not_adoptable(view, &status)
    {
        return StackDecision::Refuse(refusal);
    }
    match view.trace {
        // Nothing was ever executed on it, whatever token its one event carries.
        _ if status.kind() == StatusKind::Empty => not_yet_ours(view, stack, &status),
        OurTrace::Latest => ours(view, &status),
        OurTrace::Earlier => StackDecision::Conclude(StackOutcome::Superseded),
        OurTrace::None => not_yet_ours(view, stack, &status),
    }
}

/// Whose a stack is that is being deleted does not matter: its name becomes free, and
/// what was expected decides then. Its tags may not be readable any more.
fn being_deleted(view: &StackView<'_>, status: &StackStatus) -> StackDecision {
    match view.trace {
        _ if view.deleted_by_us => StackDecision::AwaitDeletion,
        // A first creation that a person cancelled.
        OurTrace::Latest => StackDecision::Follow,
        OurTrace::Earlier => StackDecision::Conclude(StackOutcome::Superseded),
        OurTrace::None => busy(view, status),
    }
}

/// What the status of a stack means whose latest change is ours.
fn ours(view: &StackView<'_>, status: &StackStatus) -> StackDecision {
    match (status, status.kind()) {
        (_, StatusKind::Good) | (StackStatus::UpdateCompleteCleanupInProgress, _) => {
            StackDecision::Conclude(StackOutcome::Done)
        }
        (_, StatusKind::Empty | StatusKind::Busy) => StackDecision::Follow,
        (_, StatusKind::Idle) => StackDecision::Conclude(StackOutcome::RolledBack),
        (_, StatusKind::NeverHealthy | StatusKind::Gone) => {
            StackDecision::Conclude(StackOutcome::CreateRolledBack)
        }
        // What ran before is worth one more try.
        (_, StatusKind::HalfRolledBack) => match view.continuation {
            Continuation::NotSent => StackDecision::ContinueRollback,
            Continuation::Sent => StackDecision::AwaitRollback,
            Continuation::Failed => StackDecision::Conclude(StackOutcome::Stuck),
        },
        (_, StatusKind::Stuck) => StackDecision::Conclude(StackOutcome::Stuck),
    }
}

fn absent(view: &StackView<'_>) -> StackDecision {
    let expects_one = matches!(view.expected, Some(ExpectedStack::Id(_)));
    if expects_one && !view.deleted_by_us {
        return unexpected(view, format!("stack {} is gone", view.name));
    }
    if view.repeated_send && !view.settled {
        return keep_observing(view);
    }
    StackDecision::CreateChangeSet { creates_stack: true }
}

fn not_yet_ours(view: &StackView<'_>, stack: &Stack, status: &StackStatus) -> StackDecision {
    let executed = view
        .change_set
        .is_some_and(|change_set| change_set.execution_status.starts_with("EXECUTE"));
    match (status.kind(), view.continuation) {
        (StatusKind::Busy, Continuation::Sent) if *status == StackStatus::UpdateRollbackInProgress => {
            return StackDecision::AwaitRollback;
        }
        (StatusKind::Busy, _) if !executed => return busy(view, status),
        (StatusKind::Stuck, _) if !executed => return stuck(view, stack, status),
        (StatusKind::HalfRolledBack, Continuation::NotSent) if is_expected(view, stack) => {
            return StackDecision::ContinueRollback;
        }
        (StatusKind::HalfRolledBack, Continuation::Sent) => return StackDecision::AwaitRollback,
        (StatusKind::HalfRolledBack, Continuation::Failed) => return stuck(view, stack, status),
        _ => {}
    }
    if let Some(change_set) = view.change_set {
        return with_change_set(change_set);
    }
    if !is_expected(view, stack) {
        return unexpected(
            view,
            format!("stack {} ({}) is not the one expected", view.name, stack.id),
        );
    }
    if let Some(task_definition) = as_wanted(view, stack, status) {
        let runs = !view.force && runs_stably(view.service, &task_definition);
        return if runs {
            StackDecision::Unchanged { task_definition }
        } else {
            StackDecision::CheckService { task_definition }
        };
    }
    if view.repeated_send && !view.settled {
        return keep_observing(view);
    }
    match status.kind() {
        StatusKind::NeverHealthy => StackDecision::DeleteNeverHealthy {
            stack_id: stack.id.clone(),
        },
        kind => StackDecision::CreateChangeSet {
            creates_stack: kind == StatusKind::Empty,
        },
    }
}

/// What CloudFormation says about our change set decides what to do with it.
fn with_change_set(change_set: &ChangeSet) -> StackDecision {
    match (change_set.status.as_str(), change_set.execution_status.as_str()) {
        ("CREATE_PENDING" | "CREATE_IN_PROGRESS", _) => StackDecision::AwaitChangeSet,
        ("CREATE_COMPLETE", "AVAILABLE") => StackDecision::ExecuteChangeSet,
        ("CREATE_COMPLETE", "UNAVAILABLE") => StackDecision::AwaitChangeSet,
        ("CREATE_COMPLETE", "EXECUTE_IN_PROGRESS" | "EXECUTE_COMPLETE" | "EXECUTE_FAILED") => {
            StackDecision::KeepObserving {
                why: "the change set was executed, and the stack's events do not show it yet".to_owned(),
            }
        }
        ("FAILED", _) if says_no_changes(&change_set.status_reason) => StackDecision::NoChanges,
        ("FAILED", _) => StackDecision::ChangeSetFailed {
            reason: change_set.status_reason.clone(),
        },
        (status, execution) => refuse(
            Reason::UnexpectedState,
            format!("the operation's change set is {status}, {execution}"),
            "somebody else handled it; look at the stack's change sets, then deploy again",
        ),
    }
}

/// The two sentences by which CloudFormation says that a change set is empty.
pub fn says_no_changes(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

fn is_expected(view: &StackView<'_>, stack: &Stack) -> bool {
    match view.expected {
        None => true,
        // An empty stack is what a change set leaves that was made and never executed.
        Some(ExpectedStack::Absent) => StackStatus::parse(&stack.status).kind() == StatusKind::Empty,
        Some(ExpectedStack::Id(id)) => *id == stack.id || view.deleted_by_us,
    }
}

/// The stack's own revision, when the stack is what is wanted: by its template, and by
/// its parameters, which somebody may have changed alone.
fn as_wanted(view: &StackView<'_>, stack: &Stack, status: &StackStatus) -> Option<TaskDefinitionArn> {
    let holds = |wanted: &(String, String)| stack.parameters.contains(wanted);
    if status.kind() != StatusKind::Good || !view.same_template || !view.wanted_parameters.iter().all(holds) {
        return None;
    }
    task_definition_of(stack)
}

/// The revision that the stack says its service runs.
pub fn task_definition_of(stack: &Stack) -> Option<TaskDefinitionArn> {
    let output = stack
        .outputs
        .iter()
        .find(|(key, _)| key == OUTPUT_TASK_DEFINITION)?;
    Some(TaskDefinitionArn(output.1.clone()))
}

fn runs_stably(service: Option<&ObservedService>, wanted: &TaskDefinitionArn) -> bool {
    service.is_some_and(|service| {
        service
            .primary()
            .is_some_and(|primary| primary.task_definition == *wanted && is_stable(service, primary))
    })
}

fn unexpected(view: &StackView<'_>, message: String) -> StackDecision {
    if !view.settled {
        return StackDecision::KeepObserving { why: message };
    }
    refuse(
        Reason::UnexpectedState,
        message,
        "somebody else changed it; look at the stack, then deploy again from what is there now",
    )
}

fn keep_observing(view: &StackView<'_>) -> StackDecision {
    StackDecision::KeepObserving {
        why: format!(
            "whether an earlier send already changed stack {} may not show yet",
            view.name
        ),
    }
}

fn refuse(reason: Reason, message: String, hint: &str) -> StackDecision {
    StackDecision::Refuse(Refusal::new(reason, message, hint))
}

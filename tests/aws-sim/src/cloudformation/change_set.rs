//! Change sets: what they are made from, and how they come to be.

use super::{
    diff::{self, ResourceChange},
    evaluate::Pseudo,
    model::{Blueprint, Stack},
    operation::OnFailure,
};
use crate::world::SimTime;

/// From CreateChangeSet to CREATE_IN_PROGRESS, in simulated milliseconds.
const PENDING_MS: i64 = 500;

/// From CREATE_IN_PROGRESS to the end.
const WORK_MS: i64 = 2_000;

/// What CloudFormation says of a change set that would change nothing.
pub const NO_CHANGES: &str = "The submitted information didn't contain changes. \
                              Submit different information to create a change set.";

/// A change set of a stack.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub kind: ChangeSetKind,
    pub status: ChangeSetStatus,
    pub status_reason: Option<String>,
    pub execution: ExecutionStatus,
    pub created: SimTime,
    pub client_token: Option<String>,
    pub blueprint: Blueprint,
    pub on_failure: Option<OnFailure>,
    pub changes: Vec<ResourceChange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeSetKind {
    Create,
    Update,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeSetStatus {
    CreatePending,
    CreateInProgress,
    CreateComplete,
    Failed,
}

impl ChangeSetStatus {
    pub fn word(self) -> &'static str {
        match self {
            Self::CreatePending => "CREATE_PENDING",
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionStatus {
    Unavailable,
    Available,
    ExecuteInProgress,
    ExecuteComplete,
    ExecuteFailed,
    Obsolete,
}

impl ExecutionStatus {
    pub fn word(self) -> &'static str {
        match self {
            Self::Unavailable => "UNAVAILABLE",
            Self::Available => "AVAILABLE",
            Self::ExecuteInProgress => "EXECUTE_IN_PROGRESS",
            Self::ExecuteComplete => "EXECUTE_COMPLETE",
            Self::ExecuteFailed => "EXECUTE_FAILED",
            Self::Obsolete => "OBSOLETE",
        }
    }
}

/// Whether a change set of the stack is still being worked out.
pub fn any_unfinished(stack: &Stack) -> bool {
    let unfinished = [ChangeSetStatus::CreatePending, ChangeSetStatus::CreateInProgress];
    stack
        .change_sets
        .iter()
        .any(|change_set| unfinished.contains(&change_set.status))
}

/// Moves the stack's change sets on to `now`.
pub fn advance(stack: &mut Stack, pseudo: &Pseudo, now: SimTime) {
    for index in 0..stack.change_sets.len() {
        let Some(change_set) = stack.change_sets.get(index) else {
            return;
        };
        let age = now.since_ms(change_set.created);
        let status = change_set.status;
        let worked_out = match status {
            ChangeSetStatus::CreatePending if age >= PENDING_MS => None,
            ChangeSetStatus::CreateInProgress if age >= PENDING_MS + WORK_MS => {
                Some(diff::changes(stack, &change_set.blueprint, pseudo))
            }
            _ => continue,
        };
        let Some(change_set) = stack.change_sets.get_mut(index) else {
            return;
        };
        match worked_out {
            None => change_set.status = ChangeSetStatus::CreateInProgress,
            Some(result) => change_set.conclude(result),
        }
    }
}

impl ChangeSet {
    fn conclude(&mut self, result: Result<diff::Diff, crate::AwsError>) {
        let diff = match result {
            Ok(diff) => diff,
            Err(error) => return self.fail(error.message),
        };
        if diff.is_empty() {
            return self.fail(NO_CHANGES.to_owned());
        }
        self.changes = diff.changes;
        self.status = ChangeSetStatus::CreateComplete;
        // Another change set may have been executed meanwhile.
        if self.execution == ExecutionStatus::Unavailable {
            self.execution = ExecutionStatus::Available;
        }
    }

    fn fail(&mut self, reason: String) {
        self.status = ChangeSetStatus::Failed;
        self.status_reason = Some(reason);
    }

    /// What of a second CreateChangeSet of this name differs; `None` when it is the same request.
    pub fn mismatch(&self, other: &Self) -> Option<&'static str> {
        let (a, b) = (&self.blueprint, &other.blueprint);
        let differs = [
            ("ClientToken", self.client_token != other.client_token),
            ("ChangeSetType", self.kind != other.kind),
            ("Template", a.template.body != b.template.body),
            ("Parameters", a.parameters != b.parameters),
            ("Tags", a.tags != b.tags),
            ("Capabilities", a.capabilities != b.capabilities),
            ("RoleArn", a.role_arn != b.role_arn),
            ("Description", self.description != other.description),
        ];
        differs
            .into_iter()
            .find(|(_, differs)| *differs)
            .map(|(name, _)| name)
    }
}

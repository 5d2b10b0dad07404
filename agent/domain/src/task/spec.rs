//! What a one-off task is to be, parsed and checked.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;

use crate::observed::one_off::{Capacity, TaskNetwork};
use crate::operation_id::OperationId;
use crate::update::spec::ContainerChange;

/// How long a task may take that names no time.
pub const USUAL_TIMEOUT: SignedDuration = SignedDuration::from_mins(15);

/// A task's own name: lower-case letters, digits and `-`, at most 40.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskName(String);

/// Why a text names no task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no task's name: 1 to 40 lower-case letters, digits and hyphens, a letter first")]
pub struct NoTaskName(String);

impl TaskName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TaskName {
    type Err = NoTaskName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let first = |c: char| c.is_ascii_lowercase();
        if text.len() <= 40 && text.starts_with(first) && text.chars().all(inner) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoTaskName(text.to_owned()))
        }
    }
}

/// A one-off task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    pub name: TaskName,
    /// The service that what is left out is taken from.
    pub like: Option<String>,
    /// Family, `family:revision` or ARN; `None`: what the service runs.
    pub base: Option<String>,
    pub network: Option<TaskNetwork>,
    /// `None`: the service's.
    pub capacity: Option<Capacity>,
    /// `None`: the service's.
    pub platform_version: Option<String>,
    pub containers: Vec<TaskContainer>,
    /// The container whose exit code counts.
    pub exit_container: Option<String>,
    /// From RunTask's answer to STOPPED.
    pub timeout: SignedDuration,
    /// Of the revision and of the task.
    pub tags: BTreeMap<String, String>,
}

/// What changes in one container. Empty lists change nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskContainer {
    pub change: ContainerChange,
    pub command: Vec<String>,
    pub entry_point: Vec<String>,
}

/// What ECS shows as `startedBy`.
pub fn started_by(operation: OperationId) -> String {
    format!("towline/{operation}")
}

/// What makes ECS drop a repeated RunTask.
pub fn client_token(operation: OperationId) -> String {
    format!("towline-{operation}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tasks_name_is_fit_for_a_family() {
        assert!("migrate-7".parse::<TaskName>().is_ok());
        for text in ["", "Migrate", "7up", "a_b", "a".repeat(41).as_str()] {
            assert!(text.parse::<TaskName>().is_err(), "{text}");
        }
    }

    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
    #[test]
    fn what_ecs_is_given_of_an_operation_keeps_to_its_limits() {
        let operation: OperationId = "11111111-1111-4111-8111-111111111111".parse().unwrap();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_');
        let (by, token) = (started_by(operation), client_token(operation));
        assert!(by.len() <= 128 && by.chars().all(legal), "{by}");
        assert!(
            token.len() <= 64 && token.chars().all(|c| c.is_ascii_graphic()),
            "{token}"
        );
    }
}

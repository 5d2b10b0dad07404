//! How a run of the program ends: the exit code, and what is said to the
//! person when it did not go well.

use std::{io, process::ExitCode};

use tonic::Status;
use towline_proto::orchestrator::v1::DeploymentState;

/// The exit codes, as `--help` tells them.
pub const HELP: &str = "\
Exit codes:
  0  done; a release that was waited for succeeded, or nothing needed to change
  1  the command could not be carried out (wrong use, refused, no connection)
  3  failed: the release is bad
  4  errored: Towline could not act, or cannot know what happened
  5  cancelled
  6  it waits: for an approval, or (a release as a whole) for its promotion

`promote`, `approve` and `cancel` answer for the deployment, `release create` and
`watch` for the release.";

/// What the process answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Local,
    Failed,
    Errored,
    Cancelled,
    Waits,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Local => 1,
            Self::Failed => 3,
            Self::Errored => 4,
            Self::Cancelled => 5,
            Self::Waits => 6,
        }
    }

    /// The exit for a deployment that stands like this when nothing more
    /// happens by itself.
    pub fn of_state(state: DeploymentState) -> Self {
        match state {
            DeploymentState::Succeeded => Self::Done,
            DeploymentState::Failed => Self::Failed,
            DeploymentState::Errored => Self::Errored,
            DeploymentState::Cancelled => Self::Cancelled,
            DeploymentState::Unspecified
            | DeploymentState::Queued
            | DeploymentState::AwaitingApproval
            | DeploymentState::Running
            | DeploymentState::AwaitingIntervention => Self::Waits,
        }
    }

    /// The graver of two: failed, errored, cancelled, waits, done.
    pub fn worse(self, other: Self) -> Self {
        if self.rank() >= other.rank() { self } else { other }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Waits => 1,
            Self::Cancelled => 2,
            Self::Errored => 3,
            Self::Failed => 4,
            Self::Local => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not be carried out, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub exit: Exit,
    /// What happened, to which thing; one sentence without a full stop.
    pub what: String,
    /// All faults of what was given, each at its place.
    pub places: Vec<Place>,
    /// The next step.
    pub hint: Option<String>,
}

/// One fault of something that was given: a file or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `file:line:column`, or the name of a field.
    pub at: String,
    pub what: String,
    pub hint: Option<String>,
}

impl Fault {
    /// Something on this side: a file, an argument, the connection.
    pub fn local(what: impl Into<String>) -> Self {
        Self {
            exit: Exit::Local,
            what: what.into(),
            places: Vec::new(),
            hint: None,
        }
    }

    /// Adds the next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        super::connection::fault_of_status(&status)
    }
}

/// A failure from below: its chain of causes in one sentence, its `hint:` line apart.
impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        let text = format!("{error:#}");
        match text.split_once("\nhint: ") {
            Some((what, hint)) => Self::local(what).hint(hint),
            None => Self::local(text),
        }
    }
}

macro_rules! fault_from {
    ($($error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                anyhow::Error::from(error).into()
            }
        })*
    };
}

fault_from!(
    crate::api::json::Unwritable,
    crate::config::ConfigError,
    towline_link::credentials::CredentialsError,
    towline_link::join::TokenError
);

impl From<io::Error> for Fault {
    /// Writing to standard output or error failed. A reader that has gone
    /// (`towline status | head`) has seen what it wanted: nothing is said.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::local("");
        }
        Self::local(format!("cannot write the output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_end_has_its_own_code() {
        let code = |state| Exit::of_state(state).code();
        assert_eq!(code(DeploymentState::Succeeded), 0);
        assert_eq!(code(DeploymentState::Failed), 3);
        assert_eq!(code(DeploymentState::Errored), 4);
        assert_eq!(code(DeploymentState::Cancelled), 5);
        assert_eq!(code(DeploymentState::AwaitingApproval), 6);
        assert_eq!(code(DeploymentState::Queued), 6);
        assert_eq!(Fault::local("x").exit.code(), 1);
    }

    #[test]
    fn one_bad_environment_is_the_verdict_of_many() {
        let worst = [Exit::Done, Exit::Errored, Exit::Failed, Exit::Cancelled]
            .into_iter()
            .fold(Exit::Done, Exit::worse);
        assert_eq!(worst, Exit::Failed);
        assert_eq!(Exit::Cancelled.worse(Exit::Errored), Exit::Errored);
        assert_eq!(Exit::Waits.worse(Exit::Done), Exit::Waits);
    }
}

//! What a command or a query of the engine answers when it cannot do it.

use std::fmt;

use crate::store::{StoreError, Trouble};

/// One thing that is wrong in what the caller sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `towline.yaml:12:5` in a project file, else the field's name.
    pub place: String,
    /// What is wrong there, for a person.
    pub message: String,
    /// The next step, where there is one.
    pub hint: Option<String>,
}

impl Fault {
    pub fn of(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
            hint: None,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Why the engine did not do what it was asked. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// gRPC `NOT_FOUND`.
    #[error("no {what} is named {name}")]
    NotFound {
        what: &'static str,
        name: String,
        hint: String,
    },
    /// gRPC `INVALID_ARGUMENT`, with every fault at once.
    #[error("{}", faults_in_a_line(faults))]
    Invalid { faults: Vec<Fault> },
    /// gRPC `ALREADY_EXISTS`: another thing is there already. `reason` is stable.
    #[error("{message}")]
    Conflict {
        reason: &'static str,
        message: String,
        hint: String,
    },
    /// gRPC `FAILED_PRECONDITION`: not now; `waiting_on` is a sentence for a person.
    #[error("not yet: waiting on {waiting_on}")]
    NotReady { waiting_on: String, hint: String },
    /// gRPC `FAILED_PRECONDITION`: an approval is of another plan. `current` is
    /// the hash of the one that counts; empty when there is none.
    #[error("{message}")]
    OtherPlan {
        current: String,
        message: String,
        hint: String,
    },
    /// gRPC `PERMISSION_DENIED`. `reason` is stable.
    #[error("{message}")]
    Denied {
        reason: &'static str,
        message: String,
        hint: String,
    },
    /// An agent answered with this. It keeps its gRPC code, reason, faults and hint.
    #[error("agent {agent}: {}", status.message())]
    Agent {
        agent: String,
        status: Box<tonic::Status>,
    },
    /// Something ails the database: gRPC `RESOURCE_EXHAUSTED` (full), `UNAVAILABLE`
    /// (locked), `INTERNAL` (the disk) or `DATA_LOSS` (corrupt).
    #[error("{message}")]
    Storage { trouble: Trouble, message: String },
    /// gRPC `INTERNAL`: our own fault or the disk's; the log has the whole chain.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        let trouble = error.trouble();
        let whole = anyhow::Error::from(error);
        match trouble {
            Some(trouble) => Self::Storage {
                trouble,
                message: format!("{whole:#}"),
            },
            None => Self::Internal(whole),
        }
    }
}

impl EngineError {
    pub fn invalid(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid {
            faults: vec![Fault::of(place, message)],
        }
    }

    /// The next step for a person, where there is one.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NotFound { hint, .. }
            | Self::Conflict { hint, .. }
            | Self::NotReady { hint, .. }
            | Self::OtherPlan { hint, .. }
            | Self::Denied { hint, .. } => Some(hint).filter(|hint| !hint.is_empty()).map(String::as_str),
            Self::Invalid { faults } => faults.iter().find_map(|fault| fault.hint.as_deref()),
            Self::Storage { trouble, .. } => Some(trouble.hint()),
            Self::Agent { .. } | Self::Internal(_) => None,
        }
    }
}

fn faults_in_a_line(faults: &[Fault]) -> String {
    let each: Vec<String> = faults.iter().map(Fault::to_string).collect();
    each.join("; ")
}

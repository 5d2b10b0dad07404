//! What the account shows → what will not work, before anything is written.
//! [`questions`] says what to ask, [`judge`] turns the answers into findings.

mod facts;

pub use facts::{Facts, ImageFact, LogGroupFact, OwnResources, Questions, RoleFact, questions};

/// Something that a person should know, with its next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Stable: "slow_target_group", "image_missing".
    pub reason: &'static str,
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Will not work: nothing is written.
    Error,
    Warning,
    /// AWS would not say.
    Unknown,
    Note,
}

impl Severity {
    /// The word that people see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Note => "note",
        }
    }
}

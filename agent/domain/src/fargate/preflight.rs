//! What the account shows → what will not work, before anything is written.
//! [`questions`] says what to ask, [`judge`] turns the answers into findings, each
//! with what to do. What AWS would not say is a finding too, and stops nothing.

mod facts;
mod keys;
mod needs;
mod network;
mod said;
#[cfg(test)]
mod tests;
mod traffic;

pub(crate) use facts::thing_itself;
pub use facts::{Facts, ImageFact, LogGroupFact, OwnResources, Questions, RoleFact, SecretFact, questions};
pub(crate) use needs::{image_answer, trust};
pub(crate) use said::said;
pub(crate) use traffic::slow;

use crate::fargate::ValidService;

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

/// Judges what the account shows. Gravest first.
pub fn judge(service: &ValidService, facts: &Facts) -> Vec<Finding> {
    let mut found = Findings::default();
    network::judge(service, facts, &mut found);
    traffic::judge(service, facts, &mut found);
    needs::judge(service, facts, &mut found);
    found.gravest_first()
}

#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn gravest_first(mut self) -> Vec<Finding> {
        // Stable: what was found first stays first among equals.
        self.0.sort_by_key(|finding| finding.severity);
        self.0
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        reason: &'static str,
        message: String,
        hint: impl Into<String>,
    ) {
        self.0.push(Finding {
            severity,
            reason,
            message,
            hint: hint.into(),
        });
    }

    pub(crate) fn error(&mut self, reason: &'static str, message: String, hint: impl Into<String>) {
        self.add(Severity::Error, reason, message, hint);
    }

    pub(crate) fn warning(&mut self, reason: &'static str, message: String, hint: impl Into<String>) {
        self.add(Severity::Warning, reason, message, hint);
    }

    pub(crate) fn note(&mut self, reason: &'static str, message: String, hint: impl Into<String>) {
        self.add(Severity::Note, reason, message, hint);
    }
}

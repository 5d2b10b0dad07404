//! Who may approve.

use super::super::project::{ApprovalRule, ApproverRole};

/// Somebody who wants to approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person<'a> {
    pub name: &'a str,
    /// May approve what asks for the role approver.
    pub approves: bool,
    /// May approve everything.
    pub administers: bool,
}

/// Why somebody may not approve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{who} may not approve this deployment: it needs role {role}")]
    Role { who: String, role: ApproverRole },
    #[error("{who} may not approve this deployment: its own author cannot, nor can its release's")]
    Author { who: String },
}

impl Refusal {
    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Self::Role { role, .. } => format!("ask someone with role {role}"),
            Self::Author { .. } => "ask someone who created neither of them".to_owned(),
        }
    }

    /// The stable word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Role { .. } => "not_an_approver",
            Self::Author { .. } => "is_author",
        }
    }
}

/// Whether a person may approve under a rule. `authors` created the deployment
/// and its release.
///
/// # Errors
/// Why not.
pub fn may_approve(rule: &ApprovalRule, authors: &[String], person: Person<'_>) -> Result<(), Refusal> {
    let has_role = match rule.role {
        ApproverRole::Approver => person.approves || person.administers,
        ApproverRole::Admin => person.administers,
    };
    let who = || person.name.to_owned();
    if !has_role {
        return Err(Refusal::Role {
            who: who(),
            role: rule.role,
        });
    }
    if rule.not_author && authors.iter().any(|author| author == person.name) {
        return Err(Refusal::Author { who: who() });
    }
    Ok(())
}

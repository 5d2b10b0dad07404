//! The id of an operation, and the names in the account that follow from it.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The id of one operation; the same over all repeats of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(Uuid);

const PLAN_CHANGE_SET: &str = "towline-plan-";

impl OperationId {
    pub fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    pub fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The name of the operation's CloudFormation change set.
    pub fn change_set_name(self) -> String {
        format!("towline-{}", self.0)
    }

    /// The name of the change set of a plan, which nobody executes.
    pub fn plan_change_set_name(self) -> String {
        format!("{PLAN_CHANGE_SET}{}", self.0)
    }

    /// Whether a change set of this name was made for a plan.
    pub fn made_for_a_plan(change_set: &str) -> bool {
        let id = change_set.strip_prefix(PLAN_CHANGE_SET);
        id.is_some_and(|id| id.parse::<Self>().is_ok())
    }

    /// Deduplicates the change set (ClientToken) and marks the stack events of
    /// its execution (ClientRequestToken).
    pub fn token(self) -> String {
        self.0.to_string()
    }

    /// Marks the stack events of the deletion of a stack that never was healthy.
    pub fn delete_token(self) -> String {
        format!("{}-delete", self.0)
    }

    /// Marks the stack events of a roll-back that was stuck and is continued.
    pub fn continue_token(self) -> String {
        format!("{}-continue", self.0)
    }

    /// Marks the stack events of a cancelled update.
    pub fn cancel_token(self) -> String {
        format!("{}-cancel", self.0)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Not a UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operation id {text:?} is not a UUID")]
pub struct NotAnOperationId {
    text: String,
}

impl FromStr for OperationId {
    type Err = NotAnOperationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Uuid::try_parse(text) {
            Ok(id) if !id.is_nil() => Ok(Self(id)),
            _ => Err(NotAnOperationId {
                text: text.to_owned(),
            }),
        }
    }
}

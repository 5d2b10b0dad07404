//! An error as AWS words it.

use std::fmt;

use serde_json::{Map, Value};

/// What AWS answers when it refuses: its own code, its own words, its HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    pub code: String,
    pub message: String,
    pub http_status: u16,
    /// Members of the error beside its code and message.
    pub more: Map<String, Value>,
}

impl AwsError {
    /// An error that is the caller's fault: HTTP 400.
    pub fn client(code: &str, message: impl Into<String>) -> Self {
        Self::with_status(code, message, 400)
    }

    pub fn with_status(code: &str, message: impl Into<String>, http_status: u16) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            http_status,
            more: Map::new(),
        }
    }

    /// The same with a member of its own.
    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.more.insert(member.to_owned(), value);
        self
    }

    /// The action is not one that this simulator knows.
    pub fn unknown_action(action: &str) -> Self {
        Self::client(
            "UnknownOperationException",
            format!("{action} is not simulated by aws-sim"),
        )
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for AwsError {}

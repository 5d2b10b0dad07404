//! Whether AWS said anything: what it would not say is a finding of its own.

use super::{Findings, Severity};
use crate::outside::{Answer, CallError};

/// The answer; a finding where there is none.
pub(crate) fn said<'a, T>(answer: &'a Answer<T>, what: &str, found: &mut Findings) -> Option<&'a T> {
    let error = match answer {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    let (why, hint) = match error {
        CallError::Denied { message } => (
            format!("access denied: {message}"),
            "give the agent's role this read, so that it can be checked beforehand; the deployment goes on",
        ),
        CallError::Throttled { message } | CallError::Unknown { message } => {
            (message.clone(), "the deployment goes on; AWS will say it then")
        }
        CallError::Refused { code, message } => (
            format!("{code}: {message}"),
            "the deployment goes on; AWS will say it then",
        ),
        CallError::Missing { what } => (format!("{what} does not exist"), "the deployment goes on"),
    };
    found.add(
        Severity::Unknown,
        "not_checked",
        format!("{what} could not be checked: {why}"),
        hint,
    );
    None
}

//! All faults of one request, collected before anything is answered.

use tonic::{Code, Status};
use towline_link::status::Fault;

/// Field paths with what is wrong there.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<(String, String)>);

impl Violations {
    pub(super) fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push((field.into(), description.into()));
    }

    /// Adds a violation when a text that must be there is empty.
    pub(super) fn demand(&mut self, field: &str, text: &str, example: &str) {
        if text.is_empty() {
            self.add(field, format!("is missing; for example {example}"));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }

    /// INVALID_ARGUMENT with all of them, if there is any.
    pub(super) fn check(self) -> Result<(), Status> {
        let fault = match self.0.as_slice() {
            [] => return Ok(()),
            [(field, description)] => bad_request(format!("{field}: {description}")),
            [(field, description), rest @ ..] => {
                bad_request(format!("{field}: {description} (and {} more)", rest.len()))
            }
        };
        let fault = self.0.into_iter().fold(fault, |fault, (field, description)| {
            fault.violation(field, description)
        });
        Err(fault.into_status())
    }
}

fn bad_request(message: String) -> Fault {
    Fault::new(Code::InvalidArgument, "INVALID_REQUEST", message)
        .hint("every fault of the request is listed as a field violation")
}

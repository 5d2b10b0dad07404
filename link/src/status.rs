//! Errors on the wire: a gRPC code with a meaning, a stable reason, every fault
//! of the request at once, and a hint. [`Fault`] writes them, [`Details`] reads
//! them, [`meant`] translates what the transport says into what happened.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use towline_proto::ERROR_DOMAIN;

use crate::io::LinkEnd;

/// The reason of a status whose link was lost.
pub const LINK_LOST: &str = "LINK_LOST";
/// The reason of a status whose deadline passed.
pub const DEADLINE_PASSED: &str = "DEADLINE_PASSED";
/// The reason of a status that an access rule made.
pub const NOT_ALLOWED: &str = "NOT_ALLOWED";

/// The reason of a status whose caller's certificate expired while connected.
pub const CERTIFICATE_EXPIRED: &str = "CERTIFICATE_EXPIRED";

const HINT: &str = "hint";

/// A [`Status`] in the making: `google.rpc.ErrorInfo` of domain `towline`, and
/// `google.rpc.BadRequest` when fields are at fault.
#[derive(Clone, Debug)]
#[must_use]
pub struct Fault {
    code: Code,
    reason: String,
    message: String,
    metadata: HashMap<String, String>,
    violations: Vec<(String, String)>,
}

impl Fault {
    /// `reason` is stable, in the form `UPPER_SNAKE_CASE`; `message` says what
    /// happened to which thing.
    pub fn new(code: Code, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            metadata: HashMap::new(),
            violations: Vec::new(),
        }
    }

    /// What a person can do next.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.metadata(HINT, hint)
    }

    /// A value for programs.
    pub fn metadata(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// A field of the request at fault, by its path.
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.violations.push((field.into(), description.into()));
        self
    }

    /// The status.
    pub fn into_status(self) -> Status {
        let mut details = ErrorDetails::with_error_info(self.reason, ERROR_DOMAIN, self.metadata);
        for (field, description) in self.violations {
            details.add_bad_request_violation(field, description);
        }
        Status::with_error_details(self.code, self.message, details)
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        fault.into_status()
    }
}

/// What [`Fault`] put into a status; empty for a status from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    pub reason: Option<String>,
    pub hint: Option<String>,
    /// Without the hint.
    pub metadata: HashMap<String, String>,
    /// Field and description.
    pub violations: Vec<(String, String)>,
}

impl Details {
    /// Reads a status.
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let violations = details
            .bad_request()
            .map(|request| request.field_violations.as_slice())
            .unwrap_or_default()
            .iter()
            .map(|violation| (violation.field.clone(), violation.description.clone()))
            .collect();
        let info = details.error_info().filter(|info| info.domain == ERROR_DOMAIN);
        let mut metadata = info.map(|info| info.metadata.clone()).unwrap_or_default();
        Self {
            reason: info.map(|info| info.reason.clone()),
            hint: metadata.remove(HINT),
            metadata,
            violations,
        }
    }
}

/// The status of every call on a link that was lost.
pub fn link_lost(peer: &str, end: &LinkEnd) -> Status {
    Fault::new(
        Code::Unavailable,
        LINK_LOST,
        format!("the link to {peer} was lost: {end}"),
    )
    .metadata("peer", peer)
    .into_status()
}

/// Whether a call ended because its link was lost: what it did is not known.
pub fn is_link_lost(status: &Status) -> bool {
    status.code() == Code::Unavailable && Details::of(status).reason.as_deref() == Some(LINK_LOST)
}

/// What a status of the transport means. The client's own `grpc-timeout`
/// arrives as CANCELLED and a broken connection as UNKNOWN. `timeout` is the
/// one that the call was sent with, `elapsed` how long it took.
pub fn meant(status: Status, timeout: Option<Duration>, elapsed: Duration) -> Status {
    if Details::of(&status).reason.is_some() {
        return status;
    }
    match (status.code(), timeout) {
        (Code::Cancelled, Some(timeout)) if elapsed >= timeout => Fault::new(
            Code::DeadlineExceeded,
            DEADLINE_PASSED,
            format!("no answer within {:.1} s", timeout.as_secs_f64()),
        )
        .into_status(),
        (Code::Unknown, _) if broke_in_transport(&status) => Fault::new(
            Code::Unavailable,
            LINK_LOST,
            format!("the connection was lost: {}", status.message()),
        )
        .into_status(),
        _ => status,
    }
}

/// A server's own UNKNOWN has no error of ours behind it.
fn broke_in_transport(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<hyper::Error>() || error.is::<std::io::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_back_whole() {
        let status = Fault::new(Code::InvalidArgument, "BAD_SPEC", "two faults in the spec")
            .hint("fix both")
            .metadata("spec", "web")
            .violation("cpu", "must be 256 or more")
            .violation("containers[0].image", "is missing")
            .into_status();
        let details = Details::of(&status);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(details.reason.as_deref(), Some("BAD_SPEC"));
        assert_eq!(details.hint.as_deref(), Some("fix both"));
        assert_eq!(details.metadata.get("spec").map(String::as_str), Some("web"));
        assert_eq!(details.violations.len(), 2);
    }

    #[test]
    fn our_own_timeout_is_a_deadline_and_a_cancel_stays_a_cancel() {
        let timeout = Some(Duration::from_secs(5));
        let cancelled = || Status::cancelled("Timeout expired");
        assert_eq!(
            meant(cancelled(), timeout, Duration::from_secs(5)).code(),
            Code::DeadlineExceeded
        );
        assert_eq!(
            meant(cancelled(), timeout, Duration::from_secs(1)).code(),
            Code::Cancelled
        );
        assert_eq!(
            meant(cancelled(), None, Duration::from_secs(9)).code(),
            Code::Cancelled
        );
    }

    #[test]
    fn a_broken_transport_is_a_lost_link_and_a_handlers_unknown_is_not() {
        let broken = Status::from_error(Box::new(std::io::Error::other("gone")));
        assert!(is_link_lost(&meant(broken, None, Duration::ZERO)));
        let handlers = Status::unknown("the handler said so");
        assert_eq!(meant(handlers, None, Duration::ZERO).code(), Code::Unknown);
    }
}

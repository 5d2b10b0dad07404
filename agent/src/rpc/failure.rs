//! AWS's refusals as statuses, for calls that are no operation.

use tonic::{Code, Status};
use towline_agent_domain::outside::CallError;
use towline_link::status::Fault;

/// AWS did not let us do `what`.
pub(super) fn status(what: &str, error: &CallError) -> Status {
    let (code, reason, hint) = match error {
        CallError::Refused { .. } => (
            Code::FailedPrecondition,
            "AWS_REFUSED",
            "the words of AWS name the cause",
        ),
        CallError::Missing { .. } => (
            Code::NotFound,
            "NOT_FOUND",
            "compare the name, the region and the cluster with AWS",
        ),
        // PERMISSION_DENIED would say that the caller may not: it is the agent that may not.
        CallError::Denied { .. } => (
            Code::FailedPrecondition,
            "ACCESS_DENIED",
            "the agent's IAM role needs this permission",
        ),
        CallError::Throttled { .. } => (Code::ResourceExhausted, "THROTTLED", "try again in a moment"),
        CallError::Unknown { .. } => (
            Code::Unavailable,
            "AWS_UNREACHABLE",
            "try again; the agent's log has more",
        ),
    };
    Fault::new(code, reason, format!("cannot {what}: {error}"))
        .hint(hint)
        .into_status()
}

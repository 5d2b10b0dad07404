//! The SDK's errors in our words. The one question that matters is whether a
//! write may have been applied; where the SDK cannot tell, nobody can.

use std::error::Error;
use std::io;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use towline_agent_domain::outside::{Answer, CallError};

/// Codes by which AWS says "later"; nothing was done. LimitExceededException is none of
/// them: in every service that is called here it says that a quota of things is used up
/// (their models in botocore, November 2026), which no patience changes.
const THROTTLES: [&str; 7] = [
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "RequestThrottled",
    "SlowDown",
];

/// Codes by which AWS says "not you".
const DENIALS: [&str; 9] = [
    "AccessDeniedException",
    "AccessDenied",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
];

/// Codes by which AWS says "no such thing".
const MISSING: [&str; 11] = [
    "ServiceNotFoundException",
    "ClusterNotFoundException",
    "ServiceDeploymentNotFoundException",
    "ChangeSetNotFound",
    "ChangeSetNotFoundException",
    "TargetGroupNotFound",
    "ListenerNotFound",
    "ResourceNotFoundException",
    "RepositoryNotFoundException",
    "NoSuchEntity",
    "NoSuchBucket",
];

/// Turns the SDK's answer into ours. `what` names the thing that the call is about.
pub(crate) fn answer<T, E>(result: Result<T, SdkError<E, HttpResponse>>, what: &str) -> Answer<T>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    result.map_err(|error| call_error(error, what))
}

fn call_error<E>(error: SdkError<E, HttpResponse>, what: &str) -> CallError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    match &error {
        SdkError::ConstructionFailure(_) => CallError::Refused {
            code: "NotSent".to_owned(),
            message: chain(&error),
        },
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let message = service.err().message().unwrap_or_default();
            answered(code, message, status.unwrap_or_default(), what)
        }
        // Nobody listened, so nothing was sent: the same as being asked to come back later.
        _ if is_unreachable(&error) => CallError::Throttled {
            message: chain(&error),
        },
        _ => CallError::Unknown {
            message: chain(&error),
        },
    }
}

/// Whether AWS says that there were too many requests.
pub(crate) fn is_throttle<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let SdkError::ServiceError(service) = error else {
        return false;
    };
    let code = service.err().code().unwrap_or_default();
    THROTTLES.contains(&code) || service.raw().status().as_u16() == 429
}

/// Whether a read that met this may be answered the next time.
pub(crate) fn is_passing<E>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => true,
        SdkError::ResponseError(error) => !error.raw().status().is_success(),
        SdkError::ServiceError(error) => error.raw().status().as_u16() >= 500,
        _ => false,
    }
}

/// Whether the connection was refused before there was one.
fn is_unreachable(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        next = error.source();
    }
    false
}

/// What an error answer of AWS means.
pub(crate) fn answered(code: &str, message: &str, status: u16, what: &str) -> CallError {
    let message = message.to_owned();
    if THROTTLES.contains(&code) || status == 429 || is_family_busy(&message) {
        return CallError::Throttled { message };
    }
    if DENIALS.contains(&code) {
        return CallError::Denied { message };
    }
    if MISSING.contains(&code) || is_missing_stack(code, &message) || is_missing_revision(code, &message) {
        return CallError::Missing {
            what: what.to_owned(),
        };
    }
    // A 5xx may come after the work was done.
    if status >= 500 {
        return CallError::Unknown {
            message: format!("{code} ({status}): {message}"),
        };
    }
    CallError::Refused {
        code: code.to_owned(),
        message,
    }
}

/// RegisterTaskDefinition reports a busy family as a ClientException
/// (hashicorp/terraform-provider-aws#9777); nothing was registered.
fn is_family_busy(message: &str) -> bool {
    message.contains("Too many concurrent attempts to create a new revision")
}

/// CloudFormation reports a stack that is not there as a ValidationError; so it does
/// a template that S3 does not give it, in S3's words.
fn is_missing_stack(code: &str, message: &str) -> bool {
    code == "ValidationError" && message.contains("does not exist") && !message.starts_with("S3 error")
}

/// ECS reports a task definition that is not there as a ClientException.
fn is_missing_revision(code: &str, message: &str) -> bool {
    code == "ClientException" && message.contains("Unable to describe task definition")
}

/// `Missing` as a value.
pub(crate) fn absent_as_none<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(CallError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An answer that lacks what AWS always gives.
pub(crate) fn incomplete(what: &str) -> CallError {
    CallError::Unknown {
        message: format!("AWS's answer has no {what}"),
    }
}

/// The error with what it stems from, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str, message: &str, status: u16) -> CallError {
        answered(code, message, status, "it")
    }

    #[test]
    fn a_server_error_never_says_that_nothing_happened() {
        assert!(matches!(
            of("ServerException", "try again", 500),
            CallError::Unknown { .. }
        ));
        assert!(matches!(of("", "", 503), CallError::Unknown { .. }));
    }

    #[test]
    fn a_busy_family_is_patience_not_refusal() {
        let busy = "Too many concurrent attempts to create a new revision of the specified family.";
        assert!(matches!(
            of("ClientException", busy, 400),
            CallError::Throttled { .. }
        ));
    }

    #[test]
    fn a_stack_that_is_not_there_is_missing() {
        let words = "Stack with id towline-main-web does not exist";
        assert!(matches!(
            of("ValidationError", words, 400),
            CallError::Missing { .. }
        ));
        assert!(matches!(
            of("ValidationError", "No updates are to be performed.", 400),
            CallError::Refused { .. }
        ));
        assert!(matches!(
            of(
                "ValidationError",
                "S3 error: The specified key does not exist.",
                400
            ),
            CallError::Refused { .. }
        ));
    }

    #[test]
    fn a_quota_that_is_used_up_is_a_refusal_and_not_patience() {
        assert!(matches!(
            of(
                "LimitExceededException",
                "The limit for the resource was exceeded.",
                400
            ),
            CallError::Refused { .. }
        ));
    }

    #[test]
    fn expired_credentials_are_a_denial() {
        assert!(matches!(
            of("ExpiredTokenException", "expired", 400),
            CallError::Denied { .. }
        ));
    }
}

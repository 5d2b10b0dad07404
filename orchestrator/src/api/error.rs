//! The engine's refusals as gRPC statuses: a code by its meaning, a stable
//! reason, all faults at once, and the next step.

use tonic::{Code, Status};
use towline_link::status::{Details, Fault};

use crate::{engine::EngineError, store::Trouble};

/// Parts a violation's description from its hint.
pub const HINT_LINE: &str = "\nhint: ";

/// The status of a refusal.
pub fn status(error: EngineError) -> Status {
    match error {
        EngineError::NotFound { what, name, hint } => hinted(
            Fault::new(
                Code::NotFound,
                &format!("{}_NOT_FOUND", reason(what)),
                format!("no {what} is named {name}"),
            )
            .metadata("name", name),
            hint,
        ),
        EngineError::Invalid { faults } => invalid(faults),
        EngineError::Conflict {
            reason,
            message,
            hint,
        } => hinted(
            Fault::new(Code::AlreadyExists, &self::reason(reason), message),
            hint,
        ),
        EngineError::NotReady { waiting_on, hint } => hinted(
            Fault::new(
                Code::FailedPrecondition,
                "NOT_READY",
                format!("not yet: waiting on {waiting_on}"),
            )
            .metadata("waiting_on", waiting_on),
            hint,
        ),
        EngineError::OtherPlan {
            current,
            message,
            hint,
        } => hinted(
            Fault::new(Code::FailedPrecondition, "OTHER_PLAN", message).metadata("plan_hash", current),
            hint,
        ),
        EngineError::Denied {
            reason,
            message,
            hint,
        } => hinted(
            Fault::new(Code::PermissionDenied, &self::reason(reason), message),
            hint,
        ),
        EngineError::Agent { agent, status } => of_agent(&agent, &status),
        EngineError::Storage { trouble, message } => {
            tracing::error!("{message}");
            let code = match trouble {
                Trouble::Full => Code::ResourceExhausted,
                Trouble::Locked => Code::Unavailable,
                Trouble::Disk => Code::Internal,
                Trouble::Corrupt => Code::DataLoss,
            };
            hinted(
                Fault::new(code, trouble.reason(), message),
                trouble.hint().to_owned(),
            )
        }
        EngineError::Internal(error) => {
            tracing::error!("internal error: {error:#}");
            hinted(
                Fault::new(
                    Code::Internal,
                    "INTERNAL",
                    format!("the orchestrator could not do it: {error}"),
                ),
                "its log has the whole chain of causes".to_owned(),
            )
        }
    }
}

/// What an agent answered, with its name.
fn of_agent(agent: &str, status: &Status) -> Status {
    let details = Details::of(status);
    let reason = details.reason.as_deref().unwrap_or("AGENT_REFUSED");
    let mut fault = Fault::new(
        status.code(),
        reason,
        format!("agent {agent}: {}", status.message()),
    )
    .metadata("agent", agent);
    for (field, description) in details.violations {
        fault = fault.violation(field, description);
    }
    let hint = details.hint.unwrap_or_else(|| match status.code() {
        Code::Unimplemented => {
            "the agent is older than this orchestrator: install the same version".to_owned()
        }
        Code::Unavailable | Code::Unknown => "nothing was changed: ask again".to_owned(),
        _ => String::new(),
    });
    hinted(fault, hint)
}

fn invalid(faults: Vec<crate::engine::Fault>) -> Status {
    let message = match faults.as_slice() {
        [one] => format!("{}: {}", one.place, one.message),
        many => format!("{} faults, the first: {}", many.len(), first(many)),
    };
    let mut status = Fault::new(Code::InvalidArgument, "INVALID", message);
    for fault in faults {
        let description = match fault.hint {
            Some(hint) => format!("{}{HINT_LINE}{hint}", fault.message),
            None => fault.message,
        };
        status = status.violation(fault.place, description);
    }
    status.into_status()
}

fn first(faults: &[crate::engine::Fault]) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}

fn hinted(fault: Fault, hint: String) -> Status {
    let fault = if hint.is_empty() { fault } else { fault.hint(hint) };
    fault.into_status()
}

/// `UPPER_SNAKE_CASE`, as google.rpc.ErrorInfo wants its reasons.
fn reason(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_file_reaches_the_caller_with_its_place_and_hint() {
        let fault = crate::engine::Fault::of;
        let status = status(EngineError::Invalid {
            faults: vec![
                fault("shop.yaml:3:5", "unknown key `imagez`").hint("did you mean `images`?"),
                fault("shop.yaml:9:1", "`web` is not declared"),
            ],
        });
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            Details::of(&status).violations,
            [
                (
                    "shop.yaml:3:5".to_owned(),
                    "unknown key `imagez`\nhint: did you mean `images`?".to_owned()
                ),
                ("shop.yaml:9:1".to_owned(), "`web` is not declared".to_owned()),
            ]
        );
    }

    #[test]
    fn a_refusal_has_a_stable_reason_and_the_next_step() {
        let status = status(EngineError::NotFound {
            what: "release",
            name: "1.0.0".to_owned(),
            hint: "towline release list".to_owned(),
        });
        assert_eq!(status.code(), Code::NotFound);
        let details = Details::of(&status);
        assert_eq!(details.reason.as_deref(), Some("RELEASE_NOT_FOUND"));
        assert_eq!(details.hint.as_deref(), Some("towline release list"));
    }
}

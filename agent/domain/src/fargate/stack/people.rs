//! What only people can decide: whose the stack is, who changes it now, and how to
//! free one that CloudFormation cannot free.

use super::{StackDecision, StackStatus, StackView, StatusKind};
use crate::fargate::template::SERVICE_TAG;
use crate::observed::{Stack, StackEvent, StackResource};
use crate::verdict::{Reason, Refusal};

/// A stack is Towline's by its tag. CloudFormation shows no tags on one that no
/// change set was ever executed on, and such a stack holds nothing.
pub(super) fn is_towlines(stack: &Stack, status: &StackStatus) -> bool {
    let tagged = stack.tags.iter().any(|(key, _)| key == SERVICE_TAG);
    tagged || (*status == StackStatus::ReviewInProgress && stack.tags.is_empty())
}

/// Why a stack that Towline did not make is not touched; `None` when it may be.
pub(super) fn not_adoptable(view: &StackView<'_>, status: &StackStatus) -> Option<Refusal> {
    if !view.adopt {
        return Some(Refusal::new(
            Reason::StackNotOurs,
            format!("stack {} exists, and Towline did not make it", view.name),
            "choose another stack_name; or look at the plan with adopt, and take the stack over",
        ));
    }
    match status.kind() {
        StatusKind::Good | StatusKind::Idle | StatusKind::Busy | StatusKind::Empty | StatusKind::Gone => None,
        StatusKind::NeverHealthy | StatusKind::HalfRolledBack | StatusKind::Stuck => Some(Refusal::new(
            Reason::StackNotOurs,
            format!(
                "stack {} is {status}, and only a stack at rest is taken over",
                view.name
            ),
            "free it with the tool that made it, or delete it if nobody needs it; then deploy again",
        )),
    }
}

/// Somebody else is at work: it is waited for.
pub(super) fn busy(view: &StackView<'_>, status: &StackStatus) -> StackDecision {
    let who = whom(view.events).map_or_else(String::new, |who| format!(" ({who})"));
    let what = match status {
        StackStatus::DeleteInProgress => "deleted",
        _ => "changed",
    };
    StackDecision::AwaitOther {
        who: format!(
            "stack {} is being {what} by somebody else: {status}{who}",
            view.name
        ),
    }
}

/// Since when, by which token and with which words; CloudFormation says no more of who it is.
fn whom(events: &[StackEvent]) -> Option<String> {
    let started = |event: &&StackEvent| {
        event.resource_type == "AWS::CloudFormation::Stack" && event.status.ends_with("_IN_PROGRESS")
    };
    let event = events.iter().find(started)?;
    let token = match event.token.as_deref() {
        Some(token) if token.starts_with("Console-") => format!("from the console, token {token}"),
        Some(token) => format!("token {token}"),
        None => "without a token".to_owned(),
    };
    let words = if event.reason.is_empty() {
        String::new()
    } else {
        format!(", {}", event.reason)
    };
    Some(format!("since {}, {token}{words}", event.at))
}

/// CloudFormation cannot free it: what is the matter, and the command.
pub(super) fn stuck(view: &StackView<'_>, stack: &Stack, status: &StackStatus) -> StackDecision {
    let name = view.name;
    let failed = failed(view.resources);
    let listed = if failed.is_empty() {
        "LOGICAL_ID ...".to_owned()
    } else {
        failed.join(" ")
    };
    let hint = match status {
        StackStatus::UpdateRollbackFailed => format!(
            "repair what its events name, or leave those resources as they are: aws cloudformation \
             continue-update-rollback --stack-name {name} --resources-to-skip {listed}; then deploy again"
        ),
        StackStatus::UpdateFailed => {
            format!("aws cloudformation rollback-stack --stack-name {name}, then deploy again")
        }
        StackStatus::DeleteFailed => format!(
            "somebody began to delete it; to end that: aws cloudformation delete-stack --stack-name {name} \
             --deletion-mode FORCE_DELETE_STACK, which leaves behind: {listed}"
        ),
        StackStatus::CreateFailed | StackStatus::RollbackFailed => format!(
            "it never was healthy; when nobody needs what is left of it: aws cloudformation delete-stack \
             --stack-name {name}, then deploy again"
        ),
        _ => "look at the stack's events in the CloudFormation console; Towline deletes only a stack in \
              ROLLBACK_COMPLETE"
            .to_owned(),
    };
    let words = if stack.status_reason.is_empty() {
        String::new()
    } else {
        format!(": {}", stack.status_reason)
    };
    let which = if failed.is_empty() {
        String::new()
    } else {
        format!(" ({listed})")
    };
    StackDecision::Refuse(Refusal::new(
        Reason::StackStuck,
        format!("stack {name} is {status}{which}{words}"),
        hint,
    ))
}

fn failed(resources: &[StackResource]) -> Vec<&str> {
    let failed = resources
        .iter()
        .filter(|resource| resource.status.ends_with("_FAILED"));
    failed.map(|resource| resource.logical_id.as_str()).collect()
}

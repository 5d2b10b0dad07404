//! What the stack's events say about this operation: CloudFormation writes the
//! token of whoever caused an event into it.

use crate::observed::StackEvent;
use crate::operation_id::OperationId;

/// What the stack's events say about this operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OurTrace {
    /// No event carries our token.
    #[default]
    None,
    /// The stack's latest change is ours.
    Latest,
    /// We changed it, and somebody else did after us.
    Earlier,
}

/// The type of the events that tell of the stack itself.
const STACK: &str = "AWS::CloudFormation::Stack";

/// Reads our trace out of the events, newest first.
pub fn trace(events: &[StackEvent], id: OperationId) -> OurTrace {
    let (token, cancel) = (id.token(), id.cancel_token());
    let is_ours = |event: &StackEvent| {
        event
            .token
            .as_deref()
            .is_some_and(|found| found == token || found == cancel)
    };
    // Continuing a roll-back goes on with somebody's change, and is none of its own.
    let continues = id.continue_token();
    // A change without a token is somebody's all the same: its stack events tell.
    let tells = |event: &&StackEvent| match &event.token {
        Some(token) => *token != continues,
        None => event.resource_type == STACK,
    };
    match events.iter().find(tells) {
        Some(latest) if is_ours(latest) => OurTrace::Latest,
        _ if events.iter().any(is_ours) => OurTrace::Earlier,
        _ => OurTrace::None,
    }
}

/// The newest of the events, newest first, that tells of the stack itself: its status
/// is the stack's.
pub fn last_of_stack<'e>(events: &'e [StackEvent], stack_id: &str) -> Option<&'e StackEvent> {
    let of_stack = |event: &&StackEvent| event.resource_type == STACK && event.physical_id == stack_id;
    events.iter().find(of_stack)
}

/// Whether the events say that this operation deleted the stack.
pub fn deleted_by(events: &[StackEvent], id: OperationId) -> bool {
    let token = id.delete_token();
    events.iter().any(|event| event.token.as_deref() == Some(&token))
}

/// Whether the events say that a person cancelled this operation.
pub fn cancelled_by(events: &[StackEvent], id: OperationId) -> bool {
    let token = id.cancel_token();
    events.iter().any(|event| event.token.as_deref() == Some(&token))
}

/// What came of continuing a stuck roll-back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Continuation {
    #[default]
    NotSent,
    /// The events show it.
    Sent,
    /// It got stuck again.
    Failed,
}

/// Reads out of the events, newest first, whether this operation continued a roll-back.
pub fn continuation(events: &[StackEvent], id: OperationId) -> Continuation {
    let token = id.continue_token();
    let ours = |event: &&StackEvent| event.token.as_deref() == Some(&token);
    let stuck = |event: &StackEvent| event.status == "UPDATE_ROLLBACK_FAILED";
    let last = events.iter().find(|event| event.resource_type == STACK);
    match last.filter(ours) {
        Some(last) if stuck(last) => Continuation::Failed,
        _ if events.iter().any(|event| ours(&event)) => Continuation::Sent,
        _ => Continuation::NotSent,
    }
}

//! How an operation ends that was interrupted, by what had been done until then.

use towline_agent_domain::verdict::Reason;

use super::{Ending, Interruption};

/// Nothing of the service was changed yet.
pub(super) fn before_the_write(by: Interruption, so_far: &str) -> Ending {
    match by {
        Interruption::Cancel(_) => Ending::new(
            Reason::Cancelled,
            format!("cancelled before the service was changed; {so_far}"),
        ),
        Interruption::Deadline => Ending::new(
            Reason::DeadlineExceeded,
            format!("the deadline came before the service was changed; {so_far}"),
        )
        .hint("give the operation a later deadline"),
    }
}

/// AWS carries on, and the agent follows no more.
pub(super) fn detached(what: &str) -> Ending {
    Ending::new(
        Reason::Detached,
        format!("no longer followed, as asked; AWS carries on with {what}"),
    )
    .hint("DescribeService shows how it goes on")
}

/// The agent's role lost its rights while a change was followed: AWS carries on.
pub(super) fn out_of_sight(ending: Ending) -> Ending {
    if ending.reason() != Reason::AccessDenied.as_str() {
        return ending;
    }
    let summary = format!("{}; the rollout goes on unseen", ending.summary());
    Ending::new(Reason::AccessLost, summary)
        .hint("give the agent's IAM role its rights back; DescribeService then shows how it went on")
}

//! How our change of a stack ended, and the verdict that follows.

use crate::rollout::follow::{JudgeOptions, RolloutJudgement, rolled_back};
use crate::verdict::Reason;

/// How our change of a stack ended, in CloudFormation's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackOutcome {
    /// CREATE_COMPLETE or UPDATE_COMPLETE: believed when the service agrees.
    Done,
    /// UPDATE_ROLLBACK_COMPLETE: what was there before is there again.
    RolledBack,
    /// ROLLBACK_COMPLETE: nothing is there.
    CreateRolledBack,
    /// CloudFormation could not undo it.
    Stuck,
    /// Somebody changed the stack after us.
    Superseded,
}

/// The verdict that follows from how our change ended. `None` for
/// [`StackOutcome::Done`]: then the service is judged by
/// [`crate::rollout::follow::judge`], with the stack's own task definition as ours.
/// `words` are the stack's, or its first failed resource's, own.
pub fn outcome(
    outcome: StackOutcome,
    stack: &str,
    words: &str,
    options: JudgeOptions,
) -> Option<RolloutJudgement> {
    let ended = |reason, summary| Some(RolloutJudgement::Ended { reason, summary });
    let because = if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    };
    match outcome {
        StackOutcome::Done => None,
        StackOutcome::RolledBack => Some(rolled_back(
            format!("stack {stack} was rolled back; what ran before runs again{because}"),
            options,
            "",
        )),
        StackOutcome::CreateRolledBack => ended(
            Reason::CreateRolledBack,
            format!("stack {stack} could not be created and was taken back{because}"),
        ),
        StackOutcome::Stuck => ended(
            Reason::StackFailed,
            format!("stack {stack} failed, and CloudFormation could not undo it{because}"),
        ),
        StackOutcome::Superseded => ended(
            Reason::Superseded,
            format!("stack {stack} was changed by somebody else after this operation"),
        ),
    }
}

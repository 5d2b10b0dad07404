//! The words for a roll-back's end. "failed, rolled back to orders:41, stable" is not
//! "failed, and the roll-back failed as well".

use towline_agent_domain::{
    observed::TaskDefinitionArn,
    outside::Account,
    rollout::{diagnosis::Diagnosis, follow::OurDeployment},
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{
    super::{Ending, conclude, follow::Follower, interruption},
    End, Failure, Why,
};

/// The operation's end.
pub(super) fn of<A: Account>(follower: &Follower<'_, A>, why: &Why, end: End) -> Ending {
    let (service, revision) = (follower.service(), &follower.ours.task_definition);
    let end = match end {
        End::NotHeard => End::Impossible {
            summary: format!("{revision} was not taken back: it runs in service {service}"),
            hint: "the roll-back was not heard, or came too late; update the service to the revision that you want"
                .to_owned(),
        },
        end => end,
    };
    match &end {
        End::Stable { revision: back, .. } => {
            step(
                follower,
                StepState::Done,
                &format!("service {service} runs {back} again"),
            );
        }
        End::Failed { summary, .. } | End::Impossible { summary, .. } => {
            step(follower, StepState::Failed, summary);
        }
        End::Superseded { by } => step(follower, StepState::Skipped, &replaced(follower, by)),
        End::Left => {
            step(
                follower,
                StepState::Failed,
                "ECS does not take this deployment back",
            );
        }
        End::NotHeard | End::TooLate | End::Detached => {}
    }
    let ending = match why {
        Why::Cancelled => cancelled(follower, end),
        Why::Failed(failure) => failed(follower, failure, end),
    };
    conclude::outputs(follower, ending)
        .output("undone_task_definition", follower.ours.task_definition.0.clone())
}

fn step<A: Account>(follower: &Follower<'_, A>, state: StepState, detail: &str) {
    follower.handle().step(Step::Rollback, state, detail);
}

/// Somebody else was faster than the roll-back.
fn replaced<A: Account>(follower: &Follower<'_, A>, by: &OurDeployment) -> String {
    let deployment = match &by.id {
        Some(id) => format!(" (deployment {id})"),
        None => String::new(),
    };
    format!(
        "somebody else has deployed {}{deployment} in the place of {} meanwhile, and that was left as it is",
        by.task_definition, follower.ours.task_definition
    )
}

fn let_go<A: Account>(follower: &Follower<'_, A>) -> Ending {
    let (service, revision) = (follower.service(), &follower.ours.task_definition);
    interruption::detached(&format!("taking {revision} back in service {service}"))
}

fn cancelled<A: Account>(follower: &Follower<'_, A>, end: End) -> Ending {
    let (service, revision) = (follower.service(), &follower.ours.task_definition);
    match end {
        End::Stable {
            revision: back,
            deployment_id,
        } => {
            let summary = format!("cancelled; service {service} runs {back} again");
            running(Ending::new(Reason::Cancelled, summary), &back, &deployment_id)
        }
        End::Failed {
            reason,
            summary,
            diagnosis,
        } => {
            let summary = format!("cancelled, and rolling {revision} back did not work out: {summary}");
            let reason = match reason {
                Reason::Superseded => reason,
                _ => Reason::RollbackFailed,
            };
            let ending = Ending::new(reason, summary).because(&diagnosis);
            conclude::with_cause(ending, diagnosis.cause)
        }
        End::Impossible { summary, hint } => Ending::new(Reason::Unknown, summary).hint(hint),
        End::Superseded { by } => {
            let summary = format!("cancelled, and not rolled back: {}", replaced(follower, &by));
            Ending::new(Reason::Superseded, summary)
        }
        End::NotHeard | End::TooLate => {
            let summary = format!("the deadline came while {revision} was taken back");
            Ending::new(Reason::DeadlineExceeded, summary).hint("DescribeService shows how it goes on")
        }
        End::Left => {
            let summary = format!(
                "cancelled, but ECS does not take the deployment of {revision} in service {service} back: it goes on, \
                 and is no longer followed"
            );
            Ending::new(Reason::Detached, summary).hint(
                "DescribeService shows how it goes on; the service of a stack is not updated a second time",
            )
        }
        End::Detached => let_go(follower),
    }
}

fn failed<A: Account>(follower: &Follower<'_, A>, failure: &Failure, end: End) -> Ending {
    let (service, revision) = (follower.service(), &failure.revision);
    let of = |reason, summary: String| Ending::new(reason, summary).because(&failure.diagnosis);
    let why = &failure.summary;
    let ending = match end {
        End::Stable {
            revision: back,
            deployment_id,
        } => {
            let summary =
                format!("service {service}: {revision} failed, rolled back to {back}, stable: {why}");
            running(of(Reason::RolledBackAfterFailure, summary), &back, &deployment_id)
        }
        End::Failed {
            summary, diagnosis, ..
        } => {
            let summary = format!(
                "service {service}: {revision} failed ({why}), and so did rolling it back: {summary}"
            );
            Ending::new(Reason::RollbackFailed, summary).because(&both(&failure.diagnosis, &diagnosis))
        }
        End::Impossible { summary, hint } => {
            let summary = format!("service {service}: {why} ({summary})");
            of(Reason::RollbackFailed, summary).hint(hint)
        }
        End::Superseded { by } => {
            let replaced = replaced(follower, &by);
            let summary = format!("service {service}: {revision} failed ({why}), and {replaced}");
            of(Reason::Superseded, summary)
        }
        End::NotHeard | End::Left | End::TooLate => {
            let summary = format!(
                "service {service}: {revision} failed ({why}), and is being rolled back: the deadline came before \
                 the end of that"
            );
            of(Reason::RollbackUnderWay, summary).hint("DescribeService shows how it goes on")
        }
        End::Detached => return let_go(follower),
    };
    conclude::with_cause(ending, failure.cause)
}

/// The deadline came during the rollout; the roll-back was begun after it.
pub(super) fn late<A: Account>(
    follower: &Follower<'_, A>,
    failure: &Failure,
    is_failure: bool,
    previous: Option<&TaskDefinitionArn>,
    not_begun: Option<End>,
) -> Ending {
    let (service, words) = (follower.service(), &failure.summary);
    let (reason, summary, hint) = match not_begun {
        None => {
            let to = previous.map_or_else(|| "what ran before".to_owned(), ToString::to_string);
            let reason = if is_failure {
                Reason::RollbackUnderWay
            } else {
                Reason::DeadlineExceeded
            };
            let summary = format!("service {service}: {words}; rolling back to {to} is under way");
            (reason, summary, "DescribeService shows how it goes on".to_owned())
        }
        Some(End::Impossible { summary, hint }) => {
            step(follower, StepState::Failed, &summary);
            let summary = format!("service {service}: {words} ({summary})");
            (Reason::RollbackFailed, summary, hint)
        }
        Some(End::Superseded { by }) => {
            let replaced = replaced(follower, &by);
            step(follower, StepState::Skipped, &replaced);
            let summary = format!("service {service}: {words}; {replaced}");
            let hint = "look at the service's deployments, and agree on who deploys";
            (Reason::Superseded, summary, hint.to_owned())
        }
        Some(_) => {
            let summary =
                format!("service {service}: {words}; rolling back was not begun for certain in time");
            (
                Reason::RollbackFailed,
                summary,
                "update the service to the revision that you want".to_owned(),
            )
        }
    };
    let ending = conclude::outputs(follower, Ending::new(reason, summary));
    conclude::with_cause(ending.because(&failure.diagnosis).hint(hint), failure.cause)
        .output("undone_task_definition", failure.revision.0.clone())
}

/// What the service runs now.
fn running(ending: Ending, back: &TaskDefinitionArn, deployment_id: &str) -> Ending {
    ending
        .output("task_definition", back.0.clone())
        .output("deployment_id", deployment_id)
}

/// Both diagnoses in one, the first failure first.
fn both(first: &Diagnosis, second: &Diagnosis) -> Diagnosis {
    let mut both = first.clone();
    if !second.root_cause.is_empty() {
        both.details
            .insert(0, format!("rolling back failed: {}", second.root_cause));
    }
    both.details.extend(second.details.iter().cloned());
    both.stopped_tasks.extend(second.stopped_tasks.iter().cloned());
    both.logs.extend(second.logs.iter().cloned());
    both
}

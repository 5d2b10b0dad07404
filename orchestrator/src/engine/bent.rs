//! The bugs that tests plant in what the engine decides ([`crate::planted`]).
//! In what is shipped every function here gives back what it was given.

use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::{
        deployment::{Deployment, Outcome, Verdict},
        lifecycle::{NextStop, NoPromotion},
        name::EnvironmentName,
        operation::PlannedOperation,
        plan::{self, Decision, Snapshot},
        project::Lifecycle,
    },
    planted::{Bug, has},
    store::{StoreError, WriteTx},
};

/// What is decided.
#[inline]
pub(super) fn decide(snapshot: &Snapshot, now: Timestamp) -> Vec<Decision> {
    if has(Bug::FreezeIgnored) {
        let mut thawed = snapshot.clone();
        thawed.freezes.clear();
        return plan::decide(&thawed, now);
    }
    let mut decisions = plan::decide(snapshot, now);
    if has(Bug::CancelForgotten) {
        decisions.retain(|it| !matches!(it, Decision::RequestCancel { .. }));
    }
    if has(Bug::NextPhaseForgotten) {
        decisions.retain(|it| !matches!(it, Decision::CreateNextDeployment { .. }));
    }
    if has(Bug::TwoAtOnce) {
        let mut alone = snapshot.clone();
        alone.deployments.retain(|it| !it.state.is_under_way());
        let starts = plan::decide(&alone, now).into_iter();
        let starts = starts.filter(|it| matches!(it, Decision::StartDeployment { .. }));
        for start in starts {
            if !decisions.contains(&start) {
                decisions.push(start);
            }
        }
    }
    decisions
}

/// Where a deployment goes, and who has to approve it.
#[inline]
pub(super) fn stop(stop: &NextStop) -> NextStop {
    let mut stop = stop.clone();
    if has(Bug::ApprovalIgnored) {
        stop.approvals = None;
    }
    stop
}

/// Whether a promotion is refused.
#[inline]
pub(super) fn promote(
    made: Result<NextStop, NoPromotion>,
    lifecycle: &Lifecycle,
    environment: Option<&EnvironmentName>,
) -> Result<NextStop, NoPromotion> {
    if !has(Bug::PhaseOrderIgnored) {
        return made;
    }
    let phase = lifecycle
        .phases
        .iter()
        .find(|phase| environment.is_some_and(|it| phase.environments.contains(it)));
    match (&made, phase, environment) {
        (Err(NoPromotion::Waits(_)), Some(phase), Some(environment)) => Ok(NextStop {
            phase: phase.name.clone(),
            environment: environment.clone(),
            approvals: phase.approvals.clone(),
        }),
        _ => made,
    }
}

/// What a deployment consists of.
#[inline]
pub(super) fn planned(mut planned: Vec<PlannedOperation>) -> Vec<PlannedOperation> {
    for operation in &mut planned {
        if has(Bug::WavesIgnored) {
            operation.wave = 0;
        }
        if has(Bug::ServiceOrderIgnored) {
            operation.after.clear();
        }
    }
    planned
}

/// How long a deployment may run.
#[inline]
pub(super) fn time_limit(limit: SignedDuration) -> SignedDuration {
    if has(Bug::DeadlineIgnored) {
        return SignedDuration::from_hours(24);
    }
    limit
}

/// Nothing, where no bug is planted: what ended stays as it is.
#[inline]
pub(super) async fn reopen(tx: &mut WriteTx, deployment: &Deployment) -> Result<(), StoreError> {
    if !has(Bug::TerminalReopened) || !deployment.state.is_terminal() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE deployments SET state = 'running', open = 1, doc = json_set(doc, '$.state', 'running') WHERE id = ?1",
    )
    .bind(deployment.id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How an operation ended.
#[inline]
pub(super) fn outcome(mut outcome: Outcome) -> Outcome {
    if has(Bug::FailureIsSuccess) && outcome.verdict == Verdict::Failed {
        outcome.verdict = Verdict::Succeeded;
    }
    outcome
}

//! A new deployment of what runs already. Its revision shows nothing, so what tells an
//! earlier send's deployment from the one before is the expected deployment's id, and
//! from the one that ECS put in its place again the records: ECS rolls a forced
//! deployment back to the same revision.

use jiff::SignedDuration;

use crate::observed::{Deployment, ObservedService, ServiceDeployment, ServiceDeploymentStatus};
use crate::rollout::undone::{RECORD_LAG, UndoneBy};
use crate::verdict::{Reason, Refusal};

use super::{StartDecision, StartView, again, is_stable, unexpected};

/// The service runs the wanted content, stable, in the expected deployment.
pub(super) fn from_rest(view: &StartView<'_>, primary: &Deployment) -> StartDecision {
    let force = StartDecision::Force {
        task_definition: primary.task_definition.clone(),
    };
    if view.repeated_send {
        again_from_rest(view, primary, force)
    } else {
        force
    }
}

/// PRIMARY is still the expected deployment, or is it again. `otherwise`: no earlier send
/// took effect.
fn again_from_rest(view: &StartView<'_>, primary: &Deployment, otherwise: StartDecision) -> StartDecision {
    if view
        .expected
        .and_then(|expected| expected.deployment_id.as_ref())
        .is_none()
    {
        return StartDecision::Refuse(Refusal::new(
            Reason::Unknown,
            format!(
                "whether deployment {} of service {} is this operation's cannot be told: it was sent without \
                 the deployment that it starts from",
                primary.id, view.name
            ),
            "look at the service's deployments; to force another one, deploy again with force",
        ));
    }
    if !view.landed {
        return StartDecision::KeepObserving {
            why: format!(
                "whether an earlier send already started a deployment of service {} may not show yet",
                view.name
            ),
        };
    }
    let Some(records) = view.service_deployments else {
        return StartDecision::ReadServiceDeployments;
    };
    match newer_than_own(view, records, primary) {
        Some(ours) if ours.status.is_rollback() => rolled_back(ours, primary),
        Some(ours) => StartDecision::Refuse(again::began_later(view, ours, primary)),
        None => otherwise,
    }
}

/// The service runs the wanted content, in another deployment than the expected one or
/// one that is under way.
pub(super) fn from_under_way(
    view: &StartView<'_>,
    service: &ObservedService,
    primary: &Deployment,
) -> StartDecision {
    let expected = view.expected.and_then(|expected| expected.deployment_id.as_ref());
    if expected.is_some_and(|expected| *expected != primary.id) {
        return other_deployment(view, primary);
    }
    if is_stable(service, primary) {
        return from_rest(view, primary);
    }
    // Under way since before this operation: a forced one would be a second at once.
    let in_progress = StartDecision::Refuse(Refusal::new(
        Reason::DeploymentInProgress,
        format!(
            "service {} is being deployed already (deployment {})",
            view.name, primary.id
        ),
        "wait until that deployment has ended, then force another one",
    ));
    match view.repeated_send && expected.is_some() {
        true => again_from_rest(view, primary, in_progress),
        false => in_progress,
    }
}

/// PRIMARY is not the expected deployment: ours, the one that ECS put in its place, or
/// somebody else's.
fn other_deployment(view: &StartView<'_>, primary: &Deployment) -> StartDecision {
    let reattach = StartDecision::Reattach {
        deployment_id: primary.id.clone(),
        task_definition: primary.task_definition.clone(),
    };
    if !changes_nothing(view) {
        return reattach;
    }
    if !view.repeated_send {
        let message = format!(
            "service {} has a new deployment ({}), which is not the one that this operation was made for",
            view.name, primary.id
        );
        return unexpected(view, message);
    }
    let Some(records) = view.service_deployments else {
        return StartDecision::ReadServiceDeployments;
    };
    let newest = records
        .iter()
        .position(|record| record.task_definition.as_ref() == Some(&primary.task_definition));
    let Some((newest, before)) = newest.and_then(|at| Some((records.get(at)?, records.get(at + 1)))) else {
        return reattach;
    };
    let is_older = primary.created.duration_since(newest.created) > RECORD_LAG;
    if is_older && !view.settled {
        return StartDecision::KeepObserving {
            why: format!(
                "ECS may not list deployment {} of service {} yet",
                primary.id, view.name
            ),
        };
    }
    match before {
        _ if newest.status.is_rollback() => rolled_back(newest, primary),
        None => reattach,
        Some(before) if follows_the_expected(view, before) => reattach,
        Some(_) => StartDecision::Refuse(Refusal::new(
            Reason::Unknown,
            format!(
                "whether deployment {} of service {} is this operation's cannot be told: it may have been rolled \
                 back or replaced before that one began",
                primary.id, view.name
            ),
            "look at the service's deployments in ECS; to force another one, deploy again with force",
        )),
    }
}

/// What was expected has the wanted content already: only force makes a deployment of it.
fn changes_nothing(view: &StartView<'_>) -> bool {
    let expected = view
        .expected
        .and_then(|expected| expected.task_definition.as_ref());
    expected.is_none_or(|revision| view.with_wanted_content.contains(revision))
}

/// Whether the rollout before PRIMARY's is that of the expected deployment, which was at rest.
fn follows_the_expected(view: &StartView<'_>, before: &ServiceDeployment) -> bool {
    let expected = view
        .expected
        .and_then(|expected| expected.task_definition.as_ref());
    before.status == ServiceDeploymentStatus::Successful
        && (expected.is_none() || before.task_definition.as_ref() == expected)
}

fn rolled_back(record: &ServiceDeployment, primary: &Deployment) -> StartDecision {
    StartDecision::RolledBack {
        task_definition: primary.task_definition.clone(),
        status_reason: record.status_reason.clone(),
        by: UndoneBy::by_words(&record.status_reason),
        record: Some(record.arn.clone()),
    }
}

/// The newest rollout of the wanted content that began after PRIMARY, and is not PRIMARY's own.
fn newer_than_own<'a>(
    view: &StartView<'_>,
    records: &'a [ServiceDeployment],
    primary: &Deployment,
) -> Option<&'a ServiceDeployment> {
    let distance = |record: &ServiceDeployment| -> SignedDuration {
        record.created.duration_since(primary.created).abs()
    };
    let of_wanted = |record: &&ServiceDeployment| {
        let revision = record.task_definition.as_ref();
        revision.is_some_and(|revision| view.with_wanted_content.contains(revision))
    };
    let own = records
        .iter()
        .filter(of_wanted)
        .min_by_key(|record| distance(record))
        .filter(|record| distance(record) <= RECORD_LAG);
    let since = own.map_or(primary.created, |own| own.created.max(primary.created));
    let newest = records.iter().find(of_wanted)?;
    (own != Some(newest) && newest.created > since).then_some(newest)
}

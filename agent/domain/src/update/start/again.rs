//! Finding in the account what an earlier send of the same operation did.

use crate::observed::{Deployment, ServiceDeployment, ServiceDeploymentStatus, TaskDefinitionArn};
use crate::rollout::undone::UndoneBy;
use crate::verdict::{Reason, Refusal};

use super::{ExpectedService, StartDecision, StartView, back, unexpected};

/// A rollout of what is wanted that began after the expected deployment did. The
/// expected one may be PRIMARY again because a roll-back made it so: then an
/// earlier send took effect, and a second one must not.
pub(super) fn traces_of_a_send(
    view: &StartView<'_>,
    records: &[ServiceDeployment],
    primary: &Deployment,
) -> Option<Refusal> {
    let later = records.iter().find(|record| {
        let wanted = |revision| view.with_wanted_content.contains(revision);
        record.created > primary.created && record.task_definition.as_ref().is_some_and(wanted)
    })?;
    Some(began_later(view, later, primary))
}

pub(super) fn began_later(view: &StartView<'_>, later: &ServiceDeployment, primary: &Deployment) -> Refusal {
    let revision = later.task_definition.as_ref();
    let revision = revision.map_or("what is wanted", |revision| revision.0.as_str());
    Refusal::new(
        Reason::Unknown,
        format!(
            "a rollout of {revision} in service {} began at {}, after deployment {}, which is PRIMARY: it may \
             have been this operation's",
            view.name, later.created, primary.id
        ),
        "look at the service's deployments in ECS, then deploy again from what runs now",
    )
}

/// PRIMARY is neither what was expected nor what is wanted: an earlier send was
/// undone, put back or replaced, or somebody else was here.
pub(super) fn changed_meanwhile(view: &StartView<'_>, primary: &Deployment) -> StartDecision {
    let is_not_ours = || {
        unexpected(
            view,
            format!(
                "service {} runs {} (deployment {}), which is not what this operation was made for",
                view.name, primary.task_definition, primary.id
            ),
        )
    };
    if !view.repeated_send {
        return is_not_ours();
    }
    let Some(records) = view.service_deployments else {
        return StartDecision::ReadServiceDeployments;
    };
    if let Some(task_definition) = put_back(view, records, primary) {
        return StartDecision::PutBack {
            task_definition,
            deployment_id: primary.id.clone(),
            by: primary.task_definition.clone(),
        };
    }
    let since_expected = since_expected(records, view.expected);
    let ours = since_expected
        .iter()
        .find_map(|record| Some((record, wanted_revision(view, record)?)));
    let back = is_back(view, &primary.task_definition);
    match ours {
        Some((record, task_definition)) if record.status.is_rollback() && (back || view.settled) => {
            StartDecision::RolledBack {
                task_definition,
                status_reason: record.status_reason.clone(),
                by: UndoneBy::by_words(&record.status_reason),
                record: None,
            }
        }
        Some((_, task_definition)) if view.settled && !back => StartDecision::Superseded {
            task_definition,
            by: primary.task_definition.clone(),
        },
        _ => is_not_ours(),
    }
}

/// The wanted revision, where the newest rollout is of what was expected and replaced
/// exactly that. An earlier attempt with the same content would have the expected
/// deployment's own rollout, or ECS's roll-back, in between.
fn put_back(
    view: &StartView<'_>,
    records: &[ServiceDeployment],
    primary: &Deployment,
) -> Option<TaskDefinitionArn> {
    let [newest, before, ..] = records else {
        return None;
    };
    let of_primary = newest.task_definition.as_ref() == Some(&primary.task_definition);
    if !of_primary || !is_back(view, &primary.task_definition) || before.status.is_rollback() {
        return None;
    }
    wanted_revision(view, before)
}

/// Whether a revision is what a roll-back puts back.
fn is_back(view: &StartView<'_>, revision: &TaskDefinitionArn) -> bool {
    let expected = view
        .expected
        .and_then(|expected| expected.task_definition.as_ref());
    let is_ours = |revision: &TaskDefinitionArn| view.with_wanted_content.contains(revision);
    let records = view.service_deployments.unwrap_or_default();
    expected == Some(revision)
        || view.with_expected_content.contains(revision)
        || back::on_record(records, is_ours, expected) == Some(revision)
}

fn wanted_revision(view: &StartView<'_>, record: &ServiceDeployment) -> Option<TaskDefinitionArn> {
    let revision = record.task_definition.as_ref()?;
    view.with_wanted_content
        .contains(revision)
        .then(|| revision.clone())
}

/// The records that are newer than the expected deployment's own. Where that one
/// cannot be told, only the newest record counts: an older one may stem from an
/// earlier attempt with the same content.
fn since_expected<'a>(
    records: &'a [ServiceDeployment],
    expected: Option<&ExpectedService>,
) -> &'a [ServiceDeployment] {
    let own = expected
        .and_then(|e| e.task_definition.as_ref())
        .and_then(|revision| {
            let position = records
                .iter()
                .position(|record| record.task_definition.as_ref() == Some(revision))?;
            matches!(records.get(position)?.status, ServiceDeploymentStatus::Successful).then_some(position)
        });
    let count = own.map_or(1, |position| position.max(1)).min(records.len());
    records.get(..count).unwrap_or_default()
}

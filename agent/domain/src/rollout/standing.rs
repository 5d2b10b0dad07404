//! Where a deployment stands that is to be undone: looked at before each write of a
//! roll-back, and until what ran before is PRIMARY again. A write of an earlier
//! incarnation of the agent may have landed, ECS may be at it by itself, or somebody
//! else may have deployed: then nothing (more) is written.
//!
//! ECS's own roll-back has no record of its own; an UpdateService always has one.

use jiff::Timestamp;

use crate::observed::{
    Deployment, ObservedService, ServiceDeployment, ServiceDeploymentStatus, TaskDefinitionArn,
};
use crate::rollout::{
    follow::{OurDeployment, is_ours},
    undone::{RECORD_LAG, UndoneBy, our_record},
};

#[cfg(test)]
mod tests;

/// One look at what is to be undone.
#[derive(Clone, Copy, Debug)]
pub struct StandingView<'a> {
    pub service: Option<&'a ObservedService>,
    /// What is to be undone.
    pub ours: &'a OurDeployment,
    /// When ours began, as far as it is known.
    pub since: Option<Timestamp>,
    /// Newest first.
    pub records: &'a [ServiceDeployment],
    /// What is to run again.
    pub previous: Option<&'a TaskDefinitionArn>,
    /// Another revision that is known to hold the same content as `previous`.
    pub copy: Option<&'a TaskDefinitionArn>,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is what the service runs, and nothing undoes it. Its record, where it is listed.
    Runs { record: Option<ServiceDeployment> },
    /// ECS undoes it, or has. `back`: the deployment that it put in its place.
    ByEcs {
        by: UndoneBy,
        under_way: bool,
        back: Option<OurDeployment>,
    },
    /// What ran before is being deployed, or runs. Not `certain`: ECS may show what was
    /// before ours.
    Back { back: OurDeployment, certain: bool },
    /// Somebody else deployed something else.
    Foreign { by: OurDeployment, certain: bool },
}

/// Judges one look.
pub fn standing(view: &StandingView<'_>) -> Standing {
    let primary = view.service.and_then(ObservedService::primary);
    let other = primary.filter(|primary| !is_undone(primary, view.ours));
    let record = own_record(view);
    let newest = newer(view, record).and_then(|newer| newer.task_definition.as_ref());
    if let Some(revision) = newest {
        let shows = other.filter(|other| other.task_definition == *revision);
        let by = OurDeployment {
            id: shows.map(|shows| shows.id.clone()),
            task_definition: revision.clone(),
        };
        return match is_previous(view, revision) {
            true => Standing::Back {
                back: by,
                certain: true,
            },
            false => Standing::Foreign { by, certain: true },
        };
    }
    let rolled_back = record.filter(|record| record.status.is_rollback());
    match (rolled_back, other) {
        (Some(record), other) => by_ecs(view, record, other),
        (None, None) => Standing::Runs {
            record: record.cloned(),
        },
        (None, Some(other)) => {
            let by = as_ours(other);
            match is_previous(view, &other.task_definition) {
                true => Standing::Back {
                    back: by,
                    certain: view.since.is_some_and(|since| other.created > since),
                },
                // An UpdateService's record shows soon.
                false => Standing::Foreign { by, certain: false },
            }
        }
    }
}

fn by_ecs(view: &StandingView<'_>, record: &ServiceDeployment, other: Option<&Deployment>) -> Standing {
    let under_way = !matches!(
        record.status,
        ServiceDeploymentStatus::RollbackSuccessful | ServiceDeploymentStatus::RollbackFailed
    );
    // Where ours is known by its record alone, it may be what is PRIMARY until that is closed.
    let hidden = view.ours.is_known_by_record() && under_way;
    Standing::ByEcs {
        by: UndoneBy::by_words(&record.status_reason),
        under_way,
        back: other.filter(|_| !hidden).map(as_ours),
    }
}

fn as_ours(deployment: &Deployment) -> OurDeployment {
    OurDeployment {
        id: Some(deployment.id.clone()),
        task_definition: deployment.task_definition.clone(),
    }
}

/// Whether this is the deployment that is to go away.
pub fn is_undone(primary: &Deployment, ours: &OurDeployment) -> bool {
    match &ours.id {
        Some(id) => primary.id == *id,
        None => primary.task_definition == ours.task_definition,
    }
}

fn is_previous(view: &StandingView<'_>, revision: &TaskDefinitionArn) -> bool {
    view.previous == Some(revision) || view.copy == Some(revision)
}

/// The record of ours; none that is of an earlier attempt with the same revision.
fn own_record<'a>(view: &StandingView<'a>) -> Option<&'a ServiceDeployment> {
    let deployments = view.service.map(|service| service.deployments.as_slice());
    let seen = deployments
        .unwrap_or_default()
        .iter()
        .find(|deployment| is_ours(deployment, view.ours));
    let record = our_record(view.records, view.ours, seen)?;
    let earlier = view
        .since
        .is_some_and(|since| since.duration_since(record.created) > RECORD_LAG);
    (!earlier).then_some(record)
}

/// The newest rollout, where it began after ours.
fn newer<'a>(view: &StandingView<'a>, own: Option<&ServiceDeployment>) -> Option<&'a ServiceDeployment> {
    let newest = view.records.first()?;
    let is_newer = match own {
        Some(own) => newest.arn != own.arn && newest.created > own.created,
        None => {
            newest.task_definition.as_ref() != Some(&view.ours.task_definition)
                && view.since.is_some_and(|since| newest.created > since)
        }
    };
    is_newer.then_some(newest)
}

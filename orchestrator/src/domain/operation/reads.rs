//! Operations whose values stand partly in the target's account: what their
//! agent has to read, and the payload once it has.

use super::{Payload, PlanFault, PlannedOperation, filling::Missing, payload, tasks};
use crate::domain::{
    deployment::SlotKind,
    name::{ChannelName, EnvironmentName},
    project::{Environment, Project, Target, Unresolved},
    release::Release,
    variable::{Reading, Readings, ValueSource},
};

/// Where an operation is, and what is known there.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a> {
    pub environment: &'a EnvironmentName,
    pub definition: &'a Environment,
    pub target: &'a Target,
    /// The release's; `None` where no release is meant.
    pub channel: Option<&'a ChannelName>,
    /// What was read in the account.
    pub read: &'a Readings,
}

/// Fills with something in the place of each value that nobody has read, and
/// says which those are. What was filled so is never sent.
pub(super) fn with_pending<T>(
    fill: impl Fn(&Readings) -> Result<T, Missing>,
) -> Result<(T, Vec<ValueSource>), Missing> {
    let mut readings = Readings::new();
    loop {
        match fill(&readings) {
            Ok(filled) => return Ok((filled, readings.into_keys().collect())),
            // Each round adds one: there are only as many as the service has holes.
            Err(Missing::Value(Unresolved::Unread { from, .. })) if !readings.contains_key(&from) => {
                readings.insert(from, Reading::Pending);
            }
            Err(missing) => return Err(missing),
        }
    }
}

/// The payload of an operation once its agent has read what it needs. The
/// project is the one that the release snapshotted.
///
/// # Errors
/// A value that was not read, or that cannot stand where it is used.
pub fn fixed(
    project: &Project,
    release: &Release,
    environment: &EnvironmentName,
    planned: &PlannedOperation,
    read: &Readings,
) -> Result<Payload, PlanFault> {
    let unknown = || PlanFault::UnknownEnvironment {
        environment: environment.clone(),
    };
    let definition = project.environments.get(environment).ok_or_else(unknown)?;
    let mut targets = definition.targets.iter();
    let target = targets.find(|it| it.id() == planned.target).ok_or_else(unknown)?;
    let spot = Spot {
        environment,
        definition,
        target,
        channel: Some(&release.channel),
        read,
    };
    if planned.kind == SlotKind::Task {
        let task = project.tasks.get(&planned.service).ok_or_else(unknown)?;
        let like = project.services.get(&task.like).ok_or_else(unknown)?;
        return tasks::fill(project, &release.images, (&planned.service, task, like), spot)
            .map_err(|missing| missing.of(&planned.service, target.id()));
    }
    let service = project.services.get(&planned.service).ok_or_else(unknown)?;
    payload(project, &release.images, (&planned.service, service), spot)
}

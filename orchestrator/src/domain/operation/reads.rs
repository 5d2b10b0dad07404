//! Operations whose values stand partly in the target's account: what their
//! agent has to read, and the payload once it has.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Payload, PlanFault, PlannedOperation, filling::Missing, payload, tasks};
use crate::domain::{
    deployment::SlotKind,
    name::{ChannelName, EnvironmentName},
    project::{Environment, Project, Target, Unresolved, is_secret_reference},
    release::Release,
    variable::{Reading, Readings, ValueSource},
};

/// A value as an agent read it: what an operation is sent with does not change
/// when the value does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedValue {
    pub source: ValueSource,
    pub text: String,
}

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

/// Fills with what is known, and with something in the place of each value that
/// nobody has read; says which those are. What was filled so is never sent.
pub(super) fn with_pending<T>(
    known: &Readings,
    fill: impl Fn(&Readings) -> Result<T, Missing>,
) -> Result<(T, Vec<ValueSource>), Missing> {
    let mut readings = known.clone();
    loop {
        match fill(&readings) {
            Ok(filled) => {
                let unread = readings.into_keys().filter(|source| !known.contains_key(source));
                return Ok((filled, unread.collect()));
            }
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
    let name = &planned.service;
    let payload = if planned.kind == SlotKind::Task {
        let task = project.tasks.get(name).ok_or_else(unknown)?;
        let like = project.services.get(&task.like).ok_or_else(unknown)?;
        tasks::fill(project, &release.images, (name, task, like), spot)
            .map_err(|missing| missing.of(name, target.id()))?
    } else {
        let service = project.services.get(name).ok_or_else(unknown)?;
        payload(project, &release.images, (name, service), spot)?
    };
    match secret_fault(&payload) {
        Some((secret, why)) => Err(PlanFault::Secret {
            service: name.clone(),
            target: target.id(),
            secret,
            why,
        }),
        None => Ok(payload),
    }
}

/// A secret that is no reference to one: what was read may be the secret itself,
/// so it is not told.
fn secret_fault(payload: &Payload) -> Option<(String, String)> {
    let containers: Vec<&IndexMap<String, String>> = match payload {
        Payload::Fargate(fargate) => fargate.containers.iter().map(|it| &it.secrets).collect(),
        Payload::Update(update) => {
            let all = update.containers.iter();
            all.map(|it| &it.more.secrets.set).collect()
        }
        Payload::Task(task) => {
            let all = task.containers.iter();
            all.map(|it| &it.update.more.secrets.set).collect()
        }
    };
    let mut secrets = containers.into_iter().flatten();
    let (name, _) = secrets.find(|(_, text)| !is_secret_reference(text))?;
    let why = "what was read for it is no reference: the ARN of a secret or parameter is needed";
    Some((name.clone(), why.to_owned()))
}

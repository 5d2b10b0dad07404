//! What an update does first, given what the account shows: write, follow what
//! an earlier send of the same operation did, or refuse. ECS deduplicates
//! nothing here, so the expected state and the content of revisions stand in for
//! a client token.

#[cfg(test)]
mod tests;

use crate::observed::{
    Controller, Deployment, ObservedService, RolloutState, Scheduling, ServiceDeployment,
    ServiceDeploymentStatus, ServiceStatus, TaskDefinitionArn,
};
use crate::verdict::{Reason, Refusal};

/// ECS refuses UpdateService with more deployments than this on a service.
/// Source: "5 deployments exist on the service" (aws/containers-roadmap#2836).
pub const MOST_DEPLOYMENTS: usize = 5;

/// From this many failed tasks a deployment in progress may be replaced: it is not getting anywhere.
const HOPELESS_AFTER: u32 = 3;

/// The state that the operation was made for. With neither: there was no service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedService {
    /// What the PRIMARY deployment runs.
    pub task_definition: Option<TaskDefinitionArn>,
    /// The PRIMARY deployment's id.
    pub deployment_id: Option<String>,
}

/// All that the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct StartView<'a> {
    /// The service's name, for messages.
    pub name: &'a str,
    /// `None`: ECS reports it MISSING.
    pub service: Option<&'a ObservedService>,
    /// `None`: the caller expects nothing, what is observed is where it starts from.
    pub expected: Option<&'a ExpectedService>,
    /// Revisions that are known to hold the wanted content: LATEST of the family
    /// and what PRIMARY runs, where [`super::revision::same_content`] says so.
    pub with_wanted_content: &'a [TaskDefinitionArn],
    /// The service's deployments on record, newest first. `None`: not read.
    pub service_deployments: Option<&'a [ServiceDeployment]>,
    /// The operation was sent before.
    pub repeated_send: bool,
    /// The account was observed for as long as AWS may lag.
    pub settled: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartDecision {
    /// The service runs it already, stable. Nothing to write.
    Unchanged {
        deployment_id: String,
        task_definition: TaskDefinitionArn,
    },
    /// Register the next revision, then update the service to it.
    Register,
    /// One UpdateService to this revision.
    Update { task_definition: TaskDefinitionArn },
    /// The deployment runs the wanted content: follow it, write nothing.
    Reattach {
        deployment_id: String,
        task_definition: TaskDefinitionArn,
    },
    /// An earlier send's rollout was rolled back.
    RolledBack {
        task_definition: TaskDefinitionArn,
        status_reason: String,
    },
    /// An earlier send's rollout was replaced by another revision.
    Superseded {
        task_definition: TaskDefinitionArn,
        by: TaskDefinitionArn,
    },
    /// Read the service's deployments and decide again.
    ReadServiceDeployments,
    /// Wait a little, observe and decide again.
    KeepObserving { why: String },
    /// End here; nothing was written.
    Refuse(Refusal),
}

/// Decides how an update starts, or goes on after a restart.
pub fn start(view: &StartView<'_>) -> StartDecision {
    let Some(service) = view.service else {
        return missing(view);
    };
    if let Some(refusal) = not_updatable(view.name, service) {
        return StartDecision::Refuse(refusal);
    }
    let Some(primary) = service.primary() else {
        return unexpected(view, format!("service {} has no PRIMARY deployment", view.name));
    };
    let wanted = view.with_wanted_content.contains(&primary.task_definition);
    match (is_expected(view.expected, primary), wanted) {
        (true, true) if is_stable(service, primary) => StartDecision::Unchanged {
            deployment_id: primary.id.clone(),
            task_definition: primary.task_definition.clone(),
        },
        (_, true) => StartDecision::Reattach {
            deployment_id: primary.id.clone(),
            task_definition: primary.task_definition.clone(),
        },
        (true, false) => write(view, service, primary),
        (false, false) => changed_meanwhile(view, primary),
    }
}

/// Whether nothing is under way and all tasks run: what "unchanged" means.
pub fn is_stable(service: &ObservedService, primary: &Deployment) -> bool {
    let alone = service
        .deployments
        .iter()
        .all(|d| d.id == primary.id || (d.running == 0 && d.pending == 0));
    let done = match primary.rollout {
        RolloutState::Completed => true,
        RolloutState::Unreported => service.deployments.len() == 1,
        RolloutState::InProgress | RolloutState::Failed => false,
    };
    done && alone && primary.running == primary.desired && primary.pending == 0
}

fn missing(view: &StartView<'_>) -> StartDecision {
    if (view.repeated_send || view.expected.is_some()) && !view.settled {
        return StartDecision::KeepObserving {
            why: format!("service {} is not there yet", view.name),
        };
    }
    StartDecision::Refuse(Refusal::new(
        Reason::ServiceNotFound,
        format!("service {} does not exist in this cluster", view.name),
        "compare the name with ListServices; Towline updates an existing service, it does not make one here",
    ))
}

fn is_expected(expected: Option<&ExpectedService>, primary: &Deployment) -> bool {
    let Some(expected) = expected else { return true };
    match (&expected.deployment_id, &expected.task_definition) {
        (Some(id), _) => *id == primary.id,
        (None, Some(revision)) => *revision == primary.task_definition,
        (None, None) => false,
    }
}

fn not_updatable(name: &str, service: &ObservedService) -> Option<Refusal> {
    match (service.status, &service.controller) {
        (ServiceStatus::Active, Controller::Rolling) => None,
        (ServiceStatus::Draining | ServiceStatus::Inactive, _) => Some(Refusal::new(
            Reason::ServiceNotActive,
            format!("service {name} is {}", service.status.as_str()),
            "a deleted service cannot be updated; create it again first",
        )),
        (_, Controller::OtherStrategy(strategy)) => Some(Refusal::new(
            Reason::ControllerNotFollowed,
            format!("service {name} deploys by the strategy {strategy}, which Towline does not follow"),
            "Towline follows rolling deployments; deploy this service with the tool that set its strategy",
        )),
        (_, Controller::Other(controller)) => Some(Refusal::new(
            Reason::ControllerNotFollowed,
            format!("service {name} is driven by the deployment controller {controller}"),
            "ECS refuses a new task definition there; deploy through that controller",
        )),
    }
}

fn write(view: &StartView<'_>, service: &ObservedService, primary: &Deployment) -> StartDecision {
    if view.repeated_send && !view.settled {
        return StartDecision::KeepObserving {
            why: format!(
                "whether an earlier send already changed service {} may not show yet",
                view.name
            ),
        };
    }
    if let Some(refusal) = not_now(view.name, service, primary) {
        return StartDecision::Refuse(refusal);
    }
    if view.repeated_send && !view.with_wanted_content.is_empty() {
        let Some(records) = view.service_deployments else {
            return StartDecision::ReadServiceDeployments;
        };
        if let Some(refusal) = traces_of_a_send(view, records, primary) {
            return StartDecision::Refuse(refusal);
        }
    }
    match view.with_wanted_content.first() {
        Some(revision) => StartDecision::Update {
            task_definition: revision.clone(),
        },
        None => StartDecision::Register,
    }
}

/// A rollout of what is wanted that began after the expected deployment did. The
/// expected one may be PRIMARY again because a roll-back made it so: then an
/// earlier send took effect, and a second one must not.
fn traces_of_a_send(
    view: &StartView<'_>,
    records: &[ServiceDeployment],
    primary: &Deployment,
) -> Option<Refusal> {
    let later = records.iter().find(|record| {
        let wanted = |revision| view.with_wanted_content.contains(revision);
        record.created > primary.created && record.task_definition.as_ref().is_some_and(wanted)
    })?;
    let revision = later.task_definition.as_ref()?;
    Some(Refusal::new(
        Reason::Unknown,
        format!(
            "a rollout of {revision} in service {} began at {}, after deployment {}, which is PRIMARY: it may \
             have been this operation's",
            view.name, later.created, primary.id
        ),
        "look at the service's deployments in ECS, then deploy again from what runs now",
    ))
}

fn not_now(name: &str, service: &ObservedService, primary: &Deployment) -> Option<Refusal> {
    if service.deployments.len() >= MOST_DEPLOYMENTS {
        return Some(Refusal::new(
            Reason::TooManyDeployments,
            format!(
                "service {name} has {} deployments, and ECS allows no more",
                service.deployments.len()
            ),
            "wait until old tasks are drained, or look for protected tasks that keep deployments alive",
        ));
    }
    if primary.rollout == RolloutState::InProgress && primary.failed < HOPELESS_AFTER {
        return Some(Refusal::new(
            Reason::DeploymentInProgress,
            format!(
                "service {name} is being deployed to {} by somebody else",
                primary.task_definition
            ),
            "wait until that deployment has ended, or end it, then deploy again",
        ));
    }
    is_deadlocked(service).then(|| {
        Refusal::new(
            Reason::DeploymentDeadlock,
            format!(
                "service {name} with {} desired tasks may have neither less than {} % nor more than {} % of them \
                 while it deploys, so ECS could never replace a task",
                service.desired, service.minimum_healthy_percent, service.maximum_percent
            ),
            "raise the service's maximumPercent or lower its minimumHealthyPercent",
        )
    })
}

/// Whether ECS can neither stop an old task nor start a new one: the lower bound
/// rounds up, the upper one down.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html>
pub fn is_deadlocked(service: &ObservedService) -> bool {
    let desired = u64::from(service.desired);
    let maximum = match service.scheduling {
        Scheduling::Replica => u64::from(service.maximum_percent),
        Scheduling::Daemon => 100,
    };
    let lowest = (desired * u64::from(service.minimum_healthy_percent)).div_ceil(100);
    let highest = desired * maximum / 100;
    desired > 0 && lowest >= desired && highest <= desired
}

/// PRIMARY is neither what was expected nor what is wanted: an earlier send was
/// undone or replaced, or somebody else was here.
fn changed_meanwhile(view: &StartView<'_>, primary: &Deployment) -> StartDecision {
    let Some(records) = view.service_deployments else {
        return StartDecision::ReadServiceDeployments;
    };
    let since_expected = since_expected(records, view.expected);
    let ours = since_expected.iter().find(|record| {
        record
            .task_definition
            .as_ref()
            .is_some_and(|revision| view.with_wanted_content.contains(revision))
    });
    let back = view.expected.and_then(|e| e.task_definition.as_ref()) == Some(&primary.task_definition);
    match ours {
        Some(ours) if back && ours.status.is_rollback() => StartDecision::RolledBack {
            task_definition: ours
                .task_definition
                .clone()
                .unwrap_or_else(|| primary.task_definition.clone()),
            status_reason: ours.status_reason.clone(),
        },
        Some(ours) if view.settled && !back => StartDecision::Superseded {
            task_definition: ours
                .task_definition
                .clone()
                .unwrap_or_else(|| primary.task_definition.clone()),
            by: primary.task_definition.clone(),
        },
        _ => unexpected(
            view,
            format!(
                "service {} runs {} (deployment {}), which is not what this operation was made for",
                view.name, primary.task_definition, primary.id
            ),
        ),
    }
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

fn unexpected(view: &StartView<'_>, message: String) -> StartDecision {
    if !view.settled {
        return StartDecision::KeepObserving { why: message };
    }
    StartDecision::Refuse(Refusal::new(
        Reason::UnexpectedState,
        message,
        "somebody else changed the service; look at its deployments, then deploy again from what runs now",
    ))
}

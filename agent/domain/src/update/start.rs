//! What an update does first, given what the account shows: write, follow what
//! an earlier send of the same operation did, or refuse. ECS deduplicates
//! nothing here, so the expected state and the content of revisions stand in for
//! a client token. How an operation finds its own work again ([`again`]):
//! - PRIMARY runs the wanted content, in another deployment than the expected one:
//!   its rollout, under way or done.
//! - PRIMARY is back on what was expected, and the record of the wanted revision says
//!   that ECS rolled it back: undone by ECS, or by this operation's StopServiceDeployment.
//! - PRIMARY is back on what ran before ([`back`]), by the newest record, and the record
//!   right before that one is of the wanted revision: put back by an UpdateService.
//!
//! Whether somebody else's deployment is in the way: [`busy`].

mod again;
pub mod back;
mod busy;
mod force;
#[cfg(test)]
mod tests;

use crate::observed::{
    Controller, Deployment, ObservedService, RolloutState, Scheduling, ServiceDeployment, ServiceStatus,
    StoppedTask, TaskDefinitionArn,
};
use crate::rollout::undone::UndoneBy;
use crate::verdict::{Reason, Refusal};

/// ECS refuses UpdateService with more deployments than this on a service.
/// Source: "5 deployments exist on the service" (aws/containers-roadmap#2836).
pub const MOST_DEPLOYMENTS: usize = 5;

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
    /// With records, the revisions of the newest of these as well.
    pub with_wanted_content: &'a [TaskDefinitionArn],
    /// Other revisions that are known to hold the content of what a roll-back puts back
    /// ([`back`]): one that was INACTIVE is registered again for that.
    pub with_expected_content: &'a [TaskDefinitionArn],
    /// The service's deployments on record, newest first. `None`: not read.
    pub service_deployments: Option<&'a [ServiceDeployment]>,
    /// The service's stopped tasks. `None`: not read.
    pub stopped: Option<&'a [StoppedTask]>,
    /// A new deployment also when the service runs the wanted content.
    pub force: bool,
    /// The operation was sent before.
    pub repeated_send: bool,
    /// The account was observed for as long as AWS may lag.
    pub settled: bool,
    /// It was observed for so long that no request of an earlier send can land any more.
    pub landed: bool,
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
    /// One UpdateService to this revision, which the service runs, with forceNewDeployment.
    Force { task_definition: TaskDefinitionArn },
    /// The deployment runs the wanted content: follow it, write nothing.
    Reattach {
        deployment_id: String,
        task_definition: TaskDefinitionArn,
    },
    /// An earlier send's rollout was rolled back.
    RolledBack {
        task_definition: TaskDefinitionArn,
        status_reason: String,
        by: UndoneBy,
        /// The ARN of its record, where its revision is also that of what was put back.
        record: Option<String>,
    },
    /// An earlier send's rollout was put back by an UpdateService to what was expected.
    PutBack {
        task_definition: TaskDefinitionArn,
        /// The deployment of what was put back.
        deployment_id: String,
        by: TaskDefinitionArn,
    },
    /// An earlier send's rollout was replaced by another revision.
    Superseded {
        task_definition: TaskDefinitionArn,
        by: TaskDefinitionArn,
    },
    /// Read the service's deployments and decide again.
    ReadServiceDeployments,
    /// Read the service's stopped tasks and decide again.
    ReadStoppedTasks,
    /// Wait a little, observe and decide again.
    KeepObserving { why: String },
    /// End here; nothing was written.
    Refuse(Refusal),
}

impl StartDecision {
    /// Whether something will be written.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Register | Self::Update { .. } | Self::Force { .. })
    }
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
        (true, true) if view.force && is_stable(service, primary) => force::from_rest(view, primary),
        (_, true) if view.force => force::from_under_way(view, service, primary),
        (true, true) if is_stable(service, primary) => StartDecision::Unchanged {
            deployment_id: primary.id.clone(),
            task_definition: primary.task_definition.clone(),
        },
        (_, true) => StartDecision::Reattach {
            deployment_id: primary.id.clone(),
            task_definition: primary.task_definition.clone(),
        },
        (true, false) => write(view, service, primary),
        (false, false) => again::changed_meanwhile(view, primary),
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
    // Without a revision to go to no earlier send has come to its UpdateService.
    let is_certain = match view.with_wanted_content.is_empty() {
        true => view.settled,
        false => view.landed,
    };
    if view.repeated_send && !is_certain {
        return StartDecision::KeepObserving {
            why: format!(
                "whether an earlier send already changed service {} may not show yet",
                view.name
            ),
        };
    }
    if let Some(not_now) = not_now(view, service, primary) {
        return not_now;
    }
    if view.repeated_send && !view.with_wanted_content.is_empty() {
        let Some(records) = view.service_deployments else {
            return StartDecision::ReadServiceDeployments;
        };
        if let Some(refusal) = again::traces_of_a_send(view, records, primary) {
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

fn not_now(view: &StartView<'_>, service: &ObservedService, primary: &Deployment) -> Option<StartDecision> {
    let name = view.name;
    if service.deployments.len() >= MOST_DEPLOYMENTS {
        return Some(StartDecision::Refuse(Refusal::new(
            Reason::TooManyDeployments,
            format!(
                "service {name} has {} deployments, and ECS allows no more",
                service.deployments.len()
            ),
            "wait until old tasks are drained, or look for protected tasks that keep deployments alive",
        )));
    }
    if let Some(in_the_way) = busy::in_the_way(view, service, primary) {
        return Some(in_the_way);
    }
    is_deadlocked(service).then(|| {
        StartDecision::Refuse(Refusal::new(
            Reason::DeploymentDeadlock,
            format!(
                "service {name} with {} desired tasks may have neither less than {} % nor more than {} % of them \
                 while it deploys, so ECS could never replace a task",
                service.desired, service.minimum_healthy_percent, service.maximum_percent
            ),
            "raise the service's maximumPercent or lower its minimumHealthyPercent",
        ))
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

//! What happens next: [`decide`] is a total, deterministic and idempotent
//! function of what is stored. The engine records and acts, then asks again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    deployment::{CancelMode, Deployment, DeploymentState, Event, EventKind, Outcome, Verdict},
    lifecycle::{self, NextStop},
    name::{AgentName, DeploymentId, OperationId, ReleaseVersion},
    project::Lifecycle,
    waiting_on::WaitingOn,
};

mod running;

pub use running::absence_of;

/// What is known of one project.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Those whose lifecycle may go on, oldest first.
    pub releases: Vec<ReleaseTrack>,
    /// All that have not ended, all with open questions, and all of the releases
    /// above; oldest first, which is the order of the queue.
    pub deployments: Vec<Deployment>,
    /// One that is missing here was never invited.
    pub agents: BTreeMap<AgentName, Connectivity>,
    /// The operations that this process follows right now.
    pub attached: BTreeSet<OperationId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseTrack {
    pub version: ReleaseVersion,
    /// As snapshotted with the release.
    pub lifecycle: Lifecycle,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// Invited and never joined.
    NeverJoined,
    Connected {
        since: Timestamp,
    },
    Offline {
        since: Timestamp,
        reason: String,
    },
}

/// One thing to do or to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Create the deployment of an automatic phase, under a new id.
    CreateNextDeployment { release: ReleaseVersion, stop: NextStop },
    /// Record that people are asked.
    AwaitApproval { deployment: DeploymentId },
    StartDeployment {
        deployment: DeploymentId,
        deadline: Timestamp,
    },
    /// Store the intent, then send for the first time.
    Dispatch {
        deployment: DeploymentId,
        operation: OperationId,
    },
    /// Send or watch again: it may have been sent and nobody follows it.
    Reattach {
        deployment: DeploymentId,
        operation: OperationId,
    },
    /// Only watch, never send: learn what became of one that was given up on.
    LearnTruth {
        deployment: DeploymentId,
        operation: OperationId,
    },
    /// Until the agent has confirmed it: the engine sends one at a time.
    RequestCancel {
        deployment: DeploymentId,
        operation: OperationId,
        mode: CancelMode,
    },
    /// The deadline passed: end it as errored with these words.
    ExpireOperation {
        deployment: DeploymentId,
        operation: OperationId,
        reason: String,
        summary: String,
        hint: String,
    },
    SkipRemaining {
        deployment: DeploymentId,
        operations: Vec<OperationId>,
        because: String,
    },
    FinishDeployment {
        deployment: DeploymentId,
        state: DeploymentState,
    },
    /// Why something does not move. `until`: decide again then, at the latest.
    Wait {
        subject: Subject,
        on: WaitingOn,
        until: Option<Timestamp>,
    },
}

/// What waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Release(ReleaseVersion),
    Deployment(DeploymentId),
    Operation(DeploymentId, OperationId),
}

impl Decision {
    /// The events that carry out a decision which needs nobody else; empty for
    /// `CreateNextDeployment`, for what agents are asked, and for `Wait`.
    pub fn events(&self, now: Timestamp) -> Vec<(DeploymentId, Event)> {
        let one = |deployment: &DeploymentId, kind: EventKind| vec![(*deployment, kind.at(now))];
        match self {
            Self::AwaitApproval { deployment } => one(deployment, EventKind::ApprovalRequested),
            Self::StartDeployment { deployment, deadline } => {
                one(deployment, EventKind::DeploymentStarted { deadline: *deadline })
            }
            Self::ExpireOperation {
                deployment,
                operation,
                reason,
                summary,
                hint,
            } => {
                let outcome = Outcome {
                    verdict: Verdict::Errored,
                    reason: reason.clone(),
                    summary: summary.clone(),
                    hint: hint.clone(),
                    diagnosis: Vec::new(),
                    outputs: BTreeMap::new(),
                };
                one(
                    deployment,
                    EventKind::OperationFinished {
                        operation: *operation,
                        outcome,
                    },
                )
            }
            Self::SkipRemaining {
                deployment,
                operations,
                because,
            } => operations
                .iter()
                .map(|operation| {
                    let kind = EventKind::OperationSkipped {
                        operation: *operation,
                        because: because.clone(),
                    };
                    (*deployment, kind.at(now))
                })
                .collect(),
            Self::FinishDeployment { deployment, state } => {
                one(deployment, EventKind::DeploymentFinished { state: *state })
            }
            Self::CreateNextDeployment { .. }
            | Self::Dispatch { .. }
            | Self::Reattach { .. }
            | Self::LearnTruth { .. }
            | Self::RequestCancel { .. }
            | Self::Wait { .. } => Vec::new(),
        }
    }
}

/// What happens next in one project. Recording the events of a decision may
/// make the next one possible: ask again until only `Wait`s are left.
pub fn decide(snapshot: &Snapshot, now: Timestamp) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for track in &snapshot.releases {
        let deployments = snapshot.of_release(&track.version);
        let stops = lifecycle::automatic(&track.lifecycle, &deployments);
        decisions.extend(stops.into_iter().map(|stop| Decision::CreateNextDeployment {
            release: track.version.clone(),
            stop,
        }));
        if let Some(on) = lifecycle::waiting_on(&track.lifecycle, &deployments) {
            let subject = Subject::Release(track.version.clone());
            decisions.push(Decision::Wait {
                subject,
                on,
                until: None,
            });
        }
    }
    for (index, deployment) in snapshot.deployments.iter().enumerate() {
        match deployment.state {
            DeploymentState::Queued => decisions.push(queued(snapshot, index, deployment, now)),
            DeploymentState::AwaitingApproval => decisions.push(awaiting_approval(deployment)),
            DeploymentState::Running => running::decide(snapshot, deployment, now, &mut decisions),
            DeploymentState::Succeeded
            | DeploymentState::Failed
            | DeploymentState::Errored
            | DeploymentState::Cancelled => {}
        }
        running::learn_truth(snapshot, deployment, &mut decisions);
    }
    decisions
}

fn queued(snapshot: &Snapshot, index: usize, deployment: &Deployment, now: Timestamp) -> Decision {
    let id = deployment.id;
    if deployment.cancel.is_some() {
        return stop_before_start(deployment);
    }
    if !deployment.is_approved() {
        return Decision::AwaitApproval { deployment: id };
    }
    if let Some(other) = snapshot.holder_of_environment(index, deployment) {
        let on = WaitingOn::EnvironmentBusy {
            environment: other.environment.clone(),
            deployment: other.id,
            release: other.release.clone(),
            state: other.state,
        };
        return Decision::Wait {
            subject: Subject::Deployment(id),
            on,
            until: None,
        };
    }
    let deadline = now.checked_add(deployment.time_limit).unwrap_or(Timestamp::MAX);
    Decision::StartDeployment {
        deployment: id,
        deadline,
    }
}

fn awaiting_approval(deployment: &Deployment) -> Decision {
    if deployment.cancel.is_some() {
        return stop_before_start(deployment);
    }
    let subject = Subject::Deployment(deployment.id);
    match approval_missing(deployment) {
        Some(on) => Decision::Wait {
            subject,
            on,
            until: None,
        },
        // `apply` leaves this state with the last approval: not reached by any log.
        None => Decision::AwaitApproval {
            deployment: deployment.id,
        },
    }
}

fn approval_missing(deployment: &Deployment) -> Option<WaitingOn> {
    let rule = deployment
        .approval_rule
        .as_ref()
        .filter(|_| !deployment.is_approved())?;
    let have = rule.count - deployment.missing_approvals();
    Some(WaitingOn::Approval {
        role: rule.role,
        have,
        need: rule.count,
    })
}

fn stop_before_start(deployment: &Deployment) -> Decision {
    let open = deployment
        .operations
        .iter()
        .filter(|operation| !operation.state.is_over());
    let operations: Vec<OperationId> = open.map(|operation| operation.slot.id).collect();
    if operations.is_empty() {
        return Decision::FinishDeployment {
            deployment: deployment.id,
            state: DeploymentState::Cancelled,
        };
    }
    Decision::SkipRemaining {
        deployment: deployment.id,
        operations,
        because: running::cancel_words(deployment),
    }
}

/// When time alone may change what [`decide`] answers; `None`: never.
pub fn next_wake(snapshot: &Snapshot, now: Timestamp) -> Option<Timestamp> {
    let running = snapshot
        .deployments
        .iter()
        .filter(|it| it.state == DeploymentState::Running);
    let deadlines = running.filter_map(|deployment| deployment.deadline);
    deadlines
        .flat_map(|deadline| [deadline, running::last_moment(deadline)])
        .filter(|at| *at > now)
        .min()
}

impl Snapshot {
    /// The deployments of a release, oldest first.
    fn of_release(&self, release: &ReleaseVersion) -> Vec<&Deployment> {
        self.deployments
            .iter()
            .filter(|deployment| deployment.release == *release)
            .collect()
    }

    /// Who runs in the environment, or is ready and stands before this one in the queue.
    fn holder_of_environment(&self, index: usize, deployment: &Deployment) -> Option<&Deployment> {
        let same =
            |other: &&Deployment| other.id != deployment.id && other.environment == deployment.environment;
        let running = self
            .deployments
            .iter()
            .filter(same)
            .find(|other| other.state == DeploymentState::Running);
        let ready = |other: &&Deployment| {
            other.state == DeploymentState::Queued && other.is_approved() && other.cancel.is_none()
        };
        running.or_else(|| self.deployments.iter().take(index).filter(same).find(ready))
    }
}

/// Why a watch of a release may end: nothing more happens by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The state of the newest deployment; `None` when there is none.
    pub state: Option<DeploymentState>,
    /// The worst state over the newest deployment of each environment.
    pub outcome: Option<DeploymentState>,
    /// `None` when the release has gone through its lifecycle.
    pub waiting_on: Option<WaitingOn>,
}

/// Whether a release can move no further by itself. `None`: it moves, or waits
/// for something that ends without a person. `deployments` are those of the
/// release, oldest first.
pub fn settled(lifecycle: &Lifecycle, deployments: &[&Deployment]) -> Option<Settled> {
    if !lifecycle::automatic(lifecycle, deployments).is_empty() {
        return None;
    }
    let mut active = deployments
        .iter()
        .filter(|deployment| !deployment.state.is_terminal());
    let stands = |deployment: &&&Deployment| {
        deployment.state == DeploymentState::AwaitingApproval && deployment.cancel.is_none()
    };
    if !active.clone().all(|deployment| stands(&deployment)) {
        return None;
    }
    let waiting_on = match active.next_back() {
        Some(deployment) => approval_missing(deployment),
        None => lifecycle::waiting_on(lifecycle, deployments),
    };
    let newest: BTreeMap<_, _> = deployments.iter().map(|it| (&it.environment, it.state)).collect();
    Some(Settled {
        state: deployments.last().map(|deployment| deployment.state),
        outcome: newest.into_values().max_by_key(|state| severity(*state)),
        waiting_on,
    })
}

fn severity(state: DeploymentState) -> u8 {
    match state {
        DeploymentState::Succeeded => 0,
        DeploymentState::Queued => 1,
        DeploymentState::Running => 2,
        DeploymentState::AwaitingApproval => 3,
        DeploymentState::Cancelled => 4,
        DeploymentState::Errored => 5,
        DeploymentState::Failed => 6,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

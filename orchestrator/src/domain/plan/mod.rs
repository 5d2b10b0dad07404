//! What happens next: [`decide`] is a total, deterministic and idempotent
//! function of what is stored. The engine records and acts, then asks again.

mod approving;
mod decision;
mod limits;
mod queue;
mod running;
mod settled;
mod troubled;

pub use decision::{Decision, Subject};
pub use limits::{Limits, Load, Waiting, waiting};
pub use running::absence_of;
pub use settled::{Settled, settled};

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    deployment::{Deployment, DeploymentState},
    freeze::Freeze,
    lifecycle::{Journey, Standing},
    name::{AgentName, DeploymentId, OperationId, ReleaseVersion},
    project::Lifecycle,
    waiting_on::WaitingOn,
};

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
    /// Those that cover the project.
    pub freezes: Vec<Freeze>,
    /// The deployments whose agents this process asks for a plan right now.
    pub planning: BTreeSet<DeploymentId>,
    /// What is out in all projects, and how much may be.
    pub load: Load,
    /// Images that operations were last found to lack in their own repositories.
    pub replicas: BTreeMap<OperationId, WaitingOn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseTrack {
    pub version: ReleaseVersion,
    /// As snapshotted with the release.
    pub lifecycle: Lifecycle,
    pub standing: Standing,
}

impl ReleaseTrack {
    /// `deployments` are those of the release, oldest first.
    pub fn journey<'a>(&'a self, deployments: &'a [&'a Deployment], now: Timestamp) -> Journey<'a> {
        Journey {
            lifecycle: &self.lifecycle,
            standing: &self.standing,
            deployments,
            now,
        }
    }
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

/// What happens next in one project. Recording the events of a decision may
/// make the next one possible: ask again until only `Wait`s are left.
pub fn decide(snapshot: &Snapshot, now: Timestamp) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for track in &snapshot.releases {
        let deployments = snapshot.of_release(&track.version);
        let journey = track.journey(&deployments, now);
        let stops = journey.automatic();
        decisions.extend(stops.into_iter().map(|stop| Decision::CreateNextDeployment {
            release: track.version.clone(),
            stop,
        }));
        if let Some(on) = journey.waiting_on() {
            let subject = Subject::Release(track.version.clone());
            let until = journey.next_change();
            decisions.push(Decision::Wait { subject, on, until });
        }
    }
    for (index, deployment) in snapshot.deployments.iter().enumerate() {
        match deployment.state {
            DeploymentState::Queued => decisions.push(queue::queued(snapshot, index, deployment, now)),
            DeploymentState::AwaitingApproval => {
                decisions.push(queue::awaiting_approval(snapshot, index, deployment, now))
            }
            DeploymentState::Running => running::decide(snapshot, deployment, now, &mut decisions),
            DeploymentState::AwaitingIntervention => {
                decisions.push(troubled::awaiting_intervention(deployment, now));
            }
            DeploymentState::Succeeded
            | DeploymentState::Failed
            | DeploymentState::Errored
            | DeploymentState::Cancelled => {}
        }
        running::learn_truth(snapshot, deployment, &mut decisions);
    }
    limits::hold_back(snapshot, &mut decisions);
    decisions
}

/// When time alone may change what [`decide`] answers; `None`: never.
pub fn next_wake(snapshot: &Snapshot, now: Timestamp) -> Option<Timestamp> {
    let running = snapshot
        .deployments
        .iter()
        .filter(|it| it.state == DeploymentState::Running);
    let deadlines = running.filter_map(|deployment| deployment.deadline);
    let soaks = snapshot.releases.iter().filter_map(|track| {
        let deployments = snapshot.of_release(&track.version);
        track.journey(&deployments, now).next_change()
    });
    deadlines
        .flat_map(|deadline| [deadline, running::last_moment(deadline)])
        .chain(soaks)
        .chain(queue::wakes(snapshot, now))
        .chain(snapshot.deployments.iter().filter_map(|it| it.intervention_until))
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
}

#[cfg(test)]
mod approving_tests;
#[cfg(test)]
#[path = "tests/starts.rs"]
mod starts;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod troubles;
#[cfg(test)]
mod world;
#[cfg(test)]
mod world_checks;

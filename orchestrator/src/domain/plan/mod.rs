//! What happens next: [`decide`] is a total, deterministic and idempotent
//! function of what is stored. The engine records and acts, then asks again.

mod decision;
mod queue;
mod running;
mod settled;

pub use decision::{Decision, Subject};
pub use running::absence_of;
pub use settled::{Settled, settled};

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    deployment::{Deployment, DeploymentState},
    lifecycle,
    name::{AgentName, OperationId, ReleaseVersion},
    project::Lifecycle,
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
            DeploymentState::Queued => decisions.push(queue::queued(snapshot, index, deployment, now)),
            DeploymentState::AwaitingApproval => decisions.push(queue::awaiting_approval(deployment)),
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
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

//! When a watch of a release may end.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ReleaseTrack, approving::approval_missing, troubled::intervention};
use crate::domain::{
    deployment::{Deployment, DeploymentState},
    waiting_on::WaitingOn,
};

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
/// for something that ends without a person: an agent, a soak before an
/// automatic phase, a schedule, a freeze. `deployments` are those of the
/// release, oldest first.
pub fn settled(track: &ReleaseTrack, deployments: &[&Deployment], now: Timestamp) -> Option<Settled> {
    let journey = track.journey(deployments, now);
    if !journey.automatic().is_empty() || journey.coming().is_some() {
        return None;
    }
    let active = deployments
        .iter()
        .filter(|deployment| !deployment.state.is_terminal());
    let mut waits = Vec::new();
    for deployment in active {
        waits.push(person(track, deployment)?);
    }
    let newest: BTreeMap<_, _> = deployments.iter().map(|it| (&it.environment, it.state)).collect();
    Some(Settled {
        state: deployments.last().map(|deployment| deployment.state),
        outcome: newest.into_values().max_by_key(|state| severity(*state)),
        waiting_on: waits.pop().or_else(|| journey.waiting_on()),
    })
}

/// What a deployment that has not ended waits on that only a person ends.
fn person(track: &ReleaseTrack, deployment: &Deployment) -> Option<WaitingOn> {
    if deployment.is_off() {
        return None;
    }
    match deployment.state {
        DeploymentState::Queued => track.standing.waiting_on(),
        DeploymentState::AwaitingApproval => track
            .standing
            .waiting_on()
            .or_else(|| approval_missing(deployment)),
        DeploymentState::AwaitingIntervention if deployment.needs_decision() => {
            Some(intervention(deployment))
        }
        _ => None,
    }
}

fn severity(state: DeploymentState) -> u8 {
    match state {
        DeploymentState::Succeeded => 0,
        DeploymentState::Queued => 1,
        DeploymentState::Running => 2,
        DeploymentState::AwaitingApproval => 3,
        DeploymentState::AwaitingIntervention => 4,
        DeploymentState::Cancelled => 5,
        DeploymentState::Errored => 6,
        DeploymentState::Failed => 7,
    }
}

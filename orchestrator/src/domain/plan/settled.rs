//! When a watch of a release may end.

use std::collections::BTreeMap;

use super::queue::approval_missing;
use crate::domain::{
    deployment::{Deployment, DeploymentState},
    lifecycle,
    project::Lifecycle,
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

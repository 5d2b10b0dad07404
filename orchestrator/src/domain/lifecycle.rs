//! Where a release goes next along its lifecycle.

use super::{
    deployment::Deployment,
    name::{DeploymentId, EnvironmentName, PhaseName},
    project::{ApprovalRule, Lifecycle},
    waiting_on::WaitingOn,
};

/// A deployment that may be created now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStop {
    pub phase: PhaseName,
    pub environment: EnvironmentName,
    pub approvals: Option<ApprovalRule>,
}

/// Why a promotion is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPromotion {
    #[error("environment {environment} is in no phase of the release's lifecycle")]
    NotInLifecycle { environment: EnvironmentName },
    #[error("{0}")]
    Waits(WaitingOn),
    #[error("the release is in environment {environment} already")]
    AlreadyThere {
        environment: EnvironmentName,
        deployment: DeploymentId,
    },
    #[error("a deployment of the release into {environment} has not ended yet")]
    Active {
        environment: EnvironmentName,
        deployment: DeploymentId,
    },
    #[error("the release has gone through its whole lifecycle")]
    Complete,
}

/// The stops that start by themselves now: of automatic phases whose phase
/// before is satisfied, the environments that this release never went to.
/// `deployments` are those of the release, oldest first.
pub fn automatic(lifecycle: &Lifecycle, deployments: &[&Deployment]) -> Vec<NextStop> {
    let _ = (lifecycle, deployments);
    Vec::new()
}

/// What a promotion by hand creates: the next stop, or the named environment.
/// A deployment that did not succeed may be repeated; with a named environment
/// also one that did.
///
/// # Errors
/// Why not.
pub fn promote(
    lifecycle: &Lifecycle,
    deployments: &[&Deployment],
    environment: Option<&EnvironmentName>,
) -> Result<NextStop, NoPromotion> {
    let _ = (lifecycle, deployments, environment);
    Err(NoPromotion::Complete)
}

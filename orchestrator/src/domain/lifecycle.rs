//! Where a release goes next along its lifecycle.

use super::{
    deployment::{Deployment, DeploymentState},
    name::{DeploymentId, EnvironmentName, PhaseName},
    project::{ApprovalRule, Lifecycle, Phase},
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
    let reachable = lifecycle.phases.iter().enumerate().take_while(|(index, _)| {
        let before = index
            .checked_sub(1)
            .and_then(|before| lifecycle.phases.get(before));
        before.is_none_or(|phase| unsatisfied(phase, deployments).is_none())
    });
    let stops = reachable
        .filter(|(_, phase)| phase.automatic)
        .flat_map(|(_, phase)| {
            let untouched = phase
                .environments
                .iter()
                .filter(|it| newest(deployments, it).is_none());
            untouched.map(|environment| stop(phase, environment))
        });
    stops.collect()
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
    let (index, environment) = match environment {
        Some(environment) => (phase_of(lifecycle, environment)?, environment),
        None => next_environment(lifecycle, deployments).ok_or(NoPromotion::Complete)?,
    };
    if let Some(active) = newest(deployments, environment).filter(|it| !it.state.is_terminal()) {
        return Err(NoPromotion::Active {
            environment: environment.clone(),
            deployment: active.id,
        });
    }
    let before = index
        .checked_sub(1)
        .and_then(|before| lifecycle.phases.get(before));
    if let Some(waiting_on) = before.and_then(|phase| unsatisfied(phase, deployments)) {
        return Err(NoPromotion::Waits(waiting_on));
    }
    let phase = lifecycle.phases.get(index).ok_or(NoPromotion::Complete)?;
    Ok(stop(phase, environment))
}

/// What the release waits on when nothing of it is active and nothing starts by
/// itself; `None` when it has gone through, or something is active or about to be.
pub fn waiting_on(lifecycle: &Lifecycle, deployments: &[&Deployment]) -> Option<WaitingOn> {
    if deployments.iter().any(|it| !it.state.is_terminal()) || !automatic(lifecycle, deployments).is_empty() {
        return None;
    }
    let (index, environment) = next_environment(lifecycle, deployments)?;
    let phase = lifecycle.phases.get(index)?;
    match newest(deployments, environment) {
        Some(ended) => Some(WaitingOn::PhaseNotSatisfied {
            phase: phase.name.clone(),
            environment: environment.clone(),
            state: Some(ended.state),
        }),
        None => Some(WaitingOn::ManualPromotion {
            phase: phase.name.clone(),
            environment: environment.clone(),
        }),
    }
}

/// Why a phase is not satisfied: the newest deployment of each of its
/// environments must have succeeded.
fn unsatisfied(phase: &Phase, deployments: &[&Deployment]) -> Option<WaitingOn> {
    phase.environments.iter().find_map(|environment| {
        let state = newest(deployments, environment).map(|deployment| deployment.state);
        (state != Some(DeploymentState::Succeeded)).then(|| WaitingOn::PhaseNotSatisfied {
            phase: phase.name.clone(),
            environment: environment.clone(),
            state,
        })
    })
}

/// The first environment along the way that has no success, with its phase's place.
fn next_environment<'a>(
    lifecycle: &'a Lifecycle,
    deployments: &[&Deployment],
) -> Option<(usize, &'a EnvironmentName)> {
    let all = lifecycle.phases.iter().enumerate();
    let mut all = all.flat_map(|(index, phase)| phase.environments.iter().map(move |it| (index, it)));
    all.find(|(_, it)| newest(deployments, it).is_none_or(|it| it.state != DeploymentState::Succeeded))
}

fn phase_of(lifecycle: &Lifecycle, environment: &EnvironmentName) -> Result<usize, NoPromotion> {
    let found = lifecycle
        .phases
        .iter()
        .position(|phase| phase.environments.contains(environment));
    found.ok_or_else(|| NoPromotion::NotInLifecycle {
        environment: environment.clone(),
    })
}

fn newest<'a>(deployments: &[&'a Deployment], environment: &EnvironmentName) -> Option<&'a Deployment> {
    deployments
        .iter()
        .rev()
        .find(|deployment| deployment.environment == *environment)
        .copied()
}

fn stop(phase: &Phase, environment: &EnvironmentName) -> NextStop {
    NextStop {
        phase: phase.name.clone(),
        environment: environment.clone(),
        approvals: phase.approvals.clone(),
    }
}

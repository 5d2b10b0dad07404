//! Deployments that have not started: what each of them waits for, and when it
//! is given up. Start at [`queued`] and [`awaiting_approval`].
//!
//! The order in which reasons are told is the order in which they can be done
//! something about: the release is blocked; approvals are missing; its time has
//! not come; a freeze; another deployment in the environment.

use jiff::Timestamp;

use super::{Decision, ReleaseTrack, Snapshot, Subject, approving, troubled};
use crate::domain::{
    deployment::{Deployment, DeploymentState, NoStart},
    freeze,
    name::OperationId,
    project::Supersede,
    waiting_on::WaitingOn,
};

pub fn queued(snapshot: &Snapshot, index: usize, deployment: &Deployment, now: Timestamp) -> Decision {
    if let Some(decision) = ended_before_start(snapshot, index, deployment, now) {
        return decision;
    }
    if let Some(on) = snapshot.blocked(deployment) {
        return waits(deployment, on, None);
    }
    if let Some(decision) = approving::before_turn(snapshot, deployment, now) {
        return decision;
    }
    if let Some((on, until)) = not_its_time(snapshot, deployment, now) {
        return waits(deployment, on, Some(until));
    }
    if let Some(other) = snapshot.holder_of_environment(index, deployment, now) {
        let on = WaitingOn::EnvironmentBusy {
            environment: other.environment.clone(),
            deployment: other.id,
            release: other.release.clone(),
            state: other.state,
        };
        return waits(deployment, on, None);
    }
    if let Some(decision) = approving::at_turn(deployment, now) {
        return decision;
    }
    Decision::StartDeployment {
        deployment: deployment.id,
        deadline: now.checked_add(deployment.time_limit).unwrap_or(Timestamp::MAX),
    }
}

pub fn awaiting_approval(
    snapshot: &Snapshot,
    index: usize,
    deployment: &Deployment,
    now: Timestamp,
) -> Decision {
    if let Some(decision) = ended_before_start(snapshot, index, deployment, now) {
        return decision;
    }
    if let Some(on) = snapshot.blocked(deployment) {
        return waits(deployment, on, None);
    }
    // `apply` leaves this state with the last approval: not reached by any log.
    approving::before_turn(snapshot, deployment, now).unwrap_or(Decision::AwaitApproval {
        deployment: deployment.id,
    })
}

/// Every wait of a deployment that has not started ends with its expiry.
pub fn waits(deployment: &Deployment, on: WaitingOn, until: Option<Timestamp>) -> Decision {
    let expires = deployment.expires();
    Decision::Wait {
        subject: Subject::Deployment(deployment.id),
        on,
        until: Some(until.map_or(expires, |until| until.min(expires))),
    }
}

/// What ends it without a start: a person, a newer release, its expiry.
fn ended_before_start(
    snapshot: &Snapshot,
    index: usize,
    deployment: &Deployment,
    now: Timestamp,
) -> Option<Decision> {
    if deployment.cancel.is_some() {
        return Some(stop_before_start(deployment, troubled::cancel_words(deployment)));
    }
    if let Some(why) = &deployment.start.given_up {
        return Some(stop_before_start(deployment, why.to_string()));
    }
    let why = match snapshot.superseder(index, deployment, now) {
        Some(newer) => NoStart::SupersededBy {
            deployment: newer.id,
            release: newer.release.clone(),
        },
        None if deployment.expires() <= now => NoStart::Expired {
            at: deployment.expires(),
        },
        None => approving::expired(deployment, now)?,
    };
    Some(Decision::GiveUpStart {
        deployment: deployment.id,
        why,
    })
}

fn stop_before_start(deployment: &Deployment, because: String) -> Decision {
    let open = deployment
        .operations
        .iter()
        .filter(|operation| !operation.state.is_over());
    let operations: Vec<OperationId> = open.map(|operation| operation.slot.id).collect();
    if operations.is_empty() {
        let given_up = deployment.start.given_up.as_ref();
        return Decision::FinishDeployment {
            deployment: deployment.id,
            state: match given_up {
                Some(why) if deployment.cancel.is_none() => why.ends_as(),
                Some(_) | None => DeploymentState::Cancelled,
            },
            aftermath: String::new(),
        };
    }
    Decision::SkipRemaining {
        deployment: deployment.id,
        operations,
        because,
    }
}

/// What time alone ends, and when.
fn not_its_time(
    snapshot: &Snapshot,
    deployment: &Deployment,
    now: Timestamp,
) -> Option<(WaitingOn, Timestamp)> {
    if let Some(not_before) = deployment.start.not_before.filter(|at| *at > now) {
        return Some((WaitingOn::Schedule { not_before }, not_before));
    }
    let hold = freeze::holding(&snapshot.freezes, deployment, now)?;
    let on = WaitingOn::Freeze {
        name: hold.freeze.name.clone(),
        until: hold.until,
        override_role: hold.freeze.override_role,
        because: hold.freeze.because.clone(),
    };
    Some((on, hold.until))
}

/// When time alone may change what is decided of deployments that have not started.
pub fn wakes(snapshot: &Snapshot, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let waiting = snapshot.deployments.iter().filter(|it| {
        matches!(
            it.state,
            DeploymentState::Queued | DeploymentState::AwaitingApproval
        )
    });
    let frozen = waiting
        .clone()
        .next()
        .and_then(|_| freeze::next_change(&snapshot.freezes, now));
    let own = waiting.flat_map(|it| {
        let people = approving::deadline_of_people(it);
        let agents = it.planning.as_ref().map(|planning| planning.until());
        let all = [it.start.not_before, Some(it.expires()), people, agents];
        all.into_iter().flatten()
    });
    own.chain(frozen)
}

impl Snapshot {
    /// That a person said that its release goes no further.
    fn blocked(&self, deployment: &Deployment) -> Option<WaitingOn> {
        self.track(deployment)?.standing.waiting_on()
    }

    fn track(&self, deployment: &Deployment) -> Option<&ReleaseTrack> {
        self.releases
            .iter()
            .find(|track| track.version == deployment.release)
    }

    /// The newest deployment after this one in the queue that takes its place.
    fn superseder(&self, index: usize, deployment: &Deployment, now: Timestamp) -> Option<&Deployment> {
        let place = |deployment: &Deployment| {
            let mut tracks = self.releases.iter();
            tracks.position(|track| track.version == deployment.release)
        };
        let own = place(deployment)?;
        let after = self.deployments.iter().skip(index + 1).rev();
        let mut takes_over = after.filter(|other| {
            other.environment == deployment.environment
                && !other.state.is_terminal()
                && other.may_start(now)
                && self.track(other).is_some_and(|track| {
                    track.lifecycle.supersede == Supersede::Queued && track.standing.may_go_on()
                })
        });
        takes_over.find(|other| place(other).is_some_and(|newer| newer > own))
    }

    /// Who is under way in the environment, or is ready and stands before this
    /// one in the queue. Who waits for something else lets others pass.
    fn holder_of_environment(
        &self,
        index: usize,
        deployment: &Deployment,
        now: Timestamp,
    ) -> Option<&Deployment> {
        let same =
            |other: &&Deployment| other.id != deployment.id && other.environment == deployment.environment;
        let under_way = self
            .deployments
            .iter()
            .filter(same)
            .find(|other| other.state.is_under_way());
        let ready = |other: &&Deployment| {
            other.state == DeploymentState::Queued
                && other.is_approved()
                && !other.is_off()
                && self.blocked(other).is_none()
                && not_its_time(self, other, now).is_none()
        };
        under_way.or_else(|| self.deployments.iter().take(index).filter(same).find(ready))
    }
}

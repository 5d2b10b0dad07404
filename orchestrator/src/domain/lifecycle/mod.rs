//! Where a release goes next along its lifecycle. Start at [`Journey`]: what
//! starts by itself, what a promotion would create, what it waits on. Whether
//! the release may go on at all is its [`Standing`]; which ones stay in sight
//! is [`retention`].

mod standing;

pub mod retention;

pub use standing::{Block, NoChange, Standing, StandingEvent};

use jiff::Timestamp;

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
    #[error("the release is archived since {}", super::waiting_on::moment(*.since))]
    Archived { since: Timestamp },
    #[error("the release has gone through its whole lifecycle")]
    Complete,
}

/// One release on its way, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Journey<'a> {
    pub lifecycle: &'a Lifecycle,
    pub standing: &'a Standing,
    /// Those of the release, oldest first.
    pub deployments: &'a [&'a Deployment],
    pub now: Timestamp,
}

/// How far a phase is.
enum Progress<'a> {
    /// Since then.
    Satisfied(Timestamp),
    /// The first environment that has no success.
    Open {
        environment: &'a EnvironmentName,
        state: Option<DeploymentState>,
        have: u32,
        need: u32,
    },
}

impl<'a> Journey<'a> {
    /// The stops that start by themselves now: of automatic phases whose turn
    /// it is, the environments that this release never went to.
    pub fn automatic(&self) -> Vec<NextStop> {
        if !self.standing.may_go_on() {
            return Vec::new();
        }
        let phases = self.lifecycle.phases.iter().enumerate();
        let reachable = phases.take_while(|(index, _)| self.gate(*index).is_none());
        let automatic = reachable.filter(|(_, phase)| phase.automatic);
        let stops = automatic.flat_map(|(_, phase)| {
            let untouched = phase.environments.iter().filter(|it| self.newest(it).is_none());
            untouched.map(|environment| stop(phase, environment))
        });
        stops.collect()
    }

    /// When, by time alone, something next starts by itself that does not now.
    pub fn coming(&self) -> Option<Timestamp> {
        let mut later = *self;
        while let Some(at) = later.next_change() {
            later.now = at;
            if !later.automatic().is_empty() {
                return Some(at);
            }
        }
        None
    }

    /// When time alone next changes what is allowed: the end of a soak.
    pub fn next_change(&self) -> Option<Timestamp> {
        let ends = self
            .lifecycle
            .phases
            .iter()
            .filter_map(|phase| self.soaks_until(phase));
        ends.filter(|at| *at > self.now).min()
    }

    /// What a promotion by hand creates: the next stop, or the named environment.
    /// A deployment that did not succeed may be repeated; with a named environment
    /// also one that did. Optional phases are gone to by name.
    ///
    /// # Errors
    /// Why not.
    pub fn promote(&self, environment: Option<&EnvironmentName>) -> Result<NextStop, NoPromotion> {
        let (index, environment) = match environment {
            Some(environment) => (self.phase_of(environment)?, environment),
            None => self.next_environment().ok_or(NoPromotion::Complete)?,
        };
        if let Some(active) = self.newest(environment).filter(|it| !it.state.is_terminal()) {
            return Err(NoPromotion::Active {
                environment: environment.clone(),
                deployment: active.id,
            });
        }
        if let Some(since) = self.standing.archived {
            return Err(NoPromotion::Archived { since });
        }
        if let Some(on) = self.standing.waiting_on().or_else(|| self.gate(index)) {
            return Err(NoPromotion::Waits(on));
        }
        let phase = self.lifecycle.phases.get(index).ok_or(NoPromotion::Complete)?;
        Ok(stop(phase, environment))
    }

    /// What the release waits on when nothing of it is active and nothing starts by
    /// itself now; `None` when it has gone through, or something is active or
    /// about to be.
    pub fn waiting_on(&self) -> Option<WaitingOn> {
        let active = self.deployments.iter().any(|it| !it.state.is_terminal());
        if active || self.standing.archived.is_some() || !self.automatic().is_empty() {
            return None;
        }
        if let Some(soak) = self.coming().and_then(|_| self.first_soak()) {
            return Some(soak);
        }
        let (index, environment) = self.next_environment()?;
        if let Some(on) = self.standing.waiting_on().or_else(|| self.gate(index)) {
            return Some(on);
        }
        let phase = self.lifecycle.phases.get(index)?;
        match self.newest(environment) {
            Some(_) => self.unsatisfied(phase),
            None => Some(WaitingOn::ManualPromotion {
                phase: phase.name.clone(),
                environment: environment.clone(),
            }),
        }
    }

    /// Why the phase at this place may not begin: the nearest one before it
    /// that is not optional is not satisfied, or soaks.
    fn gate(&self, index: usize) -> Option<WaitingOn> {
        let before = self.lifecycle.phases.get(..index)?;
        let before = before.iter().rev().find(|phase| !phase.optional)?;
        self.unsatisfied(before).or_else(|| self.soak(before))
    }

    fn soak(&self, phase: &Phase) -> Option<WaitingOn> {
        let until = self.soaks_until(phase).filter(|at| *at > self.now)?;
        Some(WaitingOn::Soak {
            phase: phase.name.clone(),
            until,
        })
    }

    fn first_soak(&self) -> Option<WaitingOn> {
        let phases = self.lifecycle.phases.iter().filter(|phase| !phase.optional);
        phases
            .filter_map(|phase| Some((self.soaks_until(phase)?, phase)))
            .filter(|(at, _)| *at > self.now)
            .min_by_key(|(at, _)| *at)
            .and_then(|(_, phase)| self.soak(phase))
    }

    fn soaks_until(&self, phase: &Phase) -> Option<Timestamp> {
        let soak = phase.soak?;
        match self.progress(phase) {
            Progress::Satisfied(since) => Some(since.checked_add(soak).unwrap_or(Timestamp::MAX)),
            Progress::Open { .. } => None,
        }
    }

    fn unsatisfied(&self, phase: &Phase) -> Option<WaitingOn> {
        match self.progress(phase) {
            Progress::Satisfied(_) => None,
            Progress::Open {
                environment,
                state,
                have,
                need,
            } => Some(WaitingOn::PhaseNotSatisfied {
                phase: phase.name.clone(),
                environment: environment.clone(),
                state,
                have,
                need,
            }),
        }
    }

    /// A phase is satisfied when the newest deployments of as many of its
    /// environments as it needs have succeeded: since the end of the last one
    /// that it needed.
    fn progress<'p>(&self, phase: &'p Phase) -> Progress<'p> {
        let success = |it: &&EnvironmentName| {
            let newest = self.newest(it)?;
            let good = newest.state == DeploymentState::Succeeded;
            good.then_some(newest.ended.unwrap_or(newest.created))
        };
        let mut ends: Vec<Timestamp> = phase.environments.iter().filter_map(|it| success(&it)).collect();
        ends.sort_unstable();
        let all = phase.environments.len();
        let need = phase.at_least.map_or(all, |least| all.min(least as usize));
        let open = phase.environments.iter().find(|it| success(it).is_none());
        match (need.checked_sub(1).map(|last| ends.get(last)), open) {
            (Some(Some(since)), _) => Progress::Satisfied(*since),
            // Needed are none: an empty phase, which no file has.
            (None, _) | (Some(None), None) => Progress::Satisfied(Timestamp::MIN),
            (Some(None), Some(environment)) => Progress::Open {
                environment,
                state: self.newest(environment).map(|it| it.state),
                have: u32::try_from(ends.len()).unwrap_or(u32::MAX),
                need: u32::try_from(need).unwrap_or(u32::MAX),
            },
        }
    }

    /// The first environment without a success of the first phase that has to
    /// be gone through and is not, with the phase's place.
    fn next_environment(&self) -> Option<(usize, &'a EnvironmentName)> {
        let phases = self.lifecycle.phases.iter().enumerate();
        let mut open = phases.filter(|(_, phase)| !phase.optional);
        open.find_map(|(index, phase)| match self.progress(phase) {
            Progress::Satisfied(_) => None,
            Progress::Open { environment, .. } => Some((index, environment)),
        })
    }

    fn phase_of(&self, environment: &EnvironmentName) -> Result<usize, NoPromotion> {
        let found = self
            .lifecycle
            .phases
            .iter()
            .position(|phase| phase.environments.contains(environment));
        found.ok_or_else(|| NoPromotion::NotInLifecycle {
            environment: environment.clone(),
        })
    }

    fn newest(&self, environment: &EnvironmentName) -> Option<&'a Deployment> {
        let mut newest_first = self.deployments.iter().rev();
        newest_first
            .find(|deployment| deployment.environment == *environment)
            .copied()
    }
}

fn stop(phase: &Phase, environment: &EnvironmentName) -> NextStop {
    NextStop {
        phase: phase.name.clone(),
        environment: environment.clone(),
        approvals: phase.approvals.clone(),
    }
}

#[cfg(test)]
mod tests;

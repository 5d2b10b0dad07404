//! Freezes: times in which no deployment starts. Start at [`Freeze::season`]
//! (is its window open, and until when) and [`holding`] (what holds one
//! deployment). A freeze stops starts, not what runs; what meets one waits.
//!
//! Pure: the rules of time zones are those that the program was built with.

mod recurring;

pub use recurring::{BadRecurrence, Every, Recurring, ZoneName};

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    deployment::{Deployment, OverriddenFreeze},
    name::{EnvironmentName, FreezeName, ProjectName},
};

/// When nothing starts, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    pub name: FreezeName,
    /// Empty: all.
    pub projects: Vec<ProjectName>,
    /// Empty: all.
    pub environments: Vec<EnvironmentName>,
    pub window: Window,
    /// Why, for those who wait.
    pub because: String,
    pub override_role: OverrideRole,
    pub created: Timestamp,
    pub created_by: String,
}

/// Who may let a deployment start in spite of a freeze. An admin always may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrideRole {
    Deployer,
    Approver,
    #[default]
    Admin,
}

impl fmt::Display for OverrideRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployer => "deployer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// From the first moment on, up to the second.
    Once {
        from: Timestamp,
        until: Timestamp,
    },
    Recurring(Recurring),
}

/// How a freeze stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Season {
    /// Its window is open. From the end on it is not: windows that touch are one.
    InForce { from: Timestamp, until: Timestamp },
    /// The next window begins then.
    Ahead { from: Timestamp },
    /// No window comes any more.
    Over,
}

/// What holds a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold<'a> {
    pub freeze: &'a Freeze,
    pub until: Timestamp,
}

impl Freeze {
    pub fn covers(&self, project: &ProjectName, environment: &EnvironmentName) -> bool {
        self.covers_project(project)
            && (self.environments.is_empty() || self.environments.contains(environment))
    }

    pub fn covers_project(&self, project: &ProjectName) -> bool {
        self.projects.is_empty() || self.projects.contains(project)
    }

    pub fn season(&self, now: Timestamp) -> Season {
        match &self.window {
            Window::Once { from, until } if now < *from && from < until => Season::Ahead { from: *from },
            Window::Once { from, until } if now < *until => Season::InForce {
                from: *from,
                until: *until,
            },
            Window::Once { .. } => Season::Over,
            Window::Recurring(recurring) => recurring.season(now),
        }
    }

    /// When no window of it comes any more; `None`: they go on for ever.
    pub fn ends(&self) -> Option<Timestamp> {
        match &self.window {
            Window::Once { until, .. } => Some(*until),
            Window::Recurring(recurring) => recurring.until,
        }
    }
}

impl Season {
    /// When time alone changes it.
    pub fn changes(self) -> Option<Timestamp> {
        match self {
            Self::InForce { until, .. } => Some(until),
            Self::Ahead { from } => Some(from),
            Self::Over => None,
        }
    }
}

/// The freezes that are in force at a place, with the ends of their windows.
pub fn in_force<'a>(
    freezes: &'a [Freeze],
    project: &'a ProjectName,
    environment: &'a EnvironmentName,
    now: Timestamp,
) -> impl Iterator<Item = Hold<'a>> {
    let there = freezes
        .iter()
        .filter(move |freeze| freeze.covers(project, environment));
    there.filter_map(move |freeze| match freeze.season(now) {
        Season::InForce { until, .. } => Some(Hold { freeze, until }),
        Season::Ahead { .. } | Season::Over => None,
    })
}

/// What holds a deployment: of the freezes that are in force for it and that
/// nobody has overridden, the one that ends last.
pub fn holding<'a>(freezes: &'a [Freeze], deployment: &'a Deployment, now: Timestamp) -> Option<Hold<'a>> {
    in_force(freezes, &deployment.project, &deployment.environment, now)
        .filter(|hold| !deployment.overrides(&hold.freeze.name, now))
        .max_by_key(|hold| hold.until)
}

/// What an override is about: the freezes that hold the deployment now, and
/// those that would hold it when its time comes.
pub fn to_override(freezes: &[Freeze], deployment: &Deployment, now: Timestamp) -> Vec<OverriddenFreeze> {
    let mut found: Vec<OverriddenFreeze> = Vec::new();
    let starts = deployment.start.not_before.map_or(now, |at| at.max(now));
    for hold in in_force(freezes, &deployment.project, &deployment.environment, starts) {
        if !deployment.overrides(&hold.freeze.name, starts) {
            found.push(OverriddenFreeze {
                freeze: hold.freeze.name.clone(),
                until: hold.until,
            });
        }
    }
    found
}

/// When time alone changes what is in force.
pub fn next_change(freezes: &[Freeze], now: Timestamp) -> Option<Timestamp> {
    freezes
        .iter()
        .filter_map(|freeze| freeze.season(now).changes())
        .filter(|at| *at > now)
        .min()
}

#[cfg(test)]
mod tests;

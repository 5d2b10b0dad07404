//! What is said of a deployment's start before it starts: not before, at the
//! latest, in spite of which freezes; or that it will not start any more.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Deployment, DeploymentState};
use crate::domain::{
    name::{DeploymentId, FreezeName, ReleaseVersion},
    waiting_on::moment,
};

/// How long a deployment may stand in the queue when nobody says otherwise;
/// counted from its creation, or from the moment before which it must not start.
pub const DEFAULT_EXPIRY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The terms on which a deployment starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// As a person said; see [`Deployment::expires`].
    #[serde(default)]
    pub expires: Option<Timestamp>,
    #[serde(default)]
    pub overrides: Vec<FreezeOverride>,
    #[serde(default)]
    pub given_up: Option<NoStart>,
}

/// A freeze that an override is about, and until when it counts: the end of
/// the window that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverriddenFreeze {
    pub freeze: FreezeName,
    pub until: Timestamp,
}

/// Who let a deployment start in spite of freezes, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeOverride {
    pub operator: String,
    pub because: String,
    pub at: Timestamp,
    pub freezes: Vec<OverriddenFreeze>,
}

/// Why a deployment will not start any more. Nothing of it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum NoStart {
    /// A newer release's deployment took its place in the queue.
    SupersededBy {
        deployment: DeploymentId,
        release: ReleaseVersion,
    },
    /// It had not started when its time was over.
    Expired { at: Timestamp },
    /// Not everybody had approved in time.
    ApprovalExpired { at: Timestamp, have: u32, need: u32 },
    /// Its agents made no plan in time.
    PlanNotMade { at: Timestamp, why: String },
    /// A plan that was named with the promotion is not the one that was made.
    PlanChanged { why: String },
    /// Someone who may approve said no.
    Rejected { by: String, note: String },
}

impl NoStart {
    /// The stable word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SupersededBy { .. } => "superseded_by",
            Self::Expired { .. } => "expired",
            Self::ApprovalExpired { .. } => "approval_expired",
            Self::PlanNotMade { .. } => "plan_not_made",
            Self::PlanChanged { .. } => "plan_changed",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// The state in which the deployment then ends.
    pub fn ends_as(&self) -> DeploymentState {
        match self {
            Self::SupersededBy { .. } | Self::Rejected { .. } => DeploymentState::Cancelled,
            Self::Expired { .. }
            | Self::ApprovalExpired { .. }
            | Self::PlanNotMade { .. }
            | Self::PlanChanged { .. } => DeploymentState::Errored,
        }
    }
}

impl fmt::Display for NoStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SupersededBy { deployment, release } => {
                write!(f, "superseded by release {release} (deployment {deployment})")
            }
            Self::Expired { at } => write!(f, "expired: it had not started by {}", moment(*at)),
            Self::ApprovalExpired { at, have, need } => write!(
                f,
                "approval expired: {have} of {need} had approved by {}",
                moment(*at)
            ),
            Self::PlanNotMade { at, why } => write!(f, "there was no plan by {}: {why}", moment(*at)),
            Self::PlanChanged { why } => write!(f, "the plan is not the one that was named: {why}"),
            Self::Rejected { by, note } => write!(f, "rejected by {by}: {note}"),
        }
    }
}

/// A schedule for a person.
pub(super) fn schedule_words(not_before: Option<Timestamp>, expires: Option<Timestamp>) -> String {
    match (not_before, expires) {
        (Some(from), Some(until)) => {
            format!(
                "starts not before {} and not after {}",
                moment(from),
                moment(until)
            )
        }
        (Some(from), None) => format!("starts not before {}", moment(from)),
        (None, Some(until)) => format!("starts not after {}", moment(until)),
        (None, None) => "starts when its turn comes".to_owned(),
    }
}

impl Deployment {
    /// When it is given up if it has not started until then.
    pub fn expires(&self) -> Timestamp {
        let from = self
            .start
            .not_before
            .map_or(self.created, |at| at.max(self.created));
        let usual = || from.checked_add(DEFAULT_EXPIRY).unwrap_or(Timestamp::MAX);
        self.start.expires.unwrap_or_else(usual)
    }

    /// It will not start: a person said stop, or its start was given up.
    pub fn is_off(&self) -> bool {
        self.cancel.is_some() || self.start.given_up.is_some()
    }

    /// Nobody has called it off, and its time has come.
    pub fn may_start(&self, now: Timestamp) -> bool {
        !self.is_off() && self.start.not_before.is_none_or(|at| at <= now)
    }

    /// Whether it may start in spite of this freeze.
    pub fn overrides(&self, freeze: &FreezeName, now: Timestamp) -> bool {
        let mut all = self.start.overrides.iter().flat_map(|it| &it.freezes);
        all.any(|it| it.freeze == *freeze && now < it.until)
    }
}

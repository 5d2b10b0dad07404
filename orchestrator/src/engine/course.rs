//! The course that a deployment took, as it is shown: why it was made, what
//! people decided, what was done about a failure.

use jiff::Timestamp;

use crate::domain::{
    deployment::{Deployment, Intervention, Origin},
    name::ReleaseVersion,
};

#[derive(Clone, Debug)]
pub struct CourseView {
    pub origin: Origin,
    /// What the person said who made it; may be empty.
    pub note: String,
    /// Oldest first.
    pub interventions: Vec<Intervention>,
    /// Until when a decision is waited for; set while it is.
    pub decide_until: Option<Timestamp>,
    /// For a person: "rolled back"; may be empty.
    pub aftermath: String,
}

impl CourseView {
    pub(super) fn of(deployment: &Deployment) -> Self {
        Self {
            origin: deployment.manner.origin.clone(),
            note: deployment.manner.note.clone(),
            interventions: deployment.interventions.clone(),
            decide_until: deployment.intervention_until,
            aftermath: deployment.aftermath(),
        }
    }

    /// Of a rollback: the release that was there; else empty.
    pub fn rolled_back_from(&self) -> String {
        match &self.origin {
            Origin::Rollback { from } => ReleaseVersion::to_string(from),
            Origin::Promotion | Origin::Redeployment => String::new(),
        }
    }
}

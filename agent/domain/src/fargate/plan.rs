//! A change set → what a person needs to know, and a hash of it. The same change
//! has the same hash whenever it is looked at; Towline's own metadata does not
//! count. Start with [`translate`], then [`plan`].

use crate::fargate::preflight::Finding;

/// What a deployment would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub action: PlanAction,
    /// SHA-256, in hexadecimal, over action and changes.
    pub hash: String,
    /// One sentence for a person.
    pub summary: String,
    pub stack_name: String,
    pub changes: Vec<PlannedChange>,
    /// Gravest first.
    pub findings: Vec<Finding>,
    /// The service runs something else than its stack says.
    pub drifted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanAction {
    Create,
    Update,
    /// Nothing to do.
    Unchanged,
    /// The stack is as asked, the service is not: one UpdateService puts it back.
    Repair,
    /// Nothing changed and a new deployment was asked for: one UpdateService.
    Force,
    /// Cannot be done; the findings say why and what to do instead.
    Refused,
    /// A first create that failed is deleted, then made anew.
    Recreate,
}

impl PlanAction {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::Repair => "repair",
            Self::Force => "force",
            Self::Refused => "refused",
            Self::Recreate => "recreate",
        }
    }
}

/// A change of one resource, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedChange {
    /// Add, Modify, Remove.
    pub action: String,
    pub logical_id: String,
    pub resource_type: String,
    /// The properties that change, where CloudFormation says.
    pub properties: Vec<String>,
    /// Replaced where that hurts; a new revision is no such place.
    pub replacement: bool,
    /// "image of container web: shop/web:1.0.0 -> shop/web:1.1.0"
    pub details: Vec<String>,
}

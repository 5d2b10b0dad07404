//! What the engine answers about a fargate service before it is deployed.

use std::collections::BTreeMap;

/// Which service, where, with which images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceQuestion {
    pub project: String,
    /// The service's key in the project file.
    pub service: String,
    pub environment: String,
    /// `account/region/cluster`; empty for the environment's first target.
    pub target: String,
    /// Image key to tag, for images whose tag the project leaves open.
    pub images: Vec<(String, String)>,
}

/// A CloudFormation template that works without Towline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTemplate {
    pub stack_name: String,
    /// JSON.
    pub template: String,
    /// What must be given with it.
    pub parameters: BTreeMap<String, String>,
}

/// What a deployment would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePlan {
    pub action: PlanAction,
    pub hash: String,
    /// One sentence for a person.
    pub summary: String,
    pub stack_name: String,
    pub changes: Vec<ServiceChange>,
    /// Gravest first.
    pub findings: Vec<PlanFinding>,
    /// The service runs something else than its stack says.
    pub drifted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanAction {
    Create,
    Update,
    Unchanged,
    /// One UpdateService puts the service back to what its stack says.
    Repair,
    /// Nothing changed, and a new deployment was asked for.
    Force,
    Refused,
    /// A first create that failed is deleted, then made anew.
    Recreate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceChange {
    /// Add, Modify, Remove.
    pub action: String,
    pub logical_id: String,
    /// CloudFormation's type.
    pub kind: String,
    pub properties: Vec<String>,
    /// Replaced where that hurts.
    pub replacement: bool,
    pub details: Vec<String>,
}

/// Gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingSeverity {
    Error,
    Warning,
    /// AWS would not say.
    Unknown,
    Note,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFinding {
    pub severity: FindingSeverity,
    /// Stable.
    pub reason: String,
    pub message: String,
    pub hint: String,
}

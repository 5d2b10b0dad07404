//! What agents plan: of one service, and of a whole promotion.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which service, where, with which images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceQuestion {
    pub project: String,
    /// The service's key in the project file.
    pub service: String,
    pub environment: String,
    /// `account/region/cluster`; empty for the environment's first target.
    pub target: String,
    /// Image key to tag, for images whose tag the project leaves open; more than
    /// those of the release.
    pub images: Vec<(String, String)>,
    /// The release whose snapshot and images count; empty for the project's
    /// newest version.
    pub release: String,
    /// Plan a new ECS deployment also when nothing changed.
    pub force: bool,
}

/// A CloudFormation template that works without Towline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTemplate {
    pub stack_name: String,
    /// JSON.
    pub template: String,
    /// What must be given with it.
    pub parameters: BTreeMap<String, String>,
}

/// What a deployment of one service to one target would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePlan {
    /// What was planned, with everything that the question left out.
    pub of: ServiceQuestion,
    pub planned: Planned,
}

/// What a promotion would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionPlan {
    pub environment: String,
    /// In the order of waves, targets and services.
    pub plans: Vec<ServicePlan>,
    pub unplanned: Vec<Unplanned>,
}

/// An operation whose plan is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unplanned {
    pub service: String,
    pub target: String,
    pub reason: String,
    /// May be empty.
    pub hint: String,
}

/// What an agent plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    pub action: PlanAction,
    pub hash: String,
    /// One sentence for a person.
    pub summary: String,
    /// Gravest first.
    pub findings: Vec<PlanFinding>,
    /// Of a service that Towline owns.
    pub fargate: Option<FargatePlan>,
    /// Of a service that someone else owns.
    pub update: Option<UpdatePlan>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FargatePlan {
    pub stack_name: String,
    pub changes: Vec<ServiceChange>,
    /// The service runs something else than its stack says.
    pub drifted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatePlan {
    /// The ARN of the revision that the service runs.
    pub running: String,
    /// The ARN of the revision that the next one is made from.
    pub base: String,
    /// The ARN of the revision that would be used again; empty when one is registered.
    pub reused: String,
    /// From what runs to what would run.
    pub changes: Vec<DefinitionChange>,
    /// Where the base is not what runs: from what runs to the base.
    pub base_changes: Vec<DefinitionChange>,
    pub images: Vec<PlannedImage>,
}

/// One member of a task definition that changes. Values are JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionChange {
    /// `containerDefinitions[app].environment[LEVEL]`
    pub path: String,
    /// Empty when the member is added.
    pub before: String,
    /// Empty when the member is removed.
    pub after: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedImage {
    pub container: String,
    pub before: String,
    pub after: String,
    /// Empty when unknown.
    pub before_digest: String,
    pub after_digest: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanAction {
    Create,
    Update,
    /// A revision is registered, and the service updated to it.
    Register,
    /// The service is updated to a revision that is there already.
    Reuse,
    Unchanged,
    /// One UpdateService puts the service back to what its stack says.
    Repair,
    /// Nothing changed, and a new deployment was asked for.
    Force,
    Refused,
    /// A first create that failed is deleted, then made anew.
    Recreate,
    /// A one-off task is run.
    Run,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingSeverity {
    Error,
    Warning,
    /// AWS would not say.
    Unknown,
    Note,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFinding {
    pub severity: FindingSeverity,
    /// Stable.
    pub reason: String,
    pub message: String,
    pub hint: String,
}

//! Approvals: of one plan, by people who may. Start at [`DeploymentPlan`], which
//! an approval is bound to by its hash, and [`may_approve`].
//!
//! What always holds: a deployment that needs approvals is planned before
//! anybody is asked; it starts only with the plan that they approved, made
//! again just before; and each operation goes to its agent with its plan's hash,
//! so that an agent which finds something else refuses.

mod difference;
mod planned;
mod rule;

#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::name::{AgentName, OperationId, PlanHash, ServiceName, TargetId};

pub use difference::difference;
pub use planned::*;
pub use rule::{Person, Refusal, may_approve};

/// How long agents may be asked for a plan before the deployment is given up.
pub const PLAN_LIMIT: SignedDuration = SignedDuration::from_hours(1);

/// A plan that was made again and is the same counts for so long: after that it
/// is made once more before the start.
pub const CONFIRMED_FOR: SignedDuration = SignedDuration::from_mins(5);

/// What a deployment would do, as its agents say: what people approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentPlan {
    /// Of the plans of all operations.
    pub hash: PlanHash,
    pub made: Timestamp,
    /// When it was made again just before the start, and was the same.
    #[serde(default)]
    pub confirmed: Option<Timestamp>,
    /// In the order of waves, targets and services.
    pub operations: Vec<OperationPlan>,
}

/// What one operation would do, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationPlan {
    pub operation: OperationId,
    pub hash: PlanHash,
    /// One sentence for a person.
    pub summary: String,
    /// Gravest first.
    pub findings: Vec<PlanFinding>,
}

/// That agents are being asked for a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planning {
    pub since: Timestamp,
    /// What kept the newest attempt from a plan.
    #[serde(default)]
    pub trouble: Option<PlanTrouble>,
}

/// Why an operation has no plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTrouble {
    pub agent: AgentName,
    pub why: String,
    /// May be empty.
    pub hint: String,
}

impl Planning {
    /// When it is given up.
    pub fn until(&self) -> Timestamp {
        self.since.checked_add(PLAN_LIMIT).unwrap_or(Timestamp::MAX)
    }
}

impl DeploymentPlan {
    /// Whether it was found unchanged so recently that the start may rely on it.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let end = self.confirmed.and_then(|at| at.checked_add(CONFIRMED_FOR).ok());
        end.is_some_and(|end| now < end)
    }

    /// How many operations would be refused as things are.
    pub fn refused(&self) -> usize {
        let bad = |finding: &PlanFinding| finding.severity == FindingSeverity::Error;
        self.operations
            .iter()
            .filter(|operation| operation.findings.iter().any(bad))
            .count()
    }
}

/// The hash of a whole plan: of which operation does what, in order.
pub fn hash_of<'a>(
    operations: impl IntoIterator<Item = (&'a ServiceName, &'a TargetId, &'a PlanHash)>,
) -> Option<PlanHash> {
    let mut digest = Sha256::new();
    for (service, target, hash) in operations {
        // None of the three has a line break in it.
        digest.update(format!("{service}\n{target}\n{hash}\n"));
    }
    let hex = hex::encode(digest.finalize());
    hex.get(..HASH_LENGTH).and_then(|hash| hash.parse().ok())
}

/// 128 bits: nobody finds two plans with one hash, and a person can read it.
const HASH_LENGTH: usize = 32;

/// The hash of the plan of an operation that no agent plans, or that its agent
/// would refuse and gives none for: of what would be sent, or of what was said.
pub fn stand_in(what: &str, text: &str) -> Option<PlanHash> {
    let hex = hex::encode(Sha256::digest(text.as_bytes()));
    format!("{what}:{}", hex.get(..HASH_LENGTH)?).parse().ok()
}

impl std::fmt::Display for PlanTrouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // An agent's own words begin with its name.
        let own = format!("agent {}", self.agent);
        match self.why.starts_with(&own) {
            true => f.write_str(&self.why),
            false => write!(f, "{own}: {}", self.why),
        }
    }
}

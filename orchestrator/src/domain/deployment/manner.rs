//! In which manner a deployment was made: why, and what it does about failures.

use serde::{Deserialize, Serialize};

use crate::domain::{name::ReleaseVersion, project::FailureRules};

/// What is fixed when a deployment is created, beside what it deploys. What was
/// stored before there were choices is an ordinary promotion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manner {
    pub origin: Origin,
    /// What the person said who made it.
    pub note: String,
    pub failures: FailureRules,
}

/// Why a deployment was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Along the lifecycle, by hand or by itself.
    #[default]
    Promotion,
    /// What ran there already, once more.
    Redeployment,
    /// Back to what ran there before, as it was recorded.
    Rollback {
        /// The release that was there when it was asked for.
        from: ReleaseVersion,
    },
}

impl Origin {
    /// Its own words in the log's first line; empty for the ordinary one.
    pub fn words(&self) -> String {
        match self {
            Self::Promotion => String::new(),
            Self::Redeployment => ", once more".to_owned(),
            Self::Rollback { from } => format!(", back from {from}"),
        }
    }
}

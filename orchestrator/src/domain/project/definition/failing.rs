//! What the deployments of an environment do about operations that end badly.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::OnFailure;

/// The rules of one environment. The default is what Towline always did: stop
/// at the first failure, and leave things as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailureRules {
    pub stop_at: StopAt,
    /// Whether all that a failed deployment had changed is put back.
    pub on_failure: OnFailure,
    /// A person says how it goes on, and has so long for it.
    pub guided: Option<SignedDuration>,
}

impl FailureRules {
    /// How long people have who are asked how a deployment goes on.
    pub const DEFAULT_DECISION_TIME: SignedDuration = SignedDuration::from_hours(24);
}

/// How much must have ended badly for nothing more to start. What is out then is
/// followed to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopAt {
    #[default]
    First,
    /// So many operations, at least 1.
    Count(u32),
    /// So many percent of the deployment's operations, 1 to 100.
    Share(u8),
}

impl std::fmt::Display for StopAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::First | Self::Count(1) => f.write_str("the first failure"),
            Self::Count(count) => write!(f, "{count} failures"),
            Self::Share(percent) => write!(f, "failures of {percent} %"),
        }
    }
}

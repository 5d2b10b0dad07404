//! `agent.toml`, parsed once. Start with [`Config::load`]; the rest of the agent
//! sees only the typed values here and reads neither files nor the environment.
//! All faults of a file are told at once, each with its line and column.

mod aws;
mod bucket;
mod fault;
mod file;
mod render;
mod span;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

pub use bucket::TemplateBucket;
pub use fault::{ConfigError, Fault};
pub use render::Draft;
use towline_agent_domain::policy::{OperatorRules, ReadableValues};
use towline_link::identity::AgentName;

/// The configuration's name inside an agent's directory.
pub const FILE_NAME: &str = "agent.toml";

/// What an agent was told.
#[derive(Clone, Debug)]
pub struct Config {
    pub name: AgentName,
    /// The account whose credentials the agent must hold; 12 digits.
    pub account: Option<String>,
    /// The directory with `key.pem`, `cert.pem` and `ca.pem`.
    pub identity: PathBuf,
    /// `host:port` of the orchestrator to dial; a polling agent has one.
    pub orchestrator: Option<String>,
    /// Where to listen; a listening agent has it.
    pub listen: Option<Listen>,
    pub aws: AwsConfig,
    pub timing: Timing,
    /// What operators who call this agent directly may do.
    pub operators: OperatorRules,
    /// Which parameters and stack outputs are read for others.
    pub values: ReadableValues,
    /// Faults that a test plants.
    #[cfg(feature = "planted-faults")]
    pub planted: Planted,
}

/// Where a listening agent is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// `host:port` to bind; port 0 takes a free one.
    pub address: String,
    /// The DNS names and IP addresses that callers dial it by.
    pub names: Vec<String>,
}

/// The account's side of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsConfig {
    /// Another endpoint for all services, for a simulator.
    pub endpoint_url: Option<String>,
    /// At least one.
    pub regions: Vec<ServedRegion>,
    /// The service role that CloudFormation acts with.
    pub cloudformation_role: Option<String>,
    /// The permissions boundary of roles that a stack makes.
    pub permissions_boundary: Option<String>,
    /// The IAM path of roles that a stack makes; begins and ends with a slash.
    pub role_path: String,
    /// Tags that the account demands on everything that is made.
    pub tags: BTreeMap<String, String>,
}

impl AwsConfig {
    /// Whether the agent serves this cluster.
    pub fn serves(&self, region: &str, cluster: &str) -> bool {
        self.regions
            .iter()
            .any(|served| served.name == region && served.clusters.iter().any(|c| c == cluster))
    }

    /// By region: where its large templates go.
    pub fn template_buckets(&self) -> BTreeMap<String, TemplateBucket> {
        let regions = self.regions.iter();
        regions
            .filter_map(|region| Some((region.name.clone(), region.template_bucket.clone()?)))
            .collect()
    }

    /// `eu-west-1/main, us-east-1/main`, for people.
    pub fn served(&self) -> String {
        let pairs = self.regions.iter().flat_map(|region| {
            region
                .clusters
                .iter()
                .map(move |c| format!("{}/{c}", region.name))
        });
        pairs.collect::<Vec<_>>().join(", ")
    }
}

/// A region with the clusters that the agent serves in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedRegion {
    pub name: String,
    /// At least one, by name.
    pub clusters: Vec<String>,
    /// Where templates go that CloudFormation does not take in a request.
    pub template_bucket: Option<TemplateBucket>,
}

/// How often the agent looks, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The least time between two looks at a rollout; in quiet times they are further apart.
    pub poll: Duration,
    /// For how long AWS may still show what was before a write.
    pub settle: Duration,
    /// For how long nothing of a rollout may move before it counts as stuck. Without
    /// room for its tasks a third of it is enough; old tasks get twice as long to go.
    pub stuck: Duration,
    /// The deadline of an operation that names none.
    pub default_deadline: Duration,
}

impl Timing {
    /// For how long a request may be under way that an agent sent before it died. Nothing
    /// in the account shows it until then, so a repeat that looks for less long might be
    /// a second one. AWS says no such time; a call's own limit is 20 seconds.
    pub fn landing(&self) -> Duration {
        self.settle * 4
    }

    /// The usual time between two looks at a stack: CloudFormation's reads are throttled
    /// sooner than those of ECS, and nobody says at which rate.
    pub fn stack_look(&self) -> Duration {
        self.poll * 3
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            settle: Duration::from_secs(15),
            stuck: Duration::from_secs(15 * 60),
            default_deadline: Duration::from_secs(60 * 60),
        }
    }
}

/// Faults that the test suite plants to prove that it would notice them.
#[cfg(feature = "planted-faults")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Planted {
    /// Calls a deployment that ECS rolled back a success.
    pub rolled_back_is_success: bool,
}

impl Config {
    /// Reads `agent.toml` of a directory. Relative paths in it are relative to that directory.
    ///
    /// # Errors
    ///
    /// The file is missing or unreadable, is no TOML, or says something that cannot be: all faults at once.
    pub fn load(directory: &Path) -> Result<Self, ConfigError> {
        let path = directory.join(FILE_NAME);
        let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::Unreadable {
            path: path.clone(),
            error,
        })?;
        Self::parse(&text, directory).map_err(|faults| ConfigError::Faults { path, faults })
    }

    /// Parses the text of an `agent.toml` that lies in `directory`.
    ///
    /// # Errors
    ///
    /// All faults of the text, in its order.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, Vec<Fault>> {
        file::parse(text, directory)
    }
}

//! A project file from what runs: every agent's clusters are listed at once,
//! and `domain::import` joins what they hold. Nothing is stored.

use super::{Engine, EngineError};

/// Which services, and how the project is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportQuestion {
    /// The project's name; "imported" when empty.
    pub project: String,
    /// Only these agents; empty for all.
    pub agents: Vec<String>,
    /// Patterns of clusters' names; empty for all.
    pub clusters: Vec<String>,
    /// Patterns of the services' names in ECS; empty for all.
    pub services: Vec<String>,
    /// The environment of an agent's clusters, in the order of the lifecycle.
    pub environments: Vec<(String, String)>,
}

/// A project file from what runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub definition: String,
}

impl Engine {
    /// The services of the agents' clusters as a project file.
    pub async fn import_project(&self, _question: &ImportQuestion) -> Result<Import, EngineError> {
        Err(anyhow::anyhow!("not there yet").into())
    }
}

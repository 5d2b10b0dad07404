//! One-off tasks: what is run once, before or after the services of a target.

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Target, Whereabouts, is_among};
use crate::domain::{
    name::{ContainerName, EnvironmentName, ServiceName},
    project::template::Template,
};

/// A task that each deployment runs once on a target, a database migration say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneOffTask {
    pub run: RunAt,
    /// The service whose task definition, network and images it has.
    pub like: ServiceName,
    /// The container that `command` is for, and whose exit code counts.
    pub container: ContainerName,
    /// Empty: the container's own.
    #[serde(default)]
    pub command: Vec<Template>,
    /// Beside the container's own.
    #[serde(default)]
    pub environment: IndexMap<String, Template>,
    /// From its start to its end; absent: the agent's.
    #[serde(default)]
    pub timeout: Option<SignedDuration>,
    /// Where it is run; empty: wherever the service is.
    #[serde(default)]
    pub only_in: Vec<Whereabouts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunAt {
    /// Before the services of the target: when it fails, they are not touched.
    Before,
    /// After all of them ended well.
    After,
}

impl OneOffTask {
    pub fn goes_to(&self, environment: &EnvironmentName, target: &Target) -> bool {
        is_among(&self.only_in, environment, target)
    }
}

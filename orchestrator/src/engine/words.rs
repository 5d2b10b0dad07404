//! The words under which the engine's small choices are stored.

use super::views::{AgentMode, Role};

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Deployer, Self::Approver, Self::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Deployer => "deployer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl AgentMode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::Listening => "listening",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Polling, Self::Listening]
            .into_iter()
            .find(|mode| mode.name() == name)
    }
}

//! Why something does not move: one sentence, the same on every face.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    deployment::DeploymentState,
    name::{AgentName, DeploymentId, EnvironmentName, PhaseName, ReleaseVersion, ServiceName},
    project::ApproverRole,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "waiting_on", rename_all = "snake_case")]
pub enum WaitingOn {
    Approval {
        role: ApproverRole,
        have: u32,
        need: u32,
    },
    AgentOffline {
        agent: AgentName,
        since: Timestamp,
        reason: String,
    },
    AgentNeverJoined {
        agent: AgentName,
    },
    AgentUnknown {
        agent: AgentName,
    },
    /// Another deployment of the project runs in the environment, or is before it in the queue.
    EnvironmentBusy {
        environment: EnvironmentName,
        deployment: DeploymentId,
        release: ReleaseVersion,
    },
    /// An environment of the phase before has no deployment of the release that succeeded.
    PhaseNotSatisfied {
        phase: PhaseName,
        environment: EnvironmentName,
        state: Option<DeploymentState>,
    },
    PreviousWave {
        wave: u32,
        running: u32,
    },
    ServiceOrder {
        after: Vec<ServiceName>,
    },
    ManualPromotion {
        phase: PhaseName,
        environment: EnvironmentName,
    },
    CancelNotConfirmed {
        agent: AgentName,
    },
}

impl WaitingOn {
    /// Whether only a person can end it.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Approval { .. } | Self::PhaseNotSatisfied { .. } | Self::ManualPromotion { .. }
        )
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

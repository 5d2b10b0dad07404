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
        state: DeploymentState,
    },
    /// An environment of the phase before has no deployment of the release that succeeded.
    PhaseNotSatisfied {
        phase: PhaseName,
        environment: EnvironmentName,
        state: Option<DeploymentState>,
    },
    PreviousWave {
        wave: u32,
        open: u32,
    },
    ServiceOrder {
        first: Vec<ServiceName>,
    },
    ManualPromotion {
        phase: PhaseName,
        environment: EnvironmentName,
    },
    /// Stored; shown until the agent has taken it.
    CancelNotConfirmed {
        agent: AgentName,
        offline_since: Option<Timestamp>,
    },
}

impl WaitingOn {
    /// The next step for a person; empty where waiting is all there is to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Approval { .. } => "an operator with the role approves it: towline approve".to_owned(),
            Self::AgentOffline { agent, .. } => {
                format!("see that towline-agent runs in the account of {agent} and reaches the orchestrator")
            }
            Self::AgentNeverJoined { agent } => {
                format!(
                    "run the `towline-agent join` command of the invitation; a new one: towline agent invite {agent}"
                )
            }
            Self::AgentUnknown { agent } => format!("invite it: towline agent invite {agent}"),
            Self::PhaseNotSatisfied {
                state: Some(state),
                environment,
                ..
            } if state.is_terminal() => {
                format!(
                    "try it again (towline promote --environment {environment}), or release another version"
                )
            }
            Self::ManualPromotion { .. } => "towline promote".to_owned(),
            Self::PhaseNotSatisfied { .. }
            | Self::EnvironmentBusy { .. }
            | Self::PreviousWave { .. }
            | Self::ServiceOrder { .. }
            | Self::CancelNotConfirmed { .. } => String::new(),
        }
    }

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
        match self {
            Self::Approval { role, have, need } => write!(f, "approval of role {role} ({have} of {need})"),
            Self::AgentOffline { agent, since, reason } => {
                write!(f, "agent {agent} offline since {}", moment(*since))?;
                if !reason.is_empty() {
                    write!(f, " ({reason})")?;
                }
                write!(f, ", hint: {}", self.hint())
            }
            Self::AgentNeverJoined { agent } => {
                write!(f, "agent {agent} has never joined, hint: {}", self.hint())
            }
            Self::AgentUnknown { agent } => {
                write!(f, "agent {agent} was never invited, hint: {}", self.hint())
            }
            Self::EnvironmentBusy {
                environment,
                deployment,
                release,
                state,
            } => {
                write!(
                    f,
                    "deployment {deployment} of release {release} is {state} in {environment}"
                )
            }
            Self::PhaseNotSatisfied {
                phase,
                environment,
                state,
            } => {
                let state = state.map_or("not deployed yet", DeploymentState::as_str);
                write!(f, "phase {phase} is not satisfied ({environment}: {state})")
            }
            Self::PreviousWave { wave, open: 1 } => {
                write!(f, "wave {}: one operation has not ended", wave + 1)
            }
            Self::PreviousWave { wave, open } => {
                write!(f, "wave {}: {open} operations have not ended", wave + 1)
            }
            Self::ServiceOrder { first } => {
                let names: Vec<&str> = first.iter().map(ServiceName::as_str).collect();
                let verb = if names.len() == 1 { "comes" } else { "come" };
                write!(f, "{} {verb} first", names.join(", "))
            }
            Self::ManualPromotion { phase, environment } => {
                write!(f, "promotion to {environment} (phase {phase} is manual)")
            }
            Self::CancelNotConfirmed { agent, offline_since } => {
                write!(f, "cancel not yet confirmed by agent {agent}")?;
                match offline_since {
                    Some(since) => write!(f, ", offline since {}", moment(*since)),
                    None => Ok(()),
                }
            }
        }
    }
}

fn moment(at: Timestamp) -> impl fmt::Display {
    at.strftime("%Y-%m-%d %H:%M:%SZ")
}

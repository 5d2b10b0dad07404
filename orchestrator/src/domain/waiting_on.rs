//! Why something does not move: one sentence, the same on every face.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    deployment::DeploymentState,
    freeze::OverrideRole,
    name::{
        AgentName, DeploymentId, EnvironmentName, FreezeName, ImageKey, PhaseName, ReleaseVersion,
        ServiceName, TargetId,
    },
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
    /// People are asked when their agents have said what the deployment would do.
    Plan {
        agent: Option<AgentName>,
        why: String,
        /// May be empty.
        hint: String,
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
        /// How many of its environments have succeeded, and how many have to.
        have: u32,
        need: u32,
    },
    /// The phase is satisfied, and the next one begins only after a while.
    Soak {
        phase: PhaseName,
        until: Timestamp,
    },
    /// A person said that the release goes no further.
    ReleaseBlocked {
        by: String,
        because: String,
        at: Timestamp,
    },
    /// Nothing starts in the environment until the freeze's window ends.
    Freeze {
        name: FreezeName,
        until: Timestamp,
        /// Who may let a deployment start in spite of it.
        override_role: OverrideRole,
        because: String,
    },
    /// A person said when it starts.
    Schedule {
        not_before: Timestamp,
    },
    PreviousWave {
        wave: u32,
        open: u32,
    },
    ServiceOrder {
        first: Vec<ServiceName>,
    },
    /// The image is not in the target's own repository yet.
    ImageReplica {
        image: ImageKey,
        target: TargetId,
        /// registry/repository@digest
        reference: String,
        /// What stands there in its place; may be empty.
        instead: String,
    },
    ManualPromotion {
        phase: PhaseName,
        environment: EnvironmentName,
    },
    /// Operations ended badly, and a person says how to go on.
    Intervention {
        deployment: DeploymentId,
        /// "web on 333333333333/eu-west-1/main failed"
        about: String,
        /// So many others beside that.
        more: u32,
        until: Timestamp,
    },
    /// So many operations run at this agent, or in all, and no more may.
    Limit {
        agent: Option<AgentName>,
        limit: u32,
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
            Self::Plan { hint, .. } => hint.clone(),
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
                    "try it again (towline promote VERSION --to {environment}), or release another version"
                )
            }
            Self::ManualPromotion { .. } => "towline promote".to_owned(),
            Self::ImageReplica { .. } => {
                "see that the registry replicates it, or copy it there with its digest kept".to_owned()
            }
            Self::ReleaseBlocked { .. } => "towline release unblock VERSION --because TEXT".to_owned(),
            Self::Freeze { override_role, .. } => {
                format!(
                    "role {override_role} may override it: towline freeze override DEPLOYMENT --because TEXT"
                )
            }
            Self::PhaseNotSatisfied { .. }
            | Self::EnvironmentBusy { .. }
            | Self::Soak { .. }
            | Self::Schedule { .. }
            | Self::PreviousWave { .. }
            | Self::ServiceOrder { .. }
            | Self::Limit { .. }
            | Self::CancelNotConfirmed { .. } => String::new(),
            Self::Intervention { deployment, .. } => {
                format!("towline deployment retry|ignore|abort {deployment}")
            }
        }
    }

    /// The sentence without its hint.
    pub fn brief(&self) -> String {
        let sentence = self.to_string();
        match sentence.split_once(", hint: ") {
            Some((brief, _)) => brief.to_owned(),
            None => sentence,
        }
    }

    /// Whether only a person can end it.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Approval { .. }
                | Self::Intervention { .. }
                | Self::PhaseNotSatisfied { .. }
                | Self::ManualPromotion { .. }
                | Self::ReleaseBlocked { .. }
        )
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approval { role, have, need } => write!(f, "approval of role {role} ({have} of {need})"),
            Self::Plan { why, hint, .. } => {
                write!(f, "its plan: {why}")?;
                match hint.as_str() {
                    "" => Ok(()),
                    hint => write!(f, ", hint: {hint}"),
                }
            }
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
                have,
                need,
            } => {
                let state = state.map_or("not deployed yet", DeploymentState::as_str);
                write!(f, "phase {phase} is not satisfied (")?;
                if *need > 1 {
                    write!(f, "{have} of {need} environments, ")?;
                }
                write!(f, "{environment}: {state})")
            }
            Self::Soak { phase, until } => write!(f, "soak of phase {phase} until {}", moment(*until)),
            Self::ReleaseBlocked { by, because, at } => {
                write!(
                    f,
                    "the release is blocked by {by} since {}: {because}",
                    moment(*at)
                )
            }
            Self::Freeze {
                name, until, because, ..
            } => {
                write!(f, "freeze {name} until {}", moment(*until))?;
                match because.as_str() {
                    "" => Ok(()),
                    because => write!(f, " ({because})"),
                }
            }
            Self::Schedule { not_before } => write!(f, "its time: not before {}", moment(*not_before)),
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
            Self::ImageReplica {
                image,
                target,
                reference,
                instead,
            } => {
                write!(f, "image {image} on {target}: {reference} is not there yet")?;
                if !instead.is_empty() {
                    write!(f, " ({instead})")?;
                }
                write!(f, ", hint: {}", self.hint())
            }
            Self::ManualPromotion { phase, environment } => {
                write!(f, "promotion to {environment} (phase {phase} is manual)")
            }
            Self::Intervention {
                about, more, until, ..
            } => {
                write!(f, "a decision about {about}")?;
                if *more > 0 {
                    write!(f, " and {more} more")?;
                }
                write!(f, ", until {}", moment(*until))
            }
            Self::Limit {
                agent: Some(agent),
                limit,
            } => write!(f, "its turn: {limit} operations run at agent {agent}, the limit"),
            Self::Limit { agent: None, limit } => write!(f, "its turn: {limit} operations run, the limit"),
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

/// A moment as every sentence tells it.
pub(super) fn moment(at: Timestamp) -> impl fmt::Display {
    at.strftime("%Y-%m-%d %H:%M:%SZ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_face_shows_these_sentences() {
        let at: Timestamp = "2026-11-24T21:00:00Z".parse().unwrap();
        let dev: AgentName = "dev".parse().unwrap();
        let prod: EnvironmentName = "prod".parse().unwrap();
        let staging: PhaseName = "staging".parse().unwrap();
        let deployment = DeploymentId(uuid::Uuid::from_u128(7));
        let sentences = [
            (
                WaitingOn::Approval {
                    role: ApproverRole::Approver,
                    have: 0,
                    need: 1,
                },
                "approval of role approver (0 of 1)",
            ),
            (
                WaitingOn::AgentOffline {
                    agent: dev.clone(),
                    since: at,
                    reason: "no answer for 25 s".to_owned(),
                },
                "agent dev offline since 2026-11-24 21:00:00Z (no answer for 25 s), hint: see that towline-agent runs in the account of dev and reaches the orchestrator",
            ),
            (
                WaitingOn::AgentNeverJoined { agent: dev.clone() },
                "agent dev has never joined, hint: run the `towline-agent join` command of the invitation; a new one: towline agent invite dev",
            ),
            (
                WaitingOn::AgentUnknown { agent: dev.clone() },
                "agent dev was never invited, hint: invite it: towline agent invite dev",
            ),
            (
                WaitingOn::EnvironmentBusy {
                    environment: prod.clone(),
                    deployment,
                    release: "1.0.0".parse().unwrap(),
                    state: DeploymentState::Running,
                },
                "deployment 00000000-0000-0000-0000-000000000007 of release 1.0.0 is running in prod",
            ),
            (
                WaitingOn::PhaseNotSatisfied {
                    phase: staging.clone(),
                    environment: "staging".parse().unwrap(),
                    state: Some(DeploymentState::Failed),
                    have: 0,
                    need: 1,
                },
                "phase staging is not satisfied (staging: failed)",
            ),
            (
                WaitingOn::PhaseNotSatisfied {
                    phase: staging,
                    environment: "staging".parse().unwrap(),
                    state: None,
                    have: 1,
                    need: 2,
                },
                "phase staging is not satisfied (1 of 2 environments, staging: not deployed yet)",
            ),
            (
                WaitingOn::PreviousWave { wave: 0, open: 1 },
                "wave 1: one operation has not ended",
            ),
            (
                WaitingOn::PreviousWave { wave: 1, open: 3 },
                "wave 2: 3 operations have not ended",
            ),
            (
                WaitingOn::ServiceOrder {
                    first: vec!["web".parse().unwrap()],
                },
                "web comes first",
            ),
            (
                WaitingOn::ImageReplica {
                    image: "web".parse().unwrap(),
                    target: "333333333333/eu-west-1/main".parse().unwrap(),
                    reference: "registry.example/shop/web@sha256:4f".to_owned(),
                    instead: "its tag 1.0.0 is sha256:5a there".to_owned(),
                },
                "image web on 333333333333/eu-west-1/main: registry.example/shop/web@sha256:4f is not there yet (its tag 1.0.0 is sha256:5a there), hint: see that the registry replicates it, or copy it there with its digest kept",
            ),
            (
                WaitingOn::ManualPromotion {
                    phase: "production".parse().unwrap(),
                    environment: prod,
                },
                "promotion to prod (phase production is manual)",
            ),
            (
                WaitingOn::CancelNotConfirmed {
                    agent: dev.clone(),
                    offline_since: None,
                },
                "cancel not yet confirmed by agent dev",
            ),
            (
                WaitingOn::CancelNotConfirmed {
                    agent: dev,
                    offline_since: Some(at),
                },
                "cancel not yet confirmed by agent dev, offline since 2026-11-24 21:00:00Z",
            ),
        ];
        for (waiting_on, sentence) in sentences {
            assert_eq!(waiting_on.to_string(), sentence);
        }
    }
}

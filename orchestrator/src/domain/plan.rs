//! What happens next: [`decide`] is a total, deterministic and idempotent
//! function of what is stored. The engine records and acts, then asks again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    deployment::{CancelMode, Deployment, DeploymentState, Event},
    lifecycle::NextStop,
    name::{AgentName, DeploymentId, OperationId, ReleaseVersion},
    project::Lifecycle,
    waiting_on::WaitingOn,
};

/// What is known of one project.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Those whose lifecycle may go on, oldest first.
    pub releases: Vec<ReleaseTrack>,
    /// All that have not ended, all with open questions, and all of the releases
    /// above; oldest first, which is the order of the queue.
    pub deployments: Vec<Deployment>,
    /// One that is missing here was never invited.
    pub agents: BTreeMap<AgentName, Connectivity>,
    /// The operations that this process follows right now.
    pub attached: BTreeSet<OperationId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseTrack {
    pub version: ReleaseVersion,
    /// As snapshotted with the release.
    pub lifecycle: Lifecycle,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// Invited and never joined.
    NeverJoined,
    Connected {
        since: Timestamp,
    },
    Offline {
        since: Timestamp,
        reason: String,
    },
}

/// One thing to do or to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Create the deployment of an automatic phase, under a new id.
    CreateNextDeployment { release: ReleaseVersion, stop: NextStop },
    /// Record that people are asked.
    AwaitApproval { deployment: DeploymentId },
    StartDeployment {
        deployment: DeploymentId,
        deadline: Timestamp,
    },
    /// Store the intent, then send for the first time.
    Dispatch {
        deployment: DeploymentId,
        operation: OperationId,
    },
    /// Send or watch again: it may have been sent and nobody follows it.
    Reattach {
        deployment: DeploymentId,
        operation: OperationId,
    },
    /// Only watch, never send: learn what became of one that was given up on.
    LearnTruth {
        deployment: DeploymentId,
        operation: OperationId,
    },
    RequestCancel {
        deployment: DeploymentId,
        operation: OperationId,
        mode: CancelMode,
    },
    /// The deadline passed: end it as errored with these words.
    ExpireOperation {
        deployment: DeploymentId,
        operation: OperationId,
        reason: String,
        summary: String,
        hint: String,
    },
    SkipRemaining {
        deployment: DeploymentId,
        operations: Vec<OperationId>,
        because: String,
    },
    FinishDeployment {
        deployment: DeploymentId,
        state: DeploymentState,
    },
    /// Why something does not move. `until`: decide again then, at the latest.
    Wait {
        subject: Subject,
        on: WaitingOn,
        until: Option<Timestamp>,
    },
}

/// What waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Release(ReleaseVersion),
    Deployment(DeploymentId),
    Operation(DeploymentId, OperationId),
}

impl Decision {
    /// The events that carry out a decision which needs nobody else; empty for
    /// `CreateNextDeployment`, for what agents are asked, and for `Wait`.
    pub fn events(&self, now: Timestamp) -> Vec<(DeploymentId, Event)> {
        let _ = now;
        Vec::new()
    }
}

/// What happens next in one project.
pub fn decide(snapshot: &Snapshot, now: Timestamp) -> Vec<Decision> {
    let _ = (snapshot, now);
    Vec::new()
}

/// Why a watch of a release may end: nothing more happens by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The state of the newest deployment; `None` when there is none.
    pub state: Option<DeploymentState>,
    /// The worst state over the newest deployment of each environment.
    pub outcome: Option<DeploymentState>,
    pub waiting_on: Option<WaitingOn>,
}

/// Whether a release can move no further by itself. `None`: it moves, or waits
/// for something that ends without a person.
pub fn settled(snapshot: &Snapshot, now: Timestamp, release: &ReleaseVersion) -> Option<Settled> {
    let _ = (snapshot, now, release);
    None
}

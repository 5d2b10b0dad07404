//! What the engine answers: plain values, ready to be shown. Times are the
//! orchestrator's; an empty string means "nothing to say" only where a field's
//! comment says so.

use std::collections::BTreeMap;

use jiff::Timestamp;
use towline_link::identity::OperatorName;

pub use crate::domain::{
    deployment::{DeploymentState, Verdict},
    operation::ApprovedPlan,
};

/// Who asks, as its certificate says. That it may was decided before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub operator: OperatorName,
}

/// What an operator may do; see `towline_proto::access` for which RPC asks for which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Viewer,
    Deployer,
    Approver,
    Admin,
}

/// How an agent is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgentMode {
    /// The agent dials the orchestrator.
    Polling,
    /// The orchestrator dials the agent.
    Listening,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// Invited and never joined.
    Invited,
    Connected,
    Offline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationState {
    Pending,
    Running,
    Ended,
    /// Not started, because the deployment ended before.
    Skipped,
}

/// Which part of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// At most this many; 0 means 100, and never more than 1000 come.
    pub size: u32,
    /// `Paged::next` of the page before; empty for the first.
    pub token: String,
}

/// One part of a list.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    pub items: Vec<T>,
    /// The token of the next page; empty on the last.
    pub next: String,
}

#[derive(Clone, Debug)]
pub struct ProjectView {
    pub name: String,
    /// 0 when it was only checked and is not stored.
    pub version: i64,
    pub applied_at: Timestamp,
    pub applied_by: String,
    pub services: Vec<String>,
    /// In the order of the file.
    pub environments: Vec<String>,
    pub channels: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Applied {
    pub project: ProjectView,
    /// False when this very content was there already.
    pub changed: bool,
}

/// One project with the text of its newest version.
#[derive(Clone, Debug)]
pub struct ProjectDetail {
    pub project: ProjectView,
    pub definition: String,
}

/// What a new release is made of.
#[derive(Clone, Debug, Default)]
pub struct NewRelease {
    pub project: String,
    pub version: String,
    /// Empty when the project has exactly one channel.
    pub channel: String,
    /// Image key to tag.
    pub images: BTreeMap<String, String>,
    pub notes: String,
}

/// Which deployment of a release is asked for, and on what terms.
#[derive(Clone, Debug, Default)]
pub struct Promotion {
    pub project: String,
    /// The release's.
    pub version: String,
    /// `None` for the next one of the lifecycle.
    pub environment: Option<String>,
    /// Start new ECS deployments also where nothing changed.
    pub force: bool,
    /// Operations with an approved plan are executed only as planned.
    pub plans: Vec<ApprovedPlan>,
}

#[derive(Clone, Debug)]
pub struct ReleaseImageView {
    pub image: String,
    pub tag: String,
}

#[derive(Clone, Debug)]
pub struct ReleaseView {
    pub project: String,
    pub version: String,
    pub channel: String,
    pub images: Vec<ReleaseImageView>,
    pub project_version: i64,
    pub created_at: Timestamp,
    pub created_by: String,
    pub notes: String,
}

#[derive(Clone, Debug)]
pub struct ReleaseDetail {
    pub release: ReleaseView,
    /// Oldest first.
    pub deployments: Vec<DeploymentView>,
    /// Empty when something runs or all is done.
    pub waiting_on: String,
}

#[derive(Clone, Debug, Default)]
pub struct DeploymentFilter {
    /// Empty for all; so are the others.
    pub project: String,
    pub release: String,
    pub environment: String,
}

#[derive(Clone, Debug)]
pub struct DeploymentView {
    pub id: String,
    pub project: String,
    pub release: String,
    pub environment: String,
    pub phase: String,
    pub state: DeploymentState,
    pub operations: Vec<OperationView>,
    pub approvals: Vec<ApprovalView>,
    /// Why it does not move; empty when it moves or has ended.
    pub waiting_on: String,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub deadline: Option<Timestamp>,
    /// An operator's name, or "lifecycle" for an automatic phase.
    pub created_by: String,
    /// A cancel was asked for and is not confirmed by every agent yet.
    pub cancel_requested: bool,
    /// New ECS deployments are started also where nothing changed.
    pub force: bool,
}

#[derive(Clone, Debug)]
pub struct OperationView {
    pub id: String,
    pub service: String,
    pub target: String,
    pub agent: String,
    pub wave: u32,
    pub state: OperationState,
    pub verdict: Option<Verdict>,
    /// This and what follows is empty before the end.
    pub reason: String,
    pub summary: String,
    pub hint: String,
    /// Root cause first.
    pub diagnosis: Vec<String>,
    pub waiting_on: String,
    pub outputs: BTreeMap<String, String>,
    /// The hash of the plan that was approved for it; empty for whatever is found.
    pub plan_hash: String,
}

#[derive(Clone, Debug)]
pub struct ApprovalView {
    pub operator: String,
    pub note: String,
    pub at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct ProjectStatus {
    pub project: String,
    /// In the order of the file.
    pub environments: Vec<EnvironmentStatus>,
}

#[derive(Clone, Debug)]
pub struct EnvironmentStatus {
    pub environment: String,
    pub cells: Vec<CellStatus>,
    /// The id of the newest deployment that has not ended; empty when none.
    pub active_deployment: String,
    /// Why that one does not move; may be empty.
    pub waiting_on: String,
}

/// One service on one target.
#[derive(Clone, Debug)]
pub struct CellStatus {
    pub service: String,
    pub target: String,
    /// The release whose operation last ended well here; empty when none did.
    pub release: String,
    /// How the newest operation here ended.
    pub verdict: Option<Verdict>,
    /// The release of the newest operation here; empty when there is none.
    pub last_release: String,
    /// The images that `release` put there, by container.
    pub images: BTreeMap<String, String>,
    /// When the newest fact of this cell was learned.
    pub observed_at: Option<Timestamp>,
    /// The reason of `verdict`; may be empty.
    pub reason: String,
}

#[derive(Clone, Debug)]
pub struct AgentView {
    pub name: String,
    pub mode: AgentMode,
    /// host:port of a listening agent.
    pub address: Option<String>,
    pub state: AgentState,
    pub since: Timestamp,
    /// As the agent said itself when it was last connected; empty before.
    pub account: String,
    pub version: String,
    pub regions: Vec<String>,
    /// Why it is offline, where we know.
    pub reason: String,
}

#[derive(Clone, Debug)]
pub struct OperatorView {
    pub name: String,
    pub role: Role,
    pub joined: bool,
}

/// A join token: shown once, only its hash is stored.
#[derive(Clone, Debug)]
pub struct Invitation {
    pub token: String,
    pub expires_at: Timestamp,
}

/// The answer to a certificate request that came with a good join token.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// PEM, leaf first.
    pub certificate_chain: String,
    pub ca_certificate: String,
    pub name: String,
    /// `None` for an operator.
    pub mode: Option<AgentMode>,
}

/// One item of a watch.
#[derive(Clone, Debug)]
pub enum WatchItem {
    Event(EventView),
    /// The last item: nothing more happens by itself.
    Settled(SettledView),
}

/// A line of the append-only log.
#[derive(Clone, Debug)]
pub struct EventView {
    pub cursor: i64,
    /// Empty for events of the release itself.
    pub deployment: String,
    pub environment: String,
    pub at: Timestamp,
    /// Stable: `deployment_created`, `operation_progress`, ...
    pub kind: String,
    /// One line for a person.
    pub message: String,
    /// Empty when the event is not of one operation.
    pub service: String,
    pub target: String,
    /// Set when the deployment changed its state.
    pub state: Option<DeploymentState>,
    pub verdict: Option<Verdict>,
}

#[derive(Clone, Debug)]
pub struct SettledView {
    /// Where to resume from.
    pub cursor: i64,
    /// Of the newest deployment; `None` when the release has none.
    pub state: Option<DeploymentState>,
    /// Empty when all is done.
    pub waiting_on: String,
    /// The worst over the newest deployment of each environment.
    pub outcome: Option<DeploymentState>,
}

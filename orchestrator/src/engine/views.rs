//! What the engine answers: plain values, ready to be shown. Times are the
//! orchestrator's; an empty string means "nothing to say" only where a field's
//! comment says so.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use towline_link::identity::OperatorName;

use super::ServicePlan;

pub use crate::domain::{
    deployment::{Decided, DeploymentState, FreezeOverride, SlotKind, Verdict},
    drift::Drift,
    freeze::{OverrideRole, Season},
    lifecycle::Standing,
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
    /// Empty for one from the channel's template.
    pub version: String,
    /// Empty when the project has exactly one channel.
    pub channel: String,
    /// Image key to tag.
    pub images: BTreeMap<String, String>,
    /// Images that get the newest tag that the channel's rules allow.
    pub newest: Vec<String>,
    /// So do all that are neither chosen nor fixed.
    pub all_newest: bool,
    pub notes: String,
    /// Where it was built; may be empty.
    pub build_url: String,
    /// What it was built from; may be empty.
    pub commit: String,
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
    /// It does not start before.
    pub not_before: Option<Timestamp>,
    /// When it is given up if it has not started; `None`: after 30 days.
    pub expires: Option<Expiry>,
    /// Why it starts in spite of freezes; empty to wait for their end.
    pub override_freeze: String,
}

/// When a deployment that has not started is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    At(Timestamp),
    /// From `not_before` on, where that is given, else from its creation.
    After(SignedDuration),
}

/// What a new freeze is made of, as a person said it.
#[derive(Clone, Debug, Default)]
pub struct NewFreeze {
    pub name: String,
    /// Empty for all.
    pub projects: Vec<String>,
    /// Empty for all.
    pub environments: Vec<String>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// "fri 16:00 for 64h"; empty for once.
    pub every: String,
    /// Empty for UTC.
    pub timezone: String,
    pub because: String,
    pub override_role: Option<OverrideRole>,
}

#[derive(Clone, Debug)]
pub struct FreezeView {
    pub name: String,
    pub projects: Vec<String>,
    pub environments: Vec<String>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Empty for once; so is the time zone.
    pub every: String,
    pub timezone: String,
    pub because: String,
    pub override_role: OverrideRole,
    pub created_at: Timestamp,
    pub created_by: String,
    /// How it stands now.
    pub season: Season,
}

#[derive(Clone, Debug)]
pub struct ReleaseImageView {
    pub image: String,
    pub tag: String,
    /// What is deployed; empty for releases of older programs.
    pub digest: String,
    /// registry/repository in which it was resolved; empty without a digest.
    pub repository: String,
    pub pushed_at: Option<Timestamp>,
    /// Where the tag was seen with another digest since.
    pub moved: Vec<MovedTagView>,
}

/// A tag that names something else than when the release was created.
#[derive(Clone, Debug)]
pub struct MovedTagView {
    pub repository: String,
    pub digest: String,
    pub seen_at: Timestamp,
}

/// A release that was asked for.
#[derive(Clone, Debug)]
pub struct Created {
    pub release: ReleaseView,
    /// This very release was there already; nothing was stored.
    pub existed: bool,
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
    pub build_url: String,
    pub commit: String,
    /// Whether it is blocked, or archived.
    pub standing: Standing,
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
    /// `None` when nobody is asked.
    pub approval_rule: Option<ApprovalRuleView>,
    /// When it ends if not everybody has approved until then.
    pub approval_expires: Option<Timestamp>,
    /// The plan that people approve; empty before there is one.
    pub plan_hash: String,
    pub planned_at: Option<Timestamp>,
    /// Why it does not move; empty when it moves or has ended.
    pub waiting_on: String,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub deadline: Option<Timestamp>,
    /// An operator's name, or "lifecycle" for an automatic phase.
    pub created_by: String,
    /// Why it was made, what people decided, what was done about a failure.
    pub course: super::CourseView,
    /// A cancel was asked for and is not confirmed by every agent yet.
    pub cancel_requested: bool,
    /// New ECS deployments are started also where nothing changed.
    pub force: bool,
    /// It does not start before.
    pub not_before: Option<Timestamp>,
    /// When it is given up if it has not started.
    pub expires: Timestamp,
    /// The id of the deployment that took its place, and its release; may be empty.
    pub superseded_by: String,
    pub superseded_by_release: String,
    pub freeze_overrides: Vec<FreezeOverride>,
    /// Why it ended before it started: a stable word, and a sentence; may be empty.
    pub end_reason: String,
    pub end_summary: String,
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
    pub kind: SlotKind,
    /// From 1; a retry is the next one.
    pub attempt: u32,
    /// What a person decided after it had ended badly.
    pub decided: Option<Decided>,
}

#[derive(Clone, Debug)]
pub struct ApprovalView {
    pub operator: String,
    pub note: String,
    pub at: Timestamp,
    /// The plan that was approved; empty for one from before plans were kept.
    pub plan_hash: String,
}

/// What must be said before a deployment starts.
#[derive(Clone, Debug, Default)]
pub struct ApprovalRuleView {
    pub role: String,
    pub count: u32,
    pub not_author: bool,
    /// Those who may not approve because of that.
    pub authors: Vec<String>,
}

/// The plan of a deployment that people approve.
#[derive(Clone, Debug)]
pub struct DeploymentPlanView {
    pub deployment: String,
    pub hash: String,
    pub made_at: Timestamp,
    /// In the order of waves, targets and services.
    pub plans: Vec<ServicePlan>,
}

/// Which variables are asked about; empty texts mean all.
#[derive(Clone, Debug, Default)]
pub struct VariableQuestion {
    pub project: String,
    /// The release whose snapshot counts; empty for the newest version.
    pub release: String,
    pub environment: String,
    pub target: String,
    pub service: String,
    pub channel: String,
    pub name: String,
}

/// One variable in one place.
#[derive(Clone, Debug)]
pub struct VariableView {
    pub name: String,
    pub environment: String,
    pub target: String,
    pub service: String,
    pub channel: String,
    /// `None` where it has no value.
    pub value: Option<VariableValueView>,
    /// Those that match as well and are less specific.
    pub others: Vec<VariableValueView>,
    pub why: String,
}

/// A value with its scope; a scope that is empty is not named.
#[derive(Clone, Debug, Default)]
pub struct VariableValueView {
    /// As it is in the place; a list has several.
    pub texts: Vec<String>,
    /// The SSM parameter that the agent reads ...
    pub parameter: String,
    /// ... or the stack and its output.
    pub stack: String,
    pub output: String,
    pub environment: String,
    pub target: String,
    pub service: String,
    pub channel: String,
    /// Of the project file; 0 when unknown.
    pub line: u32,
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
    /// What runs here although no release put it there, and since when that is known.
    pub drift: Option<(Drift, Timestamp)>,
    /// When the account was last asked what runs, and answered.
    pub checked_at: Option<Timestamp>,
    /// Why it could not be asked since; may be empty.
    pub check_problem: String,
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

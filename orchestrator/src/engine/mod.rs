//! Load, decide, record, act. Start with [`Engine`]: commands change what is
//! stored, queries show it, and the run loop does what `domain::plan` decides
//! from it. What happens next is always a function of what is stored, so a
//! start after any end goes on where the one before stopped.

mod error;
mod views;
mod words;

use std::{sync::Arc, time::Duration};

use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use towline_link::{
    ca::Ca,
    identity::{AgentName, OperatorName, TrustDomain},
    seams::Seams,
};

use crate::{fleet::Fleet, store::StoreSettings};

pub use error::{EngineError, Fault};
pub use views::*;

/// What an engine is made of.
#[derive(Clone)]
pub struct EngineSettings {
    pub store: StoreSettings,
    pub trust_domain: TrustDomain,
    /// Signs the certificates of those who enrol, and the orchestrator's own.
    pub ca: Arc<Ca>,
    /// The orchestrator's own key and certificate, for links to listening agents.
    pub credentials: Arc<towline_link::credentials::Credentials>,
    /// host:port under which agents and operators reach this orchestrator; it
    /// goes into join tokens.
    pub public_address: String,
    /// How long a deployment may run before it is `errored`; 1 h when `None`.
    pub deployment_deadline: Option<Duration>,
    pub seams: Seams,
}

/// The engine. A handle: clones share one store and one run loop.
#[derive(Clone)]
pub struct Engine {}

#[expect(unused_variables, reason = "signatures first")]
impl Engine {
    /// Opens the store (a newer schema, or another process on the file, is an
    /// error with a hint). Nothing runs before [`Engine::run`].
    pub async fn open(settings: EngineSettings) -> Result<Self, EngineError> {
        Err(missing())
    }

    /// Registers the first admin; `towline init` calls it before any `serve`.
    pub async fn found(store: StoreSettings, seams: &Seams, admin: &OperatorName) -> Result<(), EngineError> {
        Err(missing())
    }

    /// The run loop: returns when `stop` is cancelled and what ran has been let
    /// go (it is re-attached at the next start), or with the error that ends it.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), EngineError> {
        Err(missing())
    }

    /// The links to agents; `serve` gives it the links that agents open.
    pub fn fleet(&self) -> &Fleet {
        const { &Fleet {} }
    }

    /// Checks a project file as a whole and stores it as the next version.
    pub async fn apply(
        &self,
        caller: &Caller,
        text: &str,
        file: &str,
        dry_run: bool,
    ) -> Result<Applied, EngineError> {
        Err(missing())
    }

    /// Snapshots the project's newest version with the chosen images.
    pub async fn create_release(&self, caller: &Caller, new: NewRelease) -> Result<ReleaseView, EngineError> {
        Err(missing())
    }

    /// Creates the next deployment of a release; `environment` is `None` for the
    /// next one of the lifecycle.
    pub async fn promote(
        &self,
        caller: &Caller,
        project: &str,
        version: &str,
        environment: Option<&str>,
    ) -> Result<DeploymentView, EngineError> {
        Err(missing())
    }

    /// Approves a created deployment.
    pub async fn approve(
        &self,
        caller: &Caller,
        deployment: &str,
        note: &str,
    ) -> Result<DeploymentView, EngineError> {
        Err(missing())
    }

    /// Stops a deployment; with `detach` what runs is left to ECS.
    pub async fn cancel(
        &self,
        caller: &Caller,
        deployment: &str,
        detach: bool,
        note: &str,
    ) -> Result<DeploymentView, EngineError> {
        Err(missing())
    }

    /// Makes a one-time join token for an agent; `valid_for` is 24 h when `None`.
    pub async fn invite_agent(
        &self,
        caller: &Caller,
        name: &AgentName,
        mode: AgentMode,
        address: Option<&str>,
        valid_for: Option<Duration>,
    ) -> Result<Invitation, EngineError> {
        Err(missing())
    }

    /// Makes a one-time join token for an operator with a role.
    pub async fn invite_operator(
        &self,
        caller: &Caller,
        name: &OperatorName,
        role: Role,
        valid_for: Option<Duration>,
    ) -> Result<Invitation, EngineError> {
        Err(missing())
    }

    /// Exchanges a join token's secret and a certificate request for a certificate.
    pub async fn enrol(
        &self,
        secret: &str,
        csr: &str,
        listen_names: &[String],
    ) -> Result<Enrolled, EngineError> {
        Err(missing())
    }

    pub async fn project(&self, name: &str) -> Result<ProjectDetail, EngineError> {
        Err(missing())
    }

    /// By name.
    pub async fn projects(&self, page: Page) -> Result<Paged<ProjectView>, EngineError> {
        Err(missing())
    }

    pub async fn release(&self, project: &str, version: &str) -> Result<ReleaseDetail, EngineError> {
        Err(missing())
    }

    /// Newest first.
    pub async fn releases(&self, project: &str, page: Page) -> Result<Paged<ReleaseView>, EngineError> {
        Err(missing())
    }

    pub async fn deployment(&self, id: &str) -> Result<DeploymentView, EngineError> {
        Err(missing())
    }

    /// Newest first.
    pub async fn deployments(
        &self,
        filter: DeploymentFilter,
        page: Page,
    ) -> Result<Paged<DeploymentView>, EngineError> {
        Err(missing())
    }

    /// The grid of one project, or of all.
    pub async fn status(&self, project: Option<&str>) -> Result<Vec<ProjectStatus>, EngineError> {
        Err(missing())
    }

    /// By name.
    pub async fn agents(&self, page: Page) -> Result<Paged<AgentView>, EngineError> {
        Err(missing())
    }

    /// By name.
    pub async fn operators(&self, page: Page) -> Result<Paged<OperatorView>, EngineError> {
        Err(missing())
    }

    /// `None` for a stranger. Answers from memory: it is asked for every call.
    pub async fn role_of(&self, operator: &OperatorName) -> Option<Role> {
        None
    }

    /// What happens to a release after a cursor (0: all), then live, until it settles.
    pub async fn watch_release(
        &self,
        project: &str,
        version: &str,
        after: i64,
    ) -> Result<BoxStream<'static, Result<WatchItem, EngineError>>, EngineError> {
        Err(missing())
    }
}

fn missing() -> EngineError {
    EngineError::Internal(anyhow::anyhow!("not built yet"))
}

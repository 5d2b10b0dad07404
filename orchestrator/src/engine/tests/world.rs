//! An engine over a temporary database, with everything around it that a test needs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use towline_link::{
    ca::{Ca, LEAF_VALIDITY, certificate_request},
    credentials::Credentials,
    identity::Identity,
    join::JoinToken,
    seams::{Clock, Network, Random, Seams},
};
use towline_proto::agent::v1::UpdateServiceRequest;

use super::{
    agent::{Call, FakeAgent},
    registry::{REPOSITORY, digest_of},
};
use crate::{
    domain::{
        deployment::{Deployment, Event},
        plan::Limits,
        release::{Release, choose_channel, choose_images},
    },
    engine::{
        AgentMode, Caller, Created, DeploymentState, DeploymentView, Engine, EngineError, EngineSettings,
        Enrolled, EventView, Invitation, NewRelease, RecordSettings, ReleaseView, Role, SettledView,
        WatchItem,
    },
    registry::Registries,
    store::{StoreSettings, deployments::deployment},
};

/// Longer than anything in a test takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// `dev` and `staging` by themselves, `prod` after an approval, in two targets
/// one after the other.
pub const SHOP: &str = r#"
project: shop
images:
  orders: { repository: running }
services:
  orders:
    kind: existing
    service: orders
    containers: { app: orders }
environments:
  dev:
    targets:
      - { agent: dev, account: "111111111111", region: eu-west-1, cluster: main }
  staging:
    targets:
      - { agent: staging, account: "222222222222", region: eu-west-1, cluster: main }
  prod:
    targets:
      - { agent: prod, account: "333333333333", region: eu-west-1, cluster: main }
      - { agent: prod, account: "333333333333", region: eu-central-1, cluster: main }
channels:
  stable: { lifecycle: standard }
lifecycles:
  standard:
    - { phase: dev, environments: [dev], automatic: true }
    - { phase: staging, environments: [staging], automatic: true }
    - { phase: production, environments: [prod], approvals: { role: approver, count: 1 } }
"#;

pub struct World {
    dir: Arc<TempDir>,
    pub clock: Clock,
    ca: Arc<Ca>,
    pub engine: Engine,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    /// An engine that runs over a new database; its agents are invited.
    pub async fn new() -> Self {
        Self::limited(Limits::default()).await
    }

    /// As [`Self::new`], where so many operations may run at the same time.
    pub async fn limited(limits: Limits) -> Self {
        let dir = Arc::new(TempDir::new().expect("a directory"));
        let clock = Clock::driven("2026-11-24T12:00:00Z".parse().expect("a time"));
        let ca = Ca::create("test.example".parse().expect("a domain"), clock.now()).expect("a CA");
        let world = Self::start(dir, clock, Arc::new(ca), limits).await;
        for agent in ["dev", "staging", "prod"] {
            let name = agent.parse().expect("a name");
            let invited = world
                .engine
                .invite_agent(&caller("ann"), &name, AgentMode::Polling, None, None)
                .await
                .expect("an invitation");
            world.enrol(&invited).await.expect("a certificate");
        }
        for (name, role) in [
            ("ann", Role::Admin),
            ("bob", Role::Approver),
            ("dan", Role::Deployer),
        ] {
            let name = name.parse().expect("a name");
            world
                .engine
                .invite_operator(&caller("ann"), &name, role, None)
                .await
                .expect("an invitation");
        }
        world
    }

    async fn start(dir: Arc<TempDir>, clock: Clock, ca: Arc<Ca>, limits: Limits) -> Self {
        let engine = open(&dir, clock, &ca, limits).await;
        let stop = CancellationToken::new();
        let (runs, stopped) = (engine.clone(), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "the world stops it")]
        let running = tokio::spawn(async move { runs.run(stopped).await.expect("a run") });
        Self {
            dir,
            clock,
            ca,
            engine,
            stop,
            running,
        }
    }

    /// Whatever happened: each stored deployment is the fold of its log.
    pub async fn log_explains_state(&self) {
        let mut view = self.engine.0.store.read().await.expect("a view");
        let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM deployments")
            .fetch_all(&mut *view)
            .await
            .expect("ids");
        for id in ids {
            let payloads: Vec<String> =
                sqlx::query_scalar("SELECT payload FROM events WHERE deployment = ?1 ORDER BY cursor")
                    .bind(&id)
                    .fetch_all(&mut *view)
                    .await
                    .expect("a log");
            let events = payloads
                .iter()
                .map(|payload| serde_json::from_str(payload).expect("an event"));
            let events: Vec<Event> = events.collect();
            let id = id.parse().expect("an id");
            let stored = deployment(&mut view, id)
                .await
                .expect("a row")
                .expect("a deployment");
            assert_eq!(
                Deployment::fold(id, &events).expect("a legal log"),
                stored.deployment
            );
        }
    }

    /// Stops the orchestrator.
    pub async fn stop(self) -> Stopped {
        self.log_explains_state().await;
        self.engine.0.store.let_go();
        self.stop.cancel();
        self.running.await.expect("an end");
        self.engine.0.store.close().await;
        Stopped {
            dir: self.dir,
            clock: self.clock,
            ca: self.ca,
        }
    }

    pub fn database(&self) -> PathBuf {
        self.dir.path().join("towline.db")
    }

    /// Someone uses a join token.
    pub async fn enrol(&self, invitation: &Invitation) -> Result<Enrolled, EngineError> {
        let token: JoinToken = invitation.token.parse().expect("a token");
        let request = certificate_request().expect("a key");
        self.engine
            .enrol(&token.secret.text(), &request.request_pem, &[])
            .await
    }

    /// An agent of this name connects.
    pub fn agent(&self, name: &str) -> (FakeAgent, Calls) {
        let (agent, calls) = FakeAgent::new(name, "first");
        agent.connect(&self.engine);
        (agent, Calls(calls))
    }

    pub async fn apply(&self, text: &str) {
        self.engine
            .apply(&caller("dan"), text, "towline.yaml", false)
            .await
            .expect("a good project");
    }

    pub async fn release(&self, version: &str) {
        self.try_release(version).await.expect("a release");
    }

    /// A release as it is when an agent was there to look into the registry: it
    /// need not be there any more.
    pub async fn try_release(&self, version: &str) -> Result<ReleaseView, EngineError> {
        self.try_release_with(version, "").await
    }

    /// The same with notes.
    pub async fn try_release_with(&self, version: &str, notes: &str) -> Result<ReleaseView, EngineError> {
        self.store_release("shop", version, notes).await
    }

    /// A release of another project.
    pub async fn release_of(&self, project: &str, version: &str) {
        let stored = self.store_release(project, version, "").await;
        stored.expect("a release");
    }

    async fn store_release(
        &self,
        project: &str,
        version: &str,
        notes: &str,
    ) -> Result<ReleaseView, EngineError> {
        let mut tx = self.engine.0.store.begin().await?;
        let newest = tx.newest_version(project).await?.expect("a project");
        let chosen = [("orders".to_owned(), version.to_owned())];
        let channel = choose_channel(&newest.parsed, None).expect("one channel");
        let mut images = choose_images(&newest.parsed, &channel, &chosen).expect("a choice");
        for image in images.values_mut() {
            image.digest = digest_of(image.tag.as_str()).parse().ok();
            image.repository = REPOSITORY.to_owned();
        }
        let release = Release {
            project: newest.parsed.name.clone(),
            version: version.parse().expect("a version"),
            channel,
            images,
            project_version: newest.version,
            notes: notes.to_owned(),
            build_url: String::new(),
            commit: String::new(),
            created: self.clock.now(),
            created_by: "dan".to_owned(),
        };
        self.engine.store_release(tx, &release).await?;
        Ok(self.engine.release(project, version).await?.release)
    }

    /// Asks for a release as people do; the agents are connected first.
    pub async fn create(&self, new: NewRelease) -> Result<Created, EngineError> {
        self.engine.create_release(&caller("dan"), new).await
    }

    /// Waits until an agent can be asked.
    pub async fn connected(&self, name: &str) {
        let name = name.parse().expect("a name");
        let mut changes = self.engine.fleet().changes();
        let there = async {
            while self.engine.fleet().client(&name).is_none() {
                changes.changed().await.expect("a fleet");
            }
        };
        patiently(there).await;
    }

    /// The newest deployment of a release into an environment.
    pub async fn deployment(&self, version: &str, environment: &str) -> DeploymentView {
        let release = self.engine.release("shop", version).await.expect("a release");
        let mut deployments = release.deployments.into_iter().rev();
        deployments
            .find(|deployment| deployment.environment == environment)
            .expect("a deployment")
    }

    /// Waits until a release's log has an event for which `wanted` holds.
    pub async fn event(&self, version: &str, after: i64, wanted: impl Fn(&EventView) -> bool) -> EventView {
        let mut watch = self
            .engine
            .watch_release("shop", version, after)
            .await
            .expect("a watch");
        let found = async {
            while let Some(item) = watch.next().await {
                match item.expect("an item") {
                    WatchItem::Event(event) if wanted(&event) => return event,
                    WatchItem::Event(_) => {}
                    WatchItem::Settled(settled) => panic!("settled before: {settled:?}"),
                }
            }
            panic!("the watch ended")
        };
        patiently(found).await
    }

    pub async fn entered(&self, version: &str, environment: &str, state: DeploymentState) -> EventView {
        self.event(version, 0, |event| {
            event.environment == environment && event.state == Some(state)
        })
        .await
    }

    /// The deployment into an environment once people are asked about it.
    pub async fn asked(&self, version: &str, environment: &str, after: i64) -> DeploymentView {
        let asks = |event: &EventView| event.environment == environment && event.kind == "approval_requested";
        self.event(version, after, asks).await;
        self.deployment(version, environment).await
    }

    /// Somebody approves the plan as it is now.
    pub async fn approve(&self, who: &str, deployment: &str) -> Result<DeploymentView, EngineError> {
        let seen = self
            .engine
            .deployment(deployment)
            .await
            .expect("a deployment")
            .plan_hash;
        self.engine
            .approve(&caller(who), deployment, "looks good", &seen)
            .await
    }

    /// Watches a release to its rest: all its events after `after`, and the end.
    pub async fn settled(&self, version: &str, after: i64) -> (Vec<EventView>, SettledView) {
        let mut watch = self
            .engine
            .watch_release("shop", version, after)
            .await
            .expect("a watch");
        let all = async {
            let mut events = Vec::new();
            while let Some(item) = watch.next().await {
                match item.expect("an item") {
                    WatchItem::Event(event) => events.push(event),
                    WatchItem::Settled(settled) => return (events, settled),
                }
            }
            panic!("the watch ended without settling")
        };
        patiently(all).await
    }

    /// The time of day jumps.
    pub async fn advance(&self, by: Duration) {
        tokio::time::pause();
        tokio::time::advance(by).await;
        tokio::time::resume();
    }
}

/// What outlives an orchestrator.
pub struct Stopped {
    dir: Arc<TempDir>,
    clock: Clock,
    ca: Arc<Ca>,
}

impl Stopped {
    pub async fn start(self) -> World {
        World::start(self.dir, self.clock, self.ca, Limits::default()).await
    }
}

/// What arrived at an agent.
pub struct Calls(pub mpsc::UnboundedReceiver<Call>);

impl Calls {
    pub async fn next(&mut self) -> Call {
        patiently(self.0.recv()).await.expect("a call")
    }

    /// The next update; what is planned before it is passed over.
    pub async fn update(&mut self) -> UpdateServiceRequest {
        loop {
            if let Call::Update(request) = self.next().await {
                return *request;
            }
        }
    }

    /// Nothing but plans has arrived.
    pub fn only_plans(&mut self) -> bool {
        while let Ok(call) = self.0.try_recv() {
            if !matches!(call, Call::Plan(_)) {
                return false;
            }
        }
        true
    }

    pub fn none(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

pub async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("no hanging")
}

pub fn caller(name: &str) -> Caller {
    Caller {
        operator: name.parse().expect("a name"),
    }
}

pub fn seams(clock: Clock) -> Seams {
    Seams {
        clock,
        random: Random::seeded(7),
        network: Network::Tcp,
    }
}

async fn open(dir: &TempDir, clock: Clock, ca: &Arc<Ca>, limits: Limits) -> Engine {
    let request = certificate_request().expect("a key");
    let chain = ca
        .issue(
            &request.request_pem,
            &Identity::Orchestrator,
            &[],
            clock.now(),
            LEAF_VALIDITY,
        )
        .expect("a certificate");
    let credentials = Credentials::from_pem(
        "memory",
        &request.key_pem,
        &chain,
        ca.certificate_pem(),
        clock.now(),
    );
    Engine::open(EngineSettings {
        store: StoreSettings::at(dir.path().join("towline.db")),
        trust_domain: ca.trust_domain().clone(),
        ca: ca.clone(),
        credentials: Arc::new(credentials.expect("credentials")),
        public_address: "towline.example:7000".to_owned(),
        deployment_deadline: None,
        limits,
        registries: Registries::new(Default::default(), clock),
        record: RecordSettings {
            drift_every: None,
            ..RecordSettings::default()
        },
        seams: seams(clock),
    })
    .await
    .expect("an engine")
}

//! A hundred agents in one process, each with its own certificate and its own
//! link to the orchestrator, and a client of the orchestrator's API.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::Server;
use towline_link::{
    accept::incoming,
    channel::LinkChannel,
    credentials::Credentials,
    dial::{Destination, PollingDialer, Protocol, dial},
    identity::Identity,
    io::LinkTiming,
    join::{self, JoinToken},
    seams::Seams,
};
use towline_proto::{
    agent::v1::agent_service_server::AgentServiceServer,
    orchestrator::v1::{
        AgentMode, AgentState, ApplyProjectRequest, CreateReleaseRequest, InviteAgentRequest,
        ListAgentsRequest, Settled, WatchReleaseRequest, fleet_service_client::FleetServiceClient,
        project_service_client::ProjectServiceClient, release_service_client::ReleaseServiceClient,
    },
};
use towline_tests::world::World;

use super::agent::{IdleAgent, PATIENCE};

/// The agents, and the API of the orchestrator that they have joined.
pub struct Fleet {
    pub runtime: Runtime,
    agents: usize,
    channel: LinkChannel,
    arrivals: mpsc::UnboundedReceiver<Instant>,
    let_go: watch::Sender<bool>,
    asked: AtomicUsize,
}

/// An agent's name by its number.
pub fn agent_name(number: usize) -> String {
    format!("bench-{number}")
}

/// The account of an agent.
pub fn account(number: usize) -> String {
    format!("{:012}", 900_000_000_000_u64 + number as u64)
}

impl Fleet {
    /// Invites `count` agents, lets them join, and waits until all are connected.
    pub fn join(world: &World, count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let seams = Seams::system();
        let channel = runtime.block_on(open(world, &seams));
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (let_go, may_end) = watch::channel(false);
        runtime.block_on(async {
            for number in 0..count {
                let agent = IdleAgent {
                    name: agent_name(number),
                    account: account(number),
                    arrivals: arrived.clone(),
                    let_go: may_end.clone(),
                };
                serve(channel.clone(), &seams, agent).await;
            }
            all_connected(channel.clone(), count).await;
        });
        Self {
            runtime,
            agents: count,
            channel,
            arrivals,
            let_go,
            asked: AtomicUsize::new(0),
        }
    }

    /// Calls the orchestrator, which was started anew, over a new connection, and
    /// waits until the agents have found it.
    pub fn reconnect(&mut self, world: &World) {
        self.channel = self.runtime.block_on(async {
            let channel = open(world, &Seams::system()).await;
            all_connected(channel.clone(), self.agents).await;
            channel
        });
    }

    /// The connection to the orchestrator's API.
    pub fn channel(&self) -> LinkChannel {
        self.channel.clone()
    }

    /// Applies project files, some at a time.
    pub fn apply(&self, files: Vec<String>) {
        self.at_once(files, |channel, definition| async move {
            let request = ApplyProjectRequest {
                definition,
                ..Default::default()
            };
            ProjectServiceClient::new(channel)
                .apply_project(request)
                .await
                .expect("the project is applied");
        });
    }

    /// Creates a release of each project.
    pub fn release(&self, projects: Vec<String>) {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        self.at_once(projects, move |channel, project| async move {
            let request = CreateReleaseRequest {
                project,
                version: format!("1.0.{number}"),
                images: [("app".to_owned(), format!("1.0.{number}"))].into(),
                ..Default::default()
            };
            ReleaseServiceClient::new(channel)
                .create_release(request)
                .await
                .expect("the release is created");
        });
    }

    /// When the last of so many updates arrived.
    pub fn arrived(&mut self, count: usize) -> Instant {
        let arrivals = &mut self.arrivals;
        self.runtime.block_on(async {
            let mut last = Instant::now();
            for _ in 0..count {
                let next = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
                last = next.expect("an update in time").expect("agents that serve");
            }
            last
        })
    }

    /// Lets all updates end, and waits until the newest releases of the projects
    /// have settled; returns the last place of the log that was seen.
    pub fn finish(&self, projects: Vec<String>) -> i64 {
        let version = format!("1.0.{}", self.asked.load(Ordering::SeqCst) - 1);
        self.let_go.send_replace(true);
        let (told, mut cursors) = mpsc::unbounded_channel();
        self.at_once(projects, move |channel, project| {
            let (version, told) = (version.clone(), told.clone());
            async move {
                let (cursor, settled) = watch_to_the_end(channel, project.clone(), version).await;
                assert_eq!(
                    settled.outcome().as_str_name(),
                    "DEPLOYMENT_STATE_SUCCEEDED",
                    "{project}: {}",
                    settled.waiting_on
                );
                told.send(cursor).expect("somebody counts");
            }
        });
        self.let_go.send_replace(false);
        let mut last = 0;
        while let Ok(cursor) = cursors.try_recv() {
            last = last.max(cursor);
        }
        last
    }

    fn at_once<F>(&self, items: Vec<String>, each: impl Fn(LinkChannel, String) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        const AT_ONCE: usize = 32;
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for item in items {
                if running.len() >= AT_ONCE {
                    running
                        .join_next()
                        .await
                        .expect("one runs")
                        .expect("it ends well");
                }
                running.spawn(each(self.channel.clone(), item));
            }
            while let Some(done) = running.join_next().await {
                done.expect("it ends well");
            }
        });
    }
}

async fn open(world: &World, seams: &Seams) -> LinkChannel {
    let credentials = Credentials::load(&world.credentials("admin"), seams.clock.now()).expect("credentials");
    let destination = Destination {
        address: world.address.clone(),
        protocol: Protocol::Api,
        expected: Identity::Orchestrator,
        proxy: None,
    };
    let stream = dial(seams, &credentials, &destination)
        .await
        .expect("the orchestrator answers");
    LinkChannel::unwatched(stream, &TaskTracker::new())
        .await
        .expect("HTTP/2")
}

/// Joins as a person would, and serves the orchestrator over the agent's own link.
async fn serve(channel: LinkChannel, seams: &Seams, agent: IdleAgent) {
    let request = InviteAgentRequest {
        name: agent.name.clone(),
        mode: AgentMode::Polling.into(),
        ..Default::default()
    };
    let invited = FleetServiceClient::new(channel).invite_agent(request).await;
    let token: JoinToken = invited
        .expect("an invitation")
        .into_inner()
        .join_token
        .parse()
        .expect("a join token");
    let enrolled = join::enrol(seams, &token, &[], None)
        .await
        .expect("the agent joins");
    let (streams, incoming) = incoming(4);
    let dialer = PollingDialer {
        seams: seams.clone(),
        credentials: enrolled.credentials,
        address: token.orchestrator.clone(),
        proxy: None,
        timing: LinkTiming::default(),
        streams,
    };
    tokio::spawn(dialer.run(CancellationToken::new()));
    let (_, health) = tonic_health::server::health_reporter();
    let served = Server::builder()
        .add_service(health)
        .add_service(AgentServiceServer::new(agent))
        .serve_with_incoming(incoming);
    tokio::spawn(served);
}

async fn all_connected(channel: LinkChannel, count: usize) {
    let end = Instant::now() + PATIENCE;
    loop {
        let request = ListAgentsRequest {
            page_size: 1000,
            ..Default::default()
        };
        let listed = FleetServiceClient::new(channel.clone())
            .list_agents(request)
            .await;
        let agents = listed.expect("a list").into_inner().agents;
        let connected = agents.iter().filter(|it| it.state() == AgentState::Connected);
        if connected.count() >= count {
            return;
        }
        assert!(Instant::now() < end, "all agents are connected in time");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn watch_to_the_end(channel: LinkChannel, project: String, version: String) -> (i64, Settled) {
    let request = WatchReleaseRequest {
        project,
        version,
        after_cursor: 0,
    };
    let watched = ReleaseServiceClient::new(channel).watch_release(request).await;
    let mut stream = watched.expect("a watch").into_inner();
    let mut cursor = 0;
    while let Some(message) = stream.message().await.expect("the watch goes on") {
        cursor = cursor.max(message.cursor);
        if let Some(settled) = message.settled {
            return (cursor, settled);
        }
    }
    panic!("the watch ended before the release settled");
}

//! Putting the agent together and running it. [`Agent::start`] makes one gRPC
//! server, fed by the link to the orchestrator that the agent dials, by the port
//! that it listens on, or by both; [`Running`] is what a program or a test holds of it.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::Server;
use towline_agent_aws::{Aws, AwsSettings};
use towline_link::{
    accept::{AcceptSettings, Accepted, Acceptor, Incoming, incoming},
    access::AccessLayer,
    counters::Counters,
    credentials::Credentials,
    dial::PollingDialer,
    identity::Identity,
    io::{LinkStream, LinkTiming},
    seams::Seams,
};
use towline_proto::{DESCRIPTORS, agent::v1::agent_service_server::AgentServiceServer};

use crate::{
    access,
    config::Config,
    operation::{Operations, Surroundings},
    rpc::{self, AgentRpcs},
};

/// Calls at one time on one connection.
const MOST_STREAMS: u32 = 256;
/// Connections that wait to be served.
const WAITING_CONNECTIONS: usize = 16;
/// How long a stopping agent lets its streams end.
const FAREWELL: Duration = Duration::from_secs(5);
/// The service as reflection and health name it.
const SERVICE: &str = "towline.agent.v1.AgentService";

/// An agent that is to run.
#[derive(Debug)]
pub struct Agent {
    pub config: Config,
    pub seams: Seams,
    /// An HTTP CONNECT proxy for the way to the orchestrator.
    pub proxy: Option<String>,
}

/// An agent that runs. Dropping it stops it without a farewell.
pub struct Running {
    listen: Option<SocketAddr>,
    counters: Counters,
    operations: Operations,
    doors: CancellationToken,
    server: CancellationToken,
    tasks: TaskTracker,
    seams: Seams,
}

impl Agent {
    /// Checks credentials and account, and starts to serve.
    ///
    /// # Errors
    ///
    /// For a person to read: the identity or the account cannot be used, or the port is taken.
    pub async fn start(self) -> anyhow::Result<Running> {
        self.start_with(|_| {}).await
    }

    /// The same with another way to AWS than the configuration says; for a simulation.
    ///
    /// # Errors
    ///
    /// As for [`Agent::start`].
    pub async fn start_with(self, adjust: impl FnOnce(&mut AwsSettings)) -> anyhow::Result<Running> {
        let Self { config, seams, proxy } = self;
        let credentials = load_identity(&config, &seams)?;
        let counters = Counters::default();
        // The port first: it is the cheapest to be wrong about. Nobody is let in before the account is known.
        let acceptor = match &config.listen {
            Some(listen) => {
                let settings = AcceptSettings::default();
                let bound = Acceptor::bind(&seams, &listen.address, &credentials, settings, counters.clone());
                Some(bound.await?)
            }
            None => None,
        };
        let aws = crate::account::connect(&config, &seams, adjust).await?;
        let config = Arc::new(config);
        let operations = Operations::new(seams.clone(), CancellationToken::new());
        let (streams, incoming) = incoming(WAITING_CONNECTIONS);
        let doors = Doors {
            config: &config,
            seams: &seams,
            credentials: &credentials,
            streams,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let listen = acceptor.map(|acceptor| doors.accept(acceptor));
        doors.dial(proxy);
        let running = Running {
            listen,
            counters: counters.clone(),
            operations: operations.clone(),
            doors: doors.stop.clone(),
            server: CancellationToken::new(),
            tasks: doors.tasks.clone(),
            seams: seams.clone(),
        };
        let account_id = aws.account_id().to_owned();
        let partition = aws.partition().to_owned();
        let agent = rpc::Agent {
            surroundings: Arc::new(Surroundings::new(aws, account_id, partition, &config)),
            operations,
            clock: seams.clock,
            random: seams.random.clone(),
            started: seams.clock.now(),
            epoch: AtomicI64::new(0),
            config,
        };
        running.serve(agent, incoming)?;
        Ok(running)
    }
}

/// The ways by which callers come in.
struct Doors<'a> {
    config: &'a Config,
    seams: &'a Seams,
    credentials: &'a Credentials,
    streams: mpsc::Sender<LinkStream>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Doors<'_> {
    /// Keeps the link to the orchestrator, for an agent that polls.
    fn dial(&self, proxy: Option<String>) {
        let Some(address) = &self.config.orchestrator else {
            return;
        };
        let dialer = PollingDialer {
            seams: self.seams.clone(),
            credentials: self.credentials.clone(),
            address: address.clone(),
            proxy,
            timing: LinkTiming::default(),
            streams: self.streams.clone(),
        };
        self.tasks.spawn(dialer.run(self.stop.clone()));
    }

    /// Lets callers in, for an agent that listens.
    fn accept(&self, acceptor: Acceptor) -> SocketAddr {
        let local = acceptor.local_address();
        let (accepted, mut connections) = mpsc::channel(WAITING_CONNECTIONS);
        self.tasks.spawn(acceptor.run(accepted, self.stop.clone()));
        let streams = self.streams.clone();
        self.tasks.spawn(async move {
            while let Some(connection) = connections.recv().await {
                // An agent's acceptor takes callers of the API alone.
                if let Accepted::Api(stream, _) = connection
                    && streams.send(stream).await.is_err()
                {
                    break;
                }
            }
        });
        local
    }
}

impl Running {
    fn serve(&self, agent: rpc::Agent<Aws>, incoming: Incoming) -> anyhow::Result<()> {
        let rule = access::rule(
            agent.config.name.clone(),
            Arc::new(agent.config.operators.clone()),
        );
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .with_service_name(SERVICE)
                .with_service_name("grpc.health.v1.Health")
        };
        let (reporter, health) = tonic_health::server::health_reporter();
        let server = Server::builder()
            .max_concurrent_streams(MOST_STREAMS)
            .layer(AccessLayer::new(rule, self.counters.clone()))
            .add_service(health)
            .add_service(
                reflection()
                    .build_v1()
                    .context("reflection v1 cannot be set up")?,
            )
            .add_service(
                reflection()
                    .build_v1alpha()
                    .context("reflection v1alpha cannot be set up")?,
            )
            .add_service(AgentServiceServer::new(AgentRpcs::new(agent)));
        let stop = self.server.clone();
        self.tasks.spawn(async move {
            reporter
                .set_service_status(SERVICE, tonic_health::ServingStatus::Serving)
                .await;
            let served = server
                .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
                .await;
            if let Err(error) = served {
                tracing::error!("the gRPC server ended: {error}");
            }
        });
        Ok(())
    }

    /// Where a listening agent listens; the real port when 0 was asked for.
    pub fn listen_address(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// Connections and calls, and which of them reached a handler.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The operations of this incarnation.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Stops: open streams end with UNAVAILABLE, operations are left to the account's memory.
    pub async fn stop(self) {
        self.operations.stopping().cancel();
        self.doors.cancel();
        self.operations.stopped().await;
        self.server.cancel();
        self.tasks.close();
        if self
            .seams
            .clock
            .timeout(FAREWELL, self.tasks.wait())
            .await
            .is_none()
        {
            tracing::info!("some callers did not hang up; leaving");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.operations.stopping().cancel();
        self.doors.cancel();
        self.server.cancel();
    }
}

/// The identity beside the configuration; it must be that of the agent named there.
pub(crate) fn load_identity(config: &Config, seams: &Seams) -> anyhow::Result<Credentials> {
    let credentials = Credentials::load(&config.identity, seams.clock.now())?;
    let expected = Identity::Agent(config.name.clone());
    if *credentials.identity() != expected {
        bail!(
            "the certificate in {} is of {}, and the configuration is of {expected}\nhint: join again with a token for {expected}, or correct `name`",
            config.identity.display(),
            credentials.identity()
        );
    }
    Ok(credentials)
}

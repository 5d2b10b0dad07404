//! The running orchestrator: one port, and behind it links, enrolment, API and
//! pages. Start with [`Orchestrator::start`].
//!
//! What always holds: a connection goes where its ClientHello and certificate
//! put it and nowhere else; every task belongs to one tracker, and stopping
//! waits for them, for a bounded time.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Server};
use towline_link::{
    accept::{AcceptSettings, Accepted, Acceptor, Incoming, incoming},
    ca::Ca,
    counters::Counters,
    credentials::{Credentials, CredentialsError},
    io::LinkStream,
    seams::{Clock, Seams},
};

use crate::{
    api,
    config::Config,
    engine::{Engine, EngineSettings},
    registry::Registries,
    store::{PlantedFaults, StoreSettings},
    tasks::Tasks,
    web,
};

/// Connections that wait to be taken up.
const WAITING_CONNECTIONS: usize = 64;
/// How long stopping waits for calls that run.
const STOPPING: Duration = Duration::from_secs(5);
/// How often the server looks whether the caller of a silent API connection is there.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long someone without a certificate may hold a connection.
const ENROLMENT: Duration = Duration::from_secs(30);

/// An orchestrator that runs in this process.
pub struct Orchestrator {
    address: SocketAddr,
    engine: Engine,
    counters: Counters,
    clock: Clock,
    stop: CancellationToken,
    tasks: Tasks,
    failure: Arc<OnceLock<String>>,
}

impl Orchestrator {
    /// Opens the store, the CA and the orchestrator's own certificate, listens,
    /// and goes on with what was under way. When it returns, callers are served.
    pub async fn start(config: &Config, seams: Seams, planted: PlantedFaults) -> anyhow::Result<Self> {
        let ca = own_ca(config)?;
        let credentials =
            Credentials::load(&config.credentials_dir(), seams.clock.now()).map_err(own_certificate)?;
        let counters = Counters::default();
        // The port first: a second `serve` on the same directory says that, and touches nothing.
        let acceptor = Acceptor::bind(
            &seams,
            &config.listen,
            &credentials,
            AcceptSettings::default(),
            counters.clone(),
        )
        .await?;
        let address = acceptor.local_address();
        let engine = Engine::open(EngineSettings {
            store: StoreSettings {
                planted,
                ..StoreSettings::at(config.database())
            },
            trust_domain: config.trust_domain.clone(),
            ca: Arc::new(ca),
            credentials: Arc::new(credentials),
            public_address: public_address(config, address),
            deployment_deadline: config.deployment_deadline,
            limits: config.limits,
            registries: Registries::new(config.registry.clone(), seams.clock),
            record: config.record.clone(),
            seams: seams.clone(),
        })
        .await
        .with_context(|| format!("cannot open {}", config.database().display()))?;
        let orchestrator = Self {
            address,
            engine,
            counters,
            clock: seams.clock,
            stop: CancellationToken::new(),
            tasks: Tasks::new(),
            failure: Arc::new(OnceLock::new()),
        };
        orchestrator.run(acceptor).await?;
        Ok(orchestrator)
    }

    async fn run(&self, acceptor: Acceptor) -> anyhow::Result<()> {
        let routes = api::routes(self.engine.clone(), self.stop.clone()).await?;
        let (accepted, connections) = mpsc::channel(WAITING_CONNECTIONS);
        let (api, api_streams) = incoming(WAITING_CONNECTIONS);
        let (enrolment, enrolment_streams) = incoming(WAITING_CONNECTIONS);
        self.essential("the engine", {
            let (engine, stop) = (self.engine.clone(), self.stop.clone());
            async move { engine.run(stop).await.map_err(anyhow::Error::from) }
        });
        self.essential("the API", self.serve_api(routes, api_streams));
        self.essential("enrolment", self.serve_enrolment(enrolment_streams));
        self.essential("the acceptor", {
            let stop = self.stop.clone();
            async move {
                acceptor.run(accepted, stop).await;
                Ok(())
            }
        });
        let doors = Doors {
            engine: self.engine.clone(),
            api,
            enrolment,
            stop: self.stop.clone(),
            tasks: self.tasks.clone(),
        };
        self.tasks.spawn(doors.open(connections));
        Ok(())
    }

    fn serve_api(
        &self,
        routes: Routes,
        streams: Incoming,
    ) -> impl Future<Output = anyhow::Result<()>> + Send + use<> {
        let access = api::access(self.engine.clone(), self.counters.clone());
        let audit = api::AuditLayer::new(self.engine.clone());
        let stop = self.stop.clone();
        async move {
            Server::builder()
                .http2_keepalive_interval(Some(KEEPALIVE))
                .layer(audit)
                .layer(access)
                .add_routes(routes)
                .serve_with_incoming_shutdown(streams, stop.cancelled_owned())
                .await
                .map_err(anyhow::Error::from)
        }
    }

    fn serve_enrolment(&self, streams: Incoming) -> impl Future<Output = anyhow::Result<()>> + Send + use<> {
        let routes = api::enrolment_routes(self.engine.clone());
        let audit = api::AuditLayer::new(self.engine.clone());
        let stop = self.stop.clone();
        async move {
            Server::builder()
                .max_connection_age(ENROLMENT)
                .max_connection_age_grace(ENROLMENT)
                .concurrency_limit_per_connection(1)
                .layer(audit)
                .add_routes(routes)
                .serve_with_incoming_shutdown(streams, stop.cancelled_owned())
                .await
                .map_err(anyhow::Error::from)
        }
    }

    /// Runs a part without which the orchestrator is none: when it ends before
    /// the stop, everything stops.
    fn essential(&self, name: &'static str, part: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let (stop, failure) = (self.stop.clone(), self.failure.clone());
        self.tasks.spawn(async move {
            let why = match part.await {
                Ok(()) if stop.is_cancelled() => return,
                Ok(()) => format!("{name} ended by itself"),
                Err(error) => format!("{name} ended: {error:#}"),
            };
            tracing::error!("{why}");
            let _ = failure.set(why);
            stop.cancel();
        });
    }

    /// Where it listens; the real port when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What passed the doors and what did not.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Waits until a part has failed; never returns while all goes well.
    pub async fn failed(&self) {
        self.stop.cancelled().await;
    }

    /// Stops: no new connections, calls that run get a few seconds. Operations
    /// go on at their agents, and the next start re-attaches to them.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.tasks.close();
        if self.clock.timeout(STOPPING, self.tasks.wait()).await.is_none() {
            tracing::warn!("stopped with calls still open");
        }
        match self.failure.get() {
            Some(why) => bail!("{why}"),
            None => Ok(()),
        }
    }
}

/// Where connections go.
struct Doors {
    engine: Engine,
    api: mpsc::Sender<LinkStream>,
    enrolment: mpsc::Sender<LinkStream>,
    stop: CancellationToken,
    tasks: Tasks,
}

impl Doors {
    async fn open(self, mut connections: mpsc::Receiver<Accepted>) {
        while let Some(accepted) = connections.recv().await {
            match accepted {
                Accepted::Link(stream, agent) => self.engine.fleet().accept_link(stream, agent),
                // Sending fails only when the server has ended, and then all does.
                Accepted::Join(stream) => drop(self.enrolment.send(stream).await),
                Accepted::Api(stream, _) => drop(self.api.send(stream).await),
                Accepted::Pages(stream) => {
                    self.tasks.spawn(web::serve(stream, self.stop.clone()));
                }
            }
        }
    }
}

/// Which address goes into join tokens: with port 0 the real port is known only now.
fn public_address(config: &Config, listening: SocketAddr) -> String {
    match config.public_address.strip_suffix(":0") {
        Some(host) => format!("{host}:{}", listening.port()),
        None => config.public_address.clone(),
    }
}

fn own_ca(config: &Config) -> anyhow::Result<Ca> {
    let ca = Ca::load(&config.ca_dir())?;
    if *ca.trust_domain() != config.trust_domain {
        bail!(
            "the CA in {} is of trust domain {}, and {} says {}\nhint: the trust domain is fixed by the CA; correct the file",
            config.ca_dir().display(),
            ca.trust_domain(),
            config.dir.join(crate::config::FILE).display(),
            config.trust_domain
        );
    }
    Ok(ca)
}

fn own_certificate(error: CredentialsError) -> anyhow::Error {
    match error {
        CredentialsError::Expired { place, at, .. } => anyhow::anyhow!(
            "the orchestrator's own certificate in {place} expired at {at}\nhint: `towline serve --renew-certificate` issues a new one from the CA beside it, then serves"
        ),
        other => other.into(),
    }
}

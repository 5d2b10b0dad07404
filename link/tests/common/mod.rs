//! An installation in one process: a CA, identities, an orchestrator's port with
//! its links, and agents. The handler behind every door is enrolment's one RPC,
//! because any will do, and a counter that says how often it was reached.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::{net::SocketAddr, time::Duration};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status};
use towline_link::{
    accept::{AcceptSettings, Accepted, Acceptor, incoming},
    access::AccessLayer,
    ca::{Ca, certificate_request},
    channel::LinkChannel,
    counters::Counters,
    credentials::Credentials,
    dial::PollingDialer,
    identity::{AgentName, Identity},
    io::{LinkStream, LinkTiming},
    links::Links,
    seams::{Clock, Network, Random, Seams},
};
use towline_proto::orchestrator::v1::{
    EnrolRequest, EnrolResponse,
    enrolment_service_client::EnrolmentServiceClient,
    enrolment_service_server::{EnrolmentService, EnrolmentServiceServer},
};

/// Long enough for a slow machine, short enough for a person who waits.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Fractions of a second instead of seconds, in the same proportions.
pub const QUICK: LinkTiming = LinkTiming {
    busy_check: Duration::from_millis(150),
    busy_limit: Duration::from_millis(450),
    idle_check: Duration::from_millis(500),
    idle_limit: Duration::from_millis(1200),
};

pub fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// A world whose time of day is [`start`] plus what has passed.
pub fn seams() -> Seams {
    Seams {
        clock: Clock::driven(start()),
        random: Random::seeded(11),
        network: Network::Tcp,
    }
}

pub fn agent(name: &str) -> Identity {
    Identity::Agent(name.parse().unwrap())
}

pub fn operator(name: &str) -> Identity {
    Identity::Operator(name.parse().unwrap())
}

pub fn name(name: &str) -> AgentName {
    name.parse().unwrap()
}

pub fn authority() -> Ca {
    Ca::create("example.test".parse().unwrap(), start()).unwrap()
}

pub fn credentials(ca: &Ca, identity: Identity) -> Credentials {
    issued(ca, identity, start(), Duration::from_secs(3600))
}

/// Good a day ago, and no longer.
pub fn expired(ca: &Ca, identity: Identity) -> Credentials {
    let then = start().checked_sub(Duration::from_secs(24 * 3600)).unwrap();
    issued(ca, identity, then, Duration::from_secs(3600))
}

/// Good for so long from now on.
pub fn short_lived(ca: &Ca, identity: Identity, validity: Duration) -> Credentials {
    issued(ca, identity, start(), validity)
}

fn issued(ca: &Ca, identity: Identity, at: Timestamp, validity: Duration) -> Credentials {
    let pem = pem(ca, &identity, at, validity);
    Credentials::from_pem("test", &pem.key, &pem.chain, ca.certificate_pem(), at).unwrap()
}

/// A key and its certificate, in the hands of whoever.
pub struct Pem {
    pub key: String,
    pub chain: String,
}

fn pem(ca: &Ca, identity: &Identity, at: Timestamp, validity: Duration) -> Pem {
    let own = certificate_request().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let chain = ca
        .issue(&own.request_pem, identity, &names, at, validity)
        .unwrap();
    Pem {
        key: own.key_pem,
        chain,
    }
}

/// A certificate that is good now.
pub fn good_pem(ca: &Ca, identity: Identity) -> Option<Pem> {
    Some(pem(ca, &identity, start(), Duration::from_secs(3600)))
}

/// A certificate that ended a day ago.
pub fn expired_pem(ca: &Ca, identity: Identity) -> Option<Pem> {
    let then = start().checked_sub(Duration::from_secs(24 * 3600)).unwrap();
    Some(pem(ca, &identity, then, Duration::from_secs(3600)))
}

/// Waits for what must happen, however it happens.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    let waiting = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            clock.sleep(Duration::from_millis(5)).await;
        }
    };
    match clock.timeout(PATIENCE, waiting).await {
        Some(found) => found,
        None => panic!("{what} did not happen"),
    }
}

pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match Clock::system().timeout(PATIENCE, future).await {
        Some(output) => output,
        None => panic!("{what} did not happen"),
    }
}

/// The handler behind every door. A secret of `hang` is never answered.
#[derive(Clone)]
pub struct Handler;

#[tonic::async_trait]
impl EnrolmentService for Handler {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolResponse>, Status> {
        let caller = request
            .extensions()
            .get::<Identity>()
            .map(ToString::to_string)
            .unwrap_or_default();
        if request.into_inner().secret == "hang" {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(EnrolResponse {
            name: caller,
            ..EnrolResponse::default()
        }))
    }
}

/// Who the handler thinks is calling.
pub async fn call(channel: &LinkChannel) -> Result<String, Status> {
    let answer = EnrolmentServiceClient::new(channel.clone())
        .enrol(EnrolRequest::default())
        .await?;
    Ok(answer.into_inner().name)
}

/// A call that stays open until its link ends.
pub async fn hang(channel: LinkChannel) -> Status {
    let request = EnrolRequest {
        secret: "hang".to_owned(),
        ..EnrolRequest::default()
    };
    match EnrolmentServiceClient::new(channel).enrol(request).await {
        Ok(_) => panic!("a call that never ends has ended"),
        Err(status) => status,
    }
}

/// A running part of the installation; stops when dropped.
pub struct Running {
    pub counters: Counters,
    pub address: SocketAddr,
    pub stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A gRPC server with the [`Handler`] and the health service over finished streams.
pub fn serve(counters: &Counters, stop: &CancellationToken) -> mpsc::Sender<LinkStream> {
    let (sender, streams) = incoming(16);
    let (counters, stop) = (counters.clone(), stop.clone());
    TaskTracker::new().spawn(async move {
        let (_reporter, health) = tonic_health::server::health_reporter();
        let everyone = |_: &str, _: &Identity| Ok(());
        let serving = tonic::transport::Server::builder()
            .layer(AccessLayer::new(everyone, counters))
            .add_service(health)
            .add_service(EnrolmentServiceServer::new(Handler))
            .serve_with_incoming(streams);
        stop.run_until_cancelled(serving).await
    });
    sender
}

/// An orchestrator's port: links go to [`Links`], the API to the handler.
pub struct Orchestrator {
    pub running: Running,
    pub links: Links,
}

pub async fn orchestrator(seams: &Seams, own: &Credentials, settings: AcceptSettings) -> Orchestrator {
    let (counters, stop) = (Counters::default(), CancellationToken::new());
    let timing = settings.timing;
    let acceptor = Acceptor::bind(seams, "127.0.0.1:0", own, settings, counters.clone())
        .await
        .unwrap();
    let address = acceptor.local_address();
    let links = Links::new(seams.clone(), timing);
    let (sender, mut accepted) = mpsc::channel(16);
    let tasks = TaskTracker::new();
    tasks.spawn(acceptor.run(sender, stop.clone()));
    let api = serve(&counters, &stop);
    let taken = links.clone();
    tasks.spawn(async move {
        while let Some(connection) = accepted.recv().await {
            match connection {
                Accepted::Link(stream, agent) => drop(taken.add(agent, stream).await),
                Accepted::Api(stream, _) | Accepted::Join(stream) => drop(api.send(stream).await),
                Accepted::Pages(_) => {}
            }
        }
    });
    Orchestrator {
        running: Running {
            counters,
            address,
            stop,
        },
        links,
    }
}

/// An agent that dials `address`.
pub fn polling_agent(seams: &Seams, own: &Credentials, address: &str, proxy: Option<String>) -> Running {
    let (counters, stop) = (Counters::default(), CancellationToken::new());
    let dialer = PollingDialer {
        seams: seams.clone(),
        credentials: own.clone(),
        address: address.to_owned(),
        proxy,
        timing: QUICK,
        streams: serve(&counters, &stop),
    };
    TaskTracker::new().spawn(dialer.run(stop.clone()));
    Running {
        counters,
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        stop,
    }
}

/// An agent that is dialled.
pub async fn listening_agent(seams: &Seams, own: &Credentials) -> Running {
    let (counters, stop) = (Counters::default(), CancellationToken::new());
    let settings = AcceptSettings {
        timing: QUICK,
        ..AcceptSettings::default()
    };
    let acceptor = Acceptor::bind(seams, "127.0.0.1:0", own, settings, counters.clone())
        .await
        .unwrap();
    let address = acceptor.local_address();
    let (sender, mut accepted) = mpsc::channel(16);
    let tasks = TaskTracker::new();
    tasks.spawn(acceptor.run(sender, stop.clone()));
    let served = serve(&counters, &stop);
    tasks.spawn(async move {
        while let Some(connection) = accepted.recv().await {
            match connection {
                Accepted::Api(stream, _) => drop(served.send(stream).await),
                Accepted::Link(..) | Accepted::Join(_) | Accepted::Pages(_) => {
                    panic!("an agent's port took something else than the API")
                }
            }
        }
    });
    Running {
        counters,
        address,
        stop,
    }
}

pub fn quick() -> AcceptSettings {
    AcceptSettings {
        timing: QUICK,
        ..AcceptSettings::default()
    }
}

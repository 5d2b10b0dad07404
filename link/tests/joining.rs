//! From a join token to a certificate that opens the link.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::sync::{Arc, Mutex};

use common::{agent, authority, call, credentials, eventually, name, polling_agent, quick, seams, start};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status};
use towline_link::{
    Fingerprint,
    accept::{Accepted, Acceptor, incoming},
    ca::{Ca, LEAF_VALIDITY},
    counters::Counters,
    credentials::Credentials,
    dial::DialError,
    identity::Identity,
    io::PeerInfo,
    join::{EnrolError, JoinKind, JoinSecret, JoinToken, enrol, hash_secret},
    links::Links,
    seams::Random,
};
use towline_proto::orchestrator::v1::{
    AgentMode, EnrolRequest, EnrolResponse,
    enrolment_service_server::{EnrolmentService, EnrolmentServiceServer},
};

/// An orchestrator's enrolment in small: one token, used once.
#[derive(Clone)]
struct Registrar {
    ca: Arc<Ca>,
    /// Hash of the secret; `None` once it is used.
    open: Arc<Mutex<Option<String>>>,
    /// Whom it makes of the newcomer.
    becomes: Identity,
}

#[tonic::async_trait]
impl EnrolmentService for Registrar {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolResponse>, Status> {
        let peer = request.extensions().get::<PeerInfo>().cloned();
        assert_eq!(peer.unwrap().identity, None);
        let request = request.into_inner();
        let mut open = self.open.lock().unwrap();
        if open.as_deref() != Some(hash_secret(&request.secret).as_str()) {
            return Err(Status::permission_denied("this token was used already"));
        }
        let chain = self
            .ca
            .issue(
                &request.certificate_request,
                &self.becomes,
                &request.listen_names,
                start(),
                LEAF_VALIDITY,
            )
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        *open = None;
        Ok(Response::new(EnrolResponse {
            certificate_chain: chain,
            ca_certificate: self.ca.certificate_pem().to_owned(),
            name: self.becomes.name().unwrap().to_owned(),
            mode: AgentMode::Polling.into(),
        }))
    }
}

struct Home {
    token: JoinToken,
    links: Links,
    stop: CancellationToken,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An orchestrator that has invited the agent `dev`.
async fn home(becomes: Identity) -> Home {
    let (seams, ca) = (seams(), Arc::new(authority()));
    let own = credentials(&ca, Identity::Orchestrator);
    let acceptor = Acceptor::bind(&seams, "127.0.0.1:0", &own, quick(), Counters::default())
        .await
        .unwrap();
    let token = JoinToken {
        orchestrator: acceptor.local_address().to_string(),
        ca: ca.fingerprint(),
        secret: JoinSecret::generate(&Random::seeded(3)),
        kind: JoinKind::Agent,
        name: "dev".to_owned(),
    };
    let registrar = Registrar {
        open: Arc::new(Mutex::new(Some(token.secret.hash()))),
        ca,
        becomes,
    };
    let (links, stop, tasks) = (
        Links::new(seams, common::QUICK),
        CancellationToken::new(),
        TaskTracker::new(),
    );
    let (sender, mut accepted) = mpsc::channel(4);
    tasks.spawn(acceptor.run(sender, stop.clone()));
    let (joins, streams) = incoming(4);
    tasks.spawn(
        tonic::transport::Server::builder()
            .add_service(EnrolmentServiceServer::new(registrar))
            .serve_with_incoming(streams),
    );
    let taken = links.clone();
    tasks.spawn(async move {
        while let Some(connection) = accepted.recv().await {
            match connection {
                Accepted::Join(stream) => drop(joins.send(stream).await),
                Accepted::Link(stream, agent) => drop(taken.add(agent, stream).await),
                Accepted::Api(..) | Accepted::Pages(_) => {}
            }
        }
    });
    Home { token, links, stop }
}

#[tokio::test]
async fn a_token_becomes_a_certificate_that_opens_the_link_and_works_once() {
    let (seams, home) = (seams(), home(agent("dev")).await);
    // As a person carries it: by copy and paste.
    let token: JoinToken = home.token.to_string().parse().unwrap();
    let enrolled = enrol(&seams, &token, &["dev.internal".to_owned()], None)
        .await
        .unwrap();
    assert_eq!(*enrolled.credentials.identity(), agent("dev"));
    assert_eq!(
        (enrolled.mode, enrolled.name.as_str()),
        (AgentMode::Polling, "dev")
    );
    let dir = tempfile::tempdir().unwrap();
    enrolled.credentials.save(dir.path()).unwrap();
    let stored = Credentials::load(dir.path(), seams.clock.now()).unwrap();

    let _agent = polling_agent(&seams, &stored, &token.orchestrator, None);
    let link = eventually("the link", || home.links.get(&name("dev"))).await;
    assert_eq!(call(&link).await.unwrap(), "orchestrator");

    match enrol(&seams, &token, &[], None).await {
        Err(EnrolError::Refused(status)) => {
            assert_eq!(status.message(), "this token was used already");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_of_another_ca_gives_its_secret_to_nobody() {
    let (seams, home) = (seams(), home(agent("dev")).await);
    for ca in [authority().fingerprint(), Fingerprint::of(b"no CA at all")] {
        let token = JoinToken {
            ca,
            ..home.token.clone()
        };
        match enrol(&seams, &token, &[], None).await {
            Err(error @ EnrolError::Dial(DialError::Untrusted { .. })) => {
                let text = error.to_string();
                assert!(text.contains("another CA") && text.contains("hint:"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(enrol(&seams, &home.token, &[], None).await.is_ok());
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_taken() {
    let (seams, home) = (seams(), home(agent("prod")).await);
    match enrol(&seams, &home.token, &[], None).await {
        Err(EnrolError::Answer(reason)) => {
            assert_eq!(reason, "it is a certificate of agent prod, expected agent dev");
        }
        other => panic!("{other:?}"),
    }
}

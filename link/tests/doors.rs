//! Who is let in. Every refused certificate, in both modes: the handler's
//! counter stays at zero, and rises with the right certificate.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;
#[path = "common/stranger.rs"]
mod stranger;

use common::{
    PATIENCE, Pem, Running, agent, authority, call, credentials, eventually, expired, expired_pem, good_pem,
    listening_agent, name, operator, orchestrator, polling_agent, quick, seams, soon, start,
};
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Status};
use towline_link::{
    accept::AcceptSettings,
    access::AccessLayer,
    channel::LinkChannel,
    counters::Counters,
    credentials::Credentials,
    dial::{Destination, DialError, Protocol, dial},
    identity::Identity,
    io::EndReason,
    links::{Links, ListeningDialer},
    seams::Seams,
};

/// Each of these clients is turned away, by an alert that says why, and counted.
async fn all_turned_away(running: &Running, protocol: &[u8], clients: &[(&str, Option<Pem>, &str)]) {
    for (refused, (who, shown, alert)) in (1..).zip(clients) {
        let end = soon(
            who,
            stranger::turned_away(running.address, &[protocol], shown.as_ref()),
        )
        .await;
        // A reset may overtake the alert.
        assert!(end.contains(alert) || end.contains("reset"), "{who}: {end}");
        eventually("the refusal is counted", || {
            (running.counters.refused() == refused).then_some(())
        })
        .await;
    }
    assert_eq!((running.counters.handled(), running.counters.accepted()), (0, 0));
}

#[tokio::test]
async fn a_polling_link_is_for_agents_of_this_ca_alone() {
    let (seams, ca, other) = (seams(), authority(), authority());
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
    let address = home.running.address.to_string();
    let wrong = [
        ("no certificate", None, "CertificateRequired"),
        ("another CA", good_pem(&other, agent("dev")), "UnknownCA"),
        ("expired", expired_pem(&ca, agent("dev")), "CertificateExpired"),
        ("an operator", good_pem(&ca, operator("ann")), "AccessDenied"),
        (
            "the orchestrator",
            good_pem(&ca, Identity::Orchestrator),
            "AccessDenied",
        ),
    ];
    all_turned_away(&home.running, b"towline-link/1", &wrong).await;
    assert!(home.links.all().is_empty());

    let right = polling_agent(&seams, &credentials(&ca, agent("dev")), &address, None);
    let link = eventually("the link", || home.links.get(&name("dev"))).await;
    assert_eq!(right.counters.handled(), 0);
    assert_eq!(call(&link).await.unwrap(), "orchestrator");
    assert_eq!(right.counters.handled(), 1);
    assert_eq!(home.running.counters.accepted(), 1);
}

#[tokio::test]
async fn an_agents_certificate_is_a_link_to_that_agent_and_no_other() {
    let (seams, ca) = (seams(), authority());
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
    let address = home.running.address.to_string();
    let _thief = polling_agent(&seams, &credentials(&ca, agent("dev")), &address, None);
    eventually("the link", || home.links.get(&name("dev"))).await;
    assert!(home.links.get(&name("prod")).is_none());

    // Listening: the orchestrator expects prod and finds dev's certificate there.
    let impostor = listening_agent(&seams, &credentials(&ca, agent("dev"))).await;
    let destination = Destination {
        address: impostor.address.to_string(),
        protocol: Protocol::Api,
        expected: agent("prod"),
        proxy: None,
    };
    let own = credentials(&ca, Identity::Orchestrator);
    match dial(&seams, &own, &destination).await {
        Err(DialError::Untrusted { reason, .. }) => {
            assert_eq!(reason, "it is the certificate of agent dev, expected agent prod");
        }
        other => panic!("{:?}", other.map(|stream| stream.peer().clone())),
    }
    assert_eq!(impostor.counters.handled(), 0);
}

#[tokio::test]
async fn the_orchestrator_dials_no_listening_agent_that_cannot_prove_itself() {
    let (seams, ca, other) = (seams(), authority(), authority());
    let own = credentials(&ca, Identity::Orchestrator);
    for (theirs, why) in [
        (credentials(&other, agent("dev")), "signed by another CA"),
        (expired(&ca, agent("dev")), "expired at"),
    ] {
        let impostor = listening_agent(&seams, &theirs).await;
        let destination = Destination {
            address: impostor.address.to_string(),
            protocol: Protocol::Api,
            expected: agent("dev"),
            proxy: None,
        };
        let error = dial(&seams, &own, &destination)
            .await
            .err()
            .map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|text| text.contains(why)), "{error:?}");
        assert_eq!(impostor.counters.handled(), 0);
    }
}

#[tokio::test]
async fn a_listening_agent_takes_the_orchestrator_and_operators_of_this_ca_alone() {
    let (seams, ca, other) = (seams(), authority(), authority());
    let dev = listening_agent(&seams, &credentials(&ca, agent("dev"))).await;
    let address = dev.address.to_string();
    let wrong = [
        ("no certificate", None, "CertificateRequired"),
        (
            "another CA's orchestrator",
            good_pem(&other, Identity::Orchestrator),
            "UnknownCA",
        ),
        (
            "an expired orchestrator",
            expired_pem(&ca, Identity::Orchestrator),
            "CertificateExpired",
        ),
        ("another agent", good_pem(&ca, agent("prod")), "AccessDenied"),
        ("its own certificate", good_pem(&ca, agent("dev")), "AccessDenied"),
        (
            "another CA's operator",
            good_pem(&other, operator("ann")),
            "UnknownCA",
        ),
        (
            "an expired operator",
            expired_pem(&ca, operator("ann")),
            "CertificateExpired",
        ),
    ];
    all_turned_away(&dev, b"h2", &wrong).await;

    for (handled, caller) in [(1, Identity::Orchestrator), (2, operator("ann"))] {
        let channel = open(&seams, &credentials(&ca, caller.clone()), &address, agent("dev")).await;
        assert_eq!(call(&channel).await.unwrap(), caller.to_string());
        assert_eq!(dev.counters.handled(), handled);
    }
}

#[tokio::test]
async fn the_orchestrators_api_takes_operators_of_this_ca_alone() {
    let (seams, ca, other) = (seams(), authority(), authority());
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
    let address = home.running.address.to_string();
    let wrong = [
        ("no certificate", None, "CertificateRequired"),
        ("an agent", good_pem(&ca, agent("dev")), "AccessDenied"),
        (
            "the orchestrator",
            good_pem(&ca, Identity::Orchestrator),
            "AccessDenied",
        ),
        ("another CA", good_pem(&other, operator("ann")), "UnknownCA"),
        ("expired", expired_pem(&ca, operator("ann")), "CertificateExpired"),
    ];
    all_turned_away(&home.running, b"h2", &wrong).await;
    let channel = open(
        &seams,
        &credentials(&ca, operator("ann")),
        &address,
        Identity::Orchestrator,
    )
    .await;
    assert_eq!(call(&channel).await.unwrap(), "operator ann");
    assert_eq!(home.running.counters.handled(), 1);
}

async fn open(seams: &Seams, own: &Credentials, address: &str, expected: Identity) -> LinkChannel {
    let destination = Destination {
        address: address.to_owned(),
        protocol: Protocol::Api,
        expected,
        proxy: None,
    };
    let stream = dial(seams, own, &destination).await.unwrap();
    LinkChannel::unwatched(stream, &TaskTracker::new()).await.unwrap()
}

#[tokio::test]
async fn a_revoked_certificate_opens_nothing_and_the_next_one_of_the_same_name_does() {
    let (seams, ca) = (seams(), authority());
    let (lost, fresh) = (credentials(&ca, agent("dev")), credentials(&ca, agent("dev")));
    let open_to_all = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
    let serial = {
        let _agent = polling_agent(&seams, &lost, &open_to_all.running.address.to_string(), None);
        let link = eventually("the link", || open_to_all.links.get(&name("dev"))).await;
        link.peer().certificate_serial.clone()
    };
    let settings = AcceptSettings {
        revoked: Some(Arc::new(move |identity, shown| {
            *identity == agent("dev") && Some(shown) == serial.as_ref()
        })),
        ..quick()
    };
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), settings).await;
    let address = home.running.address.to_string();
    let destination = Destination {
        address: address.clone(),
        protocol: Protocol::Link,
        expected: Identity::Orchestrator,
        proxy: None,
    };
    // The dialler only learns it afterwards, as a reason that says so.
    let mut believed = dial(&seams, &lost, &destination).await.unwrap();
    assert!(soon("the refusal", believed.read_u8()).await.is_err());
    let end = believed.handle().ended().await;
    assert_eq!(end.reason, EndReason::Refused("CertificateRevoked".to_owned()));
    assert_eq!(home.running.counters.refused(), 1);
    let _agent = polling_agent(&seams, &fresh, &address, None);
    eventually("the link", || home.links.get(&name("dev"))).await;
}

#[tokio::test]
async fn the_access_rule_decides_before_the_handler_and_leaves_health_open() {
    use common::Handler;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use towline_link::{accept::incoming, io::LinkStream};
    use towline_proto::orchestrator::v1::enrolment_service_server::EnrolmentServiceServer;

    let counters = Counters::default();
    let (near, far) = LinkStream::in_memory(seams().clock, agent("dev"), operator("bob"));
    let (sender, streams) = incoming(1);
    sender.send(near).await.unwrap();
    let rule = |path: &str, identity: &Identity| match identity {
        Identity::Operator(name) if name.as_str() == "ann" => Ok(()),
        _ => Err(Status::permission_denied(format!(
            "{identity} may not call {path}"
        ))),
    };
    let layer = AccessLayer::new(rule, counters.clone());
    let tasks = TaskTracker::new();
    tasks.spawn(async move {
        let (_reporter, health) = tonic_health::server::health_reporter();
        tonic::transport::Server::builder()
            .layer(layer)
            .add_service(health)
            .add_service(EnrolmentServiceServer::new(Handler))
            .serve_with_incoming(streams)
            .await
    });
    let channel = LinkChannel::unwatched(far, &tasks).await.unwrap();
    let status = call(&channel).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(
        status.message(),
        "operator bob may not call /towline.orchestrator.v1.EnrolmentService/Enrol"
    );
    let health = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    assert!(health.is_ok());
    assert_eq!((counters.handled(), counters.refused()), (0, 1));
}

#[tokio::test]
async fn both_modes_carry_the_same_service() {
    let (seams, ca) = (seams(), authority());
    let own = credentials(&ca, Identity::Orchestrator);
    let home = orchestrator(&seams, &own, quick()).await;
    let address = home.running.address.to_string();
    let polling = polling_agent(&seams, &credentials(&ca, agent("dev")), &address, None);
    let listening = listening_agent(&seams, &credentials(&ca, agent("staging"))).await;
    let stop = CancellationToken::new();
    TaskTracker::new()
        .spawn(dialer(&seams, &own, &listening.address.to_string(), &home.links).run(stop.clone()));
    for (agent, counters) in [("dev", &polling.counters), ("staging", &listening.counters)] {
        let link = eventually("the link", || home.links.get(&name(agent))).await;
        assert_eq!(call(&link).await.unwrap(), "orchestrator");
        assert_eq!(counters.handled(), 1);
    }
    stop.cancel();
    eventually("the end", || {
        home.links.get(&name("staging")).is_none().then_some(())
    })
    .await;
}

fn dialer(seams: &Seams, own: &Credentials, address: &str, links: &Links) -> ListeningDialer {
    ListeningDialer {
        seams: seams.clone(),
        credentials: own.clone(),
        agent: name("staging"),
        address: address.to_owned(),
        proxy: None,
        links: links.clone(),
    }
}

#[tokio::test]
async fn why_a_listening_agent_is_not_reached_can_be_asked() {
    let (seams, ca) = (seams(), authority());
    let own = credentials(&ca, Identity::Orchestrator);
    let links = Links::new(seams.clone(), common::QUICK);
    let impostor = listening_agent(&seams, &credentials(&ca, agent("dev"))).await;
    let stop = CancellationToken::new();
    TaskTracker::new().spawn(dialer(&seams, &own, &impostor.address.to_string(), &links).run(stop.clone()));
    let failure = eventually("a failure", || links.unreachable(&name("staging"))).await;
    assert!(
        failure.error.contains("it is the certificate of agent dev"),
        "{}",
        failure.error
    );
    assert!(failure.at >= start() && failure.at < start().checked_add(PATIENCE).unwrap());
    stop.cancel();
}

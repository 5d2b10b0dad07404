//! The one port: what it takes for what, and its bounds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;
#[path = "common/stranger.rs"]
mod stranger;

use std::time::Duration;

use common::{
    agent, authority, credentials, eventually, name, operator, orchestrator, polling_agent, quick, seams,
    soon,
};
use tokio::{io::AsyncReadExt as _, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use towline_link::{
    accept::{AcceptError, AcceptSettings, Accepted, Acceptor},
    counters::Counters,
    dial::{Destination, Protocol, dial},
    identity::Identity,
};

#[tokio::test]
async fn one_port_tells_four_kinds_of_client_apart() {
    let (seams, ca) = (seams(), authority());
    let own = credentials(&ca, Identity::Orchestrator);
    let acceptor = Acceptor::bind(&seams, "127.0.0.1:0", &own, quick(), Counters::default())
        .await
        .unwrap();
    let address = acceptor.local_address();
    let stop = CancellationToken::new();
    let (sender, mut accepted) = mpsc::channel(4);
    TaskTracker::new().spawn(acceptor.run(sender, stop.clone()));

    let browser = stranger::connect(address, &[b"h2", b"http/1.1"], None)
        .await
        .unwrap();
    assert_eq!(browser.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    assert!(matches!(accepted.recv().await, Some(Accepted::Pages(_))));

    let newcomer = stranger::connect(address, &[b"towline-join/1"], None)
        .await
        .unwrap();
    match accepted.recv().await {
        Some(Accepted::Join(stream)) => assert_eq!(stream.peer().identity, None),
        _ => panic!("not taken for enrolment"),
    }

    let destination = |protocol| Destination {
        address: address.to_string(),
        protocol,
        expected: Identity::Orchestrator,
        proxy: None,
    };
    let ann = credentials(&ca, operator("ann"));
    let caller = dial(&seams, &ann, &destination(Protocol::Api)).await.unwrap();
    match accepted.recv().await {
        Some(Accepted::Api(stream, identity)) => {
            assert_eq!(identity, operator("ann"));
            assert_eq!(stream.peer().certificate_expires, Some(ann.expires()));
        }
        _ => panic!("not taken for the API"),
    }

    let dev = credentials(&ca, agent("dev"));
    let link = dial(&seams, &dev, &destination(Protocol::Link)).await.unwrap();
    match accepted.recv().await {
        Some(Accepted::Link(_, agent)) => assert_eq!(agent, name("dev")),
        _ => panic!("not taken for a link"),
    }

    let foreign = stranger::turned_away(address, &[b"acme-tls/1"], None).await;
    assert!(!foreign.is_empty());
    drop((browser, newcomer, caller, link));
    stop.cancel();
}

#[tokio::test]
async fn who_never_finishes_its_handshake_is_dropped_and_blocks_nobody() {
    let (seams, ca) = (seams(), authority());
    let settings = AcceptSettings {
        handshake_deadline: Duration::from_millis(200),
        pending_handshakes: 2,
        ..quick()
    };
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), settings).await;
    let address = home.running.address.to_string();
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(seams.network.connect(&address).await.unwrap());
    }
    let _agent = polling_agent(&seams, &credentials(&ca, agent("dev")), &address, None);
    eventually("the link", || home.links.get(&name("dev"))).await;
    for mut stream in silent {
        let end = soon("the end", stream.read_u8()).await;
        assert!(end.is_err());
    }
    assert_eq!(home.running.counters.refused(), 5);
}

#[tokio::test]
async fn more_connections_than_allowed_are_closed_until_one_ends() {
    let (seams, ca) = (seams(), authority());
    let settings = AcceptSettings {
        connections: 1,
        ..quick()
    };
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), settings).await;
    let address = home.running.address.to_string();
    let first = polling_agent(&seams, &credentials(&ca, agent("dev")), &address, None);
    eventually("the link", || home.links.get(&name("dev"))).await;
    let _second = polling_agent(&seams, &credentials(&ca, agent("prod")), &address, None);
    eventually("a refusal", || {
        (home.running.counters.refused() > 0).then_some(())
    })
    .await;
    assert!(home.links.get(&name("prod")).is_none());
    drop(first);
    eventually("the second link", || home.links.get(&name("prod"))).await;
}

#[tokio::test]
async fn strangers_cannot_keep_an_agent_out() {
    let (seams, ca) = (seams(), authority());
    let settings = AcceptSettings {
        connections: 1,
        strangers: 2,
        ..quick()
    };
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), settings).await;
    let address = home.running.address;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(
            stranger::connect(address, &[b"towline-join/1"], None)
                .await
                .unwrap(),
        );
    }
    let third = stranger::connect(address, &[b"towline-join/1"], None).await;
    assert!(third.is_err());
    let own = credentials(&ca, agent("dev"));
    let _agent = polling_agent(&seams, &own, &address.to_string(), None);
    eventually("the link", || home.links.get(&name("dev"))).await;
}

#[tokio::test]
async fn a_port_in_use_and_a_wrong_host_are_said_with_a_hint() {
    let (seams, ca) = (seams(), authority());
    let own = credentials(&ca, Identity::Orchestrator);
    let first = Acceptor::bind(&seams, "127.0.0.1:0", &own, quick(), Counters::default())
        .await
        .unwrap();
    let address = first.local_address().to_string();
    match Acceptor::bind(&seams, &address, &own, quick(), Counters::default()).await {
        Err(error @ AcceptError::InUse { .. }) => {
            let text = error.to_string();
            assert!(text.contains(&address) && text.contains("hint:"), "{text}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two listen on one port"),
    }
    let ann = credentials(&ca, operator("ann"));
    let refused = Acceptor::bind(&seams, "127.0.0.1:0", &ann, quick(), Counters::default()).await;
    assert!(matches!(refused, Err(AcceptError::Identity(_))));
}

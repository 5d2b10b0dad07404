//! How links live and end: found dead in time on both ends, killed, replaced,
//! and up again afterwards.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "common/cable.rs"]
mod cable;
mod common;

use std::time::Duration;

use cable::{Cable, State};
use common::{
    Handler, agent, authority, call, credentials, eventually, hang, name, operator, orchestrator,
    polling_agent, quick, seams, short_lived, soon,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use towline_link::{
    accept::incoming,
    access::AccessLayer,
    channel::LinkChannel,
    counters::Counters,
    credentials::Credentials,
    dial::{Destination, Protocol, dial},
    identity::Identity,
    io::{EndReason, LinkHandle, LinkStream, LinkTiming},
    links::LinkState,
    seams::{Network, Seams},
    status::{Details, LINK_LOST, is_link_lost},
};
use towline_proto::orchestrator::v1::enrolment_service_server::EnrolmentServiceServer;

/// What an agent does with a stream: watches it, and serves on it.
async fn serve_agent(stream: LinkStream, tasks: &TaskTracker) -> LinkHandle {
    let handle = stream.handle().clone();
    let (sender, streams) = incoming(1);
    sender
        .send(stream.watched(LinkTiming::default()))
        .await
        .unwrap_or_else(|_| panic!("nobody serves"));
    tasks.spawn(async move {
        let (_reporter, health) = tonic_health::server::health_reporter();
        let everyone = |_: &str, _: &Identity| Ok(());
        tonic::transport::Server::builder()
            .layer(AccessLayer::new(everyone, Counters::default()))
            .add_service(health)
            .add_service(EnrolmentServiceServer::new(Handler))
            .serve_with_incoming(streams)
            .await
    });
    handle
}

#[tokio::test(start_paused = true)]
async fn a_healthy_link_lives_on_idle_and_busy() {
    let (seams, tasks) = (seams(), TaskTracker::new());
    let (near, far) = LinkStream::in_memory(seams.clock, Identity::Orchestrator, agent("dev"));
    let theirs = serve_agent(far, &tasks).await;
    let channel = LinkChannel::open(near, LinkTiming::default(), &tasks)
        .await
        .unwrap();
    seams.clock.sleep(Duration::from_secs(20 * 60)).await;
    tasks.spawn(hang(channel.clone()));
    seams.clock.sleep(Duration::from_secs(20 * 60)).await;
    assert_eq!((channel.handle().open_calls(), theirs.open_calls()), (1, 1));
    assert_eq!((channel.handle().end(), theirs.end()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn the_orchestrator_finds_a_silent_agent_within_25_s_idle_and_10_s_busy() {
    for (busy, limit) in [(false, 25), (true, 10)] {
        let (seams, tasks) = (seams(), TaskTracker::new());
        let (near, far) = LinkStream::in_memory(seams.clock, Identity::Orchestrator, agent("dev"));
        let (cable, theirs) = breakable(far, &seams, &tasks);
        serve_agent(theirs, &tasks).await;
        let channel = LinkChannel::open(near, LinkTiming::default(), &tasks)
            .await
            .unwrap();
        let call = busy.then(|| tasks.spawn(hang(channel.clone())));
        // Some time into a link's life, between two checks.
        seams.clock.sleep(Duration::from_millis(61_700)).await;
        assert_eq!(channel.handle().end(), None);
        cable.cancel();
        let cut = seams.clock.instant();
        let end = channel.closed().await;
        let found = seams.clock.instant() - cut;
        assert!(matches!(end.reason, EndReason::Silent(_)), "{end}");
        assert!(found < Duration::from_secs(limit), "busy: {busy}, {found:?}");
        if let Some(call) = call {
            let status = call.await.unwrap();
            assert!(is_link_lost(&status), "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_finds_a_silent_orchestrator_within_25_s_idle_and_10_s_busy() {
    for (busy, limit) in [(false, 25), (true, 10)] {
        let (seams, tasks) = (seams(), TaskTracker::new());
        let (near, far) = LinkStream::in_memory(seams.clock, Identity::Orchestrator, agent("dev"));
        let (cable, ours) = breakable(near, &seams, &tasks);
        let theirs = serve_agent(far, &tasks).await;
        let channel = LinkChannel::open(ours, LinkTiming::default(), &tasks)
            .await
            .unwrap();
        if busy {
            tasks.spawn(hang(channel.clone()));
        }
        seams.clock.sleep(Duration::from_millis(61_700)).await;
        assert_eq!(theirs.end(), None);
        cable.cancel();
        let cut = seams.clock.instant();
        let end = theirs.ended().await;
        let found = seams.clock.instant() - cut;
        assert!(matches!(end.reason, EndReason::Silent(_)), "{end}");
        assert!(found < Duration::from_secs(limit), "busy: {busy}, {found:?}");
    }
}

/// A second pair behind `stream`, joined to it until the token is cancelled.
/// Then both ends stay open, and nothing passes.
fn breakable(mut stream: LinkStream, seams: &Seams, tasks: &TaskTracker) -> (CancellationToken, LinkStream) {
    let peer = stream.peer().identity.clone().unwrap();
    let (mut inner, outer) = LinkStream::in_memory(seams.clock, peer, agent("cable"));
    let cut = CancellationToken::new();
    let seen = cut.clone();
    tasks.spawn(async move {
        seen.run_until_cancelled(tokio::io::copy_bidirectional(&mut stream, &mut inner))
            .await;
        // What is held is not closed.
        std::future::pending::<()>().await;
        drop((stream, inner));
    });
    (cut, outer)
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_suspended_does_not_blame_its_peer() {
    let (seams, tasks) = (seams(), TaskTracker::new());
    let (near, far) = LinkStream::in_memory(seams.clock, Identity::Orchestrator, agent("dev"));
    let theirs = serve_agent(far, &tasks).await;
    let channel = LinkChannel::open(near, LinkTiming::default(), &tasks)
        .await
        .unwrap();
    tasks.spawn(hang(channel.clone()));
    seams.clock.sleep(Duration::from_secs(5)).await;
    // All timers are late at once, as after a laptop's lid was closed.
    tokio::time::advance(Duration::from_secs(3600)).await;
    seams.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!((channel.handle().end(), theirs.end()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_call_on_a_link_long_idle_is_given_its_time() {
    let (seams, tasks) = (seams(), TaskTracker::new());
    let (near, far) = LinkStream::in_memory(seams.clock, Identity::Orchestrator, agent("dev"));
    let theirs = serve_agent(far, &tasks).await;
    let channel = LinkChannel::open(near, LinkTiming::default(), &tasks)
        .await
        .unwrap();
    for idle in [9_900, 9_990, 9_999, 100] {
        seams.clock.sleep(Duration::from_millis(idle)).await;
        assert!(call(&channel).await.is_ok());
    }
    assert_eq!((channel.handle().end(), theirs.end()), (None, None));
}

#[tokio::test]
async fn a_kill_ends_a_stream_that_nobody_drops() {
    let (seams, ca) = (seams(), authority());
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
    let address = home.running.address.to_string();
    let _agent = polling_agent(&seams, &credentials(&ca, agent("dev")), &address, None);
    let link = eventually("the link", || home.links.get(&name("dev"))).await;
    let mut held = HealthClient::new(link.clone())
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(held.message().await.unwrap().is_some());
    assert!(home.links.kill(&name("dev"), "the agent was removed"));
    let status = soon("the end of the stream", held.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(Details::of(&status).reason.as_deref(), Some(LINK_LOST));
    assert!(
        status.message().contains("the agent was removed"),
        "{}",
        status.message()
    );
    let refused = call(&link).await.unwrap_err();
    assert!(is_link_lost(&refused), "{refused}");
    // The agent notices as well, and comes back.
    eventually("another link", || home.links.get(&name("dev"))).await;
}

#[tokio::test]
async fn a_link_does_not_outlive_its_certificate_and_the_api_takes_no_more_calls() {
    let (seams, ca) = (seams(), authority());
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
    let address = home.running.address.to_string();
    let soon_over = Duration::from_secs(2);
    let _agent = polling_agent(&seams, &short_lived(&ca, agent("dev"), soon_over), &address, None);
    let ann = short_lived(&ca, operator("ann"), soon_over);
    let destination = Destination {
        address,
        protocol: Protocol::Api,
        expected: Identity::Orchestrator,
        proxy: None,
    };
    let stream = dial(&seams, &ann, &destination).await.unwrap();
    let api = LinkChannel::unwatched(stream, &TaskTracker::new()).await.unwrap();
    assert!(call(&api).await.is_ok());
    let link = eventually("the link", || home.links.get(&name("dev"))).await;
    let end = soon("the end of the link", link.closed()).await;
    assert_eq!(
        end.reason,
        EndReason::Killed("the agent's certificate has expired".to_owned())
    );
    seams.clock.sleep(Duration::from_millis(100)).await;
    let status = call(&api).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(home.running.counters.handled(), 1);
}

#[tokio::test]
async fn a_newer_link_of_an_agent_replaces_the_older() {
    let (seams, ca) = (seams(), authority());
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
    let mut changes = home.links.subscribe();
    let own = credentials(&ca, agent("dev"));
    let address = home.running.address.to_string();
    let _older = hold_link(&seams, &own, &address).await;
    let older = eventually("the link", || home.links.get(&name("dev"))).await;
    let waiting = TaskTracker::new().spawn(hang(older.clone()));
    eventually("the call", || (older.handle().open_calls() == 1).then_some(())).await;

    let _newer = hold_link(&seams, &own, &address).await;
    let status = soon("the end of the call", waiting).await.unwrap();
    assert!(is_link_lost(&status), "{status}");
    assert!(
        status.message().contains("replaced by a newer link"),
        "{}",
        status.message()
    );
    assert_eq!(older.closed().await.reason, EndReason::Replaced);
    let newer = eventually("the newer link", || home.links.get(&name("dev"))).await;
    assert_eq!(call(&newer).await.unwrap(), "orchestrator");
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(soon("a change", changes.recv()).await.unwrap().state);
    }
    let expected = [
        LinkState::Up { generation: 1 },
        LinkState::Down {
            generation: 1,
            reason: EndReason::Replaced,
        },
        LinkState::Up { generation: 2 },
    ];
    assert_eq!(seen, expected);
}

/// An agent that dials once and serves; ends when the handle's stream does.
async fn hold_link(seams: &Seams, own: &Credentials, address: &str) -> TaskTracker {
    let destination = Destination {
        address: address.to_owned(),
        protocol: Protocol::Link,
        expected: Identity::Orchestrator,
        proxy: None,
    };
    let stream = dial(seams, own, &destination).await.unwrap();
    let tasks = TaskTracker::new();
    serve_agent(stream, &tasks).await;
    tasks
}

#[tokio::test]
async fn a_cut_link_ends_its_calls_and_heals_closed_and_half_open() {
    for how in [State::Closed, State::Silent] {
        let (seams, ca) = (seams(), authority());
        let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
        let cable = Cable::to(home.running.address).await;
        let dev = polling_agent(
            &seams,
            &credentials(&ca, agent("dev")),
            &cable.address.to_string(),
            None,
        );
        let link = eventually("the link", || home.links.get(&name("dev"))).await;
        let open = TaskTracker::new().spawn(hang(link.clone()));
        eventually("the call", || (dev.counters.handled() == 1).then_some(())).await;
        cable.cut(how);
        let status = soon("the end of the call", open).await.unwrap();
        assert!(is_link_lost(&status), "{how:?}: {status}");
        let reason = link.closed().await.reason;
        match how {
            State::Silent => assert!(matches!(reason, EndReason::Silent(_)), "{reason}"),
            State::Whole | State::Closed => {
                assert!(
                    matches!(reason, EndReason::ClosedByPeer | EndReason::Broken(_)),
                    "{reason}"
                );
            }
        }
        cable.mend();
        let healed = eventually("another link", || home.links.get(&name("dev"))).await;
        assert!(call(&healed).await.is_ok(), "{how:?}");
    }
}

#[tokio::test]
async fn a_polling_agent_goes_through_a_proxy() {
    let (seams, ca) = (seams(), authority());
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
    let address = home.running.address.to_string();
    let listener = Network::Tcp.listen("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://ann:secret@{}", listener.local_addr().unwrap());
    let asked = TaskTracker::new().spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(near.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let target = request.split(' ').nth(1).unwrap().to_owned();
        let mut far = Network::Tcp.connect(&target).await.unwrap();
        near.write_all(b"HTTP/1.1 200 OK\r\nVia: test\r\n\r\n")
            .await
            .unwrap();
        TaskTracker::new().spawn(async move {
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
        request
    });
    let _agent = polling_agent(&seams, &credentials(&ca, agent("dev")), &address, Some(proxy));
    let link = eventually("the link", || home.links.get(&name("dev"))).await;
    assert!(call(&link).await.is_ok());
    let request = asked.await.unwrap();
    assert!(
        request.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")),
        "{request}"
    );
    assert!(
        request.contains("Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn an_agent_waits_for_an_orchestrator_that_is_not_there_yet() {
    let (seams, ca) = (seams(), authority());
    let placeholder = Network::Tcp.listen("127.0.0.1:0").await.unwrap();
    let address = placeholder.local_addr().unwrap();
    drop(placeholder);
    let own = credentials(&ca, Identity::Orchestrator);
    let cable_target = orchestrator(&seams, &own, quick()).await;
    let _agent = polling_agent(
        &seams,
        &credentials(&ca, agent("dev")),
        &address.to_string(),
        None,
    );
    seams.clock.sleep(Duration::from_millis(300)).await;
    // The same port, later: here a cable to an orchestrator.
    let _cable = Cable::at(address, cable_target.running.address).await;
    eventually("the link", || cable_target.links.get(&name("dev"))).await;
}

#[tokio::test]
async fn links_shut_down_leaves_no_task_behind() {
    let (seams, ca) = (seams(), authority());
    let home = orchestrator(&seams, &credentials(&ca, Identity::Orchestrator), quick()).await;
    let address = home.running.address.to_string();
    let dev = polling_agent(&seams, &credentials(&ca, agent("dev")), &address, None);
    let link = eventually("the link", || home.links.get(&name("dev"))).await;
    dev.stop.cancel();
    soon("the end of all tasks", home.links.shut_down("the test ends")).await;
    assert!(link.handle().end().is_some());
    assert!(home.links.all().is_empty());
}

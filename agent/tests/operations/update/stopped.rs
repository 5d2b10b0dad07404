//! A person, a deadline or a signal stops an update.

use serde_json::json;
use tonic::Code;
use towline_proto::agent::v1::{CancelMode, CancelOperationRequest, Verdict, operation_event::Event};

use super::FIRST;
use crate::world::{ACCOUNT, REGION, World, describe, finished, to_the_end, told, update_orders};

#[tokio::test]
async fn a_cancel_puts_back_what_ran_before() {
    let world = World::start(20.0).await;
    let mut client = world.orchestrator().await;
    let before = describe(&mut client, "orders")
        .await
        .service
        .unwrap()
        .task_definition;
    let mut stream = client
        .update_service(update_orders(FIRST, "1.1.0"))
        .await
        .unwrap()
        .into_inner();
    loop {
        let event = stream
            .message()
            .await
            .unwrap()
            .expect("it has not ended")
            .event
            .unwrap();
        if matches!(event.event, Some(Event::Rollout(_))) {
            break;
        }
    }
    let cancel = CancelOperationRequest {
        operation_id: FIRST.into(),
        mode: CancelMode::RollBack.into(),
        epoch: 0,
    };
    client.cancel_operation(cancel).await.unwrap();
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    let end = finished(&events);
    assert_eq!(
        end.verdict(),
        Verdict::Cancelled,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let after = describe(&mut client, "orders")
        .await
        .service
        .unwrap()
        .task_definition;
    assert_eq!(after, before);
    assert!(
        world.writes(FIRST).await.len() <= 3,
        "{:?}",
        world.writes(FIRST).await
    );
}

#[tokio::test]
async fn sigterm_ends_streams_honestly_and_the_agent_well() {
    let mut world = World::start(1.0).await;
    let mut client = world.orchestrator().await;
    let mut stream = client
        .update_service(update_orders(FIRST, "1.1.0"))
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().is_some());
    assert!(world.stop_agent(), "{}", world.log());
    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_deadline_ends_the_following_and_says_where_it_was() {
    let world = World::start(1.0).await;
    let mut client = world.orchestrator().await;
    let mut request = update_orders(FIRST, "1.1.0");
    let deadline = world.seams.clock.now().as_second() + 2;
    request.context.as_mut().unwrap().deadline = Some(prost_types::Timestamp {
        seconds: deadline,
        nanos: 0,
    });
    let events = to_the_end(client.update_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "deadline_exceeded"),
        "{:#?}",
        told(&events)
    );
    assert!(end.summary.contains("of 2 tasks run"), "{}", end.summary);
}

#[tokio::test]
async fn a_detached_operation_leaves_the_rollout_to_ecs() {
    let world = World::start(20.0).await;
    let mut client = world.orchestrator().await;
    let stream = client.update_service(update_orders(FIRST, "1.1.0")).await;
    let cancel = CancelOperationRequest {
        operation_id: FIRST.into(),
        mode: CancelMode::Detach.into(),
        epoch: 0,
    };
    let mut stream = stream.unwrap().into_inner();
    loop {
        let event = stream
            .message()
            .await
            .unwrap()
            .expect("it has not ended")
            .event
            .unwrap();
        if matches!(event.event, Some(Event::Rollout(_))) {
            break;
        }
    }
    client.cancel_operation(cancel).await.unwrap();
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Cancelled, "detached")
    );
    world.sim_post("clock", json!({"advance_ms": 120_000})).await;
    let after = describe(&mut client, "orders").await.service.unwrap();
    assert!(
        after.task_definition.ends_with("orders:2"),
        "{}",
        after.task_definition
    );
}

#[tokio::test]
async fn a_cancel_before_the_service_was_touched_names_the_revision_that_stays() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let hold = json!({"account": ACCOUNT, "region": REGION, "action": "RegisterTaskDefinition", "skip": 0, "when": "after"});
    let hold = world.sim_post("breakpoints", hold).await;
    let stream = client.update_service(update_orders(FIRST, "1.1.0")).await;
    world.wait_hit(&hold).await;
    let cancel = CancelOperationRequest {
        operation_id: FIRST.into(),
        mode: CancelMode::RollBack.into(),
        epoch: 0,
    };
    client.cancel_operation(cancel).await.unwrap();
    world.release(&hold, "continue").await;
    let events = to_the_end(stream).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Cancelled, "cancelled"),
        "{:#?}",
        told(&events)
    );
    assert!(
        end.summary.contains("revision orders:2 was registered and stays"),
        "{}",
        end.summary
    );
    assert!(end.outputs["registered_task_definition"].ends_with("orders:2"));
    assert_eq!(world.writes(FIRST).await, ["RegisterTaskDefinition"]);
}

/// The roll-back of a cancel is found again, and so is the cancel: it is sent after the operation.
#[tokio::test]
async fn a_killed_agent_goes_on_with_the_roll_back_of_a_cancel() {
    let mut world = World::start(20.0).await;
    let mut client = world.orchestrator().await;
    let mut request = update_orders(FIRST, "1.1.0");
    request.expected = describe(&mut client, "orders").await.expected;
    let hold = json!({"account": ACCOUNT, "region": REGION, "action": "StopServiceDeployment", "skip": 0, "when": "after"});
    let hold = world.sim_post("breakpoints", hold).await;
    let cancel = || CancelOperationRequest {
        operation_id: FIRST.into(),
        mode: CancelMode::RollBack.into(),
        epoch: 0,
    };
    let mut stream = client.update_service(request.clone()).await.unwrap().into_inner();
    loop {
        let event = stream.message().await.unwrap().expect("it has not ended").event;
        if matches!(event.unwrap().event, Some(Event::Rollout(_))) {
            break;
        }
    }
    client.cancel_operation(cancel()).await.unwrap();
    world.wait_hit(&hold).await;
    world.kill_agent();
    world.release(&hold, "drop").await;
    world.start_agent();
    let mut client = world.orchestrator().await;
    request.context.as_mut().unwrap().repeated_send = true;
    let stream = client.update_service(request).await;
    client.cancel_operation(cancel()).await.unwrap();
    let events = to_the_end(stream).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Cancelled, "cancelled"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert!(end.outputs["task_definition"].ends_with("orders:1"));
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService", "StopServiceDeployment"]
    );
}

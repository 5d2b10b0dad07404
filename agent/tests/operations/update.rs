//! `UpdateService`: new images for a service that somebody else owns.

use serde_json::json;
use tonic::Code;
use towline_link::status::Details;
use towline_proto::agent::v1::{
    CancelMode, CancelOperationRequest, Verdict, WatchOperationRequest, operation_event::Event,
};

use crate::world::{ACCOUNT, REGION, World, describe, finished, to_the_end, told, update_orders};

const FIRST: &str = "11111111-1111-4111-8111-111111111111";
const SECOND: &str = "22222222-2222-4222-8222-222222222222";

#[tokio::test]
async fn a_good_image_succeeds_with_one_update_and_a_second_time_nothing_changes() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let before = describe(&mut client, "orders").await;
    let mut request = update_orders(FIRST, "1.1.0");
    request.expected = before.expected.clone();
    let events = to_the_end(client.update_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        end.verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService"]
    );
    let after = describe(&mut client, "orders").await;
    let image = |described: &towline_proto::agent::v1::DescribeServiceResponse| {
        described
            .service
            .clone()
            .unwrap()
            .containers
            .into_iter()
            .find(|c| c.name == "app")
            .unwrap()
            .image
    };
    assert!(image(&after).ends_with(":1.1.0"));
    assert_ne!(image(&after), image(&before));
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>(), "no gap");

    let again = to_the_end(client.update_service(update_orders(SECOND, "1.1.0")).await).await;
    assert_eq!(
        finished(&again).verdict(),
        Verdict::Unchanged,
        "{:#?}",
        told(&again)
    );
    assert!(world.writes(SECOND).await.is_empty());
}

#[tokio::test]
async fn a_crashing_image_fails_with_exit_code_and_last_log_lines() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.update_service(update_orders(FIRST, "1.3.0")).await).await;
    let end = finished(&events);
    assert_eq!(
        end.verdict(),
        Verdict::Failed,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(end.reason, "rolled_back", "{:#?}", told(&events));
    let diagnosis = end.diagnosis.as_ref().unwrap();
    let exits = diagnosis.stopped_tasks.iter().flat_map(|task| &task.containers);
    assert!(
        exits.into_iter().any(|c| c.exit_code == Some(2)),
        "{diagnosis:#?}"
    );
    let lines: Vec<_> = diagnosis
        .log_lines
        .iter()
        .map(|line| line.message.as_str())
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("queue orders: access denied")),
        "{lines:?}"
    );
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService"]
    );
}

#[tokio::test]
async fn the_same_id_attaches_and_another_payload_is_refused() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let first = client.update_service(update_orders(FIRST, "1.1.0")).await;
    let other = client
        .update_service(update_orders(FIRST, "1.2.0"))
        .await
        .unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    assert_eq!(Details::of(&other).reason.as_deref(), Some("OPERATION_CONFLICT"));
    let second = to_the_end(client.update_service(update_orders(FIRST, "1.1.0")).await).await;
    let first = to_the_end(first).await;
    assert_eq!(first, second, "both see all events");
    let watch = WatchOperationRequest {
        operation_id: FIRST.into(),
        after_sequence: 2,
    };
    let rest = to_the_end(client.watch_operation(watch).await).await;
    assert_eq!(rest, first[2..]);
    assert_eq!(world.writes(FIRST).await.len(), 2);
}

#[tokio::test]
async fn a_killed_agent_finds_its_update_again_and_sends_no_second_one() {
    let mut world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut request = update_orders(FIRST, "1.1.0");
    request.expected = describe(&mut client, "orders").await.expected;
    let hold =
        json!({"account": ACCOUNT, "region": REGION, "action": "UpdateService", "skip": 0, "when": "after"});
    let hold = world.sim_post("breakpoints", hold).await;
    let _stream = client.update_service(request.clone()).await.unwrap();
    world.wait_hit(&hold).await;
    world.kill_agent();
    world.release(&hold, "drop").await;
    world.start_agent();
    let mut client = world.orchestrator().await;
    request.context.as_mut().unwrap().repeated_send = true;
    let events = to_the_end(client.update_service(request).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let reattached =
        |event: &Option<Event>| matches!(event, Some(Event::Started(started)) if started.reattached);
    assert!(
        events.iter().any(|event| reattached(&event.event)),
        "{:#?}",
        told(&events)
    );
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService"]
    );
}

#[tokio::test]
async fn an_update_whose_answer_is_lost_is_observed_and_not_repeated() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let hold =
        json!({"account": ACCOUNT, "region": REGION, "action": "UpdateService", "skip": 0, "when": "after"});
    let hold = world.sim_post("breakpoints", hold).await;
    let stream = client.update_service(update_orders(FIRST, "1.1.0")).await;
    world.wait_hit(&hold).await;
    world.release(&hold, "drop").await;
    let events = to_the_end(stream).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService"]
    );
}

#[tokio::test]
async fn an_update_that_never_arrived_ends_unknown() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let hold =
        json!({"account": ACCOUNT, "region": REGION, "action": "UpdateService", "skip": 0, "when": "before"});
    let hold = world.sim_post("breakpoints", hold).await;
    let stream = client.update_service(update_orders(FIRST, "1.1.0")).await;
    world.wait_hit(&hold).await;
    world.release(&hold, "drop").await;
    let events = to_the_end(stream).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "unknown"),
        "{:#?}",
        told(&events)
    );
    assert!(!end.hint.is_empty());
    assert_eq!(world.writes(FIRST).await, ["RegisterTaskDefinition"]);
}

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
async fn a_stale_expectation_is_refused_without_a_write() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut request = update_orders(FIRST, "1.1.0");
    let mut expected = describe(&mut client, "orders").await.expected.unwrap();
    expected.deployment_id = "ecs-svc/0000000000000000000".into();
    expected.task_definition = expected.task_definition.replace("orders:", "orders:9");
    request.expected = Some(expected);
    let events = to_the_end(client.update_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "unexpected_state"),
        "{:#?}",
        told(&events)
    );
    assert!(world.writes(FIRST).await.is_empty());
}

#[tokio::test]
async fn faults_of_a_request_come_all_at_once_and_another_account_is_refused() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut request = update_orders("not-a-uuid", "bad tag");
    request.cluster = "other".into();
    let status = client.update_service(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let fields: Vec<_> = Details::of(&status)
        .violations
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(fields, ["context.operation_id", "cluster", "containers[0].tag"]);

    let mut request = update_orders(FIRST, "1.1.0");
    request.account = "999999999999".into();
    let status = client.update_service(request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(Details::of(&status).reason.as_deref(), Some("WRONG_ACCOUNT"));
}

#[tokio::test]
async fn an_older_epoch_is_fenced_off() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut request = update_orders(FIRST, "1.1.0");
    request.context.as_mut().unwrap().epoch = 7;
    let _running = client.update_service(request).await.unwrap();
    let mut request = update_orders(SECOND, "1.2.0");
    request.context.as_mut().unwrap().epoch = 6;
    let status = client.update_service(request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(Details::of(&status).reason.as_deref(), Some("STALE_EPOCH"));
    let cancel = CancelOperationRequest {
        operation_id: FIRST.into(),
        mode: CancelMode::RollBack.into(),
        epoch: 6,
    };
    let status = client.cancel_operation(cancel).await.unwrap_err();
    assert_eq!(Details::of(&status).reason.as_deref(), Some("STALE_EPOCH"));
}

#[tokio::test]
async fn an_operator_reads_and_does_not_deploy_unless_the_file_says_so() {
    let world = World::start(40.0).await;
    let mut ann = world.client_of("ann").await;
    assert!(describe(&mut ann, "orders").await.service.is_some());
    let status = ann
        .update_service(update_orders(FIRST, "1.1.0"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(world.writes(FIRST).await.is_empty());

    let allowed = World::start_with(
        40.0,
        "[[operators]]\nname = \"ann\"\nallow = [\"read\", \"deploy\"]\n",
    )
    .await;
    let mut ann = allowed.client_of("ann").await;
    let mut request = update_orders(FIRST, "1.1.0");
    request.context = None;
    let events = to_the_end(ann.update_service(request).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}",
        told(&events)
    );
    assert!(
        events[0].operation_id.parse::<uuid::Uuid>().is_ok(),
        "the agent made an id and names it"
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
async fn what_was_rolled_back_while_the_agent_was_down_is_failed() {
    let mut world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut request = update_orders(FIRST, "1.3.0");
    request.expected = describe(&mut client, "orders").await.expected;
    let mut stream = client.update_service(request.clone()).await.unwrap().into_inner();
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
    world.kill_agent();
    world.sim_post("clock", json!({"advance_ms": 120_000})).await;
    world.start_agent();
    let mut client = world.orchestrator().await;
    request.context.as_mut().unwrap().repeated_send = true;
    let events = to_the_end(client.update_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Failed, "rolled_back"),
        "{:#?}",
        told(&events)
    );
    let diagnosis = end.diagnosis.as_ref().unwrap();
    assert!(
        diagnosis
            .log_lines
            .iter()
            .any(|line| line.message.contains("access denied")),
        "{diagnosis:#?}"
    );
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService"]
    );
}

#[tokio::test]
async fn operations_on_one_service_take_turns_and_the_second_says_so() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let first = client.update_service(update_orders(FIRST, "1.1.0")).await;
    let second = client.update_service(update_orders(SECOND, "1.2.0")).await;
    let (first, second) = tokio::join!(to_the_end(first), to_the_end(second));
    assert_eq!(
        finished(&first).verdict(),
        Verdict::Succeeded,
        "{:#?}",
        told(&first)
    );
    assert_eq!(
        finished(&second).verdict(),
        Verdict::Succeeded,
        "{:#?}",
        told(&second)
    );
    let waits = format!("waits for operation {FIRST}");
    assert!(told(&second)[0].contains(&waits), "{:#?}", told(&second));
    let after = describe(&mut client, "orders").await.service.unwrap();
    assert!(
        after
            .containers
            .iter()
            .any(|c| c.image.ends_with("shop/orders:1.2.0"))
    );
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

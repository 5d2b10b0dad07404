//! What is asked of an agent, by whom, and twice.

use tonic::Code;
use towline_link::status::Details;
use towline_proto::agent::v1::{CancelMode, CancelOperationRequest, Verdict, WatchOperationRequest};

use super::{FIRST, SECOND};
use crate::world::{World, describe, finished, to_the_end, told, update_orders};

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

//! `UpdateService`: new images for a service that somebody else owns.

mod asked;
mod stopped;
mod undone;
mod watched;

use serde_json::json;
use towline_proto::agent::v1::{Verdict, operation_event::Event};

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
    // What was read to decide is not read again to register.
    let calls = world.calls(FIRST).await;
    let reads = calls.iter().filter(|call| *call == "DescribeTaskDefinition");
    assert_eq!(reads.count(), 1, "{calls:?}");
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
async fn the_very_revision_that_ran_before_is_put_back_by_one_update() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let before = describe(&mut client, "orders").await.expected.unwrap();
    to_the_end(client.update_service(update_orders(FIRST, "1.1.0")).await).await;
    let mut back = update_orders(SECOND, "");
    back.containers.clear();
    back.task_definition = before.task_definition.clone();
    back.expected = describe(&mut client, "orders").await.expected;
    let events = to_the_end(client.update_service(back).await).await;
    let end = finished(&events);
    assert_eq!(end.verdict(), Verdict::Succeeded, "{:#?}", told(&events));
    assert_eq!(world.writes(SECOND).await, ["UpdateService"]);
    let now = describe(&mut client, "orders").await.expected.unwrap();
    assert_eq!(now.task_definition, before.task_definition);
}

/// Terraform deregisters what it replaces.
#[tokio::test]
async fn a_revision_that_became_inactive_is_registered_again() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let before = describe(&mut client, "orders").await.expected.unwrap();
    to_the_end(client.update_service(update_orders(FIRST, "1.1.0")).await).await;
    let old = json!({ "taskDefinition": before.task_definition });
    world.ecs("DeregisterTaskDefinition", &old).await;
    let mut back = update_orders(SECOND, "");
    back.containers.clear();
    back.task_definition = before.task_definition.clone();
    let events = to_the_end(client.update_service(back).await).await;
    let end = finished(&events);
    assert_eq!(end.verdict(), Verdict::Succeeded, "{:#?}", told(&events));
    assert_eq!(
        world.writes(SECOND).await,
        ["RegisterTaskDefinition", "UpdateService"]
    );
}

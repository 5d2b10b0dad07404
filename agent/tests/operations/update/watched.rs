//! What a person sees of a rollout, and for how long it is watched.

use std::collections::HashSet;

use serde_json::json;
use towline_proto::agent::v1::{
    OnFailure, OperationEvent, UpdateServiceRequest, Verdict, WaitFor, operation_event::Event,
};

use super::{FIRST, SECOND};
use crate::{
    fargate::{behind_load_balancer, deploy_web},
    world::{ACCOUNT, HasEvent as _, REGION, World, describe, finished, to_the_end, told, update_orders},
};

fn baking(tag: &str, seconds: i64, alarms: &[&str]) -> UpdateServiceRequest {
    UpdateServiceRequest {
        bake_time: Some(prost_types::Duration { seconds, nanos: 0 }),
        bake_alarms: alarms.iter().map(|name| (*name).to_owned()).collect(),
        ..update_orders(FIRST, tag)
    }
}

async fn raise(world: &World, raised: bool) {
    let alarm = json!({"account": ACCOUNT, "region": REGION, "alarm": "orders-errors", "raised": raised});
    world.sim_post("metrics", alarm).await;
}

fn service_events(events: &[OperationEvent]) -> Vec<String> {
    let id = |event: &OperationEvent| match &event.event {
        Some(Event::ServiceEvent(event)) => Some(event.id.clone()),
        _ => None,
    };
    events.iter().filter_map(id).collect()
}

#[tokio::test]
async fn a_bake_time_takes_its_time_and_is_told() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let began = world.seams.clock.instant();
    let events = to_the_end(
        client
            .update_service(baking("1.1.0", 2, &["orders-errors"]))
            .await,
    )
    .await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}",
        told(&events)
    );
    let took = world.seams.clock.instant().duration_since(began);
    assert!(took >= std::time::Duration::from_secs(2), "{took:?}");
    let told = told(&events);
    assert!(
        told.iter()
            .any(|line| line.starts_with("STEP_BAKE STEP_STATE_STARTED")),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|line| line.starts_with("STEP_BAKE STEP_STATE_DONE")),
        "{told:#?}"
    );
}

#[tokio::test]
async fn an_alarm_in_the_bake_time_fails_the_release_and_puts_it_back() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut request = baking("1.1.0", 60, &["orders-errors"]);
    request.on_failure = OnFailure::RollBack.into();
    let mut stream = client.update_service(request).await.unwrap().into_inner();
    loop {
        let event = stream.message().await.unwrap().expect("it has not ended").event();
        if told(&[event])[0].starts_with("STEP_BAKE STEP_STATE_STARTED") {
            break;
        }
    }
    raise(&world, true).await;
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Failed, "rolled_back_after_failure"),
        "{:#?}",
        told(&events)
    );
    assert_eq!(end.outputs["cause"], "alarm_fired");
    assert!(
        end.summary.contains("alarm orders-errors went off"),
        "{}",
        end.summary
    );
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService", "UpdateService"]
    );
}

#[tokio::test]
async fn an_alarm_that_is_on_already_or_does_not_exist_is_refused_before_any_write() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.update_service(baking("1.1.0", 2, &["orders-erors"])).await).await;
    let end = finished(&events);
    assert_eq!(end.reason, "alarm_not_ok", "{:#?}", told(&events));
    assert!(end.summary.contains("no alarm orders-erors") && !end.hint.is_empty());
    raise(&world, true).await;
    world.sim_post("clock", json!({"advance_ms": 30_000})).await;
    let mut request = baking("1.1.0", 2, &["orders-errors"]);
    request.context.as_mut().unwrap().operation_id = SECOND.to_owned();
    let events = to_the_end(client.update_service(request).await).await;
    assert_eq!(finished(&events).reason, "alarm_not_ok", "{:#?}", told(&events));
    for id in [FIRST, SECOND] {
        assert!(world.writes(id).await.is_empty());
    }
}

#[tokio::test]
async fn whoever_waits_for_the_start_alone_is_told_of_it_alone() {
    let world = World::start(10.0).await;
    let mut client = world.orchestrator().await;
    let mut request = update_orders(FIRST, "1.1.0");
    request.wait_for = WaitFor::Started.into();
    let events = to_the_end(client.update_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Succeeded, "started")
    );
    assert!(
        end.outputs["deployment_id"].starts_with("ecs-svc/"),
        "{:?}",
        end.outputs
    );
    let service = describe(&mut client, "orders").await.service.unwrap();
    assert_eq!(service.deployments[0].id, end.outputs["deployment_id"]);
    assert_eq!(service.deployments[0].rollout_state, "IN_PROGRESS");
}

#[tokio::test]
async fn service_events_are_told_once_and_only_since_the_start() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let first = to_the_end(client.update_service(update_orders(FIRST, "1.1.0")).await).await;
    let second = to_the_end(client.update_service(update_orders(SECOND, "1.2.0")).await).await;
    let (first, second) = (service_events(&first), service_events(&second));
    assert!(!first.is_empty() && !second.is_empty());
    let once: HashSet<_> = first.iter().chain(&second).collect();
    assert_eq!(
        once.len(),
        first.len() + second.len(),
        "none twice, none of before"
    );
}

#[tokio::test]
async fn the_health_of_our_targets_is_told() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(
        client
            .deploy_fargate_service(behind_load_balancer(deploy_web(FIRST, "1.0.0")))
            .await,
    )
    .await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}",
        told(&events)
    );
    let mut targets = events.iter().filter_map(|event| match &event.event {
        Some(Event::Rollout(rollout)) => rollout.targets.first().cloned(),
        _ => None,
    });
    let last = targets.next_back().expect("targets were looked at");
    assert!(last.target_group.contains("targetgroup/web"), "{last:?}");
    assert!(last.total > 0 && last.healthy == last.total, "{last:?}");
}

#[tokio::test]
async fn a_forced_deployment_is_one_update_of_the_same_revision() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let before = describe(&mut client, "orders").await.service.unwrap();
    let mut request = update_orders(FIRST, "0.9.0");
    request.force = true;
    let events = to_the_end(client.update_service(request).await).await;
    let end = finished(&events);
    assert_eq!(end.verdict(), Verdict::Succeeded, "{:#?}", told(&events));
    assert_eq!(world.writes(FIRST).await, ["UpdateService"]);
    let after = describe(&mut client, "orders").await.service.unwrap();
    assert_eq!(after.task_definition, before.task_definition);
    assert_ne!(after.deployments[0].id, before.deployments[0].id);
}

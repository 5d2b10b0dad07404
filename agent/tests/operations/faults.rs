//! An AWS that throttles, fails, shows old answers and loses new ones: the
//! verdict and the writes are those of a good day.

use serde_json::{Value, json};
use towline_proto::agent::v1::Verdict;

use crate::{
    fargate::deploy_web,
    world::{World, finished, to_the_end, told, update_orders},
};

const ID: &str = "11111111-1111-4111-8111-111111111111";

async fn with_faults(rules: Value) -> World {
    let world = World::start(40.0).await;
    world.sim_post("faults", json!({"seed": 7, "rules": rules})).await;
    world
}

/// What the agent logged meanwhile.
async fn update_succeeds(rules: Value) -> String {
    let world = with_faults(rules).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.update_service(update_orders(ID, "1.1.0")).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(
        world.writes(ID).await,
        ["RegisterTaskDefinition", "UpdateService"]
    );
    world.log()
}

async fn creation_succeeds(rules: Value) {
    let world = with_faults(rules).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.deploy_fargate_service(deploy_web(ID, "1.0.0")).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(world.writes(ID).await, ["CreateChangeSet", "ExecuteChangeSet"]);
}

#[tokio::test]
async fn throttled_reads_and_writes_are_patience() {
    let rules = json!([
        {"kind": "throttle", "action": "read", "probability": 0.2},
        {"kind": "throttle", "action": "write", "times": 2},
    ]);
    update_succeeds(rules.clone()).await;
    creation_succeeds(rules).await;
}

#[tokio::test]
async fn reads_that_fail_are_asked_again() {
    let rules = json!([{"kind": "server_error", "action": "read", "probability": 0.2}]);
    update_succeeds(rules.clone()).await;
    creation_succeeds(rules).await;
}

#[tokio::test]
async fn old_answers_mislead_nobody() {
    let rules = json!([{"kind": "stale", "action": "read", "probability": 0.3, "ms": 4000}]);
    update_succeeds(rules.clone()).await;
    creation_succeeds(rules).await;
}

#[tokio::test]
async fn lost_answers_of_writes_are_looked_for() {
    let rules = json!([{"kind": "lost_answer", "action": "write", "times": 2}]);
    let log = update_succeeds(rules.clone()).await;
    assert_eq!(
        log.matches("was lost").count(),
        2,
        "both writes lost their answers: {log}"
    );
    creation_succeeds(rules).await;
}

/// No answer ever comes: nobody can say whether the stack will change.
#[tokio::test]
async fn an_execution_that_is_never_answered_is_unknown_at_the_deadline() {
    let world =
        with_faults(json!([{"kind": "reset_before", "action": "ExecuteChangeSet", "times": 1000}])).await;
    let mut client = world.orchestrator().await;
    let mut request = deploy_web(ID, "1.0.0");
    request.context.as_mut().unwrap().deadline = Some(prost_types::Timestamp {
        seconds: world.seams.clock.now().as_second() + 4,
        nanos: 0,
    });
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "unknown"),
        "{:#?}",
        told(&events)
    );
    assert!(end.hint.contains("towline-main-web"), "{}", end.hint);
}

//! A release that fails, and is to be put back.

use serde_json::json;
use towline_proto::agent::v1::{
    Finished, OnFailure, OperationEvent, Step, UpdateServiceRequest, Verdict, operation_event::Event,
};

use super::FIRST;
use crate::world::{ACCOUNT, CLUSTER, REGION, World, describe, finished, to_the_end, told, update_orders};

/// The orders service with other deployment settings.
pub async fn with_settings(speed: f64, settings: serde_json::Value) -> World {
    let world = World::start(speed).await;
    let body = json!({"cluster": CLUSTER, "service": "orders", "deploymentConfiguration": settings});
    let answer = world.ecs("UpdateService", &body).await;
    assert!(answer.contains("orders"), "{answer}");
    world
}

/// No circuit breaker ends a rollout.
pub async fn without_breaker(speed: f64) -> World {
    let off = json!({"maximumPercent": 200, "minimumHealthyPercent": 50, "deploymentCircuitBreaker": {"enable": false, "rollback": false}});
    with_settings(speed, off).await
}

pub fn rolling_back(tag: &str) -> UpdateServiceRequest {
    UpdateServiceRequest {
        on_failure: OnFailure::RollBack.into(),
        ..update_orders(FIRST, tag)
    }
}

fn ends_as<'e>(events: &'e [OperationEvent], verdict: Verdict, reason: &str) -> &'e Finished {
    let end = finished(events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (verdict, reason),
        "{:#?}",
        told(events)
    );
    end
}

async fn runs(world: &World) -> String {
    let described = describe(&mut world.orchestrator().await, "orders").await;
    let arn = described.service.unwrap().task_definition;
    arn.rsplit_once('/').unwrap().1.to_owned()
}

#[tokio::test]
async fn a_release_that_fails_is_put_back_and_the_end_says_both() {
    let world = without_breaker(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.update_service(rolling_back("1.3.0")).await).await;
    let end = ends_as(&events, Verdict::Failed, "rolled_back_after_failure");
    assert!(
        end.summary
            .contains("orders:2 failed, rolled back to orders:1, stable"),
        "{}",
        end.summary
    );
    assert_eq!(end.outputs["cause"], "crash_looping");
    assert!(end.outputs["task_definition"].ends_with("orders:1"));
    assert!(end.outputs["undone_task_definition"].ends_with("orders:2"));
    let diagnosis = end.diagnosis.as_ref().unwrap();
    let lines: Vec<_> = diagnosis.log_lines.iter().map(|l| l.message.as_str()).collect();
    assert!(
        lines.iter().any(|line| line.contains("access denied")),
        "{lines:?}"
    );
    let told = told(&events);
    let at = |step: &str| told.iter().position(|line| line.starts_with(step)).unwrap();
    assert!(at("STEP_ROLLOUT STEP_STATE_FAILED") < at("STEP_ROLLBACK STEP_STATE_STARTED"));
    assert!(at("STEP_ROLLBACK STEP_STATE_STARTED") < at("STEP_ROLLBACK STEP_STATE_DONE"));
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService", "StopServiceDeployment"]
    );
    assert_eq!(runs(&world).await, "orders:1");
}

#[tokio::test]
async fn a_roll_back_that_fails_as_well_tells_of_both() {
    // Nothing of the old revision is kept, and its secret goes away.
    let all_at_once = json!({"maximumPercent": 100, "minimumHealthyPercent": 0, "deploymentCircuitBreaker": {"enable": false, "rollback": false}});
    let world = with_settings(40.0, all_at_once).await;
    let mut client = world.orchestrator().await;
    let hold =
        json!({"account": ACCOUNT, "region": REGION, "action": "UpdateService", "skip": 0, "when": "before"});
    let hold = world.sim_post("breakpoints", hold).await;
    let stream = client.update_service(rolling_back("1.1.0")).await;
    world.wait_hit(&hold).await;
    let secret = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-password-a1b2c3");
    let gone = json!({"account": ACCOUNT, "region": REGION, "remove": [secret]});
    world.sim_post("secrets", gone).await;
    world.release(&hold, "continue").await;
    let events = to_the_end(stream).await;
    let end = ends_as(&events, Verdict::Failed, "rollback_failed");
    assert!(
        end.summary.contains("and so did rolling it back"),
        "{}",
        end.summary
    );
    assert_eq!(end.outputs["cause"], "secret_not_found");
    let diagnosis = end.diagnosis.as_ref().unwrap();
    assert!(
        diagnosis.root_cause.contains("a secret cannot be read"),
        "{diagnosis:#?}"
    );
    assert!(
        diagnosis
            .details
            .iter()
            .any(|detail| detail.starts_with("rolling back failed")),
        "{diagnosis:#?}"
    );
    let revisions: Vec<_> = diagnosis
        .stopped_tasks
        .iter()
        .map(|t| t.task_definition.as_str())
        .collect();
    assert!(
        revisions.contains(&"orders:1") && revisions.contains(&"orders:2"),
        "{revisions:?}"
    );
}

#[tokio::test]
async fn a_deadline_does_not_skip_the_roll_back() {
    for (tag, speed, verdict, reason) in [
        ("1.3.0", 8.0, Verdict::Failed, "rollback_under_way"),
        ("1.1.0", 1.0, Verdict::Errored, "deadline_exceeded"),
    ] {
        let world = without_breaker(speed).await;
        let mut client = world.orchestrator().await;
        let mut request = rolling_back(tag);
        request.context.as_mut().unwrap().deadline = Some(prost_types::Timestamp {
            seconds: world.seams.clock.now().as_second() + 3,
            nanos: 0,
        });
        let events = to_the_end(client.update_service(request).await).await;
        let end = ends_as(&events, verdict, reason);
        assert!(
            end.summary.contains("rolling back to orders:1 is under way"),
            "{}",
            end.summary
        );
        assert!(!end.hint.is_empty());
        world.sim_post("clock", json!({"advance_ms": 120_000})).await;
        assert_eq!(runs(&world).await, "orders:1", "{tag}");
    }
}

/// Terraform deregisters what it replaces.
#[tokio::test]
async fn what_ran_before_is_registered_again_when_it_has_become_inactive() {
    let world = without_breaker(40.0).await;
    let mut client = world.orchestrator().await;
    let hold =
        json!({"account": ACCOUNT, "region": REGION, "action": "UpdateService", "skip": 0, "when": "before"});
    let hold = world.sim_post("breakpoints", hold).await;
    let stream = client.update_service(rolling_back("1.3.0")).await;
    world.wait_hit(&hold).await;
    let old = json!({"taskDefinition": "orders:1"});
    world.ecs("DeregisterTaskDefinition", &old).await;
    world.release(&hold, "continue").await;
    let events = to_the_end(stream).await;
    let end = ends_as(&events, Verdict::Failed, "rolled_back_after_failure");
    assert!(
        end.summary.contains("rolled back to orders:3, stable"),
        "{}",
        end.summary
    );
    assert!(
        told(&events)
            .iter()
            .any(|line| line.contains("roll_back_target_inactive")),
        "{:#?}",
        told(&events)
    );
    let writes = [
        "RegisterTaskDefinition",
        "UpdateService",
        "RegisterTaskDefinition",
        "UpdateService",
    ];
    assert_eq!(world.writes(FIRST).await, writes);
}

/// The agent is killed with the roll-back's own UpdateService on its way. It lands when the
/// next one has found the failed rollout, and is about to roll back itself: there is no third.
#[tokio::test]
async fn a_roll_back_that_lands_late_is_not_sent_again() {
    let stops = json!({"maximumPercent": 200, "minimumHealthyPercent": 50, "deploymentCircuitBreaker": {"enable": true, "rollback": false}});
    let mut world = with_settings(40.0, stops).await;
    let mut client = world.orchestrator().await;
    let mut request = rolling_back("1.3.0");
    request.expected = describe(&mut client, "orders").await.expected;
    let hold =
        json!({"account": ACCOUNT, "region": REGION, "action": "UpdateService", "skip": 1, "when": "before"});
    let hold = world.sim_post("breakpoints", hold).await;
    drop(client.update_service(request.clone()).await.unwrap());
    world.wait_hit(&hold).await;
    world.kill_agent();
    world.start_agent();
    let mut client = world.orchestrator().await;
    request.context.as_mut().unwrap().repeated_send = true;
    let mut stream = client.update_service(request).await.unwrap().into_inner();
    loop {
        let event = stream.message().await.unwrap().expect("it has not ended").event;
        let Some(Event::StepChanged(step)) = event.unwrap().event else {
            continue;
        };
        if step.step() == Step::Rollback {
            break;
        }
    }
    // The agent looks for a while before it writes.
    world
        .seams
        .clock
        .sleep(std::time::Duration::from_millis(150))
        .await;
    world.release(&hold, "continue").await;
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    ends_as(&events, Verdict::Failed, "rolled_back_after_failure");
    assert_eq!(
        world.writes(FIRST).await,
        ["RegisterTaskDefinition", "UpdateService", "UpdateService"],
        "{}",
        world.log()
    );
    assert_eq!(runs(&world).await, "orders:1");
}

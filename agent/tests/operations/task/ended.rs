//! How tasks end by themselves, or never begin.

use serde_json::json;
use towline_proto::agent::v1::{OperationEvent, TaskPlacement, Verdict};

use super::{ID, migrate, outcome, run};
use crate::world::{ACCOUNT, REGION, World, finished, told};

#[tokio::test]
async fn another_exit_code_fails_with_the_last_words_of_the_container() {
    let world = World::start(40.0).await;
    let events = run(&world, migrate("1.2.0", "migrate")).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Failed, "task_failed"));
    assert_eq!(end.outputs["exit_code"], "3");
    assert!(
        end.summary
            .contains("app exited with code 3; its last line: fatal: relation orders_v2 exists"),
        "{}",
        end.summary
    );
    let diagnosis = end.diagnosis.as_ref().unwrap();
    assert_eq!(
        diagnosis.log_lines.last().unwrap().message,
        "fatal: relation orders_v2 exists"
    );
    assert!(!end.hint.is_empty());
}

#[tokio::test]
async fn a_task_that_is_killed_for_memory_says_so() {
    let world = World::start(40.0).await;
    let end = run(&world, migrate("1.2.0", "reindex")).await;
    assert_eq!(outcome(finished(&end)), (Verdict::Failed, "out_of_memory"));
}

#[tokio::test]
async fn what_keeps_it_from_running_is_named() {
    let world = World::start(40.0).await;
    let end = run(&world, migrate("9.9.9", "migrate")).await;
    assert_eq!(outcome(finished(&end)), (Verdict::Failed, "cannot_pull_image"));
    let secret = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-password-a1b2c3");
    let gone = json!({"account": ACCOUNT, "region": REGION, "remove": [secret]});
    world.sim_post("secrets", gone).await;
    let mut request = migrate("1.1.0", "migrate");
    request.context.as_mut().unwrap().operation_id = "22222222-2222-4222-8222-222222222222".into();
    let end = run(&world, request).await;
    assert_eq!(outcome(finished(&end)), (Verdict::Failed, "secret_not_found"));
}

/// The cluster's instances are gone: ECS refuses the call; one is there without room:
/// it answers with failures.
#[tokio::test]
async fn a_cluster_without_room_is_no_capacity() {
    let world = World::start(40.0).await;
    let ids = ["i-0d10000000000000a", "i-0d10000000000000b"];
    let lost = json!({"account": ACCOUNT, "region": REGION, "cluster": "main", "remove": ids});
    world.sim_post("instances", lost).await;
    let events = run(&world, migrate("1.1.0", "migrate")).await;
    assert_eq!(outcome(finished(&events)), (Verdict::Failed, "no_capacity"));
    let small = json!({"id": "i-0d100000000000099", "ip": "10.20.1.99", "zone": "eu-west-1a", "cpu": 4096, "memory": 64});
    let come = json!({"account": ACCOUNT, "region": REGION, "cluster": "main", "add": [small]});
    world.sim_post("instances", come).await;
    let mut request = migrate("1.1.0", "migrate");
    request.context.as_mut().unwrap().operation_id = "22222222-2222-4222-8222-222222222222".into();
    let events = run(&world, request).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Failed, "no_capacity"));
    assert!(end.summary.contains("RESOURCE:MEMORY"), "{}", end.summary);
}

/// A Fargate task by its own definition and network, without any service.
#[tokio::test]
async fn a_task_definition_and_a_network_are_enough() {
    let world = World::start(40.0).await;
    let definition = json!({
        "family": "batch", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "requiresCompatibilities": ["FARGATE"],
        "executionRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/shop-execution"),
        "containerDefinitions": [{"name": "app", "image": format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/orders:1.1.0")}],
    });
    world.ecs("RegisterTaskDefinition", &definition).await;
    let mut request = migrate("1.1.0", "migrate");
    request.like = String::new();
    request.task_definition = "batch".into();
    let events = run(&world, request.clone()).await;
    let end = finished(&events);
    assert_eq!(end.verdict(), Verdict::Errored, "awsvpc without a network");
    assert!(end.summary.contains("has no network"), "{}", end.summary);
    request.context.as_mut().unwrap().operation_id = "22222222-2222-4222-8222-222222222222".into();
    request.placement = Some(TaskPlacement {
        subnets: vec!["subnet-0d10000000000000a".into()],
        launch_type: "FARGATE".into(),
        ..Default::default()
    });
    let events = run(&world, request).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Succeeded, "completed"));
    assert!(end.outputs["task_definition"].ends_with("batch-task-migrate:1"));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_before_anything_is_written() {
    let world = World::start(40.0).await;
    let mut request = migrate("1.1.0", "migrate");
    request.like = "orders2".into();
    let events = run(&world, request).await;
    assert_eq!(
        outcome(finished(&events)),
        (Verdict::Errored, "service_not_found")
    );
    assert!(world.all_writes().await.is_empty());
}

/// Throttled, failing and lost answers: the verdict and the writes of a good day.
#[tokio::test]
async fn a_bad_day_at_aws_runs_the_task_once_as_well() {
    for rules in [
        json!([{"kind": "throttle", "action": "read", "probability": 0.2}, {"kind": "throttle", "action": "write", "times": 2}]),
        json!([{"kind": "server_error", "action": "read", "probability": 0.2}]),
        json!([{"kind": "stale", "action": "read", "probability": 0.3, "ms": 4000}]),
        json!([{"kind": "lost_answer", "action": "write", "times": 2}]),
        json!([{"kind": "reset_before", "action": "RunTask", "times": 1}]),
    ] {
        let world = World::start(40.0).await;
        world.sim_post("faults", json!({"seed": 7, "rules": rules})).await;
        let events: Vec<OperationEvent> = run(&world, migrate("1.1.0", "migrate")).await;
        assert_eq!(
            outcome(finished(&events)),
            (Verdict::Succeeded, "completed"),
            "{rules}\n{:#?}\n{}",
            told(&events),
            world.log()
        );
        assert_eq!(
            world.writes(ID).await,
            ["RegisterTaskDefinition", "RunTask"],
            "{rules}"
        );
    }
}

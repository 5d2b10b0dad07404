//! Tasks that are stopped: by their time, by the deadline, by a person, by somebody else.

use serde_json::json;
use towline_proto::agent::v1::{
    CancelMode, CancelOperationRequest, GetOperationRequest, RunTaskRequest, Verdict, WatchOperationRequest,
};

use super::{ID, migrate, outcome, run, task_of, wait_told};
use crate::world::{CLUSTER, World, finished, to_the_end};

async fn begin(world: &World, request: RunTaskRequest) {
    let mut client = world.orchestrator().await;
    drop(client.run_task(request).await.expect("accepted"));
}

async fn watch(world: &World) -> Vec<towline_proto::agent::v1::OperationEvent> {
    let mut client = world.orchestrator().await;
    let request = WatchOperationRequest {
        operation_id: ID.into(),
        after_sequence: 0,
    };
    to_the_end(client.watch_operation(request).await).await
}

async fn cancel(world: &World, mode: CancelMode) {
    let mut client = world.orchestrator().await;
    let request = CancelOperationRequest {
        operation_id: ID.into(),
        mode: mode.into(),
        epoch: 0,
    };
    client.cancel_operation(request).await.expect("taken");
}

#[tokio::test]
async fn a_task_that_takes_too_long_is_stopped_and_failed() {
    let world = World::start(40.0).await;
    let mut request = migrate("1.1.0", "reindex");
    request.timeout = Some(prost_types::Duration { seconds: 2, nanos: 0 });
    let events = run(&world, request).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Failed, "task_timed_out"));
    assert_eq!(task_of(&world, end).await["stopCode"], "UserInitiated");
    assert_eq!(
        world.writes(ID).await,
        ["RegisterTaskDefinition", "RunTask", "StopTask"]
    );
}

#[tokio::test]
async fn the_deadline_stops_it_too() {
    let world = World::start(40.0).await;
    let mut request = migrate("1.1.0", "reindex");
    request.context.as_mut().unwrap().deadline = Some(prost_types::Timestamp {
        seconds: world.seams.clock.now().as_second() + 3,
        nanos: 0,
    });
    let events = run(&world, request).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Failed, "task_timed_out"));
    assert!(end.summary.contains("deadline"), "{}", end.summary);
}

#[tokio::test]
async fn a_cancel_stops_it_and_a_detach_lets_it_run() {
    let world = World::start(40.0).await;
    begin(&world, migrate("1.1.0", "reindex")).await;
    wait_told(&world, ": RUNNING").await;
    let operation = world
        .orchestrator()
        .await
        .get_operation(GetOperationRequest {
            operation_id: ID.into(),
        })
        .await
        .expect("known")
        .into_inner()
        .operation
        .expect("an operation");
    assert_eq!(
        (operation.task.as_str(), operation.service.as_str()),
        ("migrate", "orders")
    );
    cancel(&world, CancelMode::RollBack).await;
    let events = watch(&world).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Cancelled, "cancelled"));
    assert_eq!(task_of(&world, end).await["lastStatus"], "STOPPED");

    let world = World::start(40.0).await;
    begin(&world, migrate("1.1.0", "reindex")).await;
    wait_told(&world, ": RUNNING").await;
    cancel(&world, CancelMode::Detach).await;
    let events = watch(&world).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Cancelled, "detached"));
    assert_eq!(task_of(&world, end).await["lastStatus"], "RUNNING");
}

/// It ends well of itself while the cancel is on its way: that is the truth.
#[tokio::test]
async fn a_task_that_was_done_before_the_stop_arrived_is_done() {
    let world = World::start(40.0).await;
    let hold = world
        .sim_post("breakpoints", json!({"action": "StopTask", "when": "before"}))
        .await;
    begin(&world, migrate("1.1.0", "migrate")).await;
    wait_told(&world, "started task").await;
    cancel(&world, CancelMode::RollBack).await;
    world.wait_hit(&hold).await;
    world.sim_post("clock", json!({"advance_ms": 60_000})).await;
    world.release(&hold, "continue").await;
    let events = watch(&world).await;
    assert_eq!(outcome(finished(&events)), (Verdict::Succeeded, "completed"));
}

#[tokio::test]
async fn a_task_that_somebody_else_stops_is_a_failure_that_names_it() {
    let world = World::start(40.0).await;
    begin(&world, migrate("1.1.0", "reindex")).await;
    wait_told(&world, ": RUNNING").await;
    let family = json!({"cluster": CLUSTER, "family": "orders-task-migrate"});
    let listed = world.ecs("ListTasks", &family).await;
    let arn = listed
        .split('"')
        .find(|part| part.contains(":task/"))
        .expect("a task");
    world
        .ecs(
            "StopTask",
            &json!({"cluster": CLUSTER, "task": arn, "reason": "maintenance of the database"}),
        )
        .await;
    let events = watch(&world).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Failed, "task_stopped"));
    assert!(
        end.summary.contains("maintenance of the database"),
        "{}",
        end.summary
    );
}

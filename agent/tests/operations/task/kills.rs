//! `kill -9` of the agent around every call that a task's operation makes: the same
//! verdict, and one task.

use serde_json::json;
use towline_proto::agent::v1::{CancelMode, RunTaskRequest, Verdict};

use super::{ID, migrate, outcome, run};
use crate::world::{ACCOUNT, REGION, World, finished, told};

async fn sweep(wanted: fn() -> RunTaskRequest, calls: &[&str], writes: &[&str], expected: (Verdict, &str)) {
    for action in calls {
        for (when, then) in [
            ("before", "drop"),
            ("before", "continue"),
            ("after", "drop"),
            ("after", "continue"),
        ] {
            let mut world = World::start(40.0).await;
            let hold = json!({"account": ACCOUNT, "region": REGION, "action": action, "when": when});
            let hold = world.sim_post("breakpoints", hold).await;
            drop(
                world
                    .orchestrator()
                    .await
                    .run_task(wanted())
                    .await
                    .expect("accepted"),
            );
            world.wait_hit(&hold).await;
            world.kill_agent();
            world.release(&hold, then).await;
            world.start_agent();
            let mut again = wanted();
            again.context.as_mut().unwrap().repeated_send = true;
            let events = run(&world, again).await;
            let end = finished(&events);
            assert_eq!(
                outcome(end),
                expected,
                "{action} {when} {then}\n{:#?}\n{}",
                told(&events),
                world.log()
            );
            assert_eq!(
                world.writes(ID).await,
                writes,
                "{action} {when} {then}\n{}",
                world.log()
            );
        }
    }
}

const CALLS: [&str; 7] = [
    "DescribeServices",
    "DescribeTaskDefinition",
    "ListTasks",
    "RegisterTaskDefinition",
    "RunTask",
    "DescribeTasks",
    "GetLogEvents",
];

#[tokio::test]
async fn a_good_task() {
    let writes = ["RegisterTaskDefinition", "RunTask"];
    sweep(
        || migrate("1.1.0", "migrate"),
        &CALLS,
        &writes,
        (Verdict::Succeeded, "completed"),
    )
    .await;
}

#[tokio::test]
async fn a_failing_task() {
    let writes = ["RegisterTaskDefinition", "RunTask"];
    sweep(
        || migrate("1.2.0", "migrate"),
        &["RegisterTaskDefinition", "RunTask", "DescribeTasks"],
        &writes,
        (Verdict::Failed, "task_failed"),
    )
    .await;
}

/// Its time is up, and the agent dies around the stop: StopTask may be sent twice, and
/// its effect is the same.
#[tokio::test]
async fn a_task_whose_time_is_up() {
    for (when, then) in [("before", "drop"), ("before", "continue"), ("after", "drop")] {
        let mut world = World::start(40.0).await;
        let slow = || {
            let mut request = migrate("1.1.0", "reindex");
            request.timeout = Some(prost_types::Duration { seconds: 2, nanos: 0 });
            request
        };
        let hold = world
            .sim_post("breakpoints", json!({"action": "StopTask", "when": when}))
            .await;
        drop(
            world
                .orchestrator()
                .await
                .run_task(slow())
                .await
                .expect("accepted"),
        );
        world.wait_hit(&hold).await;
        world.kill_agent();
        world.release(&hold, then).await;
        world.start_agent();
        let mut again = slow();
        again.context.as_mut().unwrap().repeated_send = true;
        let events = run(&world, again).await;
        assert_eq!(
            outcome(finished(&events)),
            (Verdict::Failed, "task_timed_out"),
            "{when} {then}"
        );
    }
}

/// Cancelled while the agent was away: what an earlier send started is found and stopped.
#[tokio::test]
async fn a_cancel_that_comes_with_the_repeat() {
    let mut world = World::start(40.0).await;
    let hold = world
        .sim_post("breakpoints", json!({"action": "RunTask", "when": "before"}))
        .await;
    let request = migrate("1.1.0", "reindex");
    drop(
        world
            .orchestrator()
            .await
            .run_task(request.clone())
            .await
            .expect("accepted"),
    );
    world.wait_hit(&hold).await;
    world.kill_agent();
    world.start_agent();
    world.orchestrator().await;
    world.release(&hold, "continue").await;
    let mut again = request;
    let context = again.context.as_mut().unwrap();
    context.repeated_send = true;
    context.cancel = CancelMode::RollBack.into();
    let events = run(&world, again).await;
    assert_eq!(outcome(finished(&events)), (Verdict::Cancelled, "cancelled"));
    assert_eq!(
        world.writes(ID).await,
        ["RegisterTaskDefinition", "RunTask", "StopTask"]
    );
}

/// ECS forgets a task an hour after its end, and its client token with it.
#[tokio::test]
async fn a_repeat_that_comes_too_late_to_know_runs_nothing() {
    let mut world = World::start(40.0).await;
    let first = migrate("1.1.0", "migrate");
    assert_eq!(
        outcome(finished(&run(&world, first.clone()).await)).1,
        "completed"
    );
    world.kill_agent();
    world
        .sim_post("clock", json!({"advance_ms": 2 * 3_600_000}))
        .await;
    world.start_agent();
    let mut again = first;
    let context = again.context.as_mut().unwrap();
    context.repeated_send = true;
    context.first_send_time = Some(prost_types::Timestamp {
        seconds: world.seams.clock.now().as_second() - 2 * 3600,
        nanos: 0,
    });
    let events = run(&world, again).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Errored, "unknown"));
    assert_eq!(world.writes(ID).await, ["RegisterTaskDefinition", "RunTask"]);
}

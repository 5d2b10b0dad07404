//! One-off tasks: run once, followed to the exit code of their container.

mod ended;
mod kills;
mod stopped;

use serde_json::{Value, json};
use towline_proto::agent::v1::{
    ContainerUpdate, Finished, OperationContext, OperationEvent, RunTaskRequest, RunTaskResponse,
    TaskContainer, Verdict,
};

use crate::world::{CLUSTER, HasEvent, REGION, World, finished, to_the_end, told};

pub const ID: &str = "11111111-1111-4111-8111-111111111111";

impl HasEvent for RunTaskResponse {
    fn event(self) -> OperationEvent {
        self.event.expect("an event")
    }
}

/// `orders` with another tag and command.
pub fn migrate(tag: &str, command: &str) -> RunTaskRequest {
    RunTaskRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        context: Some(OperationContext {
            operation_id: ID.into(),
            ..Default::default()
        }),
        task: "migrate".into(),
        like: "orders".into(),
        containers: vec![TaskContainer {
            update: Some(ContainerUpdate {
                name: "app".into(),
                tag: Some(tag.into()),
                ..Default::default()
            }),
            command: vec!["./orders".into(), command.into()],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Runs it to its end.
pub async fn run(world: &World, request: RunTaskRequest) -> Vec<OperationEvent> {
    let mut client = world.orchestrator().await;
    to_the_end(client.run_task(request).await).await
}

/// Its verdict and reason.
pub fn outcome(end: &Finished) -> (Verdict, &str) {
    (end.verdict(), end.reason.as_str())
}

/// The task of this operation as ECS shows it.
pub async fn task_of(world: &World, end: &Finished) -> Value {
    let arn = &end.outputs["task"];
    let answer = world
        .ecs(
            "DescribeTasks",
            &json!({"cluster": CLUSTER, "tasks": [arn], "include": ["TAGS"]}),
        )
        .await;
    let body = answer
        .split_once("\r\n\r\n")
        .map_or(answer.as_str(), |(_, body)| body);
    let answer: Value = serde_json::from_str(body).expect("JSON");
    answer["tasks"][0].clone()
}

/// Waits until the events of a task that somebody else watches say this.
pub async fn wait_told(world: &World, needle: &str) {
    let mut client = world.orchestrator().await;
    let request = towline_proto::agent::v1::WatchOperationRequest {
        operation_id: ID.into(),
        after_sequence: 0,
    };
    let mut stream = client
        .watch_operation(request)
        .await
        .expect("watched")
        .into_inner();
    let mut seen = Vec::new();
    while let Some(event) = stream.message().await.expect("no error") {
        seen.push(event.event.expect("an event"));
        if told(&seen).iter().any(|line| line.contains(needle)) {
            return;
        }
    }
    panic!("never told: {needle}: {:#?}", told(&seen));
}

#[tokio::test]
async fn a_task_runs_with_the_releases_image_and_leaves_the_service_alone() {
    let world = World::start(40.0).await;
    let events = run(&world, migrate("1.1.0", "migrate")).await;
    let end = finished(&events);
    assert_eq!(outcome(end), (Verdict::Succeeded, "completed"));
    assert_eq!(end.outputs["exit_code"], "0");
    assert!(
        end.outputs["task_definition"].ends_with("orders-task-migrate:1"),
        "{:?}",
        end.outputs
    );
    assert_eq!(world.writes(ID).await, ["RegisterTaskDefinition", "RunTask"]);
    let lines = told(&events);
    assert!(lines.contains(&"log migrated: 7 of 7".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"started reattached=false".to_owned()));
    let task = task_of(&world, end).await;
    assert_eq!(task["startedBy"], format!("towline/{ID}"));
    assert!(
        task["tags"].to_string().contains("towline:operation"),
        "{}",
        task["tags"]
    );
    let state = world.state(crate::world::ACCOUNT, REGION).await;
    assert_eq!(state["services"][0]["runningCount"], 2);
}

#[tokio::test]
async fn the_same_task_is_registered_once_and_runs_as_often_as_it_is_asked_for() {
    let world = World::start(40.0).await;
    run(&world, migrate("1.1.0", "migrate")).await;
    let mut again = migrate("1.1.0", "migrate");
    let other = "22222222-2222-4222-8222-222222222222";
    again.context.as_mut().unwrap().operation_id = other.into();
    let events = run(&world, again).await;
    assert_eq!(outcome(finished(&events)), (Verdict::Succeeded, "completed"));
    assert_eq!(world.writes(other).await, ["RunTask"]);
}

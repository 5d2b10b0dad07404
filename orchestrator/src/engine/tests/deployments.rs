//! Deployments in which more happens than that all goes well: one-off tasks,
//! decisions of people, roll-backs of all that was changed.

use std::time::Duration;

use towline_proto::agent::v1::{
    LogLine, RunTaskRequest, UpdateServiceRequest, Verdict, operation_event::Event,
};

use super::{
    agent::{FakeAgent, id_of},
    registry::digest_of,
    world::{Calls, SHOP, World, caller},
};
use crate::engine::{
    CellStatus, DeploymentState, DeploymentView, EngineError, Intervention, InterventionDecision,
    OperationState,
};

const TASK: &str = "tasks:
  migrate:
    run: before
    like: orders
    container: app
    command: [./migrate]
environments:
";

/// The shop whose `dev` has two targets at the same time, and says this besides.
pub fn shop(of_dev: &str) -> String {
    SHOP.replacen(
        "  dev:\n    targets:\n",
        &format!(
            "  dev:\n    waves: together\n{of_dev}    targets:\n      - {{ agent: dev, account: \"111111111111\", region: eu-central-1, cluster: main }}\n"
        ),
        1,
    )
}

async fn dev(text: &str) -> (World, FakeAgent, Calls) {
    let world = World::new().await;
    let (dev, calls) = world.agent("dev");
    world.apply(text).await;
    world.release("1.0.0").await;
    (world, dev, calls)
}

fn id_of_task(request: &RunTaskRequest) -> String {
    request.context.as_ref().expect("a context").operation_id.clone()
}

/// The updates of both targets: that in eu-central-1 first.
async fn both(calls: &mut Calls) -> [UpdateServiceRequest; 2] {
    let mut requests = [calls.next().await.update(), calls.next().await.update()];
    requests.sort_by(|a, b| a.region.cmp(&b.region));
    requests
}

fn decide(deployment: &DeploymentView, decision: InterventionDecision) -> Intervention {
    Intervention {
        deployment: deployment.id.clone(),
        decision,
        service: String::new(),
        target: String::new(),
        note: "seen".to_owned(),
    }
}

async fn cells(world: &World, environment: &str) -> Vec<CellStatus> {
    let mut status = world.engine.status(Some("shop")).await.expect("a grid");
    let mut environments = std::mem::take(&mut status[0].environments).into_iter();
    environments
        .find(|it| it.environment == environment)
        .expect("an environment")
        .cells
}

#[tokio::test]
async fn a_one_off_task_runs_once_before_the_services() {
    let (world, agent, mut calls) = dev(&SHOP.replacen("environments:\n", TASK, 1)).await;
    let task = calls.next().await.task();
    assert_eq!((task.task.as_str(), task.like.as_str()), ("migrate", "orders"));
    let container = &task.containers[0];
    let update = container.update.as_ref().expect("a container");
    assert_eq!(update.digest, Some(digest_of("1.0.0")), "the release's image");
    assert_eq!(
        (container.command[0].as_str(), task.exit_container.as_str()),
        ("./migrate", "app")
    );
    assert!(calls.none(), "the service waits for it");
    let id = id_of_task(&task);
    agent.started(&id);
    let line = LogLine {
        container: "app".to_owned(),
        message: "42 rows".to_owned(),
        ..Default::default()
    };
    agent.tell(&id, Event::LogLine(line));
    let told = world.event("1.0.0", 0, |it| it.message.contains("42 rows")).await;
    assert_eq!(told.service, "migrate");

    // Another process of the agent finds it by the same id.
    let (again, mut more) = FakeAgent::new("dev", "second");
    again.connect(&world.engine);
    let mut more = Calls(std::mem::replace(
        &mut more,
        tokio::sync::mpsc::unbounded_channel().1,
    ));
    let repeated = more.next().await.task();
    assert_eq!(id_of_task(&repeated), id);
    assert!(repeated.context.expect("a context").repeated_send);
    again.finish(&id, Verdict::Succeeded, "completed");
    let update = more.next().await.update();
    again.finish(&id_of(&update), Verdict::Succeeded, "completed");
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
    let deployment = world.deployment("1.0.0", "dev").await;
    let names: Vec<_> = deployment
        .operations
        .iter()
        .map(|it| it.service.as_str())
        .collect();
    assert_eq!(names, ["migrate", "orders"]);
    let cells = cells(&world, "dev").await;
    assert_eq!(cells.len(), 1, "a task is no service");
    drop(world.stop().await);
}

#[tokio::test]
async fn a_task_that_fails_leaves_the_services_of_its_target_alone() {
    let text = shop("    stop_at: 100%\n").replacen("environments:\n", TASK, 1);
    let (world, agent, mut calls) = dev(&text).await;
    let (one, two) = (calls.next().await.task(), calls.next().await.task());
    let (bad, good) = if one.region == "eu-central-1" {
        (one, two)
    } else {
        (two, one)
    };
    agent.finish(&id_of_task(&bad), Verdict::Failed, "task_failed");
    agent.finish(&id_of_task(&good), Verdict::Succeeded, "completed");
    let update = calls.next().await.update();
    assert_eq!(update.region, "eu-west-1", "the other target goes on");
    agent.finish(&id_of(&update), Verdict::Succeeded, "completed");
    world.entered("1.0.0", "dev", DeploymentState::Failed).await;
    let deployment = world.deployment("1.0.0", "dev").await;
    let skipped: Vec<_> = deployment
        .operations
        .iter()
        .filter(|it| it.state == OperationState::Skipped)
        .collect();
    assert_eq!(skipped.len(), 1);
    assert_eq!(
        skipped[0].summary,
        "migrate on 111111111111/eu-central-1/main failed"
    );
    drop(world.stop().await);
}

#[tokio::test]
async fn a_failed_deployment_puts_back_all_that_it_changed() {
    let (world, agent, mut calls) = dev(&shop("    on_failure: roll_back\n")).await;
    for request in both(&mut calls).await {
        agent.finish(&id_of(&request), Verdict::Succeeded, "completed");
    }
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
    world.release("1.1.0").await;
    let [good, bad] = both(&mut calls).await;
    agent.finish(&id_of(&good), Verdict::Succeeded, "completed");
    agent.finish(&id_of(&bad), Verdict::Failed, "rolled_back");
    let back = calls.next().await.update();
    assert_eq!(back.region, "eu-central-1");
    assert_eq!(
        (back.task_definition.as_str(), back.containers.len()),
        ("orders:1", 0)
    );
    assert_ne!(id_of(&back), id_of(&good), "an operation of its own");
    let during = world.deployment("1.1.0", "dev").await;
    assert_eq!(during.state, DeploymentState::Running);
    let released = |cells: Vec<CellStatus>| cells.into_iter().map(|it| it.release).collect::<Vec<_>>();
    assert_eq!(released(cells(&world, "dev").await), ["1.1.0", "1.0.0"]);
    agent.finish(&id_of(&back), Verdict::Succeeded, "completed");
    let end = world.entered("1.1.0", "dev", DeploymentState::Failed).await;
    assert_eq!(end.message, "failed, rolled back");
    assert_eq!(released(cells(&world, "dev").await), ["1.0.0", "1.0.0"]);
    drop(world.stop().await);
}

#[tokio::test]
async fn a_person_tries_again_what_ended_badly() {
    let (world, agent, mut calls) = dev(&shop("    guided: true\n")).await;
    let [bad, good] = both(&mut calls).await;
    agent.finish(&id_of(&bad), Verdict::Failed, "rolled_back");
    agent.finish(&id_of(&good), Verdict::Succeeded, "completed");
    world
        .entered("1.0.0", "dev", DeploymentState::AwaitingIntervention)
        .await;
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert!(
        settled
            .waiting_on
            .starts_with("a decision about orders on 111111111111/eu-central-1/main failed, until "),
        "{}",
        settled.waiting_on
    );
    let waits = world.deployment("1.0.0", "dev").await;
    let silent = Intervention {
        note: String::new(),
        ..decide(&waits, InterventionDecision::Ignore)
    };
    let refused = world.engine.intervene(&caller("dan"), &silent).await;
    assert!(matches!(refused, Err(EngineError::Invalid { .. })), "{refused:?}");
    let elsewhere = Intervention {
        target: "111111111111/eu-west-1/main".to_owned(),
        ..decide(&waits, InterventionDecision::Retry)
    };
    let refused = world
        .engine
        .intervene(&caller("dan"), &elsewhere)
        .await
        .unwrap_err();
    assert!(
        refused
            .hint()
            .unwrap_or_default()
            .contains("orders@111111111111/eu-central-1/main")
    );

    let retry = decide(&waits, InterventionDecision::Retry);
    world
        .engine
        .intervene(&caller("dan"), &retry)
        .await
        .expect("a retry");
    let again = calls.next().await.update();
    assert_eq!(again.region, "eu-central-1");
    assert_ne!(id_of(&again), id_of(&bad), "another attempt, another operation");
    assert!(!again.context.as_ref().expect("a context").repeated_send);
    agent.finish(&id_of(&again), Verdict::Succeeded, "completed");
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
    let ended = world.deployment("1.0.0", "dev").await;
    assert_eq!(
        ended.operations.iter().map(|it| it.attempt).collect::<Vec<_>>(),
        [1, 1, 2]
    );
    let late = world.engine.intervene(&caller("dan"), &retry).await;
    assert!(matches!(late, Err(EngineError::Conflict { .. })), "{late:?}");
    drop(world.stop().await);
}

#[tokio::test]
async fn what_is_ignored_lets_the_rest_go_on_and_an_abort_does_not() {
    let one_by_one = shop("    guided: true\n").replacen("waves: together", "waves: one_by_one", 1);
    for (decision, end, second) in [
        (InterventionDecision::Ignore, DeploymentState::Succeeded, true),
        (InterventionDecision::Abort, DeploymentState::Failed, false),
    ] {
        let (world, agent, mut calls) = dev(&one_by_one).await;
        let bad = calls.next().await.update();
        agent.finish(&id_of(&bad), Verdict::Failed, "rolled_back");
        world
            .entered("1.0.0", "dev", DeploymentState::AwaitingIntervention)
            .await;
        let waits = world.deployment("1.0.0", "dev").await;
        world
            .engine
            .intervene(&caller("dan"), &decide(&waits, decision))
            .await
            .expect("a decision");
        if second {
            let next = calls.next().await.update();
            assert_eq!(next.region, "eu-west-1");
            agent.finish(&id_of(&next), Verdict::Succeeded, "completed");
        }
        world.entered("1.0.0", "dev", end).await;
        let ended = world.deployment("1.0.0", "dev").await;
        let said = if second {
            "ignored: orders"
        } else {
            "aborted by dan"
        };
        assert_eq!(ended.course.aftermath, said);
        drop(world.stop().await);
    }
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_the_decision_has_time() {
    let text = shop("    guided: { deadline: 2h }\n    on_failure: roll_back\n");
    let (world, agent, mut calls) = dev(&text).await;
    let [bad, good] = both(&mut calls).await;
    agent.finish(&id_of(&good), Verdict::Succeeded, "completed");
    agent.finish(&id_of(&bad), Verdict::Failed, "rolled_back");
    world
        .entered("1.0.0", "dev", DeploymentState::AwaitingIntervention)
        .await;
    // Longer than the environment's own deadline: that is not for people.
    world.advance(Duration::from_secs(7190)).await;
    assert_eq!(
        world.deployment("1.0.0", "dev").await.state,
        DeploymentState::AwaitingIntervention
    );
    world.advance(Duration::from_secs(20)).await;
    let back = calls.next().await.update();
    agent.finish(&id_of(&back), Verdict::Succeeded, "completed");
    let end = world.entered("1.0.0", "dev", DeploymentState::Failed).await;
    assert_eq!(end.message, "failed, nobody decided how to go on; rolled back");
    drop(world.stop().await);
}

#[tokio::test]
async fn a_cancel_works_also_while_people_are_asked_and_the_agent_is_gone() {
    let world = World::new().await;
    let (agent, calls) = FakeAgent::new("dev", "first");
    let (link, mut calls) = (agent.connect(&world.engine), Calls(calls));
    let text = shop("    guided: true\n").replacen("waves: together", "waves: one_by_one", 1);
    world.apply(&text).await;
    world.release("1.0.0").await;
    let bad = calls.next().await.update();
    agent.finish(&id_of(&bad), Verdict::Failed, "rolled_back");
    world
        .entered("1.0.0", "dev", DeploymentState::AwaitingIntervention)
        .await;
    let waits = world.deployment("1.0.0", "dev").await;
    link.kill("the test cuts it");
    world
        .engine
        .cancel(&caller("dan"), &waits.id, false, "enough")
        .await
        .expect("a cancel");
    world.entered("1.0.0", "dev", DeploymentState::Failed).await;
    let ended = world.deployment("1.0.0", "dev").await;
    assert_eq!(ended.operations[1].summary, "cancelled by dan");
    assert!(!ended.cancel_requested, "no agent has to confirm anything");
    drop(world.stop().await);
}

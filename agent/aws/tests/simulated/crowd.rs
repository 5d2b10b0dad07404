//! Many rollouts at once, in the machine's own time and under ECS's own rates: what
//! they cost, and that nobody is throttled, starved or overtaken.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use towline_agent_aws::{Aws, in_operation};
use towline_agent_domain::observed::{
    ObservedService, RolloutState, ServiceDeploymentStatus, TaskDefinitionArn,
};
use towline_agent_domain::outside::{Ecs as _, Stacks as _, Tasks as _, Write};
use towline_link::seams::Clock;

use crate::sim::{ACCOUNT, REGION, Sim, main_cluster};

const SECOND: Duration = Duration::from_secs(1);

/// One cluster with so many services on one large instance. A rollout takes about
/// twelve seconds.
fn seed(services: usize) -> String {
    let mut text = format!(
        r#"
        [timing]
        provision_s = 1.0
        pull_s = 3.0
        start_s = 1.0
        stop_s = 3.0
        steady_s = 2.0
        [[regions]]
        account = "{ACCOUNT}"
        name = "{REGION}"
        contents = ["crowd"]
        [[images]]
        repository = "app"
        tag = "1"
        [[images]]
        repository = "app"
        tag = "2"
        [[contents.crowd.clusters]]
        name = "main"
        instances = [{{ id = "i-0", ip = "10.0.0.1", zone = "{REGION}a", cpu = 1000000, memory = 1000000 }}]
        [[contents.crowd.task_definitions]]
        family = "app"
        networkMode = "bridge"
        requiresCompatibilities = ["EC2"]
        [[contents.crowd.task_definitions.containerDefinitions]]
        name = "app"
        image = "{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/app:1"
        essential = true
        cpu = 10
        memory = 16
        "#
    );
    for index in 0..services {
        write!(
            text,
            r#"
            [[contents.crowd.services]]
            cluster = "main"
            serviceName = "app-{index}"
            taskDefinition = "app"
            desiredCount = 1
            launchType = "EC2"
            "#
        )
        .unwrap();
    }
    text
}

async fn crowd(services: usize) -> Sim {
    Sim::of(&seed(services), 1.0, SECOND).await
}

fn definition(family: &str) -> Value {
    json!({
        "family": family,
        "networkMode": "bridge",
        "containerDefinitions": [{
            "name": "app",
            "image": format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/app:2"),
            "essential": true, "cpu": 10, "memory": 16,
        }],
    })
}

/// How many calls of each action, and how many of them were throttled.
async fn calls(sim: &Sim) -> (BTreeMap<String, usize>, usize) {
    let effects = sim.control("GET", "effects", &json!({})).await;
    let effects = effects.as_array().unwrap();
    let mut counts = BTreeMap::new();
    for effect in effects.iter().filter(|effect| effect["service"] == "ecs") {
        let action = effect["action"].as_str().unwrap().to_owned();
        *counts.entry(action).or_default() += 1;
    }
    let throttled = effects
        .iter()
        .filter(|effect| effect["code"] == "ThrottlingException");
    (counts, throttled.count())
}

/// One operation: an update, followed to its end. How late the end was seen.
async fn update(aws: Aws, service: String, revision: TaskDefinitionArn) -> (String, Duration) {
    let at = main_cluster();
    aws.service(&at, &service).await.unwrap().unwrap();
    let sent = aws.update_service(&at, &service, &revision).await.unwrap();
    let ours = sent.primary().unwrap().id.clone();
    loop {
        let seen = aws.next_service(&at, &service).await.unwrap().unwrap();
        let primary = seen.primary().unwrap();
        assert_eq!(primary.id, ours);
        if primary.rollout == RolloutState::Completed && seen.deployments.len() == 1 {
            let late = Clock::system().now().duration_since(completed(&seen));
            return (service, Duration::try_from(late).unwrap_or_default());
        }
    }
}

/// AWS's time of the service's last steady state; the simulator's clock is the machine's here.
fn completed(service: &ObservedService) -> Timestamp {
    let steady = service
        .events
        .iter()
        .find(|event| event.message.contains("steady state"));
    steady.unwrap().at
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// All services to the next revision at once; the lateness of each verdict.
async fn update_all(sim: &Sim, services: usize) -> Vec<Duration> {
    let request = definition("app");
    let revision = sim.aws.register_task_definition(REGION, &request).await.unwrap();
    let mut updates = JoinSet::new();
    for index in 0..services {
        let (aws, revision) = (sim.aws.clone(), revision.clone());
        updates.spawn(async move {
            let operation = format!("operation-{index}");
            in_operation(&operation, update(aws, format!("app-{index}"), revision)).await
        });
    }
    updates
        .join_all()
        .await
        .into_iter()
        .map(|(_, late)| late)
        .collect()
}

#[tokio::test]
async fn a_hundred_rollouts_at_once_cost_few_calls_and_no_throttle() {
    let services = 100;
    let sim = crowd(services).await;
    let clock = Clock::system();
    let began = clock.instant();
    let late = median(update_all(&sim, services).await);
    let took = clock.instant().duration_since(began);
    let (calls, throttled) = calls(&sim).await;
    println!("{services} rollouts: {took:?}, {calls:?}, {late:?} late at the median");
    assert_eq!(throttled, 0);
    assert_eq!(calls["UpdateService"], services);
    // One look a second at each alone would be more than a thousand.
    assert!(calls["DescribeServices"] < 300, "{calls:?}");
    assert!(late < SECOND, "{late:?}");
}

#[tokio::test]
async fn one_rollout_is_seen_to_end_within_a_second() {
    let sim = crowd(1).await;
    let late = update_all(&sim, 1).await;
    let (calls, throttled) = calls(&sim).await;
    println!("one rollout: {calls:?}, {late:?} late");
    assert_eq!(throttled, 0);
    assert!(late[0] < SECOND + Duration::from_millis(300), "{late:?}");
    assert!(calls["DescribeServices"] <= 12, "{calls:?}");
}

#[tokio::test]
async fn when_others_use_the_rates_up_operations_wait_and_none_ends() {
    let services = 20;
    let sim = crowd(services).await;
    let faults = json!({
        "seed": 7,
        "rules": [{ "kind": "throttle", "action": "DescribeServices", "skip": 3, "times": 4 }],
        "other_tools": [
            { "action": "DescribeServices", "per_second": 18.0 },
            { "action": "UpdateService", "per_second": 4.0 },
        ],
    });
    sim.control("POST", "faults", &faults).await;
    // Whatever was throttled was tried again: every update came to its end.
    assert_eq!(update_all(&sim, services).await.len(), services);
    let (calls, throttled) = calls(&sim).await;
    println!("{services} rollouts beside others: {calls:?}, {throttled} throttled");
    assert!(throttled >= 4, "the planted ones");
    assert!(
        throttled <= 12,
        "the agent backs off: {throttled} throttled of {calls:?}"
    );
    assert_eq!(calls["UpdateService"], services);
}

#[tokio::test]
async fn registrations_go_in_the_order_in_which_they_were_asked_for() {
    let sim = crowd(1).await;
    let mut registrations = JoinSet::new();
    for index in 0..24 {
        let aws = sim.aws.clone();
        registrations.spawn(async move {
            let request = definition(&format!("f{index:02}"));
            aws.register_task_definition(REGION, &request).await.unwrap()
        });
        // Each asks before the next does.
        tokio::task::yield_now().await;
    }
    assert_eq!(registrations.join_all().await.len(), 24);
    let arrivals = sim.arrivals("RegisterTaskDefinition").await;
    assert!(
        arrivals.iter().all(|arrival| arrival["http_status"] == 200),
        "none was throttled"
    );
    let late: Vec<&str> = arrivals[19..]
        .iter()
        .map(|arrival| arrival["subject"].as_str().unwrap())
        .collect();
    assert_eq!(
        late,
        ["f19", "f20", "f21", "f22", "f23"],
        "after the burst one by one"
    );
}

#[tokio::test]
async fn a_turn_to_write_can_be_given_up_and_is_kept_for_its_operation() {
    let sim = crowd(1).await;
    let turn = || sim.aws.turn_to_write(REGION, Write::RegisterTaskDefinition);
    for index in 0..18 {
        in_operation(&format!("before-{index}"), turn()).await;
    }
    in_operation("ours", turn()).await;
    // The burst is used up: the next one waits a second, and gives up.
    let clock = Clock::system();
    let gave_up = clock.timeout(SECOND / 10, in_operation("given-up", turn())).await;
    assert_eq!(gave_up, None);
    // Ours has had its turn, and waits no more.
    let request = definition("kept");
    let sent = in_operation("ours", sim.aws.register_task_definition(REGION, &request));
    assert!(clock.timeout(SECOND / 2, sent).await.is_some());
}

#[tokio::test]
async fn many_eyes_on_stacks_share_one_pace_in_fair_order() {
    let sim = crowd(0).await;
    let began = Clock::system().instant();
    let mut eyes = JoinSet::new();
    for operation in 0..10 {
        let aws = sim.aws.clone();
        eyes.spawn(async move {
            let mut looks = Vec::new();
            for _ in 0..4 {
                // A stack that is not there costs a call as well.
                let _ = aws
                    .stack_events(REGION, &format!("stack-{operation}"), None)
                    .await;
                looks.push(Clock::system().instant().duration_since(began));
            }
            looks
        });
    }
    let looks = eyes.join_all().await;
    let last = looks.iter().map(|of| of[3]);
    let (first, last) = (last.clone().min().unwrap(), last.max().unwrap());
    assert!(
        last >= 6 * SECOND,
        "40 reads of which 5 go at once and 5 a second: {last:?}"
    );
    assert!(
        last - first < 3 * SECOND,
        "nobody is served before the others: {looks:?}"
    );
}

/// Follows a rollout to its first dead task, and asks why.
async fn fail(aws: Aws, name: String, revision: TaskDefinitionArn) {
    let at = main_cluster();
    while aws.next_service(&at, &name).await.unwrap().unwrap().deployments[0].failed == 0 {}
    for _ in 0..3 {
        let records = aws.next_service_deployments(&at, &name, &revision).await.unwrap();
        assert_eq!(records[0].task_definition.as_ref(), Some(&revision));
        assert_eq!(records[0].status, ServiceDeploymentStatus::InProgress);
    }
    let stopped = aws.stopped(&at, &name).await.unwrap();
    assert!(
        stopped[0].containers[0]
            .reason
            .contains("CannotPullContainerError"),
        "{stopped:?}"
    );
}

#[tokio::test]
async fn a_crowd_that_fails_shares_the_calls_that_say_why() {
    let services = 20;
    let sim = crowd(services).await;
    let mut request = definition("app");
    let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/app:nowhere");
    request["containerDefinitions"][0]["image"] = json!(image);
    let revision = sim.aws.register_task_definition(REGION, &request).await.unwrap();
    let at = main_cluster();
    let names: Vec<String> = (0..services).map(|index| format!("app-{index}")).collect();
    for name in &names {
        sim.aws.update_service(&at, name, &revision).await.unwrap();
    }
    let mut followers = JoinSet::new();
    for name in names {
        followers.spawn(fail(sim.aws.clone(), name, revision.clone()));
    }
    followers.join_all().await;
    let (calls, throttled) = calls(&sim).await;
    println!("{services} failures: {calls:?}");
    assert_eq!(throttled, 0);
    assert_eq!(
        (calls["ListServiceDeployments"], calls["ListTasks"]),
        (services, services)
    );
    for shared in [
        "DescribeServiceDeployments",
        "DescribeServiceRevisions",
        "DescribeTasks",
    ] {
        assert!(calls[shared] <= services / 2, "{shared}: {calls:?}");
    }
}

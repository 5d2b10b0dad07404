//! Two agents of one account that drive the same service at once. What one agent can
//! guarantee, it does; another agent's write it cannot prevent, but it notices and tells
//! it: never are there two successes, and the one that there is tells the truth.

use std::{fs, process::Child};

use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;
use towline_proto::agent::v1::{Finished, UpdateServiceRequest, Verdict};

use crate::{
    WORLDS,
    row::Row,
    seeded,
    world::{ACCOUNT, REGION, World, describe, free_port, to_the_end, update_orders},
};

const SPEED: f64 = 40.0;
const TIMING: &str = "[timing]\npoll = \"25ms\"\nsettle = \"375ms\"\n";

/// Another process of an agent for the same account, in a directory of its own.
struct Rival {
    _directory: tempfile::TempDir,
    address: String,
    process: Child,
}

impl Rival {
    fn start(world: &World) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = format!("127.0.0.1:{}", free_port());
        copy(&world.path().join("identity"), &directory.path().join("identity"));
        let text = fs::read_to_string(world.path().join("agent.toml")).expect("agent.toml");
        let text = text.replace(world.address(), &address);
        fs::write(directory.path().join("agent.toml"), text).expect("agent.toml");
        let process = world.serve_in(directory.path());
        Self {
            _directory: directory,
            address,
            process,
        }
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// The world of the first row, a good image.
async fn world() -> (World, SemaphorePermit<'static>) {
    let permit = WORLDS.acquire_many(2).await.expect("open");
    let row = Row::all().into_iter().next().expect("a row");
    let world = World::of(seeded::seed(&row), SPEED, "", TIMING).await;
    // Long enough for both to be under way at once.
    for tag in ["2.0.0", "2.1.0"] {
        let image = json!({"repository": "shop/orders", "tag": tag, "pull_s": 20});
        world.sim_post("images", image).await;
    }
    (world, permit)
}

fn order(world: &World, tag: &str) -> UpdateServiceRequest {
    update_orders(&world.seams.random.uuid().to_string(), tag)
}

/// What the PRIMARY deployment runs.
async fn runs(world: &World) -> String {
    let state = world.state(ACCOUNT, REGION).await;
    let deployments = state["services"][0]["deployments"]
        .as_array()
        .expect("a list")
        .clone();
    let primary = deployments.into_iter().find(|one| one["status"] == "PRIMARY");
    let arn = primary.unwrap_or(Value::Null)["taskDefinition"].clone();
    arn.as_str().unwrap_or_default().to_owned()
}

fn is_success(end: &Finished) -> bool {
    matches!(end.verdict(), Verdict::Succeeded | Verdict::Unchanged)
}

/// One success at most, and its revision is what runs; the other says what happened.
async fn check(world: &World, ends: &[Finished; 2]) {
    let told: Vec<String> = ends
        .iter()
        .map(|end| format!("{}: {}", end.reason, end.summary))
        .collect();
    let successes: Vec<&Finished> = ends.iter().filter(|end| is_success(end)).collect();
    assert!(successes.len() <= 1, "{told:#?}");
    let runs = runs(world).await;
    for end in &successes {
        assert_eq!(end.outputs.get("task_definition"), Some(&runs), "{told:#?}");
    }
    for end in ends.iter().filter(|end| !is_success(end)) {
        let detected = ["superseded", "unexpected_state", "deployment_in_progress"];
        assert!(detected.contains(&end.reason.as_str()), "{told:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_whose_deployment_is_replaced_says_superseded_and_the_other_succeeds() {
    let (world, _permit) = world().await;
    let rival = Rival::start(&world);
    let mut first = world.orchestrator().await;
    let mut second = world.client_at(&rival.address, "orchestrator").await;
    let expected = describe(&mut first, "orders").await.expected;
    let (mut one, mut other) = (order(&world, "2.0.0"), order(&world, "2.1.0"));
    one.expected.clone_from(&expected);
    other.expected = expected;
    // The first has decided, and its UpdateService is on its way, while the second acts.
    let hold = json!({"account": ACCOUNT, "region": REGION, "action": "UpdateService", "when": "before"});
    let hold = world.sim_post("breakpoints", hold).await;
    let one = first.update_service(one).await;
    world.wait_hit(&hold).await;
    let other = second.update_service(other).await;
    let released = async {
        let mut applied = false;
        while !applied {
            let effects = world.sim_get("effects").await;
            let mut updates = effects.as_array().expect("a list").iter();
            applied = updates.any(|e| e["action"] == "UpdateService" && e["disposition"] == "applied");
        }
        world.release(&hold, "continue").await;
    };
    let (one, other, ()) = tokio::join!(to_the_end(one), to_the_end(other), released);
    let ends = [
        crate::world::finished(&one).clone(),
        crate::world::finished(&other).clone(),
    ];
    check(&world, &ends).await;
    assert!(is_success(&ends[0]), "{ends:#?}");
    assert_eq!(ends[1].reason, "superseded", "{ends:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agents_that_are_asked_at_the_same_instant_never_both_succeed() {
    let (world, _permit) = world().await;
    let rival = Rival::start(&world);
    let mut first = world.orchestrator().await;
    let mut second = world.client_at(&rival.address, "orchestrator").await;
    for round in 0..3 {
        let tags = [format!("3.{round}.0"), format!("4.{round}.0")];
        for tag in &tags {
            let image = json!({"repository": "shop/orders", "tag": tag, "pull_s": 20});
            world.sim_post("images", image).await;
        }
        let expected = describe(&mut first, "orders").await.expected;
        let [mut one, mut other] = tags.map(|tag| order(&world, &tag));
        one.expected.clone_from(&expected);
        other.expected = expected;
        let (one, other) = tokio::join!(first.update_service(one), second.update_service(other));
        let (one, other) = tokio::join!(to_the_end(one), to_the_end(other));
        let ends = [
            crate::world::finished(&one).clone(),
            crate::world::finished(&other).clone(),
        ];
        check(&world, &ends).await;
        assert!(ends.iter().any(is_success), "one of them got through: {ends:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_operation_that_two_agents_are_asked_for_is_one_rollout_or_superseded() {
    let (world, _permit) = world().await;
    let rival = Rival::start(&world);
    let mut first = world.orchestrator().await;
    let mut second = world.client_at(&rival.address, "orchestrator").await;
    let mut one = order(&world, "2.0.0");
    one.expected = describe(&mut first, "orders").await.expected;
    let other = one.clone();
    let (one, other) = tokio::join!(first.update_service(one), second.update_service(other));
    let (one, other) = tokio::join!(to_the_end(one), to_the_end(other));
    let ends = [
        crate::world::finished(&one).clone(),
        crate::world::finished(&other).clone(),
    ];
    let runs = runs(&world).await;
    assert!(ends.iter().any(is_success), "{ends:#?}");
    for end in &ends {
        match is_success(end) {
            true => assert_eq!(end.outputs.get("task_definition"), Some(&runs), "{ends:#?}"),
            false => assert!(
                ["superseded", "unexpected_state"].contains(&end.reason.as_str()),
                "{ends:#?}"
            ),
        }
    }
}

//! What goes wrong before or beside a rollout: each time one clear error with a
//! hint, and nothing lost, half-written or written in AWS.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use serde_json::Value;
use towline_tests::{
    cli::Ran,
    program::binary,
    wait_for,
    world::{Options, World, repository, shop_file},
};

fn dev() -> World {
    World::start(Options {
        agents: vec!["dev"],
        ..Options::default()
    })
}

fn orders_file() -> PathBuf {
    repository().join("tests/projects/orders-dev.yaml")
}

fn apply(world: &World, name: &str, text: &str) -> Ran {
    let path = world.path().join(name);
    fs::write(&path, text).unwrap();
    world.run(["apply", "-f", path.to_str().unwrap()])
}

fn json<const N: usize>(world: &World, arguments: [&str; N]) -> Value {
    world
        .run(arguments.into_iter().chain(["--output", "json"]))
        .expect_code(0)
        .json()
}

fn one_error_with_hint(ran: &Ran) {
    assert_eq!(ran.stderr.matches("error:").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("hint:"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn a_bad_project_file_is_told_whole_and_stores_nothing() {
    let world = dev();
    let text = fs::read_to_string(orders_file()).unwrap();
    let bad = text
        .replace("kind: existing", "kind: exiting")
        .replace("\"111111111111\"", "\"11111\"")
        .replace("environments: [dev]", "environments: [development]");
    let ran = apply(&world, "bad.yaml", &bad).expect_code(1);
    let places: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.contains("bad.yaml:"))
        .collect();
    assert!(places.len() >= 3, "every fault with its place:\n{}", ran.stderr);
    for (line, fault) in [("exiting", 1), ("11111", 1), ("development", 1)] {
        assert!(
            places.iter().filter(|place| place.contains(line)).count() >= fault,
            "{line}: {}",
            ran.stderr
        );
    }
    let projects = json(&world, ["status"]);
    assert_eq!(
        projects["projects"].as_array().map_or(0, Vec::len),
        0,
        "{projects}"
    );
    world.stop();
}

#[test]
fn an_unknown_environment_is_refused_by_name() {
    let world = dev();
    world.apply_file(&orders_file());
    world
        .run([
            "release",
            "create",
            "--version",
            "1.0.0",
            "--image",
            "orders=1.0.0",
        ])
        .expect_code(0);
    let ran = world.run(["promote", "1.0.0", "--to", "nowhere"]).expect_code(1);
    one_error_with_hint(&ran);
    assert!(
        ran.stderr.contains("nowhere") && ran.stderr.contains("dev"),
        "{}",
        ran.stderr
    );
    world.stop();
}

#[test]
fn an_account_that_is_not_the_targets_is_refused_by_the_agent() {
    let world = dev();
    let text = fs::read_to_string(orders_file())
        .unwrap()
        .replace("111111111111", "999999999999");
    apply(&world, "other-account.yaml", &text).expect_code(0);
    let before = world.sim.last();
    let ran = world
        .run([
            "release",
            "create",
            "--version",
            "1.0.0",
            "--image",
            "orders=1.0.0",
        ])
        .expect_code(1);
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert!(
        told.contains("999999999999") && told.contains("111111111111"),
        "{told}"
    );
    assert!(told.contains("hint:"), "{told}");
    assert!(world.sim.applied_writes(before).is_empty());
    world.stop();
}

#[test]
fn a_second_project_may_not_claim_the_same_service() {
    let world = dev();
    world.apply_file(&orders_file());
    let text = fs::read_to_string(orders_file())
        .unwrap()
        .replace("project: orders", "project: rival");
    let ran = apply(&world, "rival.yaml", &text).expect_code(1);
    one_error_with_hint(&ran);
    assert!(
        ran.stderr.contains("orders"),
        "names the project that holds it: {}",
        ran.stderr
    );
    let status = json(&world, ["status"]);
    assert_eq!(status["projects"].as_array().unwrap().len(), 1, "{status}");
    world.stop();
}

#[test]
fn a_port_in_use_is_named() {
    let world = dev();
    let directory = world.path().join("second");
    let mut init = Command::new(binary("towline"));
    init.args(["init", "--listen", &world.address, "--dir"])
        .arg(&directory);
    init.env("TOWLINE_CONFIG", world.path().join("second-cli.toml"));
    Ran::run(init).expect_code(0);
    let mut serve = Command::new(binary("towline"));
    serve.args(["serve", "--dir"]).arg(&directory);
    let ran = Ran::run(serve).expect_code(1);
    one_error_with_hint(&ran);
    assert!(ran.stderr.contains(&world.address), "{}", ran.stderr);

    let mut again = world.towline(["serve", "--dir"]);
    again.arg(world.path().join("orchestrator"));
    let ran = Ran::run(again).expect_code(1);
    one_error_with_hint(&ran);
    world.stop();
}

#[test]
fn an_offline_agent_is_waited_for_and_errs_at_the_deadline() {
    let mut world = dev();
    let text = fs::read_to_string(orders_file()).unwrap();
    let with_deadline = text
        .replace("  dev:\n    targets:", "  dev:\n    deadline: 6s\n    targets:")
        .replace("automatic: true", "automatic: false");
    assert!(with_deadline.contains("deadline: 6s") && !with_deadline.contains("automatic: true"));
    apply(&world, "deadline.yaml", &with_deadline).expect_code(0);
    world
        .run([
            "release",
            "create",
            "--version",
            "1.0.0",
            "--image",
            "orders=1.0.0",
            "--no-wait",
        ])
        .expect_code(0);
    world.kill_agent("dev");
    world.run(["promote", "1.0.0", "--no-wait"]).expect_code(0);
    let waiting = wait_for(
        "the deployment says what it waits on",
        Duration::from_secs(5),
        || {
            let release = json(&world, ["release", "show", "1.0.0"]);
            let deployment = &release["deployments"][0];
            let texts = format!("{} {}", deployment["waiting_on"], deployment["operations"]);
            texts.contains("offline since").then_some(texts)
        },
    );
    assert!(waiting.contains("agent dev"), "{waiting}");
    let ran = world.run(["watch", "1.0.0"]).expect_code(4);
    assert!(
        format!("{}{}", ran.stdout, ran.stderr).contains("deadline"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    world.stop();
}

#[test]
fn a_deployer_does_not_approve_and_an_approver_does() {
    let world = World::start(Options::default());
    world.apply_file(&shop_file());
    world
        .run([
            "release",
            "create",
            "--version",
            "1.0.0",
            "--image",
            "web=1.0.0",
            "--image",
            "orders=1.0.0",
        ])
        .expect_code(6);
    for (name, role) in [("dora", "deployer"), ("ann", "approver")] {
        let invited = json(&world, ["operator", "invite", name, "--role", role]);
        let token = invited["join_token"].as_str().unwrap();
        Ran::run(world.towline_as(name, ["join", token])).expect_code(0);
    }
    world.run(["promote", "1.0.0"]).expect_code(6);
    let approve = ["approve", "--release", "1.0.0", "--environment", "prod", "--yes"];
    let refused = Ran::run(world.towline_as("dora", approve)).expect_code(1);
    one_error_with_hint(&refused);
    assert!(refused.stderr.contains("approver"), "{}", refused.stderr);
    let release = json(&world, ["release", "show", "1.0.0"]);
    assert!(release.to_string().contains("awaiting_approval"), "{release}");
    Ran::run(world.towline_as("ann", approve)).expect_code(0);
    world.run(["watch", "1.0.0"]).expect_code(0);
    world.stop();
}

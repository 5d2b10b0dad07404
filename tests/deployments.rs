//! Deployments in full, with the real programs: a one-off task before the
//! services, a failed deployment that puts back what it changed, a person who
//! decides how it goes on, and an environment that goes back in one command.

use std::{fs, time::Instant};

use serde_json::Value;
use towline_tests::{
    cli::Ran,
    world::{Options, World, shop_file},
};

/// The shop of which only `dev` begins by itself, and which says this besides.
fn shop(of_dev: &str, tasks: &str) -> World {
    let world = World::start(Options::default());
    let text = fs::read_to_string(shop_file()).unwrap();
    let text = text
        .replacen("\n  dev:\n", &format!("\n  dev:\n{of_dev}"), 1)
        .replacen("\nenvironments:\n", &format!("\n{tasks}environments:\n"), 1)
        .replacen(
            "phase: staging, environments: [staging], automatic: true",
            "phase: staging, environments: [staging]",
            1,
        );
    let file = world.path().join("shop.yaml");
    fs::write(&file, text).unwrap();
    world.run(["apply", "-f", file.to_str().unwrap()]).expect_code(0);
    world
}

const MIGRATE: &str = "tasks:
  migrate:
    run: before
    like: orders
    container: app
    command: [./migrate, --to, latest]
    only_in: [dev]
";

fn release(world: &World, version: &str, web: &str, orders: &str) -> Ran {
    let (web, orders) = (format!("web={web}"), format!("orders={orders}"));
    world.run([
        "release",
        "create",
        "--version",
        version,
        "--image",
        &web,
        "--image",
        &orders,
    ])
}

fn dev(world: &World, version: &str) -> Value {
    let shown = world.run(["release", "show", version, "--output", "json"]);
    let shown = shown.expect_code(0).json();
    let deployments = shown["deployments"].as_array().unwrap();
    let mut newest = deployments.iter().rev();
    newest.find(|it| it["environment"] == "dev").unwrap().clone()
}

/// Each operation as "service verdict".
fn told(deployment: &Value) -> Vec<String> {
    let operations = deployment["operations"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    operations
        .map(|it| match text(&it["verdict"]).as_str() {
            "" => format!("{} {}", text(&it["service"]), text(&it["state"])),
            verdict => format!("{} {verdict}", text(&it["service"])),
        })
        .collect()
}

#[test]
fn a_migration_runs_before_the_services_and_one_that_fails_leaves_them_alone() {
    let world = shop("", MIGRATE);
    // Settles on the promotion to staging.
    release(&world, "1.0.0", "1.0.0", "1.1.0").expect_code(6);
    let first = dev(&world, "1.0.0");
    assert_eq!(
        told(&first),
        ["migrate succeeded", "web succeeded", "orders succeeded"],
        "{first}"
    );
    assert_eq!(first["operations"][0]["outputs"]["exit_code"], "0");

    let bad = release(&world, "1.1.0", "1.2.0", "1.2.0").expect_code(3);
    let second = dev(&world, "1.1.0");
    assert_eq!(
        told(&second),
        ["migrate failed", "web skipped", "orders skipped"],
        "{second}"
    );
    assert!(
        bad.stderr.contains("fatal: relation orders_v2 exists"),
        "its log is shown: {}",
        bad.stderr
    );
    assert_eq!(second["operations"][0]["outputs"]["exit_code"], "3");
}

#[test]
fn a_failed_deployment_puts_back_what_it_changed() {
    let world = shop("    on_failure: roll_back\n", "");
    release(&world, "1.0.0", "1.0.0", "1.0.0").expect_code(6);
    release(&world, "1.1.0", "1.2.0", "1.3.0").expect_code(3);
    let failed = dev(&world, "1.1.0");
    assert_eq!(
        told(&failed),
        ["web succeeded", "orders failed", "web succeeded"],
        "{failed}"
    );
    assert_eq!(failed["operations"][2]["kind"], "roll_back", "{failed}");
    assert_eq!(failed["aftermath"], "rolled back");
    let status = world.run(["status", "--output", "json"]).expect_code(0).json();
    let text = status.to_string();
    assert!(text.contains("shop/web"), "{text}");
    let table = world.run(["status"]).expect_code(0).stdout;
    let web = table.lines().find(|line| line.starts_with("web")).unwrap();
    assert!(web.contains("1.0.0,"), "{table}");
}

#[test]
fn a_person_decides_how_it_goes_on() {
    let world = shop("    guided: true\n", "");
    let asked = release(&world, "1.0.0", "1.0.0", "1.3.0").expect_code(6);
    assert!(
        asked.stderr.contains("a decision about orders on "),
        "{}",
        asked.stderr
    );
    let again = world
        .run([
            "deployment",
            "retry",
            "--release",
            "1.0.0",
            "--environment",
            "dev",
        ])
        .expect_code(6);
    assert!(again.stderr.contains("tried again"), "{}", again.stderr);
    let waits = dev(&world, "1.0.0");
    assert_eq!(waits["state"], "awaiting_intervention");
    assert_eq!(told(&waits), ["web succeeded", "orders failed", "orders failed"]);
    let ignore = [
        "deployment",
        "ignore",
        "--release",
        "1.0.0",
        "--environment",
        "dev",
        "--note",
        "known",
    ];
    world.run(ignore).expect_code(0);
    let ended = dev(&world, "1.0.0");
    assert_eq!(
        (&ended["state"], &ended["aftermath"]),
        (&"succeeded".into(), &"ignored: orders".into())
    );
}

#[test]
fn an_environment_goes_back_in_one_command() {
    let world = shop("", MIGRATE);
    release(&world, "1.0.0", "1.0.0", "1.1.0").expect_code(6);
    release(&world, "1.1.0", "1.2.0", "1.1.0").expect_code(6);
    let begun = Instant::now();
    let back = world.run(["rollback", "--environment", "dev", "--no-wait", "--note", "slow"]);
    back.expect_code(0);
    let took = begun.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
    world.run(["watch", "1.0.0"]).expect_code(6);
    let deployment = dev(&world, "1.0.0");
    assert_eq!(
        told(&deployment),
        ["web succeeded", "orders unchanged"],
        "no task: {deployment}"
    );
    assert_eq!(deployment["rolled_back_from"], "1.1.0");
    let again = world.run(["rollback", "--environment", "dev"]);
    let again = again.expect_code(1);
    assert!(
        again.stderr.contains("no release before 1.0.0"),
        "{}",
        again.stderr
    );
    let redeployed = world.run(["redeploy", "--environment", "dev", "--output", "json"]);
    let redeployed = redeployed.expect_code(0).json();
    assert_eq!(redeployed["origin"], "redeployment");
}

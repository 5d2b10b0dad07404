//! A deployment is carried out as planned or not at all, and it can be forced.

use serde_json::Value;
use towline_tests::world::{Options, World};

const DEV: &str = "111111111111/eu-west-1/main";

/// The shop in dev alone, released once.
fn released() -> World {
    let world = World::start(Options {
        agents: vec!["dev"],
        ..Options::default()
    });
    let text = std::fs::read_to_string(towline_tests::world::shop_file()).expect("the shop");
    let text = text.replace("environments: [dev], automatic: true", "environments: [dev]");
    let text = text.replace(
        "environments: [staging], automatic: true",
        "environments: [staging]",
    );
    let path = world.path().join("towline.yaml");
    std::fs::write(&path, text).expect("a file");
    world.apply_file(&path);
    let images = ["--image", "web=1.0.0", "--image", "orders=1.0.0"];
    let create = ["release", "create", "--version", "1.0.0", "--no-wait"];
    world.run(create.into_iter().chain(images)).expect_code(0);
    world.run(["promote", "1.0.0", "--to", "dev"]).expect_code(0);
    world
}

fn plan_of(world: &World, service: &str, release: &str) -> (Value, String) {
    let arguments = [
        "service",
        "plan",
        service,
        "--environment",
        "dev",
        "--release",
        release,
        "--output",
        "json",
    ];
    let ran = world.run(arguments).expect_code(0);
    (ran.json(), ran.stdout)
}

/// ECS's UpdateService calls so far, by service.
fn updates(world: &World) -> Vec<String> {
    let effects = world.sim.effects(0);
    let updates = effects
        .iter()
        .filter(|it| it.action == "UpdateService" && it.applied);
    updates.map(|it| it.subject.clone()).collect()
}

#[test]
fn a_deployment_is_carried_out_as_it_was_planned_or_not_at_all() {
    let world = released();
    let images = ["--image", "web=1.2.0", "--image", "orders=1.2.0"];
    // What a release says counts, not what the project says by then.
    let create = ["release", "create", "--version", "1.0.1", "--no-wait"];
    let same = ["--image", "web=1.0.0", "--image", "orders=1.1.0"];
    world.run(create.into_iter().chain(same)).expect_code(0);
    let (web, web_text) = plan_of(&world, "web", "1.0.1");
    assert_eq!(web["action"], "unchanged", "{web_text}");
    let (orders, orders_text) = plan_of(&world, "orders", "1.0.1");
    assert_eq!(orders["action"], "register", "{orders_text}");
    assert_eq!(orders["target"], DEV);
    assert_eq!(
        orders["images"][0]["after"]
            .as_str()
            .map(|it| it.contains("shop/orders@sha256:")),
        Some(true)
    );
    let human = world
        .run([
            "service",
            "plan",
            "orders",
            "--environment",
            "dev",
            "--release",
            "1.0.1",
        ])
        .expect_code(0);
    println!("{}", human.stdout);
    assert!(
        human.stdout.contains("  ~ app: ") && human.stdout.contains("runs orders:"),
        "{}",
        human.stdout
    );

    // What the whole promotion would do, approved as a file; then plans of
    // something else by their hashes.
    let dry_run = ["promote", "1.0.1", "--to", "dev", "--dry-run"];
    let all = world
        .run(dry_run.into_iter().chain(["--output", "json"]))
        .expect_code(0);
    let hashes: Vec<Value> = all.json()["plans"]
        .as_array()
        .expect("plans")
        .iter()
        .map(|plan| plan["hash"].clone())
        .collect();
    assert_eq!(hashes, [web["hash"].clone(), orders["hash"].clone()]);
    let human = world.run(dry_run).expect_code(0).stdout;
    assert!(
        human.contains(&format!("web@{DEV}")) && human.contains("-> "),
        "{human}"
    );
    let approved = world.path().join("approved.json");
    std::fs::write(&approved, all.stdout).expect("a file");
    let file = approved.to_str().expect("a path");
    let wrong = world.run(["promote", "1.0.0", "--to", "dev", "--plan-file", file]);
    assert_eq!(wrong.code, 1, "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("is of release 1.0.1, not of 1.0.0"),
        "{}",
        wrong.stderr
    );
    let ran = world
        .run(["promote", "1.0.1", "--to", "dev", "--plan-file", file])
        .expect_code(0);
    assert!(
        ran.stderr.contains("created by admin, only as planned"),
        "{}",
        ran.stderr
    );

    let create = ["release", "create", "--version", "1.2.0", "--no-wait"];
    world.run(create.into_iter().chain(images)).expect_code(0);
    let before = updates(&world);
    let stale = format!("web={}", web["hash"].as_str().expect("a hash"));
    world
        .run(["promote", "1.2.0", "--to", "dev", "--plan", &stale])
        .expect_code(4);
    assert_eq!(reasons(&world, "1.2.0"), ["web plan_changed", "orders "]);
    assert_eq!(updates(&world), before, "nothing was done");
    let stale = format!("orders@{DEV}={}", orders["hash"].as_str().expect("a hash"));
    world
        .run(["promote", "1.2.0", "--to", "dev", "--plan", &stale])
        .expect_code(4);
    assert_eq!(reasons(&world, "1.2.0"), ["web completed", "orders plan_changed"]);
    assert!(
        !updates(&world)[before.len()..]
            .iter()
            .any(|it| it.contains("orders"))
    );
}

/// Why the operations of a release's newest deployment ended so.
fn reasons(world: &World, release: &str) -> Vec<String> {
    let shown = world
        .run(["release", "show", release, "--output", "json"])
        .expect_code(0)
        .json();
    let newest = shown["deployments"]
        .as_array()
        .and_then(|it| it.last())
        .expect("a deployment");
    let operations = newest["operations"].as_array().expect("operations").iter();
    operations
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("service"), text("reason"))
        })
        .collect()
}

#[test]
fn a_forced_deployment_starts_new_tasks_although_nothing_changed() {
    let world = released();
    let before = updates(&world).len();
    world.run(["promote", "1.0.0", "--to", "dev"]).expect_code(0);
    assert_eq!(updates(&world).len(), before, "nothing changed");
    let ran = world
        .run(["promote", "1.0.0", "--to", "dev", "--force"])
        .expect_code(0);
    assert!(ran.stdout.contains("admin, forced"), "{}", ran.stdout);
    let all = updates(&world);
    assert_eq!(all.len(), before + 2, "one for each service: {all:?}");

    // What a stack of Towline keeps is not imported; what the project has already may be again.
    let import = world
        .run(["import", "--project", "shop", "--output", "json"])
        .expect_code(0);
    let imported = import.json();
    assert_eq!(
        imported["services"].as_array().map(Vec::len),
        Some(1),
        "{}",
        import.stdout
    );
    assert_eq!(imported["services"][0]["service"], "orders");
    assert_eq!(imported["notes"][0]["reason"], "owned_by_stack");
}

/// One service with everything that can be said of it.
const EVERYTHING: &str = r#"
project: everything
images:
  orders: { repository: running }
services:
  stock:
    kind: existing
    service: "${target.name}"
    containers:
      app:
        image: orders
        environment: { set: { LEVEL: "${environment.level}", WORKERS: 4 }, remove: [QUEUE] }
        secrets: { set: { EXTRA: "${target.secret}" } }
      "${target.sidecar}":
        environment: { set: { DD_ENV: dev } }
    base: running
    tags: { set: { owner: shop }, remove: [team] }
    on_failure: roll_back
    timeout: 10m
    bake: { time: 1s, alarms: ["${target.name}-errors"] }
environments:
  dev:
    values: { level: debug }
    targets:
      - agent: dev
        account: "111111111111"
        region: eu-west-1
        cluster: main
        values:
          name: orders
          sidecar: datadog
          secret: arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-password-a1b2c3
channels:
  stable: { lifecycle: standard }
lifecycles:
  standard:
    - { phase: dev, environments: [dev] }
"#;

#[test]
fn everything_that_a_file_says_of_an_existing_service_is_carried_out() {
    let world = World::start(Options {
        agents: vec!["dev"],
        ..Options::default()
    });
    let path = world.path().join("everything.yaml");
    std::fs::write(&path, EVERYTHING).expect("a file");
    world.apply_file(&path);
    for version in ["1.0.0", "1.3.0"] {
        let image = format!("orders={version}");
        world
            .run([
                "release",
                "create",
                "--version",
                version,
                "--image",
                &image,
                "--no-wait",
            ])
            .expect_code(0);
    }
    let planned = world
        .run([
            "service",
            "plan",
            "stock",
            "--environment",
            "dev",
            "--release",
            "1.0.0",
        ])
        .expect_code(0)
        .stdout;
    for line in [
        "  ~ containerDefinitions[app].environment[LEVEL]: \"info\" -> \"debug\"\n",
        "  + containerDefinitions[app].environment[WORKERS]: \"4\"\n",
        "  - containerDefinitions[app].environment[QUEUE]: \"orders\"\n",
        "  + containerDefinitions[datadog].environment[DD_ENV]: \"dev\"\n",
        "  + tags[owner]: \"shop\"\n",
        "  - tags[team]: \"shop\"\n",
    ] {
        assert!(planned.contains(line), "{line:?} is not in\n{planned}");
    }
    assert!(planned.contains("secrets[EXTRA]"), "{planned}");
    world.run(["promote", "1.0.0", "--to", "dev"]).expect_code(0);
    let (again, text) = plan_of(&world, "stock", "1.0.0");
    assert_eq!(again["action"], "unchanged", "{text}");

    // Its image crashes: what ran before is put back, and runs.
    let failed = world.run(["promote", "1.3.0", "--to", "dev"]).expect_code(3);
    let (after, text) = plan_of(&world, "stock", "1.0.0");
    assert_eq!(after["action"], "unchanged", "{text}\n{}", failed.stderr);
}

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

fn plan(world: &World, service: &str, release: &str) -> (Value, String) {
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
    let (web, web_text) = plan(&world, "web", "1.0.1");
    assert_eq!(web["action"], "unchanged", "{web_text}");
    let (orders, orders_text) = plan(&world, "orders", "1.0.1");
    assert_eq!(orders["action"], "register", "{orders_text}");
    assert_eq!(orders["target"], DEV);
    assert_eq!(
        orders["images"][0]["after"]
            .as_str()
            .map(|it| it.ends_with("shop/orders:1.1.0")),
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

    // The approved plans as files, then a plan of something else by its hash.
    let approved = world.path().join("approved.json");
    std::fs::write(&approved, web_text + &orders_text).expect("a file");
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
}

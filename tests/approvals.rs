//! People approve what the agents planned, with values as they are in the
//! account; when either changes, they are asked again, and nothing runs before.

use towline_tests::world::{Options, World, shop_file};

const ACCOUNT: &str = "111111111111";
const REGION: &str = "eu-west-1";

/// The shop in dev alone, which needs an approval; the pool's size stands in the account.
fn asked() -> World {
    let world = World::start(Options {
        agents: vec!["dev"],
        agent_extra: "\n[values]\nallow = [\"/shop/*\"]\n".to_owned(),
        ..Options::default()
    });
    world.sim.put_parameter(ACCOUNT, REGION, "/shop/debug/pool", "5");
    let text = std::fs::read_to_string(shop_file()).expect("the shop");
    let text = text
        .replace(
            "environments: [dev], automatic: true",
            "environments: [dev], approvals: { role: approver, expires: 24h }",
        )
        .replace("environments: [staging], automatic: true", "environments: [staging]")
        .replace("LEVEL: \"${environment.level}\"", "LEVEL: \"${environment.level}\"\n          POOL: \"${variable.POOL}\"")
        .replace(
            "environments:\n  dev:",
            "variables:\n  POOL:\n    - { value: 20 }\n    - { ssm: \"/shop/${environment.level}/pool\", environment: dev }\n\nenvironments:\n  dev:",
        );
    let path = world.path().join("towline.yaml");
    std::fs::write(&path, text).expect("a file");
    world.apply_file(&path);
    let create = [
        "release",
        "create",
        "--version",
        "1.0.0",
        "--image",
        "web=1.0.0",
        "--image",
        "orders=1.0.0",
    ];
    world.run(create.into_iter().chain(["--no-wait"])).expect_code(0);
    world.run(["promote", "1.0.0", "--to", "dev"]).expect_code(6);
    world
}

fn plan_hash(world: &World) -> String {
    let show = [
        "deployment",
        "plan",
        "--release",
        "1.0.0",
        "--environment",
        "dev",
        "--output",
        "json",
    ];
    let plan = world.run(show).expect_code(0).json();
    plan["hash"].as_str().expect("a hash").to_owned()
}

fn writes(world: &World) -> usize {
    let writes = world.sim.applied_writes(0);
    let deploys = ["ExecuteChangeSet", "UpdateService"];
    writes
        .iter()
        .filter(|it| deploys.contains(&it.action.as_str()))
        .count()
}

#[test]
fn an_approval_is_of_the_plan_and_of_the_values_in_the_account() {
    let world = asked();
    let shown = world
        .run(["variables", "--environment", "dev", "--service", "web"])
        .expect_code(0)
        .stdout;
    assert!(shown.contains("(SSM parameter /shop/debug/pool)"), "{shown}");
    let first = plan_hash(&world);
    let shown = world
        .run(["deployment", "plan", "--release", "1.0.0", "--environment", "dev"])
        .expect_code(0)
        .stdout;
    assert!(shown.contains("web@111111111111/eu-west-1/main"), "{shown}");
    assert!(shown.contains(&format!("the whole plan: {first}")), "{shown}");

    // Nobody is at the terminal: a plan has to be named.
    let approve = ["approve", "--release", "1.0.0", "--environment", "dev"];
    let silent = world.run(approve).expect_code(1);
    assert!(
        silent.stderr.contains(&format!("--plan {first}")),
        "{}",
        silent.stderr
    );

    // The account changes after they looked.
    world.sim.put_parameter(ACCOUNT, REGION, "/shop/debug/pool", "6");
    let voided = world
        .run(approve.into_iter().chain(["--plan", &first]))
        .expect_code(6);
    assert!(
        voided.stderr.contains("the approval of admin is void"),
        "{}",
        voided.stderr
    );
    assert!(
        voided
            .stderr
            .contains("web on 111111111111/eu-west-1/main: plan "),
        "{}",
        voided.stderr
    );
    assert_eq!(writes(&world), 0, "nothing unapproved ran");
    let stale = world
        .run(approve.into_iter().chain(["--plan", &first]))
        .expect_code(1);
    let second = plan_hash(&world);
    assert_ne!(first, second);
    assert!(stale.stderr.contains(&second), "{}", stale.stderr);

    let ran = world
        .run(approve.into_iter().chain(["--yes", "--note", "seen"]))
        .expect_code(0);
    assert!(ran.stderr.contains("approved by admin: seen"), "{}", ran.stderr);
    assert!(writes(&world) > 0);
    world.stop();
}

#[test]
fn a_rejection_ends_it_as_cancelled() {
    let world = asked();
    let rejected = world
        .run([
            "reject",
            "--release",
            "1.0.0",
            "--environment",
            "dev",
            "--note",
            "not today",
        ])
        .expect_code(5);
    assert!(
        rejected.stderr.contains("rejected by admin: not today"),
        "{}",
        rejected.stderr
    );
    assert_eq!(writes(&world), 0);
    world.stop();
}

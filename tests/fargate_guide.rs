//! The worked examples of docs/fargate.md, as a reader would run them: apply,
//! plan, print the template, release, release again.

use serde_json::Value;
use towline_tests::{
    cli::Ran,
    world::{Options, World, repository},
};

fn world(agents: &[&'static str]) -> World {
    World::start(Options {
        agents: agents.to_vec(),
        ..Options::default()
    })
}

fn apply(world: &World, example: &str) {
    world.apply_file(&repository().join("examples/fargate").join(example));
}

fn plan(world: &World, service: &str, environment: &str, image: &str) -> Value {
    let asked = ["service", "plan", service, "--project", service];
    let place = ["--environment", environment, "--image", image, "--output", "json"];
    world.run(asked.into_iter().chain(place)).expect_code(0).json()
}

/// Releases and waits; the example's dev phase starts by itself.
fn release(world: &World, project: &str, version: &str, image: &str) -> Ran {
    world.run([
        "release",
        "create",
        "--project",
        project,
        "--version",
        version,
        "--image",
        image,
    ])
}

/// The verdicts of a release's operations, in order.
fn verdicts(world: &World, project: &str, version: &str) -> Vec<String> {
    let shown = [
        "release",
        "show",
        version,
        "--project",
        project,
        "--output",
        "json",
    ];
    let json = world.run(shown).expect_code(0).json();
    let deployments = json["deployments"].as_array().expect("deployments");
    deployments
        .iter()
        .flat_map(|deployment| deployment["operations"].as_array().expect("operations"))
        .map(|operation| operation["verdict"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn reasons(plan: &Value, severity: &str) -> Vec<String> {
    let findings = plan["findings"].as_array().expect("findings");
    findings
        .iter()
        .filter(|finding| finding["severity"] == severity)
        .map(|finding| finding["reason"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_simple_service_is_planned_printed_made_and_left_alone_when_nothing_changed() {
    let world = world(&["dev"]);
    apply(&world, "simple.yaml");

    let before = world.sim.last();
    let planned = plan(&world, "hello", "dev", "web=1.0.0");
    assert_eq!(planned["action"], "create", "{planned:#}");
    assert_eq!(reasons(&planned, "error"), Vec::<String>::new(), "{planned:#}");
    assert!(!planned["hash"].as_str().expect("a hash").is_empty());
    assert_eq!(
        world.sim.stacks("111111111111", "eu-west-1"),
        Vec::<String>::new(),
        "a plan leaves nothing behind"
    );
    let writes = world.sim.applied_writes(before);
    let made: Vec<&str> = writes.iter().map(|effect| effect.action.as_str()).collect();
    assert!(
        made.iter()
            .all(|action| action.contains("ChangeSet") || *action == "DeleteStack"),
        "{made:?}"
    );

    let template = [
        "service",
        "template",
        "hello",
        "--project",
        "hello",
        "--environment",
        "dev",
        "--image",
        "web=1.0.0",
    ];
    let json = world.run(template).expect_code(0);
    let document = json.json();
    assert_eq!(document["AWSTemplateFormatVersion"], "2010-09-09");
    assert!(
        json.stderr.contains("aws cloudformation deploy --stack-name"),
        "{}",
        json.stderr
    );
    let yaml = world
        .run(template.into_iter().chain(["--format", "yaml"]))
        .expect_code(0);
    assert!(
        yaml.stdout.contains("Type: AWS::ECS::Service\n"),
        "{}",
        yaml.stdout
    );

    release(&world, "hello", "1.0.0", "web=1.0.0").expect_code(0);
    assert_eq!(verdicts(&world, "hello", "1.0.0"), ["succeeded"]);
    let again = plan(&world, "hello", "dev", "web=1.0.0");
    assert_eq!(again["action"], "unchanged", "{again:#}");
    release(&world, "hello", "1.0.1", "web=1.0.0").expect_code(0);
    assert_eq!(verdicts(&world, "hello", "1.0.1"), ["unchanged"]);

    let next = plan(&world, "hello", "dev", "web=1.2.0");
    assert_eq!(next["action"], "update", "{next:#}");
    let changes = next["changes"].as_array().expect("changes");
    assert!(
        changes.iter().all(|change| change["replacement"] == false),
        "{next:#}"
    );
    let text = world.run([
        "service",
        "plan",
        "hello",
        "--project",
        "hello",
        "--environment",
        "dev",
        "--image",
        "web=1.2.0",
    ]);
    assert!(text.expect_code(0).stdout.starts_with("update  "));
    world.stop();
}

#[test]
fn a_plan_that_cannot_work_is_refused_with_what_to_do() {
    let world = world(&["dev"]);
    apply(&world, "simple.yaml");
    let refused = world.run([
        "service",
        "plan",
        "hello",
        "--environment",
        "dev",
        "--image",
        "web=9.9.9",
    ]);
    let refused = refused.expect_code(1);
    assert!(refused.stdout.starts_with("refused  "), "{}", refused.stdout);
    assert!(refused.stdout.contains("9.9.9"), "{}", refused.stdout);
    assert!(refused.stdout.contains("hint: "), "{}", refused.stdout);
    world.stop();
}

#[test]
fn several_containers_with_volumes_secrets_and_health_checks_are_made() {
    let world = world(&["dev"]);
    apply(&world, "containers.yaml");
    let planned = plan(&world, "catalog", "dev", "web=1.2.0");
    assert_eq!(planned["action"], "create", "{planned:#}");
    release(&world, "catalog", "1.0.0", "web=1.2.0").expect_code(0);
    assert_eq!(verdicts(&world, "catalog", "1.0.0"), ["succeeded"]);
    let again = plan(&world, "catalog", "dev", "web=1.2.0");
    assert_eq!(again["action"], "unchanged", "{again:#}");
    world.stop();
}

#[test]
fn a_listener_rule_with_capacity_providers_and_alarms_goes_to_prod_after_an_approval() {
    let world = world(&["dev", "prod"]);
    apply(&world, "listener-rule.yaml");
    let planned = plan(&world, "api", "prod", "web=1.2.0");
    assert_eq!(planned["action"], "create", "{planned:#}");
    let kinds: Vec<&str> = planned["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|change| change["type"].as_str())
        .collect();
    for kind in [
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "AWS::ECS::Service",
    ] {
        assert!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
    release(&world, "api", "1.0.0", "web=1.2.0").expect_code(6);
    assert_eq!(verdicts(&world, "api", "1.0.0"), ["succeeded"]);
    world
        .run(["promote", "1.0.0", "--project", "api", "--no-wait"])
        .expect_code(0);
    world
        .run([
            "approve",
            "--release",
            "1.0.0",
            "--environment",
            "prod",
            "--project",
            "api",
        ])
        .expect_code(0);
    assert_eq!(verdicts(&world, "api", "1.0.0"), ["succeeded", "succeeded"]);
    let next = plan(&world, "api", "prod", "web=1.0.0");
    let rules = next["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter(|change| change["type"] == "AWS::ElasticLoadBalancingV2::ListenerRule")
        .count();
    assert_eq!(rules, 0, "the rule keeps its priority: {next:#}");
    world.stop();
}

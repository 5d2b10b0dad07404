//! What docs/update.md promises, as a reader would try it: the least project
//! file, the script for grpcurl, and an agent that deploys with its
//! orchestrator gone.

use std::process::Command;

use serde_json::Value;
use towline_tests::{
    cli::Ran,
    direct::MAY_DEPLOY,
    excluded::program,
    world::{Options, World, repository},
};

#[test]
fn the_yaml_of_the_guide_stands_in_the_example_that_is_checked() {
    let guide = std::fs::read_to_string(repository().join("docs/update.md")).expect("the guide");
    let example = std::fs::read_to_string(repository().join("examples/existing/towline.yaml")).expect("it");
    let blocks: Vec<&str> = guide
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 2, "{blocks:?}");
    for block in blocks {
        assert!(example.contains(block), "the example does not have\n{block}");
    }
}

/// `update-service.sh` for the container `app` of `orders`.
fn script(world: &World, grpcurl: &str, cluster: &str, tag: &str) -> Ran {
    let mut command = Command::new(repository().join("examples/existing/update-service.sh"));
    command
        .args(["eu-west-1", cluster, "orders", "app", tag])
        .env(
            "AGENT",
            world.agent("staging").listen.as_ref().expect("it listens"),
        )
        .env("CREDENTIALS", world.credentials("admin"))
        .env("GRPCURL", grpcurl);
    Ran::run(command)
}

fn last_event(ran: &Ran) -> Value {
    let events = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<Value>();
    events.map(|event| event.expect("JSON")).last().expect("an event")["event"].clone()
}

#[test]
fn the_script_deploys_without_the_orchestrator_and_ends_by_the_verdict() {
    let Some(grpcurl) = program("GRPCURL") else { return };
    let mut world = World::start(Options {
        agents: vec!["staging"],
        agent_extra: MAY_DEPLOY.to_owned(),
        ..Options::default()
    });
    world.kill_orchestrator();

    let good = script(&world, &grpcurl, "main", "1.0.0").expect_code(0);
    assert_eq!(last_event(&good)["finished"]["verdict"], "VERDICT_SUCCEEDED");
    let again = script(&world, &grpcurl, "main", "1.0.0").expect_code(0);
    assert_eq!(last_event(&again)["finished"]["verdict"], "VERDICT_UNCHANGED");

    let bad = script(&world, &grpcurl, "main", "1.3.0").expect_code(3);
    let finished = &last_event(&bad)["finished"];
    let cause = finished["diagnosis"]["rootCause"].as_str().unwrap_or_default();
    assert!(cause.contains("exited with code 2"), "{finished:#}");

    let refused = script(&world, &grpcurl, "elsewhere", "1.0.0").expect_code(1);
    assert!(
        refused.stderr.contains("elsewhere") && refused.stderr.contains("eu-west-1/main"),
        "{}",
        refused.stderr
    );
    world.stop();
}

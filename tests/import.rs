//! Two hundred services in ten accounts become one project file, in one
//! command, and the file can be applied as it is.

use std::{fmt::Write as _, fs, time::Instant};

use towline_tests::{
    cli::Ran,
    world::{AgentPlan, Options, World},
};

/// Agent, environment, the word by which its names say the stage.
const FLEET: [(&str, &str, &str); 10] = [
    ("dev-1", "dev", "dev"),
    ("dev-2", "dev", "dev"),
    ("staging-1", "staging", "stg"),
    ("staging-2", "staging", "stg"),
    ("prod-1", "prod", "prod"),
    ("prod-2", "prod", "prod"),
    ("prod-3", "prod", "prod"),
    ("prod-4", "prod", "prod"),
    ("prod-5", "prod", "prod"),
    ("prod-6", "prod", "prod"),
];

/// Of each account.
const SERVICES: usize = 20;

fn account(index: usize) -> String {
    format!("{:012}", 100_000_000_000 + index)
}

/// A family with its containers, as the seed writes it.
fn definition(seed: &mut String, contents: &str, family: &str, containers: &[(&str, &str)], tags: &str) {
    writeln!(
        seed,
        "[[contents.{contents}.task_definitions]]\nfamily = \"{family}\"\nnetworkMode = \"bridge\"\n\
         requiresCompatibilities = [\"EC2\"]\n{tags}"
    )
    .unwrap();
    for (name, image) in containers {
        writeln!(
            seed,
            "[[contents.{contents}.task_definitions.containerDefinitions]]\nname = \"{name}\"\n\
             image = \"{image}\"\nessential = true\nmemory = 64"
        )
        .unwrap();
    }
}

fn service(seed: &mut String, contents: &str, name: &str) {
    writeln!(
        seed,
        "[[contents.{contents}.services]]\ncluster = \"main\"\nserviceName = \"{name}\"\n\
         taskDefinition = \"{name}\"\ndesiredCount = 0\nlaunchType = \"EC2\""
    )
    .unwrap();
}

/// One account: plain names, names with the stage's word, a sidecar that is
/// somebody else's, a container that only dev has, a service that only it has.
fn furnish(seed: &mut String, index: usize, (agent, environment, stage): (&str, &str, &str)) {
    let contents = format!("c{index}");
    writeln!(
        seed,
        "[[regions]]\naccount = \"{}\"\nname = \"eu-west-1\"\ncontents = [\"{contents}\"]\n\
         [[contents.{contents}.clusters]]\nname = \"main\"",
        account(index)
    )
    .unwrap();
    let own = "${account}.dkr.ecr.${region}.amazonaws.com";
    for number in 1..SERVICES {
        let name = match number % 3 {
            0 => format!("job-{number:02}-{stage}"),
            _ => format!("api-{number:02}"),
        };
        let image = format!("{own}/team/svc-{number:02}:1.{number}.0");
        let mut containers = vec![("app", image.as_str())];
        if number % 4 == 0 {
            containers.push(("envoy", "public.ecr.aws/envoy/envoy:v1.31.0"));
        }
        if number == 5 && environment == "dev" {
            containers.push(("debug", "docker.io/library/busybox:1"));
        }
        definition(seed, &contents, &name, &containers, "");
        service(seed, &contents, &name);
    }
    let only = format!("only-in-{}", account(index));
    definition(
        seed,
        &contents,
        &only,
        &[("app", &format!("{own}/team/svc-01:9"))],
        "",
    );
    service(seed, &contents, &only);
    if agent == "prod-1" {
        let tag = "tags = [{ key = \"towline:service\", value = \"main/web\" }]";
        definition(seed, &contents, "web", &[("web", &format!("{own}/web:1"))], tag);
        service(seed, &contents, "web");
    }
}

fn start() -> World {
    let directory = tempfile::tempdir().expect("a directory");
    let mut seed = String::new();
    for (index, of) in FLEET.into_iter().enumerate() {
        furnish(&mut seed, index, of);
    }
    let path = directory.path().join("fleet.toml");
    fs::write(&path, seed).expect("a seed");
    let plan = |(index, (name, ..)): (usize, (&'static str, _, _))| AgentPlan {
        name,
        account: account(index).leak(),
        serves: &["eu-west-1/main"],
        listens: false,
    };
    World::start(Options {
        fleet: FLEET.into_iter().enumerate().map(plan).collect(),
        agents: FLEET.iter().map(|(name, ..)| *name).collect(),
        seed: Some(path),
        ..Options::default()
    })
}

fn import(world: &World, more: &[&str]) -> Ran {
    let mapped: Vec<String> = FLEET
        .iter()
        .map(|(agent, environment, _)| format!("{agent}={environment}"))
        .collect();
    let mut arguments = vec!["import", "--project", "fleet"];
    for one in &mapped {
        arguments.extend(["--environment", one]);
    }
    arguments.extend(more);
    world.run(arguments)
}

#[test]
fn two_hundred_services_of_ten_accounts_become_one_file() {
    let mut world = start();
    let before = world.sim.effects(0).len();
    let from = Instant::now();
    let path = world.path().join("fleet.yaml");
    let file = path.to_str().expect("a path");
    let ran = import(&world, &["--file", file]).expect_code(0);
    println!("imported in {:?}", from.elapsed());
    let calls = world.sim.effects(0).len() - before;
    println!("{calls} calls to AWS");
    assert!(
        ran.stderr
            .contains("200 ECS services became 29 in 3 environments"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr
            .contains("note: web: web on 100000000004/eu-west-1/main is left out"),
        "{}",
        ran.stderr
    );
    // For each account: one page of names, and of each ten services and of each
    // definition one read. One more account's page holds the stack's service.
    assert!(calls <= 10 * (1 + 2) + 200 + 3, "{calls} calls");
    assert!(
        world.sim.effects(0).iter().all(|effect| !effect.write),
        "an import writes nothing"
    );

    let definition = fs::read_to_string(&path).expect("a file");
    for line in [
        "  job-03:\n    kind: existing\n    service: \"job-03-${target.stage}\"\n",
        "  svc-04: { repository: \"${target.registry}/team/svc-04\" }  # runs 1.4.0\n",
        "  envoy: { repository: public.ecr.aws/envoy/envoy, tag: v1.31.0 }\n",
        "    only_in: [\"100000000009/eu-west-1/main\"]\n",
        "    # Note: container debug is only in dev: it stays as it is.\n",
        "          stage: stg\n",
        "    - { phase: dev, environments: [dev] }\n    - { phase: staging, environments: [staging] }\n",
    ] {
        assert!(definition.contains(line), "{line:?}");
    }
    let checked = world.run(["apply", "-f", file, "--dry-run"]).expect_code(0);
    assert!(checked.stdout.contains("is right"), "{}", checked.stdout);
    world.apply_file(&path);

    // The same again, without one of the agents: named, and no failure.
    world.kill_agent("prod-6");
    let again = import(&world, &["--output", "json"]).expect_code(0);
    assert!(
        again
            .stderr
            .contains("warning: agent prod-6 is left out: offline since"),
        "{}",
        again.stderr
    );
    let answer = again.json();
    assert_eq!(answer["unreached"][0]["agent"], "prod-6");
    assert_eq!(answer["services"].as_array().map(Vec::len), Some(28));
    let refused = import(&world, &["--file", file]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("is there already"), "{}", refused.stderr);
}

//! What holds for every Fargate specification: a valid one gives a template that
//! cfn-lint accepts, deploys, and is `unchanged` the second time; an odd one is
//! refused with the path of each fault, and leaves nothing behind. Prints how
//! often each feature was drawn.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use proptest::{
    strategy::{Strategy, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tonic::{Code, Status};
use towline_link::status::Details;
use towline_proto::agent::v1 as pb;
use towline_tests::{
    cli::Ran,
    direct::{Direct, MAY_DEPLOY},
    sim::Effect,
    specs::{ACCOUNT, FEATURES, PLACES, REGION, features, odd, valid},
    world::{Options, World},
};

const AGENT: &str = "staging";
const CLUSTER: &str = "main";

fn world() -> World {
    World::start(Options {
        agents: vec![AGENT],
        agent_extra: MAY_DEPLOY.to_owned(),
        speed: 200,
        ..Options::default()
    })
}

/// Draws from a fixed seed: a failure comes back.
fn runner() -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn draw<T: std::fmt::Debug>(runner: &mut TestRunner, strategy: impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

fn deploy(agent: &Direct, spec: &pb::FargateServiceSpec) -> Result<pb::Finished, String> {
    let request = pb::DeployFargateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: Some(spec.clone()),
        ..Default::default()
    };
    agent.deploy(request).map(|outcome| outcome.finished)
}

fn template(agent: &Direct, spec: &pb::FargateServiceSpec) -> Result<String, Status> {
    let request = pb::GetFargateTemplateRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: Some(spec.clone()),
        ..Default::default()
    };
    let answer = agent.call(async |mut client| client.get_fargate_template(request).await);
    answer.map(|answer| answer.into_inner().template)
}

fn plan(agent: &Direct, spec: &pb::FargateServiceSpec) -> Result<pb::FargatePlan, Status> {
    let request = pb::PlanFargateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: Some(spec.clone()),
        ..Default::default()
    };
    let answer = agent.call(async |mut client| client.plan_fargate_service(request).await);
    answer.map(|answer| answer.into_inner().plan.unwrap_or_default())
}

fn lasting_writes(effects: &[Effect]) -> Vec<&Effect> {
    let planning = ["CreateChangeSet", "DeleteChangeSet", "DeleteStack"];
    effects
        .iter()
        .filter(|effect| !planning.contains(&effect.action.as_str()))
        .collect()
}

#[test]
fn a_valid_specification_deploys_and_is_unchanged_the_second_time() {
    const DRAWS: usize = 20;
    let (world, mut runner) = (world(), runner());
    let agent = Direct::dial(&world, AGENT);
    let mut drawn: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rejected = Vec::new();
    for number in 0..DRAWS {
        let spec = draw(&mut runner, valid(format!("service-{number}")));
        let first = match deploy(&agent, &spec) {
            Ok(finished) => finished,
            Err(refusal) => {
                rejected.push(format!("{refusal}\n{spec:#?}"));
                continue;
            }
        };
        assert_eq!(first.verdict(), pb::Verdict::Succeeded, "{first:#?}\n{spec:#?}");
        let before = world.sim.last();
        let second = deploy(&agent, &spec).unwrap();
        assert_eq!(second.verdict(), pb::Verdict::Unchanged, "{second:#?}\n{spec:#?}");
        assert!(
            world.sim.applied_writes(before).is_empty(),
            "unchanged writes nothing"
        );
        features(&spec).for_each(|feature| *drawn.entry(feature).or_default() += 1);
    }
    println!("deployed {} of {DRAWS}; drawn: {drawn:?}", DRAWS - rejected.len());
    assert!(
        rejected.len() * 10 < DRAWS,
        "too many rejected:\n{}",
        rejected.join("\n")
    );
    world.stop();
}

#[test]
fn every_feature_is_drawn_and_every_template_passes_cfn_lint() {
    const DRAWS: usize = 100;
    let (world, mut runner) = (world(), runner());
    let agent = Direct::dial(&world, AGENT);
    let directory = tempfile::tempdir().unwrap();
    let mut drawn: BTreeMap<&str, usize> = FEATURES.iter().map(|(feature, _)| (*feature, 0)).collect();
    let mut rejected = Vec::new();
    for number in 0..DRAWS {
        let spec = draw(&mut runner, valid(format!("service-{number}")));
        match template(&agent, &spec) {
            Ok(text) => {
                fs::write(directory.path().join(format!("{number}.json")), text).unwrap();
                features(&spec).for_each(|feature| *drawn.entry(feature).or_default() += 1);
            }
            Err(status) => rejected.push(format!("{:?}", Details::of(&status).violations)),
        }
    }
    println!("{} templates; drawn: {drawn:?}", DRAWS - rejected.len());
    assert!(
        rejected.len() * 10 < DRAWS,
        "too many rejected:\n{}",
        rejected.join("\n")
    );
    let never: Vec<_> = drawn.iter().filter(|(_, times)| **times == 0).collect();
    assert!(never.is_empty(), "never drawn: {never:?}");
    if let Some(cfn_lint) = cfn_lint() {
        Ran::run(lint(&cfn_lint, directory.path())).expect_code(0);
    }
    world.stop();
}

/// Where cfn-lint is, unless the environment does without.
fn cfn_lint() -> Option<String> {
    let named = std::env::var("CFN_LINT").ok();
    if named.is_none() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "CI=true and CFN_LINT is not set"
        );
        println!("SKIPPED: CFN_LINT names no cfn-lint; `scripts/test` installs one");
    }
    named
}

fn lint(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg("--regions")
        .arg(REGION)
        .arg("--")
        .arg(directory.join("*.json"));
    command
}

#[test]
fn an_odd_specification_is_refused_with_paths_and_leaves_nothing() {
    const DRAWS: usize = 150;
    let (world, mut runner) = (world(), runner());
    let agent = Direct::dial(&world, AGENT);
    let (mut refused, mut planned) = (0, 0);
    let mut drawn: BTreeMap<&str, usize> = PLACES.map(|place| (place, 0)).into();
    for _ in 0..DRAWS {
        let (place, spec) = draw(&mut runner, odd("odd".into()));
        *drawn.entry(place).or_default() += 1;
        let before = world.sim.last();
        match plan(&agent, &spec) {
            Ok(_) => planned += 1,
            Err(status) => {
                assert_eq!(status.code(), Code::InvalidArgument, "{status:?}\n{spec:#?}");
                let details = Details::of(&status);
                assert!(!details.violations.is_empty(), "{status:?}\n{spec:#?}");
                let nameless = details
                    .violations
                    .iter()
                    .find(|(field, said)| field.is_empty() || said.is_empty());
                assert_eq!(nameless, None, "{spec:#?}");
                assert!(
                    world.sim.applied_writes(before).is_empty(),
                    "a refusal writes nothing\n{spec:#?}"
                );
                refused += 1;
            }
        }
        let effects = world.sim.applied_writes(before);
        assert!(
            lasting_writes(&effects).is_empty(),
            "a plan changes nothing: {effects:#?}\n{spec:#?}"
        );
    }
    println!("{refused} refused, {planned} planned of {DRAWS}; odd in: {drawn:?}");
    assert!(
        drawn.values().all(|times| *times > 0),
        "a place is never odd: {drawn:?}"
    );
    assert!(
        refused > DRAWS / 3,
        "odd specifications are seldom odd: {refused} of {DRAWS}"
    );
    assert!(
        !world.agent_log(AGENT).contains("panicked"),
        "{}",
        world.agent_log(AGENT)
    );
    assert_eq!(
        world.sim.stacks("222222222222", REGION),
        Vec::<String>::new(),
        "a plan leaves no stack"
    );
    world.stop();
}

/// Stacks that are neither whole nor, in `ROLLBACK_COMPLETE`, taken back whole.
fn half_made(world: &World) -> Vec<String> {
    let ends = [" CREATE_COMPLETE", " ROLLBACK_COMPLETE"];
    let mut stacks = world.sim.stacks(ACCOUNT, REGION);
    stacks.retain(|stack| !ends.iter().any(|end| stack.ends_with(end)));
    stacks
}

#[test]
fn an_odd_specification_is_deployed_in_full_or_not_at_all() {
    const DRAWS: usize = 60;
    const ENOUGH: usize = 12;
    let (world, mut runner) = (world(), runner());
    let agent = Direct::dial(&world, AGENT);
    let services = || world.sim.services(ACCOUNT, REGION).len();
    let at_first = services();
    let (mut made, mut refused, mut failed) = (0, 0, 0);
    let mut drawn: BTreeMap<&str, usize> = BTreeMap::new();
    for number in 0..DRAWS {
        let (place, spec) = draw(&mut runner, odd(format!("odd-{number}")));
        let Ok(plan) = plan(&agent, &spec) else { continue };
        let is_refused = plan.action() == pb::FargatePlanAction::Refused;
        if made == ENOUGH && !is_refused {
            continue;
        }
        *drawn.entry(place).or_default() += 1;
        let before = world.sim.stacks(ACCOUNT, REGION);
        let finished = deploy(&agent, &spec).unwrap();
        match finished.verdict() {
            pb::Verdict::Succeeded if !is_refused => {
                made += 1;
                let second = deploy(&agent, &spec).unwrap();
                assert_eq!(second.verdict(), pb::Verdict::Unchanged, "{second:#?}\n{spec:#?}");
            }
            pb::Verdict::Errored => {
                refused += 1;
                let now = world.sim.stacks(ACCOUNT, REGION);
                assert_eq!(now, before, "{finished:#?}\n{spec:#?}");
            }
            pb::Verdict::Failed if !is_refused => failed += 1,
            _ => panic!("{finished:#?}\n{plan:#?}\n{spec:#?}"),
        }
        assert_eq!(
            half_made(&world),
            Vec::<String>::new(),
            "{finished:#?}\n{spec:#?}"
        );
        assert_eq!(services() - at_first, made, "{finished:#?}\n{spec:#?}");
    }
    println!("{made} made, {refused} refused, {failed} failed; odd in: {drawn:?}");
    assert_eq!(made, ENOUGH, "too few could be deployed");
    assert!(
        !world.agent_log(AGENT).contains("panicked"),
        "{}",
        world.agent_log(AGENT)
    );
    world.stop();
}

//! The real agent against MiniStack, an independent emulator of AWS: what both
//! the agent and the simulator of this repository might understand wrongly in
//! the same way would show here.
//!
//! `cannot-show.toml` lists the cases that this version of MiniStack cannot
//! show, each with its reason. A case of that list that passes fails the
//! suite, so that the list never outlives its reasons.

mod cases;
mod emulator;

use std::collections::BTreeMap;

use cases::{Bench, CASES, Case};
use emulator::Emulator;
use serde::Deserialize;
use towline_tests::{
    direct::{Direct, MAY_DEPLOY},
    world::{Options, World},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclusions {
    /// The MiniStack that the list was made with.
    version: String,
    cannot_show: BTreeMap<String, Exclusion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclusion {
    /// Why MiniStack cannot show it.
    reason: String,
    /// What the case says when it fails for that reason, and no other.
    fails_with: String,
}

#[test]
fn the_agent_deploys_to_ministack() {
    let Ok(program) = std::env::var("MINISTACK") else {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "CI=true and MINISTACK is not set"
        );
        println!(
            "SKIPPED: MINISTACK names no MiniStack; `scripts/test` installs one with `scripts/tools ministack`"
        );
        return;
    };
    let exclusions: Exclusions =
        toml::from_str(include_str!("cannot-show.toml")).expect("cannot-show.toml is a list");
    let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    for excluded in exclusions.cannot_show.keys() {
        assert!(
            names.contains(&excluded.as_str()),
            "cannot-show.toml: no case {excluded:?}"
        );
    }
    let mut world = World::start(Options {
        agents: vec!["staging"],
        agent_extra: MAY_DEPLOY.to_owned(),
        ..Options::default()
    });
    let emulator = Emulator::start(&program, world.path());
    assert_eq!(
        emulator.version(),
        exclusions.version,
        "cannot-show.toml was made with another MiniStack: look through it anew"
    );
    let mut agent = emulator.adopt_agent(&mut world, "staging");
    let bench = Bench {
        agent: Direct::dial(&world, "staging"),
        emulator,
    };
    let wrong: Vec<String> = CASES
        .iter()
        .filter_map(|case| run(case, &bench, exclusions.cannot_show.get(case.name)))
        .collect();
    let left = bench.emulator.remove_stacks();
    agent.stop();
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
    assert!(left.is_empty(), "stacks that do not go: {left:?}");
    world.stop();
}

/// Runs a case; what is wrong with its outcome, if anything is.
fn run(case: &Case, bench: &Bench, cannot_show: Option<&Exclusion>) -> Option<String> {
    let began = std::time::Instant::now();
    let outcome = (case.run)(bench);
    let took = began.elapsed().as_secs_f64();
    match (outcome, cannot_show) {
        (Ok(()), None) => {
            println!("passed    {} ({took:.1} s)", case.name);
            None
        }
        (Err(words), None) => {
            println!("FAILED    {}: {words}", case.name);
            Some(format!("{}: {words}", case.name))
        }
        (Err(words), Some(exclusion)) if words.contains(&exclusion.fails_with) => {
            println!("excluded  {}: {}", case.name, exclusion.reason);
            None
        }
        (Err(words), Some(exclusion)) => {
            let expected = &exclusion.fails_with;
            println!("FAILED    {}: {words} (excluded for {expected:?})", case.name);
            Some(format!(
                "{}: fails otherwise than {expected:?}: {words}",
                case.name
            ))
        }
        (Ok(()), Some(_)) => {
            println!(
                "PASSES    {}, and cannot-show.toml says that it cannot",
                case.name
            );
            Some(format!("{}: it passes; take it off cannot-show.toml", case.name))
        }
    }
}

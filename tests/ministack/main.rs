//! The real agent against MiniStack, an independent emulator of AWS: what both
//! the agent and the simulator of this repository might understand wrongly in
//! the same way would show here.
//!
//! `cannot-show.toml` lists the cases that this version of MiniStack cannot
//! show, each with its reason. A case of that list that passes fails the
//! suite, so that the list never outlives its reasons.

mod cases;
mod emulator;

use std::time::Instant;

use cases::{Bench, CASES};
use emulator::Emulator;
use towline_tests::{
    direct::{Direct, MAY_DEPLOY},
    excluded::{self, Exclusions},
    world::{Options, World},
};

/// Time enough for a person's cancel between two steps.
const PAUSE: &str = "300ms";

#[test]
fn the_agent_deploys_to_ministack() {
    let Some(program) = excluded::program("MINISTACK") else {
        return;
    };
    let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    let exclusions = Exclusions::read(include_str!("cannot-show.toml"), &names);
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
    let mut agent = emulator.adopt_agent(&mut world, "staging", PAUSE);
    let bench = Bench {
        agent: Direct::dial(&world, "staging"),
        emulator,
    };
    let wrong: Vec<String> = CASES
        .iter()
        .filter_map(|case| {
            let began = Instant::now();
            let outcome = (case.run)(&bench);
            exclusions.judge(case.name, outcome, began.elapsed())
        })
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

//! Updates of existing services by the real agent against two independent
//! emulators of AWS: what both the agent and the simulator of this repository
//! might understand wrongly in the same way would show here. Each emulator has
//! its list of what it cannot show (`cannot-show-*.toml`).

mod cases;

use std::time::Instant;

use cases::{Bench, CASES};
use towline_tests::{
    direct::{Direct, MAY_DEPLOY},
    emulator::Emulator,
    excluded::{self, Exclusions},
    world::{Options, World},
};

#[test]
fn the_agent_updates_services_at_moto() {
    let list = include_str!("cannot-show-moto.toml");
    run("MOTO", list, |program, directory| {
        Emulator::moto(program, directory, cases::TASKS)
    });
}

#[test]
fn the_agent_updates_services_at_ministack() {
    run(
        "MINISTACK",
        include_str!("cannot-show-ministack.toml"),
        Emulator::ministack,
    );
}

fn run(variable: &str, list: &str, start: fn(&str, &std::path::Path) -> Emulator) {
    let Some(program) = excluded::program(variable) else {
        return;
    };
    let names: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
    let exclusions = Exclusions::read(list, &names);
    assert!(
        program.contains(&exclusions.version),
        "the list was made with version {}, and {program} is another: look through it anew",
        exclusions.version
    );
    let mut world = World::start(Options {
        agents: vec!["staging"],
        agent_extra: MAY_DEPLOY.to_owned(),
        ..Options::default()
    });
    let emulator = start(&program, world.path());
    let mut agent = emulator.adopt_agent(&mut world, "staging", "100ms");
    let bench = Bench {
        agent: Direct::dial(&world, "staging"),
        emulator,
    };
    bench.furnish();
    let wrong: Vec<String> = CASES
        .iter()
        .filter_map(|(name, case)| {
            let began = Instant::now();
            let outcome = case(&bench);
            exclusions.judge(name, outcome, began.elapsed())
        })
        .collect();
    agent.stop();
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
    world.stop();
}

//! How long it takes from the start of `towline promote` until the first
//! request of that operation arrives at (simulated) AWS: a polling agent,
//! SQLite with synchronous=FULL, every program a process of its own.

use std::time::{Duration, Instant};

use crate::percentile;
use jiff::Timestamp;
use towline_tests::{
    cli::Ran,
    wait_for,
    world::{Options, World, repository},
};

const RUNS: usize = 100;

/// Runs it, and prints what was measured.
pub fn run() {
    let world = World::start(Options {
        agents: vec!["dev"],
        speed: 200,
        ..Options::default()
    });
    let file = repository().join("tests/projects/bench.yaml");
    world
        .run(["apply", "-f", file.to_str().expect("UTF-8")])
        .expect_code(0);
    let mut millis: Vec<f64> = (0..RUNS).map(|run| promote(&world, run)).collect();
    millis.sort_by(f64::total_cmp);
    let spawn = spawn_cost(&world);
    println!(
        "promote -> first AWS request, {RUNS} runs, polling link, synchronous=FULL: p50 {:.1} ms, p99 {:.1} ms",
        percentile(&millis, 50),
        percentile(&millis, 99)
    );
    println!(
        "for comparison, `towline --version` from start to end: p50 {:.1} ms (ratio {:.1})",
        spawn,
        percentile(&millis, 50) / spawn
    );
    world.stop();
}

/// One release promoted to dev; milliseconds until its first request.
fn promote(world: &World, run: usize) -> f64 {
    let version = format!("1.0.{run}");
    let tag = if run.is_multiple_of(2) { "1.0.0" } else { "1.1.0" };
    world
        .run([
            "release",
            "create",
            "--version",
            &version,
            "--image",
            &format!("orders={tag}"),
            "--no-wait",
        ])
        .expect_code(0);
    let before = world.sim.last();
    let start = Timestamp::now();
    let promoted = Ran::run(world.towline(["promote", &version, "--to", "dev", "--no-wait"]));
    promoted.expect_code(0);
    let first = wait_for("the operation's first request", Duration::from_secs(20), || {
        world
            .sim
            .effects(before)
            .into_iter()
            .find(|effect| effect.operation.is_some())
    });
    Ran::run(world.towline(["watch", &version])).expect_code(0);
    let arrived: Timestamp = first.at.parse().expect("the simulator's time is RFC 3339");
    arrived.duration_since(start).as_secs_f64() * 1000.0
}

fn spawn_cost(world: &World) -> f64 {
    let mut millis: Vec<f64> = (0..20)
        .map(|_| {
            let start = Instant::now();
            Ran::run(world.towline(["--version"])).expect_code(0);
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    percentile(&millis, 50)
}

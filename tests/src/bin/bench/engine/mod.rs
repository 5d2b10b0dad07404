//! The engine alone, with a hundred agents that cost nothing: how long from a
//! release until every agent has been called, how many changes of state it
//! records in a second, what a thousand deployments in flight take, and what
//! lists take with a hundred thousand releases behind them.

mod agent;
mod fleet;
mod history;

use std::{
    fs,
    time::{Duration, Instant},
};

use towline_tests::world::{Options, World};

use crate::percentile;
use fleet::{Fleet, account, agent_name};

const AGENTS: usize = 100;
const ROUNDS: usize = 20;
const IN_FLIGHT: usize = 1_000;
/// How long the idle orchestrator is looked at.
const IDLE: Duration = Duration::from_secs(10);

/// Runs it, and prints what was measured.
pub fn run() {
    let mut world = World::start(Options {
        agents: Vec::new(),
        speed: 1,
        ..Options::default()
    });
    let mut fleet = Fleet::join(&world, AGENTS);
    println!("the engine with {AGENTS} agents over real links, SQLite with synchronous=FULL");
    for agents in [1, 10, AGENTS] {
        fan_out(&mut fleet, agents);
    }
    in_flight(&world, &mut fleet);
    history::run(&mut world, &mut fleet, "fan-1");
    world.stop();
}

/// From the request for a release until the last of its agents has its order.
fn fan_out(fleet: &mut Fleet, agents: usize) {
    let project = format!("fan-{agents}");
    fleet.apply(vec![project_file(&project, 0..agents)]);
    let mut millis: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            fleet.release(vec![project.clone()]);
            let took = fleet.arrived(agents).duration_since(start);
            fleet.finish(vec![project.clone()]);
            took.as_secs_f64() * 1000.0
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    println!(
        "release created -> {agents} agents called, {ROUNDS} runs: p50 {:.1} ms, p99 {:.1} ms",
        percentile(&millis, 50),
        percentile(&millis, 99)
    );
}

/// A thousand deployments at once: how fast they begin, what they take while
/// they wait for their agents, and how fast they end.
fn in_flight(world: &World, fleet: &mut Fleet) {
    let pid = world.orchestrator.as_ref().expect("it runs").pid();
    let projects: Vec<String> = (0..IN_FLIGHT).map(|number| format!("many-{number}")).collect();
    let files = projects.iter().enumerate();
    fleet.apply(
        files
            .map(|(number, project)| project_file(project, [number % AGENTS]))
            .collect(),
    );
    let before = memory(pid);
    let start = Instant::now();
    fleet.release(projects.clone());
    let begun = fleet.arrived(IN_FLIGHT).duration_since(start);
    println!(
        "{IN_FLIGHT} releases of {IN_FLIGHT} projects -> all {IN_FLIGHT} orders at their agents: {:.1} s ({:.0} deployments a second)",
        begun.as_secs_f64(),
        IN_FLIGHT as f64 / begun.as_secs_f64()
    );
    let busy = processor_time(pid);
    std::thread::sleep(IDLE);
    let idle = processor_time(pid) - busy;
    println!(
        "{IN_FLIGHT} deployments in flight: {:.1} MiB resident ({:.1} MiB before), {:.1} % of one CPU while nothing happens",
        memory(pid),
        before,
        100.0 * idle.as_secs_f64() / IDLE.as_secs_f64()
    );
    let start = Instant::now();
    let lines = fleet.finish(projects);
    let took = start.elapsed();
    println!(
        "all {IN_FLIGHT} verdicts -> all {IN_FLIGHT} deployments ended and watched to their end: {:.1} s ({:.0} changes of state a second); {lines} lines in the log",
        took.as_secs_f64(),
        (2 * IN_FLIGHT) as f64 / took.as_secs_f64()
    );
}

fn project_file(project: &str, agents: impl IntoIterator<Item = usize>) -> String {
    let targets = agents.into_iter().map(|number| {
        format!(
            "      - {{ agent: {}, account: \"{}\", region: eu-west-1, cluster: main }}\n",
            agent_name(number),
            account(number)
        )
    });
    format!(
        "project: {project}
images:
  app: {{ repository: running }}
services:
  app:
    kind: existing
    service: {project}
    containers: {{ app: app }}
environments:
  prod:
    waves: together
    targets:
{}channels:
  stable: {{ lifecycle: standard }}
lifecycles:
  standard:
    - {{ phase: prod, environments: [prod], automatic: true }}
",
        targets.collect::<String>()
    )
}

/// Resident memory in MiB.
fn memory(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.expect("a size in kB") / 1024.0
}

/// User and system time of the process so far.
fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name in parentheses may hold blanks; user and system time are fields 14 and 15.
    let after_name = stat.rsplit_once(") ").expect("a name").1;
    let fields: Vec<u64> = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().expect("clock ticks"))
        .collect();
    let ticks = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64(fields.iter().sum::<u64>() as f64 / ticks as f64)
}

//! `scripts/chaos` runs this. Each schedule is a process of its own: a seed
//! decides over everything in it.

use std::{num::NonZero, process::ExitCode, thread};

use clap::Parser;
use towline_chaos::{
    many::{self, Many},
    record::Report,
    run::run,
};

/// Random schedules of commands and faults over the whole of Towline.
///
/// The real orchestrator, agents and links run in one process over a simulated
/// network, clock and AWS; what happened is then judged by two logs that do not
/// know of each other. Without --seed: many schedules, and a summary. It fails
/// when a check fails, when fewer than half of the schedules took different
/// ways, or when a kind of fault came in fewer than 2 % of them; from 10,000
/// schedules on also when a commit or send was never a crash point.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  scripts/chaos
  scripts/chaos --schedules 10000
  scripts/chaos --seed 42            # one schedule again, with its trace")]
struct Arguments {
    /// How many schedules.
    #[arg(long, default_value_t = 200)]
    schedules: u64,
    /// The seed of the first; the others follow it.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// How many at one time; as many as there are processors when left out.
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Run the schedule of one seed and print its trace.
    #[arg(long, conflicts_with_all = ["schedules", "first", "jobs"])]
    seed: Option<u64>,
    /// With --seed: print the report as JSON instead.
    #[arg(long, requires = "seed")]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, arguments.json),
        None => {
            let processors = thread::available_parallelism().map_or(1, NonZero::get);
            let many = Many {
                first: arguments.first,
                schedules: arguments.schedules,
                jobs: arguments.jobs.map_or(processors, NonZero::get),
            };
            ExitCode::from(u8::from(!many::run(many)))
        }
    }
}

fn one(seed: u64, json: bool) -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let report = run(seed);
    if json {
        println!("{}", serde_json::to_string(&report).expect("a report"));
    } else {
        tell(&report);
    }
    ExitCode::from(u8::from(!report.violations.is_empty()))
}

fn tell(report: &Report) {
    for line in &report.trace {
        println!("{line}");
    }
    for violation in &report.violations {
        println!("VIOLATED {}: {}", violation.check, violation.words);
    }
    println!(
        "seed {}: decisions {}, {} deployments, {} writes, {:.0} simulated seconds",
        report.seed, report.decisions, report.deployments, report.writes, report.simulated_s
    );
}

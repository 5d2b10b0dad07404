//! `scripts/chaos` runs this.

use std::process::ExitCode;

use clap::Parser;
use towline_chaos::run::run;

/// Random schedules of commands and faults over the whole of Towline.
#[derive(Debug, Parser)]
struct Arguments {
    /// Run the schedule of one seed and print its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: print the report as JSON instead.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(seed) = arguments.seed else {
        return ExitCode::FAILURE;
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let report = run(seed);
    if arguments.json {
        println!("{}", serde_json::to_string(&report).expect("a report"));
    } else {
        for line in &report.trace {
            println!("{line}");
        }
        println!("{:?}", report.violations);
        println!("decisions {} replay {}", report.decisions, report.replay);
    }
    ExitCode::from(u8::from(!report.violations.is_empty()))
}

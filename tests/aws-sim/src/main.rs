//! The simulator as a program.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use aws_sim::{Simulator, world::Seed};
use clap::Parser;

/// A simulated AWS on one loopback port. It is not AWS, and checks no signature.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The world to begin with.
    #[arg(long, value_name = "FILE.toml")]
    seed: PathBuf,
    /// A loopback address; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Simulated seconds per second; 0 stands still.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Keep what goes over the wire for GET /_sim/wire, and in DIR/aws-sim-PID.jsonl.
    #[arg(long, value_name = "DIR", num_args = 0..=1, env = "AWS_SIM_RECORD_WIRE")]
    record_wire: Option<Option<PathBuf>>,
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a program's last words")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("warn"))
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aws-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the address is what the caller waits for")]
async fn run(arguments: Arguments) -> Result<()> {
    let text = std::fs::read_to_string(&arguments.seed)
        .with_context(|| format!("cannot read the seed {}", arguments.seed.display()))?;
    let seed = Seed::read(&text).with_context(|| arguments.seed.display().to_string())?;
    let simulator = Simulator::start(seed, arguments.listen, arguments.speed).await?;
    if let Some(directory) = &arguments.record_wire {
        simulator.record_wire(directory.as_deref())?;
    }
    println!("listening on {}", simulator.url());
    tokio::signal::ctrl_c().await?;
    simulator.stop().await;
    Ok(())
}

//! The program `towline-agent`: parse, run, exit code.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use towline_agent::{
    cli::{self, Cli},
    logging,
};

/// A usage error, or one of this machine.
const LOCAL_ERROR: u8 = 1;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let shown = error.print();
            let asked_for = !error.use_stderr();
            return if asked_for && shown.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(LOCAL_ERROR)
            };
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            // Standard error is the last resort: where it is closed, the exit code speaks.
            let _ = writeln!(anstream::stderr(), "error: {error:#}");
            ExitCode::from(LOCAL_ERROR)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    logging::start(cli.global.log_format, &cli.global.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(cli::run(cli))
}

//! `towline-agent completions SHELL`.

use std::{io::Write as _, process::ExitCode};

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::Cli;

pub(super) fn run(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "towline-agent", &mut script);
    anstream::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

//! The program `towline`: what is typed, one dispatch, an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use towline::cli::{self, Cli, exit::Exit};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli::run(cli).into(),
        Err(said) => {
            // Help and version are errors to clap, but not to the person.
            let exit = if said.use_stderr() {
                Exit::Local
            } else {
                Exit::Done
            };
            // Nowhere is left to say it when the terminal is gone.
            let _ = said.print();
            exit.into()
        }
    }
}

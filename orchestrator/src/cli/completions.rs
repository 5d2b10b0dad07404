//! `towline completions SHELL`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::{
    exit::{Exit, Fault},
    output::Console,
};

/// Prints the completions for a shell.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline completions bash > ~/.local/share/bash-completion/completions/towline
  source <(towline completions zsh)")]
pub struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn run(self, mut command: Command, console: &mut Console) -> Result<Exit, Fault> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "towline", &mut script);
        console.data(String::from_utf8_lossy(&script).trim_end())?;
        Ok(Exit::Done)
    }
}

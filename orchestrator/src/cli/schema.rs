//! `towline schema`: the JSON Schema of project files, for editors.

use clap::Args;

use super::{
    exit::{Exit, Fault},
    output::Console,
};
use crate::domain::project;

/// Prints the JSON Schema of project files.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline schema > towline.schema.json
  # then, in the first line of towline.yaml:
  # yaml-language-server: $schema=towline.schema.json")]
pub struct Schema {}

impl Schema {
    pub fn run(self, console: &mut Console) -> Result<Exit, Fault> {
        console.data(project::schema().trim_end())?;
        Ok(Exit::Done)
    }
}

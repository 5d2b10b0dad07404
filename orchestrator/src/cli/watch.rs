//! `towline watch VERSION`: everything that happens to a release.

use clap::Args;

use super::{
    choose,
    connection::Api,
    exit::{Exit, Fault},
    follow::{Following, Told, follow},
    output::{Console, Format},
};

/// Shows everything that happens to a release, until nothing more happens by itself.
///
/// It ends with the exit code of the verdict. With `--output json` each event is
/// one line; a watch that was interrupted goes on with `--after CURSOR`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline watch 1.0.0
  towline watch 1.0.0 --output json | jq -r 'select(.event) | .event.message'")]
pub struct Watch {
    /// The release.
    version: String,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
    /// Only what happened after this cursor, from an earlier watch.
    #[arg(long, value_name = "CURSOR", default_value_t = 0)]
    after: i64,
}

impl Watch {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let project = choose::project(api, self.project).await?;
        let following = Following {
            project,
            version: self.version,
            from_deployment: None,
            after: self.after,
            told: Told::AsData,
        };
        let followed = follow(api, console, following).await?;
        if console.format == Format::Table {
            followed.say(console)?;
        }
        Ok(followed.exit)
    }
}

//! `towline release block` and `release unblock`.

use clap::Args;
use jiff::Timestamp;
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose,
    connection::Api,
    exit::{Exit, Fault},
    output::Console,
    show,
};

/// Says that a release goes no further: nothing of it starts any more. What runs
/// goes on.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline release block 1.2.0 --because INC-481
  towline release block 1.2.0 --because \"loses orders under load\"")]
pub struct Block {
    /// The release.
    version: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
}

/// Lets a blocked release go on.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline release unblock 1.2.0 --because INC-481-closed
  towline release unblock 1.2.0 --because \"the load test passes\"")]
pub struct Unblock {
    /// The release.
    version: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
}

impl Block {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::BlockReleaseRequest {
            project: choose::project(api, self.project).await?,
            version: self.version,
            because: self.because,
        };
        let blocked = api.releases.block_release(request).await?.into_inner();
        print(api, console, &blocked.release.unwrap_or_default())
    }
}

impl Unblock {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::UnblockReleaseRequest {
            project: choose::project(api, self.project).await?,
            version: self.version,
            because: self.because,
        };
        let unblocked = api.releases.unblock_release(request).await?.into_inner();
        print(api, console, &unblocked.release.unwrap_or_default())
    }
}

fn print(api: &Api, console: &mut Console, release: &pb::Release) -> Result<Exit, Fault> {
    let now = api.now();
    console.message("Release", release, |_| {
        let mut lines = standing(release, now);
        if lines.is_empty() {
            lines.push("goes on".to_owned());
        }
        format!("{} {}: {}", release.project, release.version, lines.join(", "))
    })?;
    Ok(Exit::Done)
}

/// Whether a release is blocked or archived, a line for each.
pub fn standing(release: &pb::Release, now: Timestamp) -> Vec<String> {
    let blocked = release.block.as_ref().map(|block| {
        let since = show::ago(block.time.as_ref(), now);
        format!("blocked by {} {since}: {}", block.by, block.because)
    });
    let archived = release
        .archive_time
        .as_ref()
        .map(|at| format!("archived {}", show::ago(Some(at), now)));
    blocked.into_iter().chain(archived).collect()
}

/// The version, and what is to be known before it is used.
pub fn marked(release: &pb::Release) -> String {
    let mut marks = Vec::new();
    if release.block.is_some() {
        marks.push("blocked");
    }
    if release.archive_time.is_some() {
        marks.push("archived");
    }
    match marks.is_empty() {
        true => release.version.clone(),
        false => format!("{} ({})", release.version, marks.join(", ")),
    }
}

//! `towline promote VERSION`: the next deployment of a release.

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose,
    connection::Api,
    deployments,
    exit::{Exit, Fault},
    output::Console,
};

/// Creates the next deployment of a release along its lifecycle, and waits for its end.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline promote 1.0.0
  towline promote 1.0.0 --to prod --no-wait")]
pub struct Promote {
    /// The release.
    version: String,
    /// The environment to go to; the next one of the lifecycle when left out.
    #[arg(long, value_name = "ENV", visible_alias = "environment")]
    to: Option<String>,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Promote {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::PromoteReleaseRequest {
            project: choose::project(api, self.project).await?,
            version: self.version,
            environment: self.to.unwrap_or_default(),
        };
        let promoted = api.releases.promote_release(request).await?.into_inner();
        let deployment = promoted.deployment.unwrap_or_default();
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

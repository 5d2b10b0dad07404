//! `towline rollback`: an environment goes back to the release before.

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose,
    connection::Api,
    deployments,
    exit::{Exit, Fault},
    output::Console,
};

/// Puts an environment back to the release that it ran before.
///
/// It is deployed from what was recorded of it: the same images and values. No
/// phase order hinders it, and no approval unless the lifecycle says
/// `rollback_needs_approval`. One-off tasks are not run. Asked once more, it goes
/// one release further back.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline rollback --environment prod
  towline rollback --environment prod --to 1.4.2 --note \"orders fail since 1.5\"")]
pub struct Rollback {
    #[arg(long, value_name = "ENV")]
    environment: String,
    /// A release that was deployed there with success; the one before when left out.
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Rollback {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::RollBackEnvironmentRequest {
            project: choose::project(api, self.project).await?,
            environment: self.environment,
            version: self.to.unwrap_or_default(),
            note: self.note,
        };
        let answer = api.environments.roll_back_environment(request).await?;
        let deployment = answer.into_inner().deployment.unwrap_or_default();
        console.talk(&format!(
            "{} goes back from {} to {}",
            deployment.environment, deployment.rolled_back_from, deployment.release
        ))?;
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

//! `towline redeploy`: what an environment runs, once more.

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose,
    connection::Api,
    deployments,
    exit::{Exit, Fault},
    output::Console,
};

/// Deploys the release that an environment runs into it once more.
///
/// What is as it was released stays unchanged; what somebody changed is put right.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline redeploy --environment prod
  towline redeploy --environment prod --force --note \"new task credentials\"")]
pub struct Redeploy {
    #[arg(long, value_name = "ENV")]
    environment: String,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
    /// Start a new ECS deployment of every service also when nothing changed.
    #[arg(long)]
    force: bool,
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Redeploy {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::RedeployEnvironmentRequest {
            project: choose::project(api, self.project).await?,
            environment: self.environment,
            force: self.force,
            note: self.note,
        };
        let answer = api.environments.redeploy_environment(request).await?;
        let deployment = answer.into_inner().deployment.unwrap_or_default();
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

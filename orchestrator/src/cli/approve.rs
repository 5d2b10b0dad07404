//! `towline approve`: lets a created deployment run.

use clap::Args;
use towline_proto::orchestrator::v1::{self as pb, DeploymentState};

use super::{
    choose::{self, Which},
    connection::Api,
    deployments,
    exit::{Exit, Fault},
    output::Console,
};

/// Approves a deployment, and waits for its end.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline approve --release 1.0.0 --environment prod
  towline approve DEPLOYMENT --note \"checked the dashboards\"")]
pub struct Approve {
    #[command(flatten)]
    which: Which,
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Approve {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let awaits = |deployment: &pb::Deployment| deployment.state() == DeploymentState::AwaitingApproval;
        let deployment = choose::deployment(api, self.which, "awaits approval", awaits).await?;
        let request = pb::ApproveDeploymentRequest {
            id: deployment.id,
            note: self.note,
        };
        let approved = api.deployments.approve_deployment(request).await?.into_inner();
        let deployment = approved.deployment.unwrap_or_default();
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

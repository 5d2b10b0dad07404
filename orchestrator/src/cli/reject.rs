//! `towline reject`: says no to a deployment that waits for approval.

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose::{self, Which},
    connection::Api,
    deployments, events,
    exit::{Exit, Fault},
    output::Console,
};

/// Says no to a deployment that has not started: it ends cancelled.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline reject --release 1.0.0 --environment prod --note later
  towline reject DEPLOYMENT --note \"the migration is not reviewed\"

A deployment that was rejected ends with exit code 5; that is what this waits for.")]
pub struct Reject {
    #[command(flatten)]
    which: Which,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Reject {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let is_active = |deployment: &pb::Deployment| !events::has_ended(deployment.state());
        let deployment = choose::deployment(api, self.which, "is under way", is_active).await?;
        let request = pb::RejectDeploymentRequest {
            id: deployment.id,
            note: self.note,
        };
        let rejected = api.deployments.reject_deployment(request).await?.into_inner();
        let deployment = rejected.deployment.unwrap_or_default();
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

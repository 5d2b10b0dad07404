//! `towline cancel`: stops a deployment.

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    choose::{self, Which},
    connection::Api,
    deployments, events,
    exit::{Exit, Fault},
    output::Console,
};

/// Stops a deployment, and waits until every agent has confirmed it.
///
/// What runs is rolled back, unless it is to be left as it is.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline cancel --release 1.0.0 --environment prod
  towline cancel DEPLOYMENT --detach

A deployment that was cancelled ends with exit code 5; that is what this waits for.")]
pub struct Cancel {
    #[command(flatten)]
    which: Which,
    /// Stop following instead of rolling back: ECS carries on.
    #[arg(long)]
    detach: bool,
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Cancel {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let is_active = |deployment: &pb::Deployment| !events::has_ended(deployment.state());
        let deployment = choose::deployment(api, self.which, "is under way", is_active).await?;
        let request = pb::CancelDeploymentRequest {
            id: deployment.id,
            detach: self.detach,
            note: self.note,
        };
        let cancelled = api.deployments.cancel_deployment(request).await?.into_inner();
        let deployment = cancelled.deployment.unwrap_or_default();
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

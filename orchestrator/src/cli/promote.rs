//! `towline promote VERSION`: the next deployment of a release.

use std::path::PathBuf;

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use super::{
    approved, choose,
    connection::Api,
    deployments,
    exit::{Exit, Fault},
    output::Console,
};

/// Creates the next deployment of a release along its lifecycle, and waits for its end.
///
/// With an approved plan an operation is executed only if its plan is still that
/// one; else it ends errored: plan_changed, and nothing of it was done.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline promote 1.0.0
  towline promote 1.0.0 --to prod --no-wait
  towline promote 1.0.0 --to dev --force
  towline service plan web --environment prod --release 1.0.0 --output json > web.json
  towline promote 1.0.0 --to prod --plan-file web.json
  towline promote 1.0.0 --to prod --plan web@333333333333/eu-west-1/main=4f2a9c")]
pub struct Promote {
    /// The release.
    version: String,
    /// The environment to go to; the next one of the lifecycle when left out.
    #[arg(long, value_name = "ENV", visible_alias = "environment")]
    to: Option<String>,
    /// May be left out when there is just one project.
    #[arg(long)]
    project: Option<String>,
    /// Start a new ECS deployment of every service also when nothing changed.
    #[arg(long)]
    force: bool,
    /// The hash of the plan that was approved for a service; the target may be
    /// left out where there is just one.
    #[arg(long = "plan", value_name = "SERVICE[@TARGET]=HASH", value_parser = approved::plan)]
    plans: Vec<pb::ApprovedPlan>,
    /// A file of plans that were approved, as `towline service plan --output
    /// json` prints them; `-` reads standard input.
    #[arg(long = "plan-file", value_name = "FILE")]
    plan_files: Vec<PathBuf>,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Promote {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let mut plans = self.plans;
        for file in &self.plan_files {
            plans.extend(approved::file(file, &self.version, self.to.as_deref())?);
        }
        let request = pb::PromoteReleaseRequest {
            project: choose::project(api, self.project).await?,
            version: self.version,
            environment: self.to.unwrap_or_default(),
            force: self.force,
            plans,
        };
        let promoted = api.releases.promote_release(request).await?.into_inner();
        let deployment = promoted.deployment.unwrap_or_default();
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

//! `towline deployment`: one deployment, looked at and decided about.

pub mod decide;
pub mod plan;

use clap::{Args, Subcommand};

use super::{
    connection::Api,
    exit::{Exit, Fault},
    output::Console,
};

/// One deployment: the plan that people approve, and how it goes on after a failure.
#[derive(Args, Debug)]
pub struct Deployment {
    #[command(subcommand)]
    verb: DeploymentVerb,
}

#[derive(Debug, Subcommand)]
enum DeploymentVerb {
    Plan(plan::Plan),
    Retry(decide::Retry),
    Ignore(decide::Ignore),
    Abort(decide::Abort),
}

impl Deployment {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            DeploymentVerb::Plan(verb) => verb.run(api, console).await,
            DeploymentVerb::Retry(verb) => verb.run(api, console).await,
            DeploymentVerb::Ignore(verb) => verb.run(api, console).await,
            DeploymentVerb::Abort(verb) => verb.run(api, console).await,
        }
    }
}

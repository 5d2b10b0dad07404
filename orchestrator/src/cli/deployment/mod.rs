//! `towline deployment`: one deployment, looked at and decided about.

pub mod decide;
pub mod plan;
pub mod show;

use clap::{Args, Subcommand};

use super::{
    connection::Api,
    exit::{Exit, Fault},
    output::Console,
};

/// One deployment: how it stands, the plan that people approve, and how it goes on after a failure.
#[derive(Args, Debug)]
pub struct Deployment {
    #[command(subcommand)]
    verb: DeploymentVerb,
}

#[derive(Debug, Subcommand)]
enum DeploymentVerb {
    Show(show::Show),
    Plan(plan::Plan),
    Retry(decide::Retry),
    Ignore(decide::Ignore),
    Abort(decide::Abort),
}

impl Deployment {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        match self.verb {
            DeploymentVerb::Show(verb) => verb.run(api, console).await,
            DeploymentVerb::Plan(verb) => verb.run(api, console).await,
            DeploymentVerb::Retry(verb) => verb.run(api, console).await,
            DeploymentVerb::Ignore(verb) => verb.run(api, console).await,
            DeploymentVerb::Abort(verb) => verb.run(api, console).await,
        }
    }
}

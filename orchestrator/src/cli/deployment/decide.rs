//! `towline deployment retry`, `ignore`, `abort`: how a deployment goes on after
//! operations ended badly.

use clap::Args;
use towline_proto::orchestrator::v1::{self as pb, DeploymentState, InterventionChoice};

use crate::cli::{
    choose::{self, Which},
    connection::Api,
    deployments,
    exit::{Exit, Fault},
    output::Console,
};

/// Tries what ended badly once more, as a new operation.
///
/// For deployments into an environment that is `guided` in the project file.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline deployment retry --release 1.0.0 --environment prod
  towline deployment retry DEPLOYMENT --service web --target 333333333333/eu-west-1/main")]
pub struct Retry {
    #[command(flatten)]
    about: About,
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

/// Goes on as if what ended badly had ended well.
///
/// Its verdict stays what it is, and is shown; the deployment succeeds when all
/// else does.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline deployment ignore --release 1.0.0 --environment prod --service web --note \"it is drained\"
  towline deployment ignore DEPLOYMENT --note \"the alarm was a false one\"")]
pub struct Ignore {
    #[command(flatten)]
    about: About,
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT")]
    note: String,
}

/// Starts nothing more: the deployment ends with its worst verdict.
///
/// What it had changed is put back when the environment says `on_failure: roll_back`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline deployment abort --release 1.0.0 --environment prod --note \"fixed in 1.0.1\"
  towline deployment abort DEPLOYMENT --note \"fixed in 1.0.1\"")]
pub struct Abort {
    #[command(flatten)]
    which: Which,
    /// Why, for those who read it later.
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

/// Which of a deployment's operations.
#[derive(Args, Debug)]
struct About {
    #[command(flatten)]
    which: Which,
    /// The service or one-off task; all that wait for a decision when left out.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Its target, account/region/cluster; all of them when left out.
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Retry {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        self.about
            .decide(api, console, InterventionChoice::Retry, self.note)
            .await
    }
}

impl Ignore {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        self.about
            .decide(api, console, InterventionChoice::Ignore, self.note)
            .await
    }
}

impl Abort {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let about = About {
            which: self.which,
            service: None,
            target: None,
            no_wait: self.no_wait,
        };
        about
            .decide(api, console, InterventionChoice::Abort, self.note)
            .await
    }
}

impl About {
    async fn decide(
        self,
        api: &mut Api,
        console: &mut Console,
        choice: InterventionChoice,
        note: String,
    ) -> Result<Exit, Fault> {
        let waits = |deployment: &pb::Deployment| {
            matches!(
                deployment.state(),
                DeploymentState::AwaitingIntervention | DeploymentState::Running
            )
        };
        let deployment = choose::deployment(api, self.which, "waits for a decision", waits).await?;
        let request = pb::InterveneDeploymentRequest {
            id: deployment.id,
            choice: choice.into(),
            service: self.service.unwrap_or_default(),
            target: self.target.unwrap_or_default(),
            note,
        };
        let answer = api.deployments.intervene_deployment(request).await?.into_inner();
        let deployment = answer.deployment.unwrap_or_default();
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

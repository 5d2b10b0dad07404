//! `towline approve`: lets a created deployment run, as its plan says.

use std::io::IsTerminal as _;

use clap::Args;
use towline_proto::orchestrator::v1::{self as pb, DeploymentState};

use super::{
    choose::{self, Which},
    connection::Api,
    deployment::plan,
    deployments,
    exit::{Exit, Fault},
    output::Console,
};

/// Approves the plan of a deployment, and waits for its end.
///
/// Shows the plan and asks. An approval is of this plan alone: should the agents
/// plan something else before the deployment starts, it is void, and people are
/// asked again.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline approve --release 1.0.0 --environment prod
  towline approve DEPLOYMENT --note \"checked the dashboards\"
  towline approve DEPLOYMENT --plan 4f2a9c0d1be37f5a4f2a9c0d1be37f5a
  towline approve DEPLOYMENT --yes

The plan itself: towline deployment plan DEPLOYMENT")]
pub struct Approve {
    #[command(flatten)]
    which: Which,
    /// The hash of the plan that was looked at; nothing is asked then.
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    /// Approve the plan as it is now, without asking.
    #[arg(long, short = 'y', conflicts_with = "plan")]
    yes: bool,
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
        let plan_hash = match self.plan {
            Some(hash) => hash,
            None => match seen(api, console, &deployment, self.yes).await? {
                Some(hash) => hash,
                None => {
                    console.talk("not approved; towline reject says no for good")?;
                    return Ok(Exit::Local);
                }
            },
        };
        let request = pb::ApproveDeploymentRequest {
            id: deployment.id,
            note: self.note,
            plan_hash,
        };
        let approved = api.deployments.approve_deployment(request).await?.into_inner();
        let deployment = approved.deployment.unwrap_or_default();
        deployments::wait_and_show(api, console, deployment, !self.no_wait).await
    }
}

/// Shows the plan and asks; `None`: the person said no. Empty for a deployment
/// that was created before plans were kept.
async fn seen(
    api: &mut Api,
    console: &mut Console,
    deployment: &pb::Deployment,
    yes: bool,
) -> Result<Option<String>, Fault> {
    if deployment.plan_hash.is_empty() && deployment.state() == DeploymentState::AwaitingApproval {
        return Ok(Some(String::new()));
    }
    let request = pb::GetDeploymentPlanRequest {
        id: deployment.id.clone(),
    };
    let answer = api.deployments.get_deployment_plan(request).await?.into_inner();
    let text = plan::text(&answer, console.talk_color());
    console.talk(&text)?;
    if yes {
        return Ok(Some(answer.hash));
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            Fault::local("an approval is of a plan, and nobody is here to look at it").hint(format!(
                "towline approve {} --plan {}, or --yes",
                deployment.id, answer.hash
            )),
        );
    }
    console.talk(&format!(
        "\nApprove this plan of release {} into {}? [y/N]",
        deployment.release, deployment.environment
    ))?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let agreed = matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    Ok(agreed.then_some(answer.hash))
}

//! `towline deployment plan`: what people approve.

use clap::Args;
use towline_proto::orchestrator::v1 as pb;

use crate::cli::{
    choose::{self, Which},
    connection::Api,
    exit::{Exit, Fault},
    output::Console,
    service, show,
};

/// Shows the plan of a deployment that people approve, operation by operation.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  towline deployment plan DEPLOYMENT
  towline deployment plan --release 1.0.0 --environment prod --output json")]
pub struct Plan {
    #[command(flatten)]
    which: Which,
}

impl Plan {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let has_plan = |deployment: &pb::Deployment| !deployment.plan_hash.is_empty();
        let deployment = choose::deployment(api, self.which, "has a plan", has_plan).await?;
        let request = pb::GetDeploymentPlanRequest { id: deployment.id };
        let answer = api.deployments.get_deployment_plan(request).await?.into_inner();
        console.message("GetDeploymentPlanResponse", &answer, |color| text(&answer, color))?;
        Ok(Exit::Done)
    }
}

/// Each operation with its plan, then the hash of the whole.
pub fn text(answer: &pb::GetDeploymentPlanResponse, color: bool) -> String {
    let mut parts: Vec<String> = answer
        .plans
        .iter()
        .map(|plan| {
            let head = format!("{}@{}", plan.service, plan.target);
            let line = "-".repeat(head.len());
            format!("{head}\n{line}\n{}", service::plan_text(plan, color))
        })
        .collect();
    let refused = answer.plans.iter().filter(|plan| is_refused(plan)).count();
    let warning = match refused {
        0 => String::new(),
        1 => "\n1 operation would be refused as things are".to_owned(),
        many => format!("\n{many} operations would be refused as things are"),
    };
    parts.push(format!(
        "the whole plan: {}, made {}{warning}",
        answer.hash,
        made(answer)
    ));
    parts.join("\n\n")
}

fn made(answer: &pb::GetDeploymentPlanResponse) -> String {
    match show::instant(answer.make_time.as_ref()) {
        Some(at) => at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        None => "-".to_owned(),
    }
}

fn is_refused(plan: &pb::PlanServiceResponse) -> bool {
    plan.action == "refused" || plan.findings.iter().any(|finding| finding.severity == "error")
}

//! `towline promote VERSION`: the next deployment of a release.

use std::path::PathBuf;

use clap::Args;
use towline_proto::orchestrator::v1::{self as pb, promote_release_request::Expiry};

use super::{
    approved, choose,
    connection::Api,
    deployments,
    exit::{Exit, Fault},
    output::Console,
    service,
    when::{self, When},
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
  towline promote 1.0.0 --to prod --at 2026-12-24T04:00Z --expires 2h
  towline promote 1.0.1 --to prod --override-freeze INC-481
  towline promote 1.0.0 --to prod --dry-run
  towline promote 1.0.0 --to prod --dry-run --output json > plans.json
  towline promote 1.0.0 --to prod --plan-file plans.json
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
    /// A file of plans that were approved, as --dry-run with --output json prints
    /// them (or `towline service plan`); `-` reads standard input.
    #[arg(long = "plan-file", value_name = "FILE")]
    plan_files: Vec<PathBuf>,
    /// Only show what the deployment would do, as the agents plan it. The exit code
    /// is 1 when some of it is refused or not known, else 0.
    #[arg(long, conflicts_with_all = ["plans", "plan_files", "no_wait"])]
    dry_run: bool,
    /// Do not start before this time, or this long from now; `towline watch` follows
    /// what then happens.
    #[arg(long, value_name = "TIME", value_parser = when::when)]
    at: Option<When>,
    /// Give it up if it has not started by this time, or this long after its
    /// creation (or after --at). 30 days when left out.
    #[arg(long, value_name = "TIME", value_parser = when::when)]
    expires: Option<When>,
    /// Start in spite of a freeze, and say why. The freeze says which role may.
    #[arg(long, value_name = "REASON")]
    override_freeze: Option<String>,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

impl Promote {
    pub async fn run(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        if self.dry_run {
            return self.plan(api, console).await;
        }
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
            not_before: self.at.map(|at| when::sent(at.from(api.now()))),
            expiry: self.expires.map(|expires| match expires {
                When::At(at) => Expiry::ExpireTime(when::sent(at)),
                When::After(span) => Expiry::ExpireAfter(when::sent_span(span)),
            }),
            override_freeze: self.override_freeze.unwrap_or_default(),
        };
        let promoted = api.releases.promote_release(request).await?.into_inner();
        let deployment = promoted.deployment.unwrap_or_default();
        // What starts later is not waited for.
        let wait = !self.no_wait && self.at.is_none();
        deployments::wait_and_show(api, console, deployment, wait).await
    }

    async fn plan(self, api: &mut Api, console: &mut Console) -> Result<Exit, Fault> {
        let request = pb::PlanReleaseRequest {
            project: choose::project(api, self.project).await?,
            version: self.version,
            environment: self.to.unwrap_or_default(),
            force: self.force,
        };
        let answer = api.releases.plan_release(request).await?.into_inner();
        console.message("PlanReleaseResponse", &answer, |color| planned(&answer, color))?;
        let refused = answer.plans.iter().any(|plan| plan.action == "refused");
        match refused || !answer.unplanned.is_empty() {
            true => Ok(Exit::Local),
            false => Ok(Exit::Done),
        }
    }
}

/// Each operation with its plan, then those without one.
fn planned(answer: &pb::PlanReleaseResponse, color: bool) -> String {
    let mut parts: Vec<String> = Vec::new();
    for plan in &answer.plans {
        let head = format!("{}@{}", plan.service, plan.target);
        parts.push(format!(
            "{head}\n{}\n{}",
            "-".repeat(head.len()),
            service::plan_text(plan, color)
        ));
    }
    for not in &answer.unplanned {
        let mut part = format!("{}@{} has no plan: {}", not.service, not.target, not.reason);
        if !not.hint.is_empty() {
            part.push_str(&format!("\n  hint: {}", not.hint));
        }
        parts.push(part);
    }
    parts.join("\n\n")
}

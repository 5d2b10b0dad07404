//! Asking, all at once, what the pre-flight of an update wants to know.

use futures_util::future::join_all;
use towline_agent_domain::{
    fargate::preflight::{Finding, Severity},
    observed::ClusterRef,
    outside::Account,
    update::preflight::{Facts, Purpose, Questions, RoleFact, UpdateView, judge, questions},
    verdict::Reason,
};
use towline_link::seams::Clock;
use towline_proto::agent::v1::{Step, StepState, operation_event::Event};

use super::{Ending, Update};
use crate::{
    operation::fargate::preflight::{each, soon},
    wire,
};

/// Asks everything at the same time.
async fn ask<A: Account>(aws: &A, clock: Clock, at: &ClusterRef, questions: &Questions) -> Facts {
    let region = at.region.as_str();
    let images = join_all(
        questions
            .images
            .iter()
            .map(|image| async move { (image.to_string(), soon(clock, aws.image(region, image)).await) }),
    );
    let roles = each(&questions.roles, |arn| async move {
        let role = soon(clock, aws.role(region, arn));
        let passing = async {
            match questions.passing {
                true => Some(soon(clock, aws.may_pass_role(region, None, arn)).await),
                false => None,
            }
        };
        let (role, passing) = tokio::join!(role, passing);
        RoleFact { role, passing }
    });
    let secrets = each(&questions.secrets, |from| {
        soon(clock, aws.secret_exists(region, from))
    });
    let target_groups = each(&questions.target_groups, |arn| {
        soon(clock, aws.target_group(region, arn))
    });
    let instances = async {
        match questions.instances {
            true => Some(soon(clock, aws.container_instances(at)).await),
            false => None,
        }
    };
    let alarms = async {
        match questions.alarms.as_slice() {
            [] => None,
            names => Some(soon(clock, aws.alarms(region, names)).await),
        }
    };
    let (images, roles, secrets, target_groups, alarms, instances) =
        tokio::join!(images, roles, secrets, target_groups, alarms, instances);
    Facts {
        images: images.into_iter().collect(),
        roles: roles.into_iter().collect(),
        secrets: secrets.into_iter().collect(),
        target_groups: target_groups.into_iter().collect(),
        alarms,
        instances,
    }
}

impl<A: Account> Update<'_, A> {
    /// What the account shows, judged; and the facts, for the digests in them.
    pub(super) async fn look_ahead(&self, view: &UpdateView<'_>, purpose: Purpose) -> (Vec<Finding>, Facts) {
        let questions = questions(view, purpose);
        let clock = self.handle.clock();
        let facts = Box::pin(ask(&self.surroundings.aws, clock, &self.order.at, &questions)).await;
        (judge(view, &facts), facts)
    }

    /// Tells the findings; one that says that it will not work ends the operation.
    pub(super) fn heed(&self, findings: &[Finding]) -> Result<(), Ending> {
        for finding in findings {
            self.handle.emit(Event::Finding(wire::finding(finding)));
        }
        let errors: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        let (summary, hint) = match errors.as_slice() {
            [] => return Ok(()),
            [only] => (only.message.clone(), only.hint.clone()),
            [first, rest @ ..] => (
                format!("{} (and {} more)", first.message, rest.len()),
                first.hint.clone(),
            ),
        };
        self.handle
            .step(Step::Preflight, StepState::Failed, summary.clone());
        let summary = format!("nothing was written: {summary}");
        Err(Ending::new(Reason::PreflightFailed, summary).hint(hint))
    }
}

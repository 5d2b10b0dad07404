//! Asking, all at once, what the pre-flight wants to know. A read that fails is an
//! answer as well: what AWS will not say is told as unknown and stops nothing.

use std::time::Duration;

use futures_util::future::join_all;
use towline_agent_domain::{
    fargate::preflight::{Facts, Finding, OwnResources, Questions, RoleFact, Severity},
    observed::ClusterRef,
    outside::{Account, Answer, CallError},
    verdict::Reason,
};
use towline_link::seams::Clock;
use towline_proto::agent::v1::{Step, StepState, operation_event::Event};

use super::{Deploy, Ending};
use crate::wire;

/// How long one read may take: the deployment waits for the slowest.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks everything at the same time. `passer` is the role that makes the service,
/// where it is not the agent's own.
pub(super) async fn ask<A: Account>(
    aws: &A,
    clock: Clock,
    at: &ClusterRef,
    passer: Option<&str>,
    questions: &Questions,
    own: OwnResources,
) -> Facts {
    let region = at.region.as_str();
    let target_groups = each(&questions.target_groups, |arn| {
        soon(clock, aws.target_group(region, arn))
    });
    let listeners = each(&questions.listeners, |arn| soon(clock, aws.listener(region, arn)));
    let roles = each(&questions.roles, |arn| async move {
        let role = soon(clock, aws.role(region, arn));
        let passing = soon(clock, aws.may_pass_role(region, passer, arn));
        let (role, passing) = tokio::join!(role, passing);
        RoleFact { role, passing }
    });
    let images = join_all(
        questions
            .images
            .iter()
            .map(|image| async move { (image.to_string(), soon(clock, aws.image(region, image)).await) }),
    );
    let secrets = each(&questions.secrets, |arn| soon(clock, aws.secret(region, arn)));
    let log_group = async {
        let name = questions.log_group.as_deref()?;
        Some(soon(clock, aws.log_group(region, name)).await)
    };
    let (cluster, subnets, security_groups, target_groups, listeners, roles, images, secrets, log_group) = tokio::join!(
        soon(clock, aws.cluster(at)),
        soon(clock, aws.subnets(region, &questions.subnets)),
        soon(clock, aws.security_groups(region, &questions.security_groups)),
        target_groups,
        listeners,
        roles,
        images,
        secrets,
        log_group,
    );
    Facts {
        cluster: Some(cluster),
        subnets: (!questions.subnets.is_empty()).then_some(subnets),
        security_groups: (!questions.security_groups.is_empty()).then_some(security_groups),
        target_groups: target_groups.into_iter().collect(),
        listeners: listeners.into_iter().collect(),
        roles: roles.into_iter().collect(),
        images: images.into_iter().collect(),
        secrets: secrets.into_iter().collect(),
        log_group,
        own,
    }
}

/// What a stack may do is what the agent may do.
pub(super) fn own_rights() -> Finding {
    Finding {
        severity: Severity::Note,
        reason: "cloudformation_has_agents_rights",
        message: "CloudFormation acts with the agent's own rights: cloudformation_role is not configured".to_owned(),
        hint: "set cloudformation_role in agent.toml to a role for CloudFormation; then the agent's own role needs \
               no right to make roles and services"
            .to_owned(),
    }
}

pub(in crate::operation) async fn each<'q, T, F>(
    keys: &'q [String],
    read: impl Fn(&'q str) -> F,
) -> Vec<(String, T)>
where
    F: Future<Output = T>,
{
    let reads = keys.iter().map(|key| {
        let read = read(key);
        async move { (key.clone(), read.await) }
    });
    join_all(reads).await
}

pub(in crate::operation) async fn soon<T>(clock: Clock, read: impl Future<Output = Answer<T>>) -> Answer<T> {
    clock.timeout(PATIENCE, Box::pin(read)).await.unwrap_or_else(|| {
        Err(CallError::Unknown {
            message: format!("nothing within {} s", PATIENCE.as_secs()),
        })
    })
}

impl<A: Account> Deploy<'_, A> {
    /// Tells the findings; one that says that it will not work ends the operation.
    pub(super) fn heed(&self, findings: &[Finding]) -> Result<(), Ending> {
        for finding in findings {
            self.handle.emit(Event::Finding(wire::finding(finding)));
        }
        let errors: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        let name = self.order.service_name();
        let summary = match errors.as_slice() {
            [] => {
                let detail = match findings.len() {
                    0 => format!("nothing is in the way of service {name}"),
                    1 => format!("1 finding, which is not in the way of service {name}"),
                    many => format!("{many} findings, none of which is in the way of service {name}"),
                };
                self.handle.step(Step::Preflight, StepState::Done, detail);
                return Ok(());
            }
            [only] => only.message.clone(),
            [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
        };
        self.handle
            .step(Step::Preflight, StepState::Failed, summary.clone());
        let ending = Ending::new(Reason::PreflightFailed, format!("nothing was written: {summary}"));
        Err(match errors.first() {
            Some(first) => ending.hint(first.hint.clone()),
            None => ending,
        })
    }
}

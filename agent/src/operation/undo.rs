//! Putting back what ran before an update: ECS's own roll-back of the service
//! deployment where there is one, else one further UpdateService to the previous
//! revision, announced as its own step and followed to its end. Never a third.

use towline_agent_domain::{
    observed::{ObservedService, ServiceDeploymentStatus, TaskDefinitionArn},
    outside::{Account, CallError},
    update::start::is_stable,
    verdict::Reason,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{Ending, Interruption, conclude, follow::Follower};

/// Rolls a followed rollout back, to the end.
pub(super) async fn roll_back<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<TaskDefinitionArn>,
) -> Result<Ending, Ending> {
    let handle = follower.handle();
    handle.take_cancel();
    let revision = follower.ours.task_definition.clone();
    handle.step(
        Step::Rollback,
        StepState::Started,
        format!("{revision} is taken back"),
    );
    if !stop_deployment(follower).await? {
        let Some(previous) = &previous else {
            handle.step(Step::Rollback, StepState::Failed, "what ran before is not known");
            let summary = format!("{revision} cannot be taken back: what ran before it is not known");
            return Err(Ending::new(Reason::Unknown, summary)
                .hint("update the service to the revision that you want"));
        };
        update_back(follower, previous).await?;
    }
    until_back(follower, previous.as_ref()).await
}

/// StopServiceDeployment with ROLLBACK. False: ECS cannot do it here, and did nothing.
async fn stop_deployment<A: Account>(follower: &mut Follower<'_, A>) -> Result<bool, Ending> {
    let records = follower.read_records().await?;
    let ours = records.iter().find(|record| {
        record.task_definition.as_ref() == Some(&follower.ours.task_definition)
            && matches!(
                record.status,
                ServiceDeploymentStatus::Pending | ServiceDeploymentStatus::InProgress
            )
    });
    let Some(ours) = ours else { return Ok(false) };
    let (handle, region) = (follower.handle(), &follower.at().region);
    loop {
        let aws = &follower.surroundings().aws;
        match aws.stop_service_deployment(region, &ours.arn).await {
            Ok(()) => return Ok(true),
            Err(CallError::Throttled { .. }) => be_patient(follower).await?,
            // Whether it was heard shows in what the service runs next.
            Err(CallError::Unknown { message }) => {
                tracing::warn!(operation = %handle.id(), "the answer to StopServiceDeployment was lost: {message}");
                return Ok(true);
            }
            Err(error) => {
                let message = format!("ECS does not roll this deployment back: {error}");
                handle.finding(Severity::Info, "no_ecs_rollback", message, "");
                return Ok(false);
            }
        }
    }
}

async fn update_back<A: Account>(
    follower: &Follower<'_, A>,
    previous: &TaskDefinitionArn,
) -> Result<(), Ending> {
    let (handle, service) = (follower.handle(), follower.service());
    let what = format!("update service {service} back to {previous}");
    handle.step(
        Step::Rollback,
        StepState::Started,
        format!("one UpdateService of {service} to {previous}"),
    );
    loop {
        let aws = &follower.surroundings().aws;
        match aws.update_service(follower.at(), service, previous).await {
            Ok(_) => return Ok(()),
            Err(CallError::Throttled { .. }) => be_patient(follower).await?,
            // Never sent again: what the service runs next shows whether it was heard.
            Err(CallError::Unknown { message }) => {
                tracing::warn!(operation = %handle.id(), "the answer to {what} was lost: {message}");
                return Ok(());
            }
            Err(error) => {
                handle.step(Step::Rollback, StepState::Failed, error.to_string());
                return Err(Ending::call(&what, &error));
            }
        }
    }
}

/// Waits before the same call is sent once more: ECS did nothing.
async fn be_patient<A: Account>(follower: &Follower<'_, A>) -> Result<(), Ending> {
    match follower.handle().pause(follower.surroundings().timing.poll).await {
        Some(Interruption::Deadline) => Err(too_late(&follower.ours.task_definition)),
        Some(Interruption::Cancel(_)) | None => Ok(()),
    }
}

fn too_late(revision: &TaskDefinitionArn) -> Ending {
    let summary = format!("the deadline came while {revision} was taken back");
    Ending::new(Reason::DeadlineExceeded, summary).hint("DescribeService shows how it goes on")
}

/// Looks until the service runs, stably, something else than our revision.
async fn until_back<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
) -> Result<Ending, Ending> {
    let handle = follower.handle();
    let revision = follower.ours.task_definition.clone();
    let asked = handle.clock().instant();
    let mut seen = follower.read_service().await?;
    loop {
        if let Some(service) = &seen {
            follower.tell(service);
            if let Some(back) = runs_again(service, &revision, previous) {
                let summary = format!("cancelled; service {} runs {back} again", follower.service());
                handle.step(Step::Rollback, StepState::Done, summary.clone());
                let ending = conclude::outputs(follower, Ending::new(Reason::Cancelled, summary));
                return Ok(ending.output("task_definition", back.0.clone()));
            }
            let waited = handle.clock().instant().duration_since(asked);
            if still_ours(service, &revision) && waited >= follower.surroundings().timing.settle {
                handle.step(
                    Step::Rollback,
                    StepState::Failed,
                    format!("{revision} runs, and nothing takes it back"),
                );
                let summary = format!(
                    "{revision} was not taken back: it is complete in service {}",
                    follower.service()
                );
                return Err(Ending::new(Reason::Unknown, summary)
                    .hint("the roll-back was not heard, or came too late; update the service to the revision that you want"));
            }
        }
        seen = match handle.unless_interrupted(follower.read_next_service()).await {
            Ok(service) => service?,
            Err(_) => return Err(too_late(&revision)),
        };
    }
}

fn runs_again<'s>(
    service: &'s ObservedService,
    revision: &TaskDefinitionArn,
    previous: Option<&TaskDefinitionArn>,
) -> Option<&'s TaskDefinitionArn> {
    let primary = service.primary()?;
    let is_back = match previous {
        Some(previous) => primary.task_definition == *previous,
        None => primary.task_definition != *revision,
    };
    (is_back && is_stable(service, primary)).then_some(&primary.task_definition)
}

/// Our revision is there for good: nothing is under way any more.
fn still_ours(service: &ObservedService, revision: &TaskDefinitionArn) -> bool {
    service
        .primary()
        .is_some_and(|primary| primary.task_definition == *revision && is_stable(service, primary))
}

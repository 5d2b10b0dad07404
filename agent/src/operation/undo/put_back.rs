//! The one UpdateService that takes an update back. Its revision may have become
//! INACTIVE meanwhile (Terraform deregisters what it replaces): then its content is
//! registered again, or found in the family's latest revision.

use towline_agent_domain::{
    observed::{TaskDefinition, TaskDefinitionArn},
    outside::{Account, CallError},
    rollout::follow::OurDeployment,
    update::{
        revision::{NextRevision, next_revision},
        spec::UpdateSpec,
    },
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{
    super::{follow::Follower, registration},
    End, Way,
    look::{self, Found},
};

/// How often a call is tried again that AWS put off. Also after the deadline: a
/// roll-back is never skipped for want of a second.
const TRIES: u32 = 20;

/// Tries of one call.
#[derive(Debug, Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// Waits before the same call is sent once more; false when that was often enough.
    pub(super) async fn wait<A: Account>(&mut self, follower: &Follower<'_, A>) -> bool {
        self.0 += 1;
        if self.0 > TRIES {
            return false;
        }
        let clock = follower.handle().clock();
        clock.sleep(follower.surroundings().timing.poll).await;
        true
    }
}

/// Sends it, unless something undoes ours by now. The deployment that it made; without an
/// id when the answer was lost.
pub(super) async fn update<A: Account>(
    follower: &Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
) -> Result<Way, End> {
    let handle = follower.handle();
    let revision = &follower.ours.task_definition;
    let Some(previous) = previous else {
        return Err(End::Impossible {
            summary: format!("{revision} cannot be taken back: what ran before it is not known"),
            hint: "update the service to the revision that you want".to_owned(),
        });
    };
    if previous == revision {
        return Err(End::Impossible {
            summary: format!("there is nothing to go back to: {revision} is what ran before as well"),
            hint: "look at what else changed: its secrets, or what it depends on".to_owned(),
        });
    }
    let target = usable(follower, previous).await?;
    let service = follower.service();
    let detail = format!("one UpdateService of {service} to {target}");
    handle.step(Step::Rollback, StepState::Started, detail);
    let mut patience = Patience::default();
    loop {
        // Registering and waiting took their time.
        let landing = follower.surroundings().timing.landing();
        if let Found::Already(way) = look::before_a_write(follower, Some(previous), landing).await? {
            return Ok(way);
        }
        let aws = &follower.surroundings().aws;
        match aws.update_service(follower.at(), service, &target).await {
            Ok(updated) => {
                let primary = updated.primary().filter(|d| d.task_definition == target);
                return Ok(Way::Updated(OurDeployment {
                    id: primary.map(|primary| primary.id.clone()),
                    task_definition: target,
                }));
            }
            Err(CallError::Throttled { .. }) if patience.wait(follower).await => {}
            // Never sent again: what the service runs next shows whether it was heard.
            Err(CallError::Unknown { message }) => {
                let id = handle.id();
                tracing::warn!(operation = %id, "the answer to updating {service} back to {target} was lost: {message}");
                return Ok(Way::Updated(OurDeployment {
                    id: None,
                    task_definition: target,
                }));
            }
            Err(error) => {
                return Err(End::Impossible {
                    summary: format!("service {service} cannot be updated back to {target}: {error}"),
                    hint: format!("update service {service} to {target} by hand"),
                });
            }
        }
    }
}

/// The previous revision, or an ACTIVE one of the same content.
async fn usable<A: Account>(
    follower: &Follower<'_, A>,
    previous: &TaskDefinitionArn,
) -> Result<TaskDefinitionArn, End> {
    let (surroundings, handle, region) = (follower.surroundings(), follower.handle(), &follower.at().region);
    let what = format!("describe task definition {previous}");
    let read = || surroundings.aws.task_definition(region, &previous.0);
    let definition = match handle.read(&what, read).await {
        Ok(definition) => definition,
        // Whether it can be run is for UpdateService to say.
        Err(ending) => {
            tracing::warn!(operation = %handle.id(), "{}", ending.summary());
            return Ok(previous.clone());
        }
    };
    let status = definition
        .definition
        .get("status")
        .and_then(|status| status.as_str());
    if status.is_none_or(|status| status == "ACTIVE") {
        return Ok(previous.clone());
    }
    handle.finding(
        Severity::Info,
        "roll_back_target_inactive",
        format!("{previous} is INACTIVE; its content is registered again to be put back"),
        "keep replaced revisions: with Terraform, skip_destroy",
    );
    let again = copy_of(&definition, previous).map_err(|summary| End::Impossible {
        summary,
        hint: "update the service to a revision that is ACTIVE".to_owned(),
    })?;
    registration::register(surroundings, handle, region, &again, None)
        .await
        .map_err(|ending| End::Impossible {
            summary: format!("{previous} cannot be registered again: {}", ending.summary()),
            hint: "update the service to a revision that is ACTIVE".to_owned(),
        })
}

/// The same content, to be registered again.
pub(in super::super) fn copy_of(
    definition: &TaskDefinition,
    revision: &TaskDefinitionArn,
) -> Result<NextRevision, String> {
    next_revision(definition, revision.family(), &UpdateSpec::default())
        .map_err(|error| format!("{revision} cannot be registered again: {error}"))
}

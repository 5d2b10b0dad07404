//! Getting a revision with the wanted content: the one that is there, or a new
//! one. ECS deduplicates no registration, so a lost answer is looked for by
//! content and never sent again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use towline_agent_domain::{
    observed::TaskDefinitionArn,
    outside::{Account, CallError, Write},
    update::revision::{NextRevision, same_content},
};
use towline_proto::agent::v1::{Step, StepState};

use super::{Ending, Handle, Interruption, Lanes, Surroundings, interruption};

/// The first pause when ECS asks for patience; registrations refill at one a second.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>
const FIRST_PATIENCE: Duration = Duration::from_millis(500);
const LONGEST_PATIENCE: Duration = Duration::from_secs(8);

/// Region and family: ECS refuses two registrations in one family at a time.
type Family = (String, String);

/// The registrations of one agent.
#[derive(Debug, Default)]
pub struct Registrations {
    lanes: Lanes<Family>,
    /// When a family last got a revision by this agent.
    last: Mutex<HashMap<Family, Instant>>,
}

impl Registrations {
    fn last(&self) -> MutexGuard<'_, HashMap<Family, Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this agent has registered nothing there since.
    fn none_since(&self, family: &Family, looked: Instant) -> bool {
        self.last().get(family).is_none_or(|last| *last < looked)
    }
}

/// The revision to run: reused when the family's latest has this content, else registered.
/// `looked`: when the caller began to look at the latest, and found another content.
///
/// # Errors
///
/// AWS refuses it, the operation is interrupted, or the answer was lost and the
/// revision does not show within the settle time.
pub(super) async fn register<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    region: &str,
    next: &NextRevision,
    looked: Option<Instant>,
) -> Result<TaskDefinitionArn, Ending> {
    let family = next.family().to_owned();
    let lane = (region.to_owned(), family.clone());
    let registrations = &surroundings.registrations;
    let turn = registrations.lanes.take(&lane, handle.id().to_string());
    let turn = handle.unless_interrupted(turn).await;
    let _turn = turn.map_err(|by| interruption::before_the_write(by, "no revision was registered"))?;
    handle.step(
        Step::Revision,
        StepState::Started,
        format!("a revision of {family}"),
    );
    // Another operation may have registered it while this one waited its turn.
    let now = handle.clock().instant();
    let is_enough = |looked: Instant| {
        now.duration_since(looked) < surroundings.timing.settle && registrations.none_since(&lane, looked)
    };
    let found = match looked.is_some_and(is_enough) {
        true => None,
        false => find(surroundings, handle, region, next).await?,
    };
    if let Some(found) = found {
        handle.step(
            Step::Revision,
            StepState::Skipped,
            format!("{found} has this content already"),
        );
        return Ok(found);
    }
    let registered = send(surroundings, handle, region, next).await;
    registrations.last().insert(lane, handle.clock().instant());
    match &registered {
        Ok(arn) => handle.step(Step::Revision, StepState::Done, format!("registered {arn}")),
        Err(_) => handle.step(
            Step::Revision,
            StepState::Failed,
            format!("no new revision of {family}"),
        ),
    }
    registered
}

async fn send<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    region: &str,
    next: &NextRevision,
) -> Result<TaskDefinitionArn, Ending> {
    let what = format!("register a revision of {}", next.family());
    let mut patience = FIRST_PATIENCE;
    loop {
        // With many operations at once the turn may be a minute away.
        let turn = surroundings
            .aws
            .turn_to_write(region, Write::RegisterTaskDefinition);
        let turn = handle.unless_interrupted(turn).await;
        turn.map_err(|by| interruption::before_the_write(by, "no revision was registered"))?;
        match surroundings
            .aws
            .register_task_definition(region, &next.request)
            .await
        {
            Ok(arn) => return Ok(arn),
            Err(CallError::Unknown { message }) => {
                tracing::warn!(operation = %handle.id(), "the answer to {what} was lost: {message}");
                return look_for_it(surroundings, handle, region, next, &what).await;
            }
            Err(error) if asks_for_patience(&error) => {
                tracing::info!(operation = %handle.id(), "cannot {what} yet: {error}");
            }
            Err(error) => return Err(Ending::call(&what, &error)),
        }
        if let Some(by) = handle.pause(patience).await {
            return Err(interruption::before_the_write(by, "no revision was registered"));
        }
        patience = (patience * 2).min(LONGEST_PATIENCE);
    }
}

/// Nothing was done, and the same request may be sent again.
fn asks_for_patience(error: &CallError) -> bool {
    match error {
        CallError::Throttled { .. } => true,
        // ECS takes one registration of a family at a time, and says so by a ClientException.
        CallError::Refused { message, .. } => message.contains("Too many concurrent attempts"),
        _ => false,
    }
}

async fn look_for_it<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    region: &str,
    next: &NextRevision,
    what: &str,
) -> Result<TaskDefinitionArn, Ending> {
    let clock = handle.clock();
    let start = clock.instant();
    loop {
        if let Some(found) = find(surroundings, handle, region, next).await? {
            return Ok(found);
        }
        if clock.instant().duration_since(start) >= surroundings.timing.settle
            || handle.interruption() == Some(Interruption::Deadline)
        {
            let family = next.family();
            return Err(Ending::unknown(
                what,
                format!("look at the latest revisions of {family} in ECS; the service was not changed"),
            ));
        }
        clock.sleep(surroundings.timing.poll).await;
    }
}

/// The family's latest revision, when it has the wanted content.
async fn find<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    region: &str,
    next: &NextRevision,
) -> Result<Option<TaskDefinitionArn>, Ending> {
    let family = next.family();
    let what = format!("describe the latest revision of {family}");
    let read = || async {
        match surroundings.aws.task_definition(region, family).await {
            Ok(latest) => Ok(Some(latest)),
            // The family has no ACTIVE revision: the next one will be its first.
            Err(CallError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let latest = handle.read(&what, read).await?;
    let same = latest.filter(|latest| same_content(latest, next));
    Ok(same.and_then(|latest| latest.arn()))
}

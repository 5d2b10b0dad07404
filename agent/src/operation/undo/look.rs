//! Looking before a roll-back writes, and until what ran before is PRIMARY again
//! ([`towline_agent_domain::rollout::standing`]).

use std::time::Duration;

use tokio::time::Instant;
use towline_agent_domain::{
    observed::{ObservedService, ServiceDeployment, TaskDefinitionArn},
    outside::Account,
    rollout::{
        follow::OurDeployment,
        standing::{Standing, StandingView, is_undone, standing},
        undone::UndoneBy,
    },
    update::revision::same_content,
};

use super::{
    super::{CancelMode, Ending, Interruption, follow::Follower},
    End, Own, Way, put_back,
};

/// What a look before a write came to.
pub(super) enum Found {
    /// It goes on without (another) write.
    Already(Way),
    /// Ours runs, and nothing undoes it; its record, where it is listed.
    Runs(Option<ServiceDeployment>),
}

/// Looks before a write: until what shows is certain, and until what an earlier
/// incarnation of the agent has sent cannot land any more, which it does within `landing`.
pub(super) async fn before_a_write<A: Account>(
    follower: &Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
    landing: Duration,
) -> Result<Found, End> {
    let clock = follower.handle().clock();
    let timing = follower.surroundings().timing;
    let began: Instant = clock.instant();
    loop {
        let settled = clock.instant().duration_since(began) >= timing.settle;
        match now(follower, previous)
            .await
            .map_err(|ending| unseen(follower, &ending))?
        {
            Standing::ByEcs {
                by: UndoneBy::Request,
                ..
            } if follower.is_resumed() => return Ok(Found::Already(Way::Stopped)),
            Standing::ByEcs { .. } => return Ok(Found::Already(Way::Breaker)),
            Standing::Back { back, certain } if certain || settled => {
                return Ok(Found::Already(Way::Updated(back)));
            }
            Standing::Foreign { by, certain } if certain || settled => {
                return Err(End::Superseded { by });
            }
            Standing::Runs { record } if !follower.may_land_yet(landing) => return Ok(Found::Runs(record)),
            _ => clock.sleep(timing.poll).await,
        }
    }
}

/// The roll-back that one look shows for certain, where somebody asked for it.
pub(super) async fn undone_by_request<A: Account>(
    follower: &Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
) -> Option<Own> {
    match now(follower, previous).await {
        Ok(Standing::Back { back, certain: true }) => Some(Own { back: Some(back) }),
        Ok(Standing::ByEcs {
            by: UndoneBy::Request,
            back,
            ..
        }) => Some(Own { back }),
        _ => None,
    }
}

fn unseen<A: Account>(follower: &Follower<'_, A>, ending: &Ending) -> End {
    let revision = &follower.ours.task_definition;
    End::Impossible {
        summary: format!(
            "{revision} is not taken back: whether it still runs cannot be seen: {}",
            ending.summary()
        ),
        hint: "look at the service's deployments, then update it to the revision that you want".to_owned(),
    }
}

async fn now<A: Account>(
    follower: &Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
) -> Result<Standing, Ending> {
    let service = follower.read_service().await?;
    Ok(of(follower, service.as_ref(), previous).await)
}

/// The judgement of one look at the service.
async fn of<A: Account>(
    follower: &Follower<'_, A>,
    service: Option<&ObservedService>,
    previous: Option<&TaskDefinitionArn>,
) -> Standing {
    // Best effort: without records there is still PRIMARY.
    let records = follower.list_records().await.unwrap_or_default();
    let copy = copy_of_previous(follower, service, &records, previous).await;
    standing(&StandingView {
        service,
        ours: &follower.ours,
        since: follower.since(),
        records: &records,
        previous,
        copy: copy.as_ref(),
    })
}

/// The newest revision, where it is the previous one registered again.
async fn copy_of_previous<A: Account>(
    follower: &Follower<'_, A>,
    service: Option<&ObservedService>,
    records: &[ServiceDeployment],
    previous: Option<&TaskDefinitionArn>,
) -> Option<TaskDefinitionArn> {
    let previous = previous?;
    let newest = records.first().and_then(|record| record.task_definition.as_ref());
    let primary = service.and_then(ObservedService::primary);
    let candidate = newest
        .into_iter()
        .chain(primary.map(|primary| &primary.task_definition))
        .find(|revision| **revision != follower.ours.task_definition && *revision != previous)?;
    let (aws, region) = (&follower.surroundings().aws, &follower.at().region);
    let (old, new) = (
        aws.task_definition(region, &previous.0).await.ok()?,
        aws.task_definition(region, &candidate.0).await.ok()?,
    );
    let copy = put_back::copy_of(&old, previous).ok()?;
    same_content(&new, &copy).then(|| candidate.clone())
}

/// Looks until what ran before is PRIMARY again. `gives_up`: after the time that AWS may lag.
pub(super) async fn until_back<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
    gives_up: bool,
) -> Result<Result<OurDeployment, End>, Ending> {
    let handle = follower.handle();
    let asked: Instant = handle.clock().instant();
    let mut service = follower.read_service().await?;
    loop {
        let waited = handle.clock().instant().duration_since(asked);
        let settled = waited >= follower.surroundings().timing.settle;
        let primary = service.as_ref().and_then(ObservedService::primary);
        let shows_other = primary.is_some_and(|primary| !is_undone(primary, &follower.ours));
        let found = match shows_other || (gives_up && settled) {
            true => decided(of(follower, service.as_ref(), previous).await, settled, gives_up),
            false => None,
        };
        follower.note(service).await?;
        if let Some(found) = found {
            return Ok(found);
        }
        service = match handle.unless_interrupted(follower.read_next_service()).await {
            Ok(service) => service?,
            Err(Interruption::Deadline) => return Ok(Err(End::TooLate)),
            Err(Interruption::Cancel(CancelMode::Detach)) => return Ok(Err(End::Detached)),
            // It is being rolled back already.
            Err(Interruption::Cancel(CancelMode::RollBack)) => {
                handle.take_cancel();
                follower.read_service().await?
            }
        };
    }
}

/// What one look after the write comes to; `None`: look again.
fn decided(standing: Standing, settled: bool, gives_up: bool) -> Option<Result<OurDeployment, End>> {
    match standing {
        Standing::ByEcs { back: Some(back), .. } => Some(Ok(back)),
        Standing::Back { back, certain } if back.id.is_some() && (certain || settled) => Some(Ok(back)),
        Standing::Foreign { by, certain } if certain || settled => Some(Err(End::Superseded { by })),
        Standing::Runs { .. } | Standing::ByEcs { under_way: false, .. } if gives_up && settled => {
            Some(Err(End::NotHeard))
        }
        _ => None,
    }
}

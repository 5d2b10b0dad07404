//! Putting back what ran before an update. ECS does it itself where it can (its
//! breaker is at it already, or StopServiceDeployment); else one further
//! UpdateService to the previous revision ([`put_back`]), announced as its own step.
//! Never a third. Then the roll-back is followed to a verdict of its own ([`ending`]).
//!
//! An agent that is killed in between finds its own roll-back again by the records
//! ([`towline_agent_domain::update::start`]) and goes on with [`go_on`].

mod ending;
mod put_back;

pub(super) use put_back::copy_of;

use std::time::Duration;

use tokio::time::Instant;
use towline_agent_domain::{
    observed::{Deployment, ServiceDeployment, ServiceDeploymentStatus, TaskDefinitionArn},
    outside::{Account, CallError},
    rollout::{diagnosis::Diagnosis, follow::OurDeployment},
    verdict::Reason,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{
    CancelMode, Ending, Interruption, conclude, evidence,
    follow::{Followed, Follower},
    interruption,
};

/// How long a roll-back may take to be begun when the deadline has passed already.
const LATE: Duration = Duration::from_secs(60);

/// Why a rollout is undone.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// A person said stop.
    Cancelled,
    /// It failed, and was to be rolled back then.
    Failed(Box<Failure>),
}

/// What failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub revision: TaskDefinitionArn,
    pub cause: Option<Reason>,
    pub summary: String,
    pub diagnosis: Diagnosis,
}

/// How a roll-back was set going.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// By ECS, before anybody here asked for it.
    Breaker,
    /// By StopServiceDeployment.
    Stopped,
    /// By an UpdateService; without an id where its answer was lost.
    Updated(OurDeployment),
}

/// How a roll-back ended.
#[derive(Clone, Debug)]
enum End {
    Stable {
        revision: TaskDefinitionArn,
        deployment_id: String,
    },
    Failed {
        reason: Reason,
        summary: String,
        diagnosis: Box<Diagnosis>,
    },
    /// Our revision is still there, and nothing takes it back.
    NotHeard,
    /// It could not be begun.
    Impossible {
        summary: String,
        hint: String,
    },
    /// ECS does not take it back, and nothing else is to.
    Left,
    TooLate,
    Detached,
}

/// Rolls a followed rollout back, to the end.
pub(super) async fn roll_back<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
    why: Why,
) -> Result<Ending, Ending> {
    let handle = follower.handle();
    if matches!(why, Why::Cancelled) {
        handle.take_cancel();
    }
    announce(follower);
    let way = match begin(follower, previous).await {
        Ok(way) => way,
        Err(end) => return Ok(ending::of(follower, &why, end)),
    };
    // ECS was faster: the rollout has failed, whatever a person says now.
    if way == Way::Breaker && matches!(why, Why::Cancelled) {
        return to_its_own_end(follower).await;
    }
    let followed = follow_back(follower, previous, way).await;
    let end = followed.map_err(interruption::out_of_sight)?;
    Ok(ending::of(follower, &why, end))
}

/// Takes back what a person cancels by ECS's own means alone: the service of a stack
/// gets no second UpdateService. Where ECS cannot, it is let go, and said.
pub(super) async fn by_ecs_alone<A: Account>(follower: &mut Follower<'_, A>) -> Result<Ending, Ending> {
    follower.handle().take_cancel();
    announce(follower);
    let end = match by_ecs(follower).await {
        Some(Way::Breaker) => return to_its_own_end(follower).await,
        Some(_) => stopped(follower).await.map_err(interruption::out_of_sight)?,
        None => End::Left,
    };
    Ok(ending::of(follower, &Why::Cancelled, end))
}

/// Follows what StopServiceDeployment set going, if it was heard.
async fn stopped<A: Account>(follower: &mut Follower<'_, A>) -> Result<End, Ending> {
    match until_other_runs(follower, true).await? {
        Ok(back) => until_stable(follower, back).await,
        Err(End::NotHeard) => Ok(End::Left),
        Err(end) => Ok(end),
    }
}

/// ECS's own roll-back has its own verdict.
async fn to_its_own_end<A: Account>(follower: &mut Follower<'_, A>) -> Result<Ending, Ending> {
    loop {
        return Ok(match follower.run().await? {
            Followed::Succeeded { deployment_id } => conclude::succeeded(follower, &deployment_id),
            Followed::Ended { reason, summary } => conclude::ended(follower, reason, &summary).await,
            Followed::Interrupted { by, .. } => match by {
                Interruption::Cancel(CancelMode::RollBack) => {
                    follower.handle().take_cancel();
                    continue;
                }
                Interruption::Cancel(CancelMode::Detach) => {
                    ending::of(follower, &Why::Cancelled, End::Detached)
                }
                Interruption::Deadline => {
                    let revision = &follower.ours.task_definition;
                    let summary = format!(
                        "{revision} is being rolled back, and the deadline came before the end of it"
                    );
                    conclude::ended(follower, Reason::RolledBack, &summary).await
                }
            },
        });
    }
}

/// Sets a roll-back going after the deadline, and says that it is under way.
pub(super) async fn begin_late<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
    failure: Failure,
    is_failure: bool,
) -> Ending {
    let handle = follower.handle();
    handle.outlive_deadline();
    announce(follower);
    let begun = handle.clock().timeout(LATE, begin(follower, previous)).await;
    let not_begun = match begun {
        Some(begun) => begun.err(),
        None => Some(End::TooLate),
    };
    ending::late(follower, &failure, is_failure, previous, not_begun)
}

/// Goes on with a roll-back that an earlier send of the operation began; `back` is
/// the deployment of what is put back, as far as it is known.
pub(super) async fn go_on<A: Account>(
    follower: &mut Follower<'_, A>,
    back: Option<OurDeployment>,
    previous: Option<&TaskDefinitionArn>,
    why: Why,
) -> Result<Ending, Ending> {
    if matches!(why, Why::Cancelled) {
        follower.handle().take_cancel();
    }
    announce(follower);
    let end = match back {
        Some(back) => until_stable(follower, back).await?,
        None => follow_back(follower, previous, Way::Stopped).await?,
    };
    Ok(ending::of(follower, &why, end))
}

fn announce<A: Account>(follower: &Follower<'_, A>) {
    follower.handle().heed_detach();
    let detail = format!("{} is taken back", follower.ours.task_definition);
    follower.handle().step(Step::Rollback, StepState::Started, detail);
}

/// Sets it going in one of the three ways.
async fn begin<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
) -> Result<Way, End> {
    match by_ecs(follower).await {
        Some(way) => Ok(way),
        None => put_back::update(follower, previous).await.map(Way::Updated),
    }
}

/// By ECS itself, where it can.
async fn by_ecs<A: Account>(follower: &mut Follower<'_, A>) -> Option<Way> {
    // Best effort: without records there is still UpdateService.
    let records = follower.read_records().await.unwrap_or_default();
    let ours = records
        .iter()
        .find(|record| record.task_definition.as_ref() == Some(&follower.ours.task_definition));
    match ours {
        Some(ours) if ours.status.is_rollback() => Some(Way::Breaker),
        Some(ours) if is_under_way(ours) && stop(follower, ours).await => Some(Way::Stopped),
        _ => None,
    }
}

fn is_under_way(record: &ServiceDeployment) -> bool {
    matches!(
        record.status,
        ServiceDeploymentStatus::Pending | ServiceDeploymentStatus::InProgress
    )
}

/// StopServiceDeployment with ROLLBACK. False: ECS cannot do it here, and did nothing.
async fn stop<A: Account>(follower: &Follower<'_, A>, ours: &ServiceDeployment) -> bool {
    let (handle, region) = (follower.handle(), &follower.at().region);
    let mut patience = put_back::Patience::default();
    loop {
        let aws = &follower.surroundings().aws;
        match aws.stop_service_deployment(region, &ours.arn).await {
            Ok(()) => return true,
            Err(CallError::Throttled { message }) => {
                if !patience.wait(follower).await {
                    tracing::warn!(operation = %handle.id(), "StopServiceDeployment had no turn: {message}");
                    return false;
                }
            }
            // Whether it was heard shows in what the service runs next.
            Err(CallError::Unknown { message }) => {
                tracing::warn!(operation = %handle.id(), "the answer to StopServiceDeployment was lost: {message}");
                return true;
            }
            Err(error) => {
                let message = format!("ECS does not roll this deployment back: {error}");
                handle.finding(Severity::Info, "no_ecs_rollback", message, "");
                return false;
            }
        }
    }
}

/// Follows what was set going to its end.
async fn follow_back<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
    mut way: Way,
) -> Result<End, Ending> {
    loop {
        if let Way::Updated(back) = &way
            && back.id.is_some()
        {
            return until_stable(follower, back.clone()).await;
        }
        let gives_up = way != Way::Breaker;
        match until_other_runs(follower, gives_up).await? {
            Ok(back) => return until_stable(follower, back).await,
            // StopServiceDeployment was not heard: there is one more way.
            Err(End::NotHeard) if way == Way::Stopped => match put_back::update(follower, previous).await {
                Ok(back) => way = Way::Updated(back),
                Err(end) => return Ok(end),
            },
            Err(end) => return Ok(end),
        }
    }
}

/// Looks until PRIMARY is another deployment than the one to be undone. `gives_up`:
/// after the time that AWS may lag.
async fn until_other_runs<A: Account>(
    follower: &mut Follower<'_, A>,
    gives_up: bool,
) -> Result<Result<OurDeployment, End>, Ending> {
    let handle = follower.handle();
    let asked: Instant = handle.clock().instant();
    let mut service = follower.read_service().await?;
    loop {
        let other = service
            .as_ref()
            .and_then(|service| service.primary())
            .filter(|primary| !is_undone(primary, &follower.ours))
            .map(|primary| OurDeployment {
                id: Some(primary.id.clone()),
                task_definition: primary.task_definition.clone(),
            });
        follower.note(service).await?;
        if let Some(other) = other {
            return Ok(Ok(other));
        }
        let waited = handle.clock().instant().duration_since(asked);
        if gives_up && waited >= follower.surroundings().timing.settle {
            return Ok(Err(End::NotHeard));
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

/// Whether this is the deployment that is to go away.
fn is_undone(primary: &Deployment, ours: &OurDeployment) -> bool {
    match &ours.id {
        Some(id) => primary.id == *id,
        None => primary.task_definition == ours.task_definition,
    }
}

/// The roll-back's own verdict.
async fn until_stable<A: Account>(
    follower: &mut Follower<'_, A>,
    back: OurDeployment,
) -> Result<End, Ending> {
    let handle = follower.handle();
    let mut eyes = follower.turned_to(back);
    loop {
        return Ok(match eyes.run().await? {
            Followed::Succeeded { deployment_id } => End::Stable {
                revision: eyes.running_revision(&deployment_id),
                deployment_id,
            },
            Followed::Ended { reason, summary } => End::Failed {
                reason,
                summary,
                diagnosis: Box::new(evidence::explain(&mut eyes, &[]).await),
            },
            Followed::Interrupted { by, .. } => match by {
                Interruption::Deadline => End::TooLate,
                Interruption::Cancel(CancelMode::Detach) => End::Detached,
                Interruption::Cancel(CancelMode::RollBack) => {
                    handle.take_cancel();
                    continue;
                }
            },
        });
    }
}

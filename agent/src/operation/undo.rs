//! Putting back what ran before an update. ECS does it itself where it can (its
//! breaker is at it already, or StopServiceDeployment); else one further
//! UpdateService to the previous revision ([`put_back`]), announced as its own step.
//! Never a third: before each write the service is looked at ([`look`]), by an agent that
//! was killed in between for as long as what it sent then may land, and nothing is
//! written over somebody else's deployment, or where an earlier incarnation's roll-back
//! is under way. Then the roll-back is followed to a verdict of its own ([`ending`]).
//!
//! An agent that is killed in between finds its own roll-back again by the records
//! ([`towline_agent_domain::update::start`]) and goes on with [`go_on`].

mod ending;
mod look;
mod put_back;

pub(super) use put_back::copy_of;

use std::time::Duration;

use towline_agent_domain::{
    observed::{ServiceDeployment, ServiceDeploymentStatus, TaskDefinitionArn},
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
use look::Found;

/// How long a roll-back may take to be begun when the deadline has passed already; an
/// agent that goes on with another's work first waits out what that may have sent.
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
    /// Somebody else has deployed meanwhile: nothing (more) was written.
    Superseded {
        by: OurDeployment,
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
    let end = match by_ecs(follower, None).await {
        Ok(Some(Way::Breaker)) => return to_its_own_end(follower).await,
        Ok(Some(_)) => stopped(follower).await.map_err(interruption::out_of_sight)?,
        Ok(None) => End::Left,
        Err(end) => end,
    };
    Ok(ending::of(follower, &Why::Cancelled, end))
}

/// Follows what StopServiceDeployment set going, if it was heard.
async fn stopped<A: Account>(follower: &mut Follower<'_, A>) -> Result<End, Ending> {
    match look::until_back(follower, None, true).await? {
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
    let patience = LATE + follower.surroundings().timing.landing();
    let begun = handle.clock().timeout(patience, begin(follower, previous)).await;
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

/// A roll-back that an earlier incarnation of the agent asked for: its request landed
/// after this one had begun to follow.
pub(super) struct Own {
    /// The deployment of what is put back; `None`: ECS is at it.
    pub back: Option<OurDeployment>,
}

/// Whether what took a rollout's place was this operation's own roll-back.
pub(super) async fn own<A: Account>(
    follower: &Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
) -> Option<Own> {
    match follower.is_resumed() {
        true => look::undone_by_request(follower, previous).await,
        false => None,
    }
}

fn announce<A: Account>(follower: &Follower<'_, A>) {
    follower.handle().heed_detach();
    let detail = format!("{} is taken back", follower.ours.task_definition);
    follower.handle().step(Step::Rollback, StepState::Started, detail);
}

/// Sets it going in one of the three ways; nothing is written where it goes already.
async fn begin<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
) -> Result<Way, End> {
    match by_ecs(follower, previous).await? {
        Some(way) => Ok(way),
        None => put_back::update(follower, previous).await,
    }
}

/// By ECS itself, where it can.
async fn by_ecs<A: Account>(
    follower: &mut Follower<'_, A>,
    previous: Option<&TaskDefinitionArn>,
) -> Result<Option<Way>, End> {
    // ECS takes a deployment back once, however often it is asked: what it may lag is enough.
    let settle = follower.surroundings().timing.settle;
    Ok(match look::before_a_write(follower, previous, settle).await? {
        Found::Already(way) => Some(way),
        Found::Runs(Some(ours)) if is_under_way(&ours) && stop(follower, &ours).await => Some(Way::Stopped),
        Found::Runs(_) => None,
    })
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
        let target = match &way {
            Way::Updated(back) => Some(back.task_definition.clone()),
            Way::Breaker | Way::Stopped => previous.cloned(),
        };
        match look::until_back(follower, target.as_ref(), gives_up).await? {
            Ok(back) => return until_stable(follower, back).await,
            // StopServiceDeployment was not heard: there is one more way.
            Err(End::NotHeard) if way == Way::Stopped => match put_back::update(follower, previous).await {
                Ok(other) => way = other,
                Err(end) => return Ok(end),
            },
            Err(end) => return Ok(end),
        }
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

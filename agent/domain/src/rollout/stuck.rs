//! Rollouts in which nothing moves any more, and which ECS lets stand for ever:
//! tasks that find no place, that never come up, or old ones that never go. The
//! caller counts for how long the [`Position`] stayed the same.

use jiff::{SignedDuration, Timestamp};

use crate::observed::{Deployment, ObservedService, ServiceEvent};
use crate::rollout::cause::{self, Cause, Kind};
use crate::verdict::Reason;

#[cfg(test)]
mod tests;

/// How far a rollout is. Events are no movement: ECS repeats its complaints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(Vec<(String, u32, u32, u32, u32)>);

impl Position {
    /// That of one observation.
    pub fn of(service: &ObservedService) -> Self {
        let deployments = service.deployments.iter();
        Self(
            deployments
                .map(|d| (d.id.clone(), d.desired, d.running, d.pending, d.failed))
                .collect(),
        )
    }
}

/// How long nothing moved, in the caller's time, and how long that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stillness {
    pub still: SignedDuration,
    pub limit: SignedDuration,
}

impl Stillness {
    /// Something moved just now.
    pub const NONE: Self = Self {
        still: SignedDuration::ZERO,
        limit: SignedDuration::MAX,
    };

    /// Waiting for room is not worth as long a wait, unless a capacity provider makes room.
    const SHARE_WITHOUT_ROOM: i32 = 3;
    /// Old tasks drain for up to an hour, by their target groups' setting.
    /// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html>
    const FACTOR_FOR_OLD_TASKS: i32 = 2;

    fn exceeds(self, limit: SignedDuration) -> bool {
        self.still >= limit
    }
}

/// The end of a rollout that does not move. The reason is the cause, where one is told.
pub fn verdict(
    service: &ObservedService,
    ours: &Deployment,
    stillness: Stillness,
) -> Option<(Reason, String)> {
    let minutes = stillness.still.as_mins();
    let lacks = ours.running < ours.desired;
    if lacks && let Some(complaint) = complaint(service, ours.created) {
        let no_room = complaint.kind == Kind::NoCapacity && service.launch_type.is_some();
        let limit = match no_room {
            true => stillness.limit / Stillness::SHARE_WITHOUT_ROOM,
            false => stillness.limit,
        };
        return stillness.exceeds(limit).then(|| {
            let words = format!(
                "{} of {} tasks of {} run, and nothing moved for {minutes} minutes: {}",
                ours.running, ours.desired, ours.task_definition, complaint.sentence
            );
            (complaint.kind.reason(), words)
        });
    }
    let limit = match lacks {
        true => stillness.limit,
        false => stillness.limit.saturating_mul(Stillness::FACTOR_FOR_OLD_TASKS),
    };
    stillness
        .exceeds(limit)
        .then(|| (Reason::RolloutStuck, standstill(service, ours, minutes)))
}

/// What ECS complains of while tasks of ours are lacking: told at once, long before
/// it is a verdict.
pub fn early_word(service: &ObservedService, ours: &Deployment) -> Option<(Reason, String)> {
    if ours.running >= ours.desired {
        return None;
    }
    let complaint = complaint(service, ours.created)?;
    Some((complaint.kind.reason(), complaint.sentence))
}

fn standstill(service: &ObservedService, ours: &Deployment, minutes: i64) -> String {
    let kept: Vec<String> = service
        .deployments
        .iter()
        .filter(|d| d.id != ours.id && d.running > 0)
        .map(|d| {
            format!(
                "{} tasks of {} (deployment {})",
                d.running, d.task_definition, d.id
            )
        })
        .collect();
    let of_ours = format!(
        "{} of {} tasks of {} run, {} are pending",
        ours.running, ours.desired, ours.task_definition, ours.pending
    );
    match kept.is_empty() || ours.running < ours.desired {
        true => format!("{of_ours}, and nothing moved for {minutes} minutes"),
        false => format!(
            "{of_ours}, but {} stay, and nothing moved for {minutes} minutes: are they protected from scale-in?",
            kept.join(", ")
        ),
    }
}

/// ECS's newest complaint since our deployment began, by AWS's times, that no
/// success came after.
fn complaint(service: &ObservedService, since: Timestamp) -> Option<Cause> {
    let of_ours = |event: &&ServiceEvent| event.at >= since;
    let newest_first = service.events.iter().filter(of_ours);
    newest_first
        .take_while(|event| !event.message.contains("has reached a steady state"))
        .find_map(cause::of_event)
}

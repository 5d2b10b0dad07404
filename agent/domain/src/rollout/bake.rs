//! Whether a completed rollout stays good for a while. Judged at every look: the
//! rollout once more, and the CloudWatch alarms that must stay out of ALARM. A task
//! that dies ends it; so does an alarm, and whatever ends a rollout. A count that
//! changes is autoscaling, and an alarm without data says nothing: both are no failures.

use jiff::SignedDuration;

use crate::observed::{AlarmState, Deployment, ObservedAlarm, StoppedTask};
use crate::rollout::{crash_loop::died_by_itself, follow::RolloutJudgement};
use crate::verdict::{Reason, Refusal};

/// One look during the bake time.
#[derive(Clone, Copy, Debug)]
pub struct BakeView<'a> {
    /// How long the service must stay stable.
    pub time: SignedDuration,
    /// How long it has been so far, in the caller's time.
    pub baked: SignedDuration,
    /// What the judge of rollouts says now.
    pub rollout: &'a RolloutJudgement,
    /// Our deployment; `None`: not seen this time.
    pub ours: Option<&'a Deployment>,
    /// The stopped tasks that were known when the rollout completed.
    pub dead_before: usize,
    /// All stopped tasks of our revision, newest first.
    pub stopped: &'a [StoppedTask],
    /// The alarms as they were last read.
    pub alarms: &'a [ObservedAlarm],
}

/// How the bake time goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BakeJudgement {
    /// So much is left.
    Baking {
        left: SignedDuration,
    },
    /// It is over, and the service is stable.
    Done,
    /// The time is over, and the service is not stable now: autoscaling, or a task that is replaced.
    Overtime,
    Ended {
        reason: Reason,
        summary: String,
    },
}

/// Judges one look.
pub fn judge(view: &BakeView<'_>) -> BakeJudgement {
    if let RolloutJudgement::Ended { reason, summary } = view.rollout {
        return BakeJudgement::Ended {
            reason: *reason,
            summary: summary.clone(),
        };
    }
    let firing: Vec<String> = firing(view.alarms).map(words).collect();
    if !firing.is_empty() {
        return BakeJudgement::Ended {
            reason: Reason::AlarmFired,
            summary: format!(
                "the rollout completed, and within its bake time {}",
                firing.join("; ")
            ),
        };
    }
    if let Some(task) = died_meanwhile(view) {
        return BakeJudgement::Ended {
            reason: Reason::BecameUnstable,
            summary: format!(
                "the rollout completed, and within its bake time task {} stopped by itself: {}",
                task.id, task.reason
            ),
        };
    }
    let left = view.time.saturating_sub(view.baked);
    match (left.is_positive(), view.rollout) {
        (true, _) => BakeJudgement::Baking { left },
        (false, RolloutJudgement::Succeeded { .. }) => BakeJudgement::Done,
        (false, _) => BakeJudgement::Overtime,
    }
}

fn died_meanwhile<'a>(view: &BakeView<'a>) -> Option<&'a StoppedTask> {
    let ours = view.ours?;
    let new = view.stopped.len().saturating_sub(view.dead_before);
    view.stopped
        .iter()
        .take(new)
        .find(|task| died_by_itself(task, ours))
}

fn firing(alarms: &[ObservedAlarm]) -> impl Iterator<Item = &ObservedAlarm> {
    alarms.iter().filter(|alarm| alarm.state == AlarmState::Alarm)
}

fn words(alarm: &ObservedAlarm) -> String {
    match alarm.reason.is_empty() {
        true => format!("alarm {} went off", alarm.name),
        false => format!("alarm {} went off: {}", alarm.name, alarm.reason),
    }
}

/// Whether the alarms allow to begin: one that is in ALARM already would fail every
/// rollout, and one that does not exist none.
///
/// # Errors
/// Which of them do not, with the next step; nothing was written.
pub fn may_begin(names: &[String], alarms: &[ObservedAlarm]) -> Result<(), Refusal> {
    let missing: Vec<&str> = names
        .iter()
        .filter(|name| alarms.iter().all(|alarm| alarm.name != **name))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(Refusal::new(
            Reason::AlarmNotOk,
            format!("there is no alarm {} in this region", missing.join(", ")),
            "compare the names with CloudWatch: they are exact, and belong to account and region",
        ));
    }
    let firing: Vec<String> = firing(alarms)
        .map(|alarm| match alarm.reason.is_empty() {
            true => alarm.name.clone(),
            false => format!("{} ({})", alarm.name, alarm.reason),
        })
        .collect();
    if firing.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::AlarmNotOk,
        format!(
            "in ALARM already, before anything was changed: {}",
            firing.join(", ")
        ),
        "wait until the alarm is OK, or deploy without it when this deployment is the remedy",
    ))
}

/// An alarm that cannot tell anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    pub alarm: String,
    /// It is not there; otherwise it has no data.
    pub is_gone: bool,
}

impl Silence {
    /// For a person.
    pub fn message(&self) -> String {
        match self.is_gone {
            true => format!("alarm {} is not there any more", self.alarm),
            false => format!("nothing is measured for alarm {}", self.alarm),
        }
    }
}

/// The alarms that cannot tell anything. They are no failure of the release, and no
/// proof that it is good.
pub fn silent(names: &[String], alarms: &[ObservedAlarm]) -> Vec<Silence> {
    let silence = |name: &String| {
        let alarm = alarms.iter().find(|alarm| alarm.name == *name);
        let is_silent = alarm.is_none_or(|alarm| alarm.state == AlarmState::InsufficientData);
        is_silent.then(|| Silence {
            alarm: name.clone(),
            is_gone: alarm.is_none(),
        })
    };
    names.iter().filter_map(silence).collect()
}

#[cfg(test)]
mod tests;

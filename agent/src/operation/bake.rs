//! The bake time: the service is looked at, and its alarms are read, until the time
//! is over or something ends it ([`towline_agent_domain::rollout::bake`]).

use jiff::SignedDuration;
use tokio::time::Instant;
use towline_agent_domain::{
    observed::ObservedAlarm,
    outside::Account,
    rollout::bake::{BakeJudgement, BakeView, Silence, judge, may_begin, silent},
    update::spec::Bake,
    verdict::Reason,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{Ending, Handle, Interruption, Surroundings, follow::Follower};

/// Alarms are read every so many usual intervals: CloudWatch evaluates them once in
/// ten seconds at most.
const ALARMS_EVERY: u32 = 3;

/// How a bake time ended.
pub(super) enum Baked {
    Good {
        /// Alarms that could not tell anything, at one time or always.
        silent: Vec<Silence>,
    },
    Ended {
        reason: Reason,
        summary: String,
    },
    Interrupted(Interruption),
}

/// Before anything is written: an alarm that is in ALARM already, or is not there, is refused.
pub(super) async fn check<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    region: &str,
    bake: &Bake,
) -> Result<(), Ending> {
    if bake.alarms.is_empty() {
        return Ok(());
    }
    let alarms = read_alarms(surroundings, handle, region, bake).await?;
    if let Err(refusal) = may_begin(&bake.alarms, &alarms) {
        handle.step(Step::Preflight, StepState::Failed, refusal.message.clone());
        return Err(refusal.into());
    }
    tell_silent(handle, bake, &alarms, &mut Vec::new());
    Ok(())
}

/// Watches to the end of the time. It began when ECS completed the rollout, also where
/// another incarnation of the agent watched it then.
pub(super) async fn watch<A: Account>(follower: &mut Follower<'_, A>, bake: &Bake) -> Result<Baked, Ending> {
    let (handle, surroundings) = (follower.handle(), follower.surroundings());
    let clock = handle.clock();
    handle.step(Step::Bake, StepState::Started, announcement(bake));
    follower.trust_targets();
    let dead_before = follower.stopped().len();
    let now = clock.instant();
    let baked_before = follower.complete_for().await;
    let began = now.checked_sub(baked_before).unwrap_or(now);
    let mut alarms = Vec::new();
    let mut told_silent = Vec::new();
    let mut alarms_read: Option<Instant> = None;
    loop {
        let left = bake
            .time
            .saturating_sub(signed(clock.instant().duration_since(began)));
        let patience = std::time::Duration::try_from(left).unwrap_or_default();
        let judgement = follower
            .look_unhurried(patience.max(surroundings.timing.poll))
            .await?;
        let Some(rollout) = judgement else {
            let by = handle.interruption().unwrap_or(Interruption::Deadline);
            return Ok(Baked::Interrupted(by));
        };
        let now = clock.instant();
        let baked = signed(now.duration_since(began));
        let over = baked >= bake.time;
        let due = alarms_read
            .is_none_or(|read| now.duration_since(read) >= surroundings.timing.poll * ALARMS_EVERY);
        if !bake.alarms.is_empty() && (due || over) {
            alarms = read_alarms(surroundings, handle, &follower.at().region, bake).await?;
            tell_silent(handle, bake, &alarms, &mut told_silent);
            alarms_read = Some(now);
        }
        let view = BakeView {
            time: bake.time,
            baked,
            rollout: &rollout,
            ours: follower.deployment(),
            dead_before,
            stopped: follower.stopped(),
            alarms: &alarms,
        };
        match judge(&view) {
            BakeJudgement::Baking { .. } | BakeJudgement::Overtime => {}
            BakeJudgement::Done => {
                let detail = format!("stable for {}", in_words(bake.time));
                handle.step(Step::Bake, StepState::Done, detail);
                return Ok(Baked::Good { silent: told_silent });
            }
            BakeJudgement::Ended { reason, summary } => {
                return Ok(Baked::Ended { reason, summary });
            }
        }
        if let Some(by) = handle.interruption() {
            return Ok(Baked::Interrupted(by));
        }
    }
}

async fn read_alarms<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    region: &str,
    bake: &Bake,
) -> Result<Vec<ObservedAlarm>, Ending> {
    let what = format!("read the state of alarms {}", bake.alarms.join(", "));
    let aws = &surroundings.aws;
    handle.read(&what, || aws.alarms(region, &bake.alarms)).await
}

/// Tells of each once.
fn tell_silent(handle: &Handle, bake: &Bake, alarms: &[ObservedAlarm], told: &mut Vec<Silence>) {
    for silence in silent(&bake.alarms, alarms) {
        if told.contains(&silence) {
            continue;
        }
        let reason = match silence.is_gone {
            true => "alarm_gone",
            false => "alarm_without_data",
        };
        handle.finding(
            Severity::Warning,
            reason,
            silence.message(),
            "an alarm that never says OK proves nothing about a release",
        );
        told.push(silence);
    }
}

fn announcement(bake: &Bake) -> String {
    let time = in_words(bake.time);
    match bake.alarms.is_empty() {
        true => format!("the service must stay stable for {time}"),
        false => format!(
            "the service must stay stable for {time}, without alarm {}",
            bake.alarms.join(", ")
        ),
    }
}

fn in_words(time: SignedDuration) -> String {
    format!("{time:#}")
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

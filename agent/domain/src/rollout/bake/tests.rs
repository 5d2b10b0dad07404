//! What ends a bake time, and what does not.

use super::*;
use crate::rollout::follow::{Phase, Progress};
use crate::sample::{exited, stable};

struct Case {
    baked: i64,
    rollout: RolloutJudgement,
    stopped: Vec<StoppedTask>,
    dead_before: usize,
    alarms: Vec<ObservedAlarm>,
}

fn alarm(name: &str, state: AlarmState) -> ObservedAlarm {
    ObservedAlarm {
        name: name.to_owned(),
        state,
        reason: String::new(),
        updated: None,
    }
}

/// 30 of 60 seconds are over, all is well.
fn case() -> Case {
    Case {
        baked: 30,
        rollout: RolloutJudgement::Succeeded {
            deployment_id: "d2".to_owned(),
        },
        stopped: Vec::new(),
        dead_before: 0,
        alarms: vec![alarm("errors", AlarmState::Ok)],
    }
}

impl Case {
    fn judge(&self) -> BakeJudgement {
        judge(&BakeView {
            time: SignedDuration::from_secs(60),
            baked: SignedDuration::from_secs(self.baked),
            rollout: &self.rollout,
            ours: Some(&stable("d2", "orders:2")),
            dead_before: self.dead_before,
            stopped: &self.stopped,
            alarms: &self.alarms,
        })
    }

    fn reason(&self) -> Option<Reason> {
        match self.judge() {
            BakeJudgement::Ended { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

#[test]
fn it_takes_its_time() {
    let mut case = case();
    let left = SignedDuration::from_secs(30);
    assert_eq!(case.judge(), BakeJudgement::Baking { left });
    case.baked = 60;
    assert_eq!(case.judge(), BakeJudgement::Done);
}

#[test]
fn an_alarm_ends_it_and_one_without_data_does_not() {
    let mut case = case();
    case.alarms.push(alarm("latency", AlarmState::InsufficientData));
    assert_eq!(case.reason(), None);
    case.alarms[1].state = AlarmState::Alarm;
    assert_eq!(case.reason(), Some(Reason::AlarmFired));
    // Also at the very end of it.
    case.baked = 60;
    assert_eq!(case.reason(), Some(Reason::AlarmFired));
}

#[test]
fn a_task_that_dies_ends_it_and_those_of_before_do_not() {
    let mut case = case();
    case.stopped = vec![exited("t1", "orders:2", 1, 10)];
    case.dead_before = 1;
    assert_eq!(case.reason(), None);
    case.stopped.insert(0, exited("t2", "orders:2", 1, 50));
    assert_eq!(case.reason(), Some(Reason::BecameUnstable));
    // Scaling in is no death.
    case.stopped[0].stop_code = "ServiceSchedulerInitiated".to_owned();
    case.stopped[0].reason = "Scaling activity initiated by (deployment d2)".to_owned();
    assert_eq!(case.reason(), None);
}

#[test]
fn scaling_out_is_waited_for_and_whatever_ends_a_rollout_ends_it() {
    let mut case = case();
    case.rollout = RolloutJudgement::InProgress(Progress {
        phase: Phase::Replacing,
        desired: 3,
        running: 2,
        pending: 1,
        failed: 0,
    });
    assert!(matches!(case.judge(), BakeJudgement::Baking { .. }));
    case.baked = 60;
    assert_eq!(case.judge(), BakeJudgement::Overtime);
    case.rollout = RolloutJudgement::Ended {
        reason: Reason::Superseded,
        summary: String::new(),
    };
    assert_eq!(case.reason(), Some(Reason::Superseded));
}

#[test]
fn what_is_in_alarm_or_not_there_keeps_a_rollout_from_beginning() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let alarms = [
        alarm("errors", AlarmState::Ok),
        alarm("latency", AlarmState::InsufficientData),
        alarm("queue", AlarmState::Alarm),
    ];
    assert_eq!(may_begin(&names(&["errors", "latency"]), &alarms[..2]), Ok(()));
    let refused = may_begin(&names(&["errors", "queue"]), &alarms).unwrap_err();
    assert_eq!(refused.reason, Reason::AlarmNotOk);
    assert!(refused.message.contains("queue"));
    let refused = may_begin(&names(&["gone"]), &alarms[..1]).unwrap_err();
    assert!(refused.message.contains("no alarm gone"));
    let silent = silent(&names(&["errors", "latency", "deleted"]), &alarms);
    let silent: Vec<_> = silent
        .iter()
        .map(|one| (one.alarm.as_str(), one.is_gone))
        .collect();
    assert_eq!(silent, [("latency", false), ("deleted", true)]);
}

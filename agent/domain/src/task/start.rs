//! Whether to run the task, or to follow the one that an earlier send started.

use jiff::{SignedDuration, Timestamp};

use crate::observed::one_off::ObservedTask;

/// ECS shows a stopped task for an hour at least, and drops repeats of its client token
/// as long: later than this after the first send, that nothing is there says nothing.
/// Ten minutes are left for clocks that differ and for a request that is on its way.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
pub const MEMORY: SignedDuration = SignedDuration::from_mins(50);

/// What the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct StartView<'a> {
    /// The tasks that ECS shows of the task's family.
    pub of_family: &'a [ObservedTask],
    /// Whose task is ours.
    pub started_by: &'a str,
    pub repeated_send: bool,
    /// When the operation was sent for the first time, by the sender's clock.
    pub first_sent: Option<Timestamp>,
    pub now: Timestamp,
    /// AWS had time to show what an earlier send did.
    pub settled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartDecision {
    /// An earlier send's task.
    Follow(Box<ObservedTask>),
    /// It may not show yet.
    KeepLooking,
    Run,
    /// It may have run, and ECS would not show it any more.
    Forgotten,
}

pub fn start(view: &StartView<'_>) -> StartDecision {
    let ours = view.of_family.iter();
    let ours = ours.filter(|task| task.started_by == view.started_by);
    if let Some(task) = ours.min_by_key(|task| task.created) {
        return StartDecision::Follow(Box::new(task.clone()));
    }
    if !view.repeated_send {
        return StartDecision::Run;
    }
    if !view.settled {
        return StartDecision::KeepLooking;
    }
    let age = view.first_sent.map(|sent| view.now.duration_since(sent));
    match age {
        Some(age) if age > MEMORY => StartDecision::Forgotten,
        _ => StartDecision::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::TaskDefinitionArn;

    fn task(started_by: &str) -> ObservedTask {
        ObservedTask {
            arn: "arn:aws:ecs:eu-west-1:1:task/main/abc".to_owned(),
            task_definition: TaskDefinitionArn("orders-task-migrate:1".to_owned()),
            started_by: started_by.to_owned(),
            last_status: "RUNNING".to_owned(),
            created: None,
            stop_code: String::new(),
            stopped_reason: String::new(),
            containers: Vec::new(),
            stopped: None,
        }
    }

    fn view(of_family: &[ObservedTask], repeated_send: bool) -> StartView<'_> {
        StartView {
            of_family,
            started_by: "towline/1",
            repeated_send,
            first_sent: None,
            now: Timestamp::UNIX_EPOCH,
            settled: true,
        }
    }

    #[test]
    fn ours_is_followed_and_anothers_is_not() {
        let others = [task("towline/2")];
        assert_eq!(start(&view(&others, false)), StartDecision::Run);
        let both = [task("towline/2"), task("towline/1")];
        let StartDecision::Follow(found) = start(&view(&both, true)) else {
            panic!("not followed");
        };
        assert_eq!(found.started_by, "towline/1");
    }

    #[test]
    fn a_repeat_looks_long_enough_and_runs_nothing_that_may_be_forgotten() {
        let repeat = view(&[], true);
        let early = StartView {
            settled: false,
            ..repeat
        };
        assert_eq!(start(&early), StartDecision::KeepLooking);
        assert_eq!(start(&repeat), StartDecision::Run);
        let sent = |minutes: i64| StartView {
            first_sent: Some(Timestamp::UNIX_EPOCH - SignedDuration::from_mins(minutes)),
            ..repeat
        };
        assert_eq!(start(&sent(49)), StartDecision::Run);
        assert_eq!(start(&sent(51)), StartDecision::Forgotten);
        let first = StartView {
            repeated_send: false,
            ..sent(300)
        };
        assert_eq!(start(&first), StartDecision::Run, "a queue is no earlier send");
    }
}

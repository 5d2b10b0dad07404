//! How many deaths, in what time, with which breaker, end a rollout.

use super::*;
use crate::observed::{BreakerThreshold, CircuitBreaker};
use crate::sample::{arn, at, exited, rolling, service};

/// `count` deaths, one every `every` seconds.
fn deaths(count: i64, every: i64) -> Vec<StoppedTask> {
    (0..count)
        .map(|n| exited(&format!("t{n}"), "orders:2", 1, 10 + n * every))
        .collect()
}

fn never_pulled(count: i64) -> Vec<StoppedTask> {
    let mut tasks = deaths(count, 5);
    for task in &mut tasks {
        task.stop_code = "TaskFailedToStart".to_owned();
        task.reason = "CannotPullContainerError: pull image manifest: orders:9: not found".to_owned();
    }
    tasks
}

struct Case {
    service: ObservedService,
    ours: Deployment,
}

/// One of two tasks runs, the other comes up.
fn case(breaker: CircuitBreaker) -> Case {
    let ours = rolling("d2", "orders:2");
    let mut service = service(vec![ours.clone()]);
    service.circuit_breaker = breaker;
    Case { service, ours }
}

const ON: CircuitBreaker = CircuitBreaker {
    enabled: true,
    rolls_back: true,
    ..CircuitBreaker::OFF
};

impl Case {
    fn reason(&self, stopped: &[StoppedTask]) -> Option<Reason> {
        verdict(&self.service, &self.ours, stopped, &[]).map(|(reason, _)| reason)
    }
}

#[test]
fn without_a_breaker_five_deaths_end_it() {
    let case = case(CircuitBreaker::OFF);
    assert_eq!(case.reason(&deaths(4, 5)), None);
    assert_eq!(case.reason(&deaths(5, 5)), Some(Reason::CrashLooping));
}

#[test]
fn a_death_now_and_then_in_a_long_rollout_is_no_loop() {
    let mut case = case(CircuitBreaker::OFF);
    assert_eq!(case.reason(&deaths(20, 600)), None, "one in ten minutes");
    assert_eq!(case.reason(&deaths(20, 60)), Some(Reason::CrashLooping));
    // Of many tasks it takes more.
    (case.ours.desired, case.ours.running) = (40, 35);
    assert_eq!(case.reason(&deaths(19, 10)), None);
    assert_eq!(case.reason(&deaths(20, 10)), Some(Reason::CrashLooping));
}

#[test]
fn what_will_not_go_away_ends_it_sooner_and_is_named() {
    let mut case = case(CircuitBreaker::OFF);
    case.ours.running = 0;
    assert_eq!(case.reason(&never_pulled(2)), None);
    assert_eq!(case.reason(&never_pulled(3)), Some(Reason::CannotPullImage));
    assert_eq!(case.reason(&deaths(3, 5)), None, "a crash may be bad luck");
    // Where one task runs, the image can be had.
    case.ours.running = 1;
    assert_eq!(case.reason(&never_pulled(3)), None);
}

#[test]
fn while_the_breaker_counts_it_has_the_decision() {
    let mut case = case(CircuitBreaker {
        threshold: BreakerThreshold::Count(50),
        ..ON
    });
    case.ours.failed = 40;
    assert_eq!(case.reason(&deaths(40, 5)), None);
    // The listed tasks may be ahead of the count.
    case.ours.failed = 10;
    assert_eq!(case.reason(&deaths(40, 5)), None);
}

#[test]
fn what_the_breaker_does_not_see_is_ended() {
    let mut case = case(ON);
    for failed in [0, 2] {
        case.ours.failed = failed;
        assert_eq!(case.reason(&deaths(8, 20)), None);
        assert_eq!(case.reason(&deaths(11, 20)), Some(Reason::CrashLooping));
    }
}

#[test]
fn a_breaker_that_does_not_end_it_for_half_an_hour_never_will() {
    let mut case = case(CircuitBreaker {
        threshold: BreakerThreshold::Count(100),
        ..ON
    });
    case.ours.failed = 7;
    assert_eq!(case.reason(&deaths(7, 299)), None);
    assert_eq!(case.reason(&deaths(7, 301)), Some(Reason::CrashLooping));
}

#[test]
fn tasks_that_were_stopped_on_purpose_or_are_not_ours_do_not_count() {
    let case = case(CircuitBreaker::OFF);
    let mut stopped = deaths(5, 5);
    for (code, reason) in [
        ("UserInitiated", ""),
        (
            "ServiceSchedulerInitiated",
            "Scaling activity initiated by (deployment d3)",
        ),
        ("SpotInterruption", "Your Spot Task was interrupted."),
    ] {
        stopped[0].stop_code = code.to_owned();
        stopped[0].reason = reason.to_owned();
        assert_eq!(case.reason(&stopped), None, "{code}");
    }
    stopped = deaths(5, 5);
    stopped[0].task_definition = arn("orders:1");
    assert_eq!(case.reason(&stopped), None);
    stopped = deaths(5, 5);
    stopped[0].stopped = Some(at(-5));
    assert_eq!(case.reason(&stopped), None);
}

#[test]
fn while_all_tasks_run_nothing_is_decided() {
    let mut case = case(CircuitBreaker::OFF);
    (case.ours.running, case.ours.pending) = (2, 0);
    assert_eq!(case.reason(&deaths(9, 5)), None);
}

#[test]
fn a_person_hears_what_the_breaker_will_do_before_it_does() {
    let mut case = case(ON);
    let told = |case: &Case, stopped: &[StoppedTask]| outlook(&case.service, &case.ours, stopped);
    assert_eq!(told(&case, &[]), None);
    case.ours.failed = 1;
    assert!(told(&case, &deaths(1, 5)).unwrap().contains("has counted 1 of 3"));
    case.service.circuit_breaker = CircuitBreaker::OFF;
    assert!(told(&case, &deaths(1, 5)).unwrap().contains("no circuit breaker"));
}

#[test]
fn what_died_and_was_scaled_to_nothing_did_not_go_well() {
    let mut ours = rolling("d2", "orders:2");
    (ours.desired, ours.running, ours.pending, ours.failed) = (0, 0, 0, 2);
    let reason = |ours: &Deployment| scaled_away(ours, &deaths(2, 5), &[]).map(|(reason, _)| reason);
    assert_eq!(reason(&ours), Some(Reason::CrashLooping));
    // Scaled in after a task was healthy, which sets back what ECS counts: it ran well.
    ours.failed = 0;
    assert_eq!(reason(&ours), None);
    // Nothing died.
    ours.failed = 2;
    assert_eq!(scaled_away(&ours, &[], &[]), None);
}

//! Rollouts that stand still, and how long they may.

use super::*;
use crate::observed::RolloutState;
use crate::sample::{at, older, rolling, service, stable};

const LIMIT: SignedDuration = SignedDuration::from_mins(15);

fn after(minutes: i64) -> Stillness {
    Stillness {
        still: SignedDuration::from_mins(minutes),
        limit: LIMIT,
    }
}

fn event(message: &str, seconds: i64) -> ServiceEvent {
    ServiceEvent {
        id: format!("e{seconds}"),
        message: message.to_owned(),
        at: at(seconds),
    }
}

const NO_ROOM: &str =
    "(service orders) was unable to place a task because no container instance met all of its requirements.";

fn reason(service: &ObservedService, stillness: Stillness) -> Option<Reason> {
    let ours = service.primary().unwrap();
    verdict(service, ours, stillness).map(|(reason, _)| reason)
}

#[test]
fn pending_tasks_that_never_start_are_stuck() {
    let service = service(vec![rolling("d2", "orders:2")]);
    assert_eq!(reason(&service, after(14)), None);
    assert_eq!(reason(&service, after(15)), Some(Reason::RolloutStuck));
    assert_eq!(reason(&service, Stillness::NONE), None);
}

#[test]
fn without_room_the_wait_is_shorter_unless_room_can_be_made() {
    let mut service = service(vec![rolling("d2", "orders:2")]);
    service.events = vec![event(NO_ROOM, 20)];
    assert_eq!(reason(&service, after(4)), None);
    assert_eq!(reason(&service, after(5)), Some(Reason::NoCapacity));
    // A capacity provider may be starting an instance.
    service.launch_type = None;
    assert_eq!(reason(&service, after(5)), None);
    assert_eq!(reason(&service, after(15)), Some(Reason::NoCapacity));
}

#[test]
fn complaints_from_before_our_deployment_are_not_ours() {
    let mut service = service(vec![rolling("d2", "orders:2")]);
    service.events = vec![event(NO_ROOM, -20)];
    assert_eq!(reason(&service, after(5)), None);
    assert_eq!(reason(&service, after(15)), Some(Reason::RolloutStuck));
    assert_eq!(early_word(&service, service.primary().unwrap()), None);
    service.events = vec![
        event("(service orders) has reached a steady state.", 30),
        event(NO_ROOM, 20),
    ];
    assert_eq!(early_word(&service, service.primary().unwrap()), None);
    service.events = vec![event(NO_ROOM, 20)];
    let (reason, words) = early_word(&service, service.primary().unwrap()).unwrap();
    assert_eq!(reason, Reason::NoCapacity);
    assert!(words.contains("unable to place a task"));
}

#[test]
fn old_tasks_that_stay_are_named_and_get_time_to_drain() {
    let mut kept = older("d1", "orders:1", RolloutState::Completed);
    kept.running = 1;
    let mut ours = stable("d2", "orders:2");
    ours.rollout = RolloutState::InProgress;
    let service = service(vec![ours, kept]);
    assert_eq!(reason(&service, after(29)), None);
    let (reason, words) = verdict(&service, service.primary().unwrap(), after(30)).unwrap();
    assert_eq!(reason, Reason::RolloutStuck);
    assert!(
        words.contains("1 tasks of orders:1 (deployment d1) stay"),
        "{words}"
    );
}

#[test]
fn a_count_that_changes_is_movement_and_a_repeated_complaint_is_none() {
    let mut one = service(vec![rolling("d2", "orders:2")]);
    let before = Position::of(&one);
    one.events = vec![event(NO_ROOM, 20)];
    assert_eq!(Position::of(&one), before);
    one.deployments[0].running = 2;
    assert_ne!(Position::of(&one), before);
}

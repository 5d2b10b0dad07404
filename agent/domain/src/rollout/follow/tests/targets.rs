//! The load balancer's word on a rollout.

use super::*;
use crate::rollout::targets::counts;

#[test]
fn targets_are_asked_for_at_completion_and_must_be_healthy() {
    let mut case = case(vec![rolling("d2", "orders:2")]);
    let link = LinkedTargetGroup {
        target_group: "tg".to_owned(),
        container: "app".to_owned(),
        port: 8080,
    };
    case.service.as_mut().unwrap().load_balancers = vec![link];
    assert_eq!(case.phase(), Some(Phase::Replacing), "not before all tasks run");

    case.service.as_mut().unwrap().deployments = vec![stable("d2", "orders:2")];
    assert_eq!(case.judge(), RolloutJudgement::Needs(Evidence::Targets));

    let target = |id: &str, state: &str| TargetHealth {
        target: id.to_owned(),
        port: 8080,
        state: state.to_owned(),
        reason: String::new(),
    };
    let mut with = |health: Vec<TargetHealth>| {
        let ours = vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
        case.targets = Some((ours, vec![("tg".to_owned(), health)]));
        case.judge()
    };
    let old = target("10.0.0.9", "draining");
    let healthy = vec![
        target("10.0.0.1", "healthy"),
        target("10.0.0.2", "healthy"),
        old.clone(),
    ];
    assert!(matches!(with(healthy), RolloutJudgement::Succeeded { .. }));
    for health in [
        vec![
            target("10.0.0.1", "healthy"),
            target("10.0.0.2", "initial"),
            old.clone(),
        ],
        vec![target("10.0.0.1", "healthy"), target("10.0.0.2", "unhealthy")],
        vec![target("10.0.0.1", "healthy")],
    ] {
        let RolloutJudgement::InProgress(progress) = with(health) else {
            panic!("judged")
        };
        let Phase::Targets { unhealthy } = progress.phase else {
            panic!("{progress:?}")
        };
        assert!(unhealthy[0].starts_with("10.0.0.2:8080 is"), "{unhealthy:?}");
    }
}

#[test]
fn tasks_that_share_an_instance_each_need_a_healthy_target() {
    // Bridge networking: a target is an instance and a host port.
    let mut case = case(vec![stable("d2", "orders:2")]);
    let link = LinkedTargetGroup {
        target_group: "tg".to_owned(),
        container: "app".to_owned(),
        port: 8080,
    };
    case.service.as_mut().unwrap().load_balancers = vec![link];
    let target = |port, state: &str| TargetHealth {
        target: "i-1".to_owned(),
        port,
        state: state.to_owned(),
        reason: String::new(),
    };
    let mut with = |health: Vec<TargetHealth>| {
        let ours = vec!["i-1".to_owned(), "i-1".to_owned()];
        case.targets = Some((ours, vec![("tg".to_owned(), health)]));
        case.succeeds()
    };
    assert!(with(vec![
        target(1, "healthy"),
        target(2, "healthy"),
        target(3, "draining")
    ]));
    assert!(!with(vec![target(1, "healthy"), target(2, "initial")]));
    assert!(!with(vec![target(1, "healthy"), target(3, "draining")]));
}

#[test]
fn a_service_with_no_desired_tasks_completes_without_targets() {
    let mut empty = stable("d2", "orders:2");
    (empty.desired, empty.running) = (0, 0);
    let mut case = case(vec![empty]);
    let link = LinkedTargetGroup {
        target_group: "tg".to_owned(),
        container: "app".to_owned(),
        port: 8080,
    };
    case.service.as_mut().unwrap().load_balancers = vec![link];
    assert!(case.succeeds());
}

#[test]
fn of_the_targets_ours_are_counted_and_draining_ones_are_not() {
    let target = |id: &str, state: &str| TargetHealth {
        target: id.to_owned(),
        port: 8080,
        state: state.to_owned(),
        reason: String::new(),
    };
    let ours = ["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
    let health = vec![
        target("10.0.0.1", "healthy"),
        target("10.0.0.2", "initial"),
        target("10.0.0.9", "healthy"),
        target("10.0.0.2", "draining"),
    ];
    let counted = counts(&ours, &[("tg".to_owned(), health)]);
    assert_eq!((counted[0].healthy, counted[0].total), (1, 2));
    let leaving = vec![target("10.0.0.1", "healthy"), target("10.0.0.2", "draining")];
    let counted = counts(&ours, &[("tg".to_owned(), leaving)]);
    assert_eq!((counted[0].healthy, counted[0].total), (1, 1));
}

#[test]
fn targets_that_never_become_healthy_end_the_rollout() {
    let mut case = case(vec![stable("d2", "orders:2")]);
    case.service.as_mut().unwrap().load_balancers = vec![LinkedTargetGroup {
        target_group: "tg".to_owned(),
        container: "app".to_owned(),
        port: 8080,
    }];
    case.targets = Some((vec!["10.0.0.1".to_owned()], vec![("tg".to_owned(), Vec::new())]));
    assert!(matches!(case.phase(), Some(Phase::Targets { .. })));
    case.still = jiff::SignedDuration::from_mins(15);
    assert_eq!(case.reason(), Some(Reason::UnhealthyTargets));
}

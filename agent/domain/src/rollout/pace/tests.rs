use super::*;
use crate::observed::{DeploymentStatus, ServiceEvent};
use crate::sample::{at, deployment, older, rolling, service, stable};

const SECOND: Duration = Duration::from_secs(1);

fn after(standing: Standing, quiet: u64) -> f64 {
    interval(
        standing,
        Outlook::AsItStands,
        SECOND * u32::try_from(quiet).unwrap(),
        SECOND,
    )
    .as_secs_f64()
}

fn event(id: &str, message: &str) -> ServiceEvent {
    ServiceEvent {
        id: id.to_owned(),
        message: message.to_owned(),
        at: at(5),
    }
}

#[test]
fn a_rollout_stands_as_its_service_shows() {
    let full = deployment(
        "2",
        "orders:2",
        DeploymentStatus::Primary,
        RolloutState::InProgress,
    );
    let old = older("1", "orders:1", RolloutState::Completed);
    let failed = older("2", "orders:2", RolloutState::Failed);
    let mut dying = rolling("2", "orders:2");
    dying.failed = 1;
    let rows = [
        (Standing::Settled, vec![stable("1", "orders:1")]),
        (Standing::Underway, vec![rolling("2", "orders:2"), old.clone()]),
        (Standing::NearEnd, vec![full.clone(), old.clone()]),
        (Standing::NearEnd, vec![full]),
        (Standing::NearEnd, vec![stable("2", "orders:2"), old]),
        (Standing::Failing, vec![dying]),
        (Standing::Failing, vec![rolling("3", "orders:1"), failed]),
    ];
    for (expected, deployments) in rows {
        let service = service(deployments);
        assert_eq!(standing(Some(&service)), expected, "{:?}", service.deployments);
    }
    assert_eq!(standing(None), Standing::Missing);
}

#[test]
fn looks_are_close_at_the_end_and_far_apart_in_a_long_quiet_rollout() {
    assert_eq!(after(Standing::NearEnd, 0), 1.0);
    assert_eq!(after(Standing::NearEnd, 60), 1.0);
    assert_eq!(
        after(Standing::NearEnd, 300),
        5.0,
        "old tasks that drain for minutes"
    );
    assert_eq!(after(Standing::Underway, 0), 3.0, "something moved");
    assert_eq!(after(Standing::Underway, 60), 4.0);
    assert_eq!(after(Standing::Underway, 600), 10.0);
    assert_eq!(after(Standing::Failing, 0), 1.0);
    let baking = interval(Standing::Settled, Outlook::Unhurried, SECOND * 600, SECOND);
    assert_eq!(baking, SECOND * 10);
}

#[test]
fn no_interval_is_shorter_than_the_configured_one() {
    let shortest = Duration::from_millis(700);
    for standing in [
        Standing::Missing,
        Standing::Underway,
        Standing::NearEnd,
        Standing::Failing,
        Standing::Settled,
    ] {
        for quiet in 0..2_000 {
            let next = interval(standing, Outlook::AsItStands, SECOND * quiet, shortest);
            assert!(
                next >= shortest && next <= shortest * 10,
                "{standing:?} {quiet}: {next:?}"
            );
        }
    }
}

#[test]
fn the_reasons_of_dead_tasks_are_read_when_there_are_any() {
    let mut old = older("1", "orders:1", RolloutState::Completed);
    old.running = 2;
    let before = service(vec![rolling("2", "orders:2"), old]);
    assert!(!shows_failures(Some(&before), &before));

    let mut well = before.clone();
    well.deployments[0].running = 2;
    well.deployments[0].pending = 0;
    well.deployments[1].running = 0;
    well.events.insert(
        0,
        event("a", "(service orders) has stopped 2 running tasks: (task 1)."),
    );
    assert!(!shows_failures(Some(&before), &well), "old tasks leave");

    let mut failed = before.clone();
    failed.deployments[0].failed = 1;
    assert!(shows_failures(Some(&before), &failed));
    assert!(!shows_failures(Some(&failed), &failed), "they were read already");

    let mut gone = well.clone();
    gone.deployments[0].running = 1;
    assert!(
        shows_failures(Some(&well), &gone),
        "a task died below the breaker's sight"
    );

    let mut replaced = well.clone();
    replaced
        .events
        .insert(0, event("b", "(service orders) has started 1 tasks: (task 9)."));
    assert!(
        shows_failures(Some(&well), &replaced),
        "died and was replaced between two looks"
    );

    let mut told = before.clone();
    told.events.insert(
        0,
        event("c", "(service orders) (task 3) failed container health checks."),
    );
    assert!(shows_failures(Some(&before), &told));
    told.events[0].at = at(-5);
    assert!(!shows_failures(None, &told), "of an earlier rollout");
}

use super::*;
use crate::observed::ServiceDeploymentStatus;
use crate::sample::{arn, at, exited, older, record, rolling, service, stable};

struct Case {
    service: Option<ObservedService>,
    expected: Option<ExpectedService>,
    wanted: Vec<TaskDefinitionArn>,
    expected_again: Vec<TaskDefinitionArn>,
    records: Option<Vec<ServiceDeployment>>,
    stopped: Option<Vec<StoppedTask>>,
    force: bool,
    repeated: bool,
    settled: bool,
    /// As `settled` where nothing is said.
    landed: Option<bool>,
}

impl Case {
    /// The service runs orders:1 in deployment d1, as expected; orders:2 is wanted.
    fn plain(deployments: Vec<Deployment>) -> Self {
        Self {
            service: Some(service(deployments)),
            expected: Some(ExpectedService {
                task_definition: Some(arn("orders:1")),
                deployment_id: Some("d1".to_owned()),
            }),
            wanted: vec![arn("orders:2")],
            expected_again: Vec::new(),
            records: None,
            stopped: None,
            force: false,
            repeated: false,
            settled: false,
            landed: None,
        }
    }

    fn decide(&self) -> StartDecision {
        start(&StartView {
            name: "orders",
            service: self.service.as_ref(),
            expected: self.expected.as_ref(),
            with_wanted_content: &self.wanted,
            with_expected_content: &self.expected_again,
            service_deployments: self.records.as_deref(),
            stopped: self.stopped.as_deref(),
            force: self.force,
            repeated_send: self.repeated,
            settled: self.settled,
            landed: self.landed.unwrap_or(self.settled),
        })
    }

    fn refusal(&self) -> Option<Reason> {
        match self.decide() {
            StartDecision::Refuse(refusal) => Some(refusal.reason),
            _ => None,
        }
    }
}

#[test]
fn a_first_send_writes_at_once() {
    let mut case = Case::plain(vec![stable("d1", "orders:1")]);
    assert_eq!(
        case.decide(),
        StartDecision::Update {
            task_definition: arn("orders:2")
        }
    );
    case.wanted.clear();
    assert_eq!(case.decide(), StartDecision::Register);
}

#[test]
fn a_repeat_observes_until_aws_cannot_lag_any_more_and_then_writes() {
    let mut case = Case::plain(vec![stable("d1", "orders:1")]);
    case.repeated = true;
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    case.settled = true;
    assert_eq!(case.decide(), StartDecision::ReadServiceDeployments);
    case.records = Some(vec![record("orders:1", ServiceDeploymentStatus::Successful, 0)]);
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
}

/// ECS may put back the very deployment that ran before, under its own id.
#[test]
fn a_repeat_writes_nothing_when_a_rollout_of_ours_began_after_the_expected_deployment() {
    let mut case = Case::plain(vec![stable("d1", "orders:1")]);
    (case.repeated, case.settled) = (true, true);
    for status in [
        ServiceDeploymentStatus::RollbackSuccessful,
        ServiceDeploymentStatus::InProgress,
    ] {
        case.records = Some(vec![
            record("orders:2", status, 100),
            record("orders:1", ServiceDeploymentStatus::Successful, 0),
        ]);
        assert_eq!(case.refusal(), Some(Reason::Unknown));
    }
    // One from before the expected deployment is an earlier attempt's.
    case.service = Some(service(vec![Deployment {
        created: at(200),
        ..stable("d1", "orders:1")
    }]));
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
}

/// A request of an earlier send that is still under way must not meet a second one.
#[test]
fn a_repeat_with_a_revision_to_go_to_waits_until_nothing_can_land_any_more() {
    let mut case = Case::plain(vec![stable("d1", "orders:1")]);
    (case.repeated, case.settled, case.records) = (true, true, Some(Vec::new()));
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
    case.landed = Some(false);
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    let wanted = std::mem::take(&mut case.wanted);
    assert_eq!(case.decide(), StartDecision::Register, "none can have been sent");
    case.wanted = vec![arn("orders:1")];
    case.force = true;
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    (case.landed, case.wanted, case.force) = (None, wanted, false);
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
}

#[test]
fn a_service_that_was_not_there_when_the_operation_was_made_is_left_alone() {
    let mut case = Case::plain(vec![stable("d1", "orders:1")]);
    case.expected = Some(ExpectedService::default());
    case.records = Some(Vec::new());
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    case.settled = true;
    assert_eq!(case.refusal(), Some(Reason::UnexpectedState));
}

#[test]
fn what_runs_already_and_is_stable_is_unchanged() {
    let mut case = Case::plain(vec![stable("d1", "orders:1")]);
    case.wanted = vec![arn("orders:1")];
    assert!(matches!(case.decide(), StartDecision::Unchanged { .. }));
    // Not so while its tasks still come up: then the rollout is followed.
    case.service = Some(service(vec![rolling("d1", "orders:1")]));
    assert!(matches!(case.decide(), StartDecision::Reattach { .. }));
}

#[test]
fn another_deployment_of_the_wanted_content_is_ours() {
    for deployments in [
        vec![
            rolling("d2", "orders:2"),
            older("d1", "orders:1", RolloutState::Completed),
        ],
        vec![stable("d2", "orders:2")],
    ] {
        let mut case = Case::plain(deployments);
        case.repeated = true;
        let ours = StartDecision::Reattach {
            deployment_id: "d2".to_owned(),
            task_definition: arn("orders:2"),
        };
        assert_eq!(case.decide(), ours);
    }
}

#[test]
fn a_rollback_of_ours_is_told_from_somebody_elses_deployment() {
    let mut case = Case::plain(vec![stable("d3", "orders:1")]);
    case.repeated = true;
    assert_eq!(case.decide(), StartDecision::ReadServiceDeployments);

    case.records = Some(vec![
        record("orders:2", ServiceDeploymentStatus::RollbackSuccessful, 100),
        record("orders:1", ServiceDeploymentStatus::Successful, 0),
    ]);
    assert!(matches!(case.decide(), StartDecision::RolledBack { .. }));

    // The rolled-back record is of an earlier attempt; since then somebody forced the old revision.
    case.records = Some(vec![
        record("orders:1", ServiceDeploymentStatus::Successful, 200),
        record("orders:2", ServiceDeploymentStatus::RollbackSuccessful, 100),
        record("orders:1", ServiceDeploymentStatus::Successful, 0),
    ]);
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    case.settled = true;
    assert_eq!(case.refusal(), Some(Reason::UnexpectedState));
}

#[test]
fn a_third_revision_after_ours_superseded_it() {
    let mut case = Case::plain(vec![stable("d3", "orders:7")]);
    case.repeated = true;
    case.settled = true;
    case.records = Some(vec![
        record("orders:7", ServiceDeploymentStatus::Successful, 200),
        record("orders:2", ServiceDeploymentStatus::Stopped, 100),
        record("orders:1", ServiceDeploymentStatus::Successful, 0),
    ]);
    assert_eq!(
        case.decide(),
        StartDecision::Superseded {
            task_definition: arn("orders:2"),
            by: arn("orders:7")
        }
    );
}

#[test]
fn a_third_revision_without_ours_is_unexpected_and_nothing_is_written() {
    let mut case = Case::plain(vec![stable("d3", "orders:7")]);
    case.records = Some(vec![record("orders:7", ServiceDeploymentStatus::Successful, 200)]);
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    case.settled = true;
    assert_eq!(case.refusal(), Some(Reason::UnexpectedState));
}

#[test]
fn a_missing_service_is_awaited_only_where_one_was_seen() {
    let mut case = Case::plain(vec![]);
    case.service = None;
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    case.expected = None;
    assert_eq!(case.refusal(), Some(Reason::ServiceNotFound));
}

#[test]
fn what_ecs_would_refuse_or_never_finish_is_refused_up_front() {
    let with = |change: fn(&mut ObservedService)| {
        let mut case = Case::plain(vec![stable("d1", "orders:1")]);
        case.service.as_mut().map(change);
        case.refusal()
    };
    assert_eq!(
        with(|s| s.status = ServiceStatus::Inactive),
        Some(Reason::ServiceNotActive)
    );
    assert_eq!(
        with(|s| s.status = ServiceStatus::Draining),
        Some(Reason::ServiceNotActive)
    );
    assert_eq!(
        with(|s| s.controller = Controller::Other("CODE_DEPLOY".to_owned())),
        Some(Reason::ControllerNotFollowed)
    );
    assert_eq!(
        with(|s| s.controller = Controller::OtherStrategy("BLUE_GREEN".to_owned())),
        Some(Reason::ControllerNotFollowed)
    );
    assert_eq!(
        with(|s| s.maximum_percent = 100),
        Some(Reason::DeploymentDeadlock)
    );
    // Rounding: 50 % of one task is one task, 150 % is one as well (aws/containers-roadmap#485).
    let rounding = |s: &mut ObservedService| {
        (s.desired, s.minimum_healthy_percent, s.maximum_percent) = (1, 50, 150);
    };
    assert_eq!(with(rounding), Some(Reason::DeploymentDeadlock));
    assert_eq!(with(|s| (s.desired, s.maximum_percent) = (0, 100)), None);
    let crowded = |s: &mut ObservedService| {
        s.deployments
            .extend((0..4).map(|n| older(&format!("o{n}"), "orders:0", RolloutState::Completed)));
    };
    assert_eq!(with(crowded), Some(Reason::TooManyDeployments));
}

#[test]
fn somebody_elses_rollout_is_not_trampled_but_a_hopeless_one_may_be_replaced() {
    let mut case = Case::plain(vec![rolling("d1", "orders:1")]);
    assert_eq!(case.decide(), StartDecision::ReadStoppedTasks);
    case.stopped = Some(Vec::new());
    assert_eq!(case.refusal(), Some(Reason::DeploymentInProgress));
    // The breaker will end it, and what it puts back is what to start from.
    let mut failing = rolling("d1", "orders:1");
    failing.failed = 5;
    case.service = Some(service(vec![failing]));
    assert_eq!(case.refusal(), Some(Reason::DeploymentInProgress));
    // Without a breaker nothing ends it.
    case.service.as_mut().unwrap().circuit_breaker.enabled = false;
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
}

#[test]
fn what_crash_loops_below_the_breakers_sight_may_be_replaced() {
    let mut case = Case::plain(vec![rolling("d1", "orders:1")]);
    let dead = (0..9).map(|n| exited(&format!("t{n}"), "orders:1", 1, 10 + 20 * n));
    case.stopped = Some(dead.collect());
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
}

#[test]
fn what_finds_no_place_may_be_replaced() {
    let mut case = Case::plain(vec![rolling("d1", "orders:1")]);
    case.stopped = Some(Vec::new());
    let service = case.service.as_mut().unwrap();
    service.events = vec![crate::observed::ServiceEvent {
        id: "e1".to_owned(),
        message: "(service orders) was unable to place a task because …".to_owned(),
        at: at(10),
    }];
    assert_eq!(
        case.refusal(),
        Some(Reason::DeploymentInProgress),
        "one task found a place"
    );
    case.service.as_mut().unwrap().deployments[0].running = 0;
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
}

#[test]
fn a_failed_deployment_is_replaced_once_ecs_has_had_time_to_roll_it_back() {
    let mut failed = rolling("d1", "orders:1");
    failed.rollout = RolloutState::Failed;
    let mut case = Case::plain(vec![failed]);
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    case.settled = true;
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
}

#[test]
fn a_forced_deployment_is_sent_once() {
    let mut case = Case::plain(vec![stable("d1", "orders:2")]);
    case.force = true;
    let force = StartDecision::Force {
        task_definition: arn("orders:2"),
    };
    assert_eq!(case.decide(), force);
    case.repeated = true;
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    case.settled = true;
    assert_eq!(case.decide(), StartDecision::ReadServiceDeployments);
    let first = record("orders:2", ServiceDeploymentStatus::Successful, 1);
    case.records = Some(vec![first.clone()]);
    assert_eq!(case.decide(), force);
    case.service = Some(service(vec![rolling("d2", "orders:2")]));
    let ours = record("orders:2", ServiceDeploymentStatus::InProgress, 100);
    case.records = Some(vec![ours, first]);
    case.expected.as_mut().unwrap().task_definition = Some(arn("orders:2"));
    assert!(matches!(case.decide(), StartDecision::Reattach { .. }));
    // With other content it is an update like any other.
    case = Case::plain(vec![stable("d1", "orders:1")]);
    case.force = true;
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
}

/// ECS rolls a forced deployment back to the same revision: only the record tells.
#[test]
fn a_forced_deployment_that_was_rolled_back_is_no_success() {
    let by_record = |case: &Case| match case.decide() {
        StartDecision::RolledBack { record, .. } => record,
        other => panic!("{other:?}"),
    };
    // In a deployment of its own, or under the id of the one that ran before.
    for back in ["d3", "d1"] {
        let mut case = forced(back);
        case.settled = true;
        let rolled_back = record("orders:1", ServiceDeploymentStatus::RollbackSuccessful, 100);
        let arn = rolled_back.arn.clone();
        case.records = Some(vec![
            rolled_back,
            record("orders:1", ServiceDeploymentStatus::Successful, 0),
        ]);
        assert_eq!(by_record(&case), Some(arn));
    }
    // Under the old id, and not on record as rolled back: no second one is sent.
    let mut case = forced("d1");
    case.settled = true;
    case.records = Some(vec![
        record("orders:1", ServiceDeploymentStatus::Stopped, 100),
        record("orders:1", ServiceDeploymentStatus::Successful, 0),
    ]);
    assert_eq!(case.refusal(), Some(Reason::Unknown));
}

/// After an attempt that was rolled back ECS may not list this one yet.
#[test]
fn a_record_that_is_older_than_the_forced_deployment_is_looked_at_again() {
    let mut case = forced("d3");
    let started = |created| Deployment {
        created: at(created),
        ..rolling("d3", "orders:1")
    };
    case.service = Some(service(vec![started(500)]));
    let before = record("orders:1", ServiceDeploymentStatus::RollbackSuccessful, 100);
    case.records = Some(vec![before.clone()]);
    assert!(matches!(case.decide(), StartDecision::KeepObserving { .. }));
    // Whose the newest is cannot be told then: somebody else may have forced one after ours.
    let newest = record("orders:1", ServiceDeploymentStatus::InProgress, 500);
    case.records = Some(vec![newest, before]);
    assert_eq!(case.refusal(), Some(Reason::Unknown));
}

/// The service runs orders:1 in deployment d1, which was to be forced; now in this one.
fn forced(id: &str) -> Case {
    let mut case = Case::plain(vec![stable(id, "orders:1")]);
    case.wanted = vec![arn("orders:1")];
    (case.force, case.repeated) = (true, true);
    case
}

#[test]
fn a_first_send_forces_nothing_over_a_newer_deployment() {
    for deployment in [stable("d2", "orders:1"), rolling("d2", "orders:1")] {
        let mut case = forced("d2");
        case.service = Some(service(vec![deployment]));
        (case.repeated, case.settled) = (false, true);
        assert_eq!(case.refusal(), Some(Reason::UnexpectedState));
    }
}

/// The agent was killed after it had put back what ran before.
#[test]
fn an_operation_finds_its_own_roll_back_again() {
    let ours = |status| record("orders:2", status, 100);
    let first = || record("orders:1", ServiceDeploymentStatus::Successful, 0);
    let put_back = StartDecision::PutBack {
        task_definition: arn("orders:2"),
        deployment_id: "d3".to_owned(),
        by: arn("orders:1"),
    };
    for back in [rolling("d3", "orders:1"), stable("d3", "orders:1")] {
        for status in [
            ServiceDeploymentStatus::Stopped,
            ServiceDeploymentStatus::Successful,
        ] {
            let mut case = Case::plain(vec![back.clone()]);
            case.repeated = true;
            case.records = Some(vec![
                record("orders:1", ServiceDeploymentStatus::InProgress, 200),
                ours(status),
                first(),
            ]);
            assert_eq!(case.decide(), put_back);
        }
    }
    // StopServiceDeployment made it.
    let mut stopped = ours(ServiceDeploymentStatus::RollbackInProgress);
    stopped.status_reason = "stopped and rolled back by a StopServiceDeployment request".to_owned();
    let mut case = Case::plain(vec![rolling("d3", "orders:1")]);
    case.repeated = true;
    case.records = Some(vec![stopped, first()]);
    assert!(matches!(
        case.decide(),
        StartDecision::RolledBack {
            by: UndoneBy::Request,
            ..
        }
    ));
}

#[test]
fn what_was_put_back_may_be_a_new_revision_of_the_old_content() {
    let mut case = Case::plain(vec![rolling("d3", "orders:3")]);
    (case.repeated, case.settled) = (true, true);
    case.records = Some(vec![
        record("orders:3", ServiceDeploymentStatus::InProgress, 200),
        record("orders:2", ServiceDeploymentStatus::Stopped, 100),
        record("orders:1", ServiceDeploymentStatus::Successful, 0),
    ]);
    assert!(matches!(case.decide(), StartDecision::Superseded { .. }));
    case.expected_again = vec![arn("orders:3")];
    assert!(matches!(case.decide(), StartDecision::PutBack { .. }));
}

/// orders:2 got nowhere, ours (orders:3) took its place, and went back to orders:1.
#[test]
fn what_was_put_back_is_what_completed_last_and_not_what_got_nowhere() {
    let mut case = Case::plain(vec![rolling("d4", "orders:1")]);
    case.expected = Some(ExpectedService {
        task_definition: Some(arn("orders:2")),
        deployment_id: Some("d2".to_owned()),
    });
    case.wanted = vec![arn("orders:3")];
    case.repeated = true;
    let records = [
        record("orders:1", ServiceDeploymentStatus::InProgress, 300),
        record("orders:3", ServiceDeploymentStatus::Stopped, 200),
        record("orders:2", ServiceDeploymentStatus::Stopped, 100),
        record("orders:1", ServiceDeploymentStatus::Successful, 0),
    ];
    case.records = Some(records.to_vec());
    assert!(matches!(case.decide(), StartDecision::PutBack { .. }));
    // ECS's own roll-back goes there as well.
    let mut by_ecs = records[1..].to_vec();
    by_ecs[0].status = ServiceDeploymentStatus::RollbackSuccessful;
    case.records = Some(by_ecs);
    assert!(matches!(case.decide(), StartDecision::RolledBack { .. }));
}

#[test]
fn a_first_send_has_no_work_of_its_own_to_find() {
    let mut case = Case::plain(vec![stable("d3", "orders:1")]);
    case.settled = true;
    case.records = Some(vec![
        record("orders:2", ServiceDeploymentStatus::RollbackSuccessful, 100),
        record("orders:1", ServiceDeploymentStatus::Successful, 0),
    ]);
    assert_eq!(case.refusal(), Some(Reason::UnexpectedState));
}

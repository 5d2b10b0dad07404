use super::*;
use crate::sample::{arn, at, older, record, rolling, service, stable};

struct Case {
    service: Option<ObservedService>,
    expected: Option<ExpectedService>,
    wanted: Vec<TaskDefinitionArn>,
    records: Option<Vec<ServiceDeployment>>,
    repeated: bool,
    settled: bool,
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
            records: None,
            repeated: false,
            settled: false,
        }
    }

    fn decide(&self) -> StartDecision {
        start(&StartView {
            name: "orders",
            service: self.service.as_ref(),
            expected: self.expected.as_ref(),
            with_wanted_content: &self.wanted,
            service_deployments: self.records.as_deref(),
            repeated_send: self.repeated,
            settled: self.settled,
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
    assert_eq!(case.refusal(), Some(Reason::DeploymentInProgress));
    let mut hopeless = rolling("d1", "orders:1");
    hopeless.failed = 5;
    case.service = Some(service(vec![hopeless]));
    assert!(matches!(case.decide(), StartDecision::Update { .. }));
}

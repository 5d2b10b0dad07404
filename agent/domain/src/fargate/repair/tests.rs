//! Drift, repair and force, a test for each decision.

use super::*;
use crate::observed::ServiceDeploymentStatus;
use crate::sample::{arn, record, rolling, service, stable};
use crate::verdict::Reason;

fn expects(id: &str, revision: &str) -> ExpectedService {
    ExpectedService {
        task_definition: Some(arn(revision)),
        deployment_id: Some(id.to_owned()),
    }
}

struct Case {
    service: Option<ObservedService>,
    force: bool,
    expected: Option<ExpectedService>,
    records: Option<Vec<ServiceDeployment>>,
    repeated: bool,
    settled: bool,
}

fn case(service: ObservedService) -> Case {
    Case {
        service: Some(service),
        force: false,
        expected: None,
        records: None,
        repeated: false,
        settled: false,
    }
}

impl Case {
    fn decide(&self) -> RepairDecision {
        decide(&RepairView {
            name: "web",
            service: self.service.as_ref(),
            revision: &arn("web:2"),
            force: self.force,
            expected: self.expected.as_ref(),
            service_deployments: self.records.as_deref(),
            repeated_send: self.repeated,
            settled: self.settled,
        })
    }

    fn refusal(&self) -> Option<Reason> {
        match self.decide() {
            RepairDecision::Refuse(refusal) => Some(refusal.reason),
            _ => None,
        }
    }
}

fn unchanged(id: &str) -> RepairDecision {
    RepairDecision::Unchanged {
        deployment_id: id.to_owned(),
    }
}

fn follow(id: &str) -> RepairDecision {
    RepairDecision::Follow {
        deployment_id: id.to_owned(),
    }
}

#[test]
fn a_service_on_the_stacks_revision_is_left_alone_or_followed() {
    assert_eq!(
        case(service(vec![stable("d1", "web:2")])).decide(),
        unchanged("d1")
    );
    assert_eq!(case(service(vec![rolling("d1", "web:2")])).decide(), follow("d1"));
}

#[test]
fn drift_is_repaired_by_one_update_from_the_expected_state() {
    let mut drifted = case(service(vec![stable("d1", "web:1")]));
    assert_eq!(drifted.decide(), RepairDecision::Repair);
    drifted.expected = Some(expects("d1", "web:1"));
    assert_eq!(drifted.decide(), RepairDecision::Repair);
    // Sent again, it looks first whether the first send shows.
    drifted.repeated = true;
    assert!(matches!(drifted.decide(), RepairDecision::KeepObserving { .. }));
    drifted.settled = true;
    assert_eq!(drifted.decide(), RepairDecision::ReadServiceDeployments);
    drifted.records = Some(vec![record("web:1", ServiceDeploymentStatus::Successful, 0)]);
    assert_eq!(drifted.decide(), RepairDecision::Repair);
    drifted.records = None;
    // It shows: the same content in another deployment is ours.
    drifted.service = Some(service(vec![rolling("d2", "web:2")]));
    assert_eq!(drifted.decide(), follow("d2"));
    // Somebody else was here.
    drifted.service = Some(service(vec![stable("d3", "web:9")]));
    assert_eq!(drifted.decide(), RepairDecision::ReadServiceDeployments);
    drifted.records = Some(vec![record("web:9", ServiceDeploymentStatus::Successful, 5)]);
    assert_eq!(drifted.refusal(), Some(Reason::UnexpectedState));
}

#[test]
fn a_repair_that_was_rolled_back_is_told_as_such() {
    let mut back = case(service(vec![stable("d3", "web:1")]));
    back.expected = Some(expects("d1", "web:1"));
    back.repeated = true;
    back.records = Some(vec![record(
        "web:2",
        ServiceDeploymentStatus::RollbackSuccessful,
        5,
    )]);
    assert!(
        matches!(back.decide(), RepairDecision::RolledBack { .. }),
        "{:?}",
        back.decide()
    );
}

#[test]
fn a_forced_deployment_is_started_once() {
    let mut forced = case(service(vec![stable("d1", "web:2")]));
    forced.force = true;
    assert_eq!(forced.decide(), RepairDecision::Force);
    forced.expected = Some(expects("d1", "web:2"));
    assert_eq!(forced.decide(), RepairDecision::Force);
    forced.repeated = true;
    assert!(matches!(forced.decide(), RepairDecision::KeepObserving { .. }));
    forced.settled = true;
    let first = record("web:2", ServiceDeploymentStatus::Successful, 0);
    forced.records = Some(vec![first.clone()]);
    assert_eq!(
        forced.decide(),
        RepairDecision::Force,
        "the first send did nothing"
    );
    let ours = |status| record("web:2", status, 100);
    forced.records = Some(vec![ours(ServiceDeploymentStatus::InProgress), first.clone()]);
    // Another deployment of the same revision is the one that the first send started.
    for after in [rolling("d2", "web:2"), stable("d2", "web:2")] {
        forced.service = Some(service(vec![after]));
        assert_eq!(forced.decide(), follow("d2"));
    }
    // Unless ECS rolled that one back, to the same revision.
    forced.records = Some(vec![ours(ServiceDeploymentStatus::RollbackSuccessful), first]);
    assert!(
        matches!(
            forced.decide(),
            RepairDecision::RolledBack { record: Some(_), .. }
        ),
        "{:?}",
        forced.decide()
    );
    // Without the expected deployment a second send cannot tell, and starts none.
    forced.expected = None;
    assert_eq!(forced.refusal(), Some(Reason::Unknown));
}

#[test]
fn a_forced_deployment_of_a_drifted_service_goes_to_the_stacks_revision() {
    let mut forced = case(service(vec![stable("d1", "web:1")]));
    forced.force = true;
    assert_eq!(forced.decide(), RepairDecision::Force);
    forced.service = Some(service(vec![rolling("d1", "web:2")]));
    assert_eq!(forced.refusal(), Some(Reason::DeploymentInProgress));
}

#[test]
fn a_service_that_is_not_there_cannot_be_repaired() {
    let mut gone = case(service(vec![]));
    gone.service = None;
    assert_eq!(gone.refusal(), Some(Reason::ServiceNotFound));
}

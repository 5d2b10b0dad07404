use super::*;
use crate::sample::{arn, at, older, record, rolling, service, stable};

use crate::observed::RolloutState;

/// orders:2 in deployment d2, which began at 100, is to be undone; orders:1 ran before.
fn look(deployments: Vec<Deployment>, records: &[ServiceDeployment]) -> Standing {
    standing(&StandingView {
        service: Some(&service(deployments)),
        ours: &ours(),
        since: Some(at(100)),
        records,
        previous: Some(&arn("orders:1")),
        copy: Some(&arn("orders:9")),
    })
}

fn ours() -> OurDeployment {
    deployment_of("d2", "orders:2")
}

fn deployment_of(id: &str, revision: &str) -> OurDeployment {
    OurDeployment {
        id: Some(id.to_owned()),
        task_definition: arn(revision),
    }
}

fn began(at_second: i64, deployment: Deployment) -> Deployment {
    Deployment {
        created: at(at_second),
        ..deployment
    }
}

fn first() -> ServiceDeployment {
    record("orders:1", ServiceDeploymentStatus::Successful, 0)
}

fn own(status: ServiceDeploymentStatus) -> ServiceDeployment {
    record("orders:2", status, 100)
}

#[test]
fn what_runs_and_is_under_way_is_stopped_by_its_own_record() {
    let own = own(ServiceDeploymentStatus::InProgress);
    let runs = || {
        vec![
            began(100, rolling("d2", "orders:2")),
            older("d1", "orders:1", RolloutState::Completed),
        ]
    };
    assert_eq!(
        look(runs(), &[own.clone(), first()]),
        Standing::Runs { record: Some(own) }
    );
    assert_eq!(look(runs(), &[]), Standing::Runs { record: None });
}

/// The same revision was rolled back before: its record says nothing about this attempt.
#[test]
fn an_earlier_attempts_record_is_not_ours() {
    let earlier = record("orders:2", ServiceDeploymentStatus::RollbackSuccessful, 20);
    let deployments = vec![began(100, rolling("d2", "orders:2"))];
    assert_eq!(look(deployments.clone(), &[]), Standing::Runs { record: None });
    assert!(matches!(
        look(deployments, std::slice::from_ref(&earlier)),
        Standing::Runs { record: None }
    ));
}

#[test]
fn a_newer_record_of_what_ran_before_is_a_roll_back_under_way() {
    for revision in ["orders:1", "orders:9"] {
        let records = [
            record(revision, ServiceDeploymentStatus::InProgress, 200),
            own(ServiceDeploymentStatus::Stopped),
            first(),
        ];
        // PRIMARY lags.
        let back = OurDeployment {
            id: None,
            task_definition: arn(revision),
        };
        assert_eq!(
            look(vec![began(100, rolling("d2", "orders:2"))], &records),
            Standing::Back { back, certain: true }
        );
        assert_eq!(
            look(vec![began(200, rolling("d3", revision))], &records),
            Standing::Back {
                back: deployment_of("d3", revision),
                certain: true
            }
        );
    }
}

#[test]
fn somebody_elses_deployment_is_not_what_ran_before() {
    for status in [
        ServiceDeploymentStatus::Stopped,
        ServiceDeploymentStatus::RollbackInProgress,
        ServiceDeploymentStatus::RollbackSuccessful,
    ] {
        let records = [
            record("orders:3", ServiceDeploymentStatus::InProgress, 200),
            own(status),
            first(),
        ];
        let theirs = Standing::Foreign {
            by: deployment_of("d3", "orders:3"),
            certain: true,
        };
        assert_eq!(
            look(vec![began(200, rolling("d3", "orders:3"))], &records),
            theirs
        );
        let lagging = look(vec![began(100, rolling("d2", "orders:2"))], &records);
        assert!(
            matches!(lagging, Standing::Foreign { certain: true, .. }),
            "{lagging:?}"
        );
    }
}

/// A moment after our UpdateService ECS may still show what it replaced.
#[test]
fn what_was_before_ours_is_not_back_for_certain() {
    let lagging = look(vec![stable("d1", "orders:1")], &[first()]);
    assert!(
        matches!(lagging, Standing::Back { certain: false, .. }),
        "{lagging:?}"
    );
    let lagging = look(vec![stable("d1", "orders:7")], &[first()]);
    assert!(
        matches!(lagging, Standing::Foreign { certain: false, .. }),
        "{lagging:?}"
    );
    let since = look(vec![began(150, stable("d3", "orders:1"))], &[first()]);
    assert!(matches!(since, Standing::Back { certain: true, .. }), "{since:?}");
}

#[test]
fn ecs_puts_back_what_it_will() {
    let records = [own(ServiceDeploymentStatus::RollbackInProgress), first()];
    let by_ecs = |back| Standing::ByEcs {
        by: UndoneBy::Breaker,
        under_way: true,
        back,
    };
    assert_eq!(
        look(vec![began(100, rolling("d2", "orders:2"))], &records),
        by_ecs(None)
    );
    // Its own target, whatever ran when this operation began.
    assert_eq!(
        look(vec![began(150, rolling("d3", "orders:0"))], &records),
        by_ecs(Some(deployment_of("d3", "orders:0")))
    );
}

//! Plans before approvals, and approvals before the start.

use jiff::SignedDuration;

use super::{Decision, Subject, next_wake, world::World};
use crate::domain::{
    deployment::{CancelMode, DeploymentState, EventKind, IllegalTransition, NoStart, Verdict},
    name::DeploymentId,
    waiting_on::WaitingOn,
};

/// A world whose release waits for the approval of its deployment into prod.
fn asked() -> (World, DeploymentId) {
    let mut world = World::new(&["1.0.0"]);
    world.run(Verdict::Succeeded);
    let prod = world.promote(0, Some("prod")).unwrap();
    world.settle();
    assert_eq!(world.state(prod), DeploymentState::AwaitingApproval);
    (world, prod)
}

fn wait_of(decisions: &[Decision], id: DeploymentId) -> String {
    let of = |decision: &Decision| match decision {
        Decision::Wait {
            subject: Subject::Deployment(it),
            on,
            ..
        } if *it == id => Some(on.to_string()),
        _ => None,
    };
    decisions.iter().find_map(of).unwrap_or_default()
}

fn kinds(world: &World, id: DeploymentId) -> Vec<&'static str> {
    world.log(id).iter().map(|event| event.kind.name()).collect()
}

#[test]
fn people_are_asked_about_a_plan_and_it_is_made_again_before_the_start() {
    let (mut world, prod) = asked();
    assert_eq!(
        kinds(&world, prod),
        [
            "deployment_created",
            "plan_requested",
            "deployment_planned",
            "approval_requested"
        ]
    );
    world.approve(prod, "bob").unwrap();
    world.settle();
    assert_eq!(
        kinds(&world, prod)[4..8],
        [
            "approved",
            "plan_requested",
            "plan_confirmed",
            "deployment_started"
        ]
    );
    assert!(
        world
            .newest("prod")
            .operations
            .iter()
            .all(|it| it.slot.plan.is_some())
    );
}

#[test]
fn another_plan_makes_approvals_void_and_asks_again() {
    let (mut world, prod) = asked();
    let before = world.newest("prod").approve_until.unwrap();
    world.pass(SignedDuration::from_hours(1));
    world.plans += 1;
    world.approve(prod, "bob").unwrap();
    let decisions = world.settle();
    assert_eq!(
        kinds(&world, prod)[4..],
        [
            "approved",
            "plan_requested",
            "approval_voided",
            "deployment_planned",
            "approval_requested"
        ]
    );
    assert_eq!(wait_of(&decisions, prod), "approval of role approver (0 of 1)");
    assert!(
        world.newest("prod").approve_until.unwrap() > before,
        "people have their whole time again"
    );
    world.approve(prod, "bob").unwrap();
    world.settle();
    assert_eq!(world.state(prod), DeploymentState::Running);
    world.check_logs();
}

#[test]
fn an_approval_is_of_the_current_plan_alone() {
    let (mut world, prod) = asked();
    for seen in [None, Some("p7".parse().unwrap())] {
        let approved = EventKind::Approved {
            operator: "bob".to_owned(),
            note: String::new(),
            plan_hash: seen,
        };
        let refused = world.record(prod, approved.at(world.now)).unwrap_err();
        assert!(
            matches!(&refused, IllegalTransition::OtherPlan { current: Some(it) } if it.as_str() == "p1")
        );
    }
    assert_eq!(world.state(prod), DeploymentState::AwaitingApproval);
}

#[test]
fn who_made_it_may_be_barred() {
    let (mut world, prod) = asked();
    let barred = |world: &mut World, not_author| {
        let mut deployments = world.snapshot.deployments.iter_mut();
        let known = deployments.find(|it| it.id == prod).unwrap();
        known.approval_rule.as_mut().unwrap().not_author = not_author;
    };
    barred(&mut world, true);
    let refused = world.approve(prod, "ann").unwrap_err();
    assert_eq!(
        refused,
        IllegalTransition::OwnApproval {
            operator: "ann".to_owned()
        }
    );
    barred(&mut world, false);
    world.approve(prod, "ann").unwrap();
}

#[test]
fn an_approval_that_nobody_gives_expires() {
    let (mut world, prod) = asked();
    let until = world.newest("prod").approve_until.unwrap();
    let wakes = next_wake(&world.snapshot, world.now);
    assert!(wakes.is_some_and(|at| at <= until), "{wakes:?}");
    world.pass(SignedDuration::from_hours(24 * 7));
    world.settle();
    let ended = world.newest("prod");
    assert_eq!(ended.state, DeploymentState::Errored);
    let why = ended.start.given_up.as_ref().unwrap();
    assert_eq!(
        (why.reason(), why.to_string()),
        (
            "approval_expired",
            "approval expired: 0 of 1 had approved by 2026-12-01 12:00:00Z".to_owned()
        )
    );
    assert!(ended.operations.iter().all(|it| it.sends == 0));
    assert!(world.approve(prod, "bob").is_err());
    world.check_logs();
}

#[test]
fn what_was_approved_in_time_does_not_expire() {
    let (mut world, prod) = asked();
    world.approve(prod, "bob").unwrap();
    world.agent("prod", false);
    world.settle();
    world.pass(SignedDuration::from_mins(59));
    world.agent("prod", true);
    world.settle();
    assert_eq!(world.state(prod), DeploymentState::Running);
}

#[test]
fn without_its_agents_there_is_no_plan_and_that_has_an_end() {
    let mut world = World::new(&["1.0.0"]);
    world.run(Verdict::Succeeded);
    world.agent("prod", false);
    let prod = world.promote(0, Some("prod")).unwrap();
    let decisions = world.settle();
    assert_eq!(
        wait_of(&decisions, prod),
        "its plan: agent prod offline since 2026-11-24 12:00:00Z (link closed), hint: see that towline-agent runs in \
         the account of prod and reaches the orchestrator"
    );
    assert_eq!(world.state(prod), DeploymentState::Queued);
    world.pass(SignedDuration::from_mins(30));
    assert!(next_wake(&world.snapshot, world.now).is_some());
    world.agent("prod", true);
    world.settle();
    assert_eq!(
        world.state(prod),
        DeploymentState::AwaitingApproval,
        "it goes on by itself"
    );

    let mut world = World::new(&["1.0.0"]);
    world.run(Verdict::Succeeded);
    world.agent("prod", false);
    let prod = world.promote(0, Some("prod")).unwrap();
    world.settle();
    world.pass(SignedDuration::from_hours(1));
    world.settle();
    let ended = world.newest("prod");
    assert_eq!((ended.id, ended.state), (prod, DeploymentState::Errored));
    assert_eq!(
        ended.start.given_up.as_ref().unwrap().to_string(),
        "there was no plan by 2026-11-24 13:00:00Z: agent prod offline since 2026-11-24 12:00:00Z (link closed)"
    );
    world.check_logs();
}

#[test]
fn while_its_agents_are_asked_nobody_asks_twice() {
    let mut world = World::new(&["1.0.0"]);
    world.run(Verdict::Succeeded);
    let prod = world.promote(0, Some("prod")).unwrap();
    world.snapshot.planning.insert(prod);
    let decisions = world.settle();
    assert_eq!(wait_of(&decisions, prod), "its plan: its agents are asked");
    world.snapshot.planning.clear();
    assert!(super::decide(&world.snapshot, world.now).contains(&Decision::MakePlan { deployment: prod }));
}

#[test]
fn a_rejected_deployment_ends_cancelled_and_nothing_is_sent() {
    let (mut world, prod) = asked();
    let why = NoStart::Rejected {
        by: "bob".to_owned(),
        note: "not today".to_owned(),
    };
    world
        .record(prod, EventKind::StartGivenUp { why }.at(world.now))
        .unwrap();
    world.settle();
    let ended = world.newest("prod");
    assert_eq!(ended.state, DeploymentState::Cancelled);
    assert_eq!(
        ended.start.given_up.as_ref().unwrap().to_string(),
        "rejected by bob: not today"
    );
    assert!(ended.operations.iter().all(|it| it.sends == 0));
}

#[test]
fn a_plan_that_comes_after_a_cancel_is_not_taken() {
    let mut world = World::new(&["1.0.0"]);
    world.run(Verdict::Succeeded);
    let prod = world.promote(0, Some("prod")).unwrap();
    world
        .record(prod, EventKind::PlanRequested.at(world.now))
        .unwrap();
    let cancel = EventKind::CancelRequested {
        operator: "ann".to_owned(),
        note: String::new(),
        mode: CancelMode::Detach,
    };
    world.record(prod, cancel.at(world.now)).unwrap();
    let hash = "p1".parse().unwrap();
    let planned = EventKind::DeploymentPlanned {
        hash,
        operations: Vec::new(),
    };
    assert!(world.record(prod, planned.at(world.now)).is_err());
    world.settle();
    assert_eq!(world.state(prod), DeploymentState::Cancelled);
}

#[test]
fn a_plan_is_of_every_operation() {
    let mut world = World::new(&["1.0.0"]);
    world.run(Verdict::Succeeded);
    let prod = world.promote(0, Some("prod")).unwrap();
    world
        .record(prod, EventKind::PlanRequested.at(world.now))
        .unwrap();
    let hash = "p1".parse().unwrap();
    let planned = EventKind::DeploymentPlanned {
        hash,
        operations: Vec::new(),
    };
    assert_eq!(
        world.record(prod, planned.at(world.now)),
        Err(IllegalTransition::Unplanned)
    );
}

#[test]
fn a_log_from_before_plans_still_folds_and_runs() {
    let old = r#"[
        {"at":"2026-11-24T12:00:00Z","kind":"deployment_created","project":"shop","release":"1.0.0","environment":"prod",
         "phase":"production","by":{"operator":"ann"},"time_limit":"PT1H","approval_rule":{"role":"approver","count":1},
         "operations":[]},
        {"at":"2026-11-24T12:00:00Z","kind":"approval_requested"},
        {"at":"2026-11-24T12:01:00Z","kind":"approved","operator":"bob","note":"fine"},
        {"at":"2026-11-24T12:01:00Z","kind":"deployment_started","deadline":"2026-11-24T13:01:00Z"}
    ]"#;
    let events: Vec<crate::domain::deployment::Event> = serde_json::from_str(old).unwrap();
    let id = DeploymentId(uuid::Uuid::from_u128(1));
    let folded = crate::domain::deployment::Deployment::fold(id, &events).unwrap();
    assert_eq!(folded.state, DeploymentState::Running);
    assert!(!folded.is_bound() && folded.approve_until.is_none());
    assert_eq!(folded.approvals[0].plan_hash, None);
    let waits = crate::domain::deployment::Deployment::fold(id, &events[..2]).unwrap();
    let on = super::approving::approval_missing(&waits);
    assert!(matches!(on, Some(WaitingOn::Approval { have: 0, need: 1, .. })));
}

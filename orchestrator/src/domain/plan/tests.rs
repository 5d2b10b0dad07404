//! What the planner promises, told as stories; and one test that does whatever
//! comes to the small world of `world.rs`, which checks every step.

use jiff::SignedDuration;

use super::{
    Decision, Subject, decide, next_wake,
    world::{SHOP, World},
};
use crate::domain::{
    deployment::{DeploymentState, Operation, OperationState, Verdict, reason},
    lifecycle::NoPromotion,
    name::DeploymentId,
    project,
    waiting_on::WaitingOn,
};

fn waits(decisions: &[Decision]) -> Vec<&WaitingOn> {
    let on = decisions.iter().filter_map(|decision| match decision {
        Decision::Wait { on, .. } => Some(on),
        _ => None,
    });
    on.collect()
}

#[test]
fn a_good_release_goes_by_itself_up_to_the_approval() {
    let mut world = World::new(&["1.0.0"]);
    let decisions = world.run(Verdict::Succeeded);
    assert_eq!(world.newest("staging").state, DeploymentState::Succeeded);
    assert_eq!(
        waits(&decisions)[0].to_string(),
        "promotion to prod (phase production is manual)"
    );
    assert_eq!(
        world.settled(0).unwrap().outcome,
        Some(DeploymentState::Succeeded)
    );

    let prod = world.promote(0, None).unwrap();
    let decisions = world.run(Verdict::Succeeded);
    assert_eq!(
        waits(&decisions)[0].to_string(),
        "approval of role approver (0 of 1)"
    );
    assert_eq!(
        world.settled(0).unwrap().state,
        Some(DeploymentState::AwaitingApproval)
    );
    assert!(
        matches!(world.promote(0, None), Err(NoPromotion::Active { deployment, .. }) if deployment == prod)
    );

    world.approve(prod, "bob").unwrap();
    world.settle();
    assert_eq!(world.state(prod), DeploymentState::Running);
    assert!(world.settled(0).is_none(), "it moves");
    world.run(Verdict::Unchanged);
    assert_eq!(world.state(prod), DeploymentState::Succeeded);
    assert_eq!(world.settled(0).unwrap().waiting_on, None);
    assert_eq!(world.promote(0, None), Err(NoPromotion::Complete));
    world.check_logs();
}

#[test]
fn regions_follow_one_another_and_services_their_order() {
    let mut world = World::new(&["1.0.0"]);
    world.run(Verdict::Succeeded);
    let prod = world.promote(0, Some("prod")).unwrap();
    world.settle();
    world.approve(prod, "bob").unwrap();
    let decisions = world.settle();
    let told: Vec<String> = waits(&decisions).iter().map(ToString::to_string).collect();
    let wave = "wave 1: 2 operations have not ended";
    assert_eq!(told, ["web comes first", wave, wave]);
    let first = world.open_operations();
    assert_eq!(first.len(), 1, "web in the first region alone");
    world.answer(prod, first[0].1, Verdict::Failed);
    world.settle();
    assert_eq!(world.state(prod), DeploymentState::Failed);
    let skipped = |it: &&Operation| matches!(&it.state, OperationState::Skipped { because } if because == "web on 333333333333/eu-west-1/main failed");
    assert_eq!(world.newest("prod").operations.iter().filter(skipped).count(), 3);
}

#[test]
fn a_bad_release_goes_no_further_and_can_be_tried_again() {
    let mut world = World::new(&["1.0.0"]);
    let decisions = world.run(Verdict::Failed);
    assert_eq!(
        waits(&decisions)[0].to_string(),
        "phase dev is not satisfied (dev: failed)"
    );
    assert!(world.snapshot.deployments.len() == 1, "staging never starts");
    let refused = world.promote(0, Some("staging")).unwrap_err();
    assert_eq!(refused.to_string(), "phase dev is not satisfied (dev: failed)");
    let again = world.promote(0, None).unwrap();
    world.run(Verdict::Succeeded);
    assert_eq!(world.state(again), DeploymentState::Succeeded);
    assert_eq!(world.newest("staging").state, DeploymentState::Succeeded);
}

#[test]
fn the_second_release_waits_for_the_first_one() {
    let mut world = World::new(&["1.0.0", "1.1.0"]);
    let decisions = world.settle();
    let first = world.snapshot.deployments[0].id;
    let busy = format!("deployment {first} of release 1.0.0 is running in dev");
    assert!(
        waits(&decisions).iter().any(|on| on.to_string() == busy),
        "{decisions:#?}"
    );
    world.run(Verdict::Succeeded);
    assert!(
        world
            .snapshot
            .deployments
            .iter()
            .all(|it| it.state == DeploymentState::Succeeded)
    );
    world.check_logs();
}

#[test]
fn an_agent_that_is_gone_is_waited_for_until_the_deadline() {
    let mut world = World::new(&["1.0.0"]);
    world.agent("dev", false);
    let decisions = world.settle();
    let told = waits(&decisions)[0].to_string();
    assert!(
        told.starts_with("agent dev offline since 2026-11-24 12:00:00Z (link closed), hint: "),
        "{told}"
    );
    let dev = world.snapshot.deployments[0].id;
    assert_eq!(world.state(dev), DeploymentState::Running);
    let wake = next_wake(&world.snapshot, world.now).unwrap();
    assert_eq!(
        wake,
        world.now.checked_add(SignedDuration::from_hours(1)).unwrap()
    );
    world.now = wake;
    world.settle();
    assert_eq!(world.state(dev), DeploymentState::Errored);
    let OperationState::Ended { outcome, .. } = &world.newest("dev").operations[0].state else {
        panic!()
    };
    assert_eq!(outcome.reason, reason::AGENT_OFFLINE);
    assert!(
        outcome
            .summary
            .contains("agent dev offline since 2026-11-24 12:00:00Z"),
        "{}",
        outcome.summary
    );
    world.agent("dev", true);
    let decisions = world.settle();
    assert!(
        !decisions
            .iter()
            .any(|it| matches!(it, Decision::LearnTruth { .. })),
        "nothing was ever sent"
    );
}

#[test]
fn what_became_of_an_operation_is_learned_late_and_changes_no_state() {
    let mut world = World::new(&["1.0.0"]);
    world.settle();
    world.agent("dev", false);
    world.pass(SignedDuration::from_hours(1));
    world.settle();
    assert_eq!(world.newest("dev").state, DeploymentState::Errored);
    world.agent("dev", true);
    world.settle();
    let dev = world.newest("dev");
    assert_eq!(
        dev.operations[0].late_truth.as_ref().map(|it| it.verdict),
        Some(Verdict::Succeeded)
    );
    assert_eq!(dev.state, DeploymentState::Errored);
    world.check_logs();
}

#[test]
fn a_connected_agent_may_name_the_cause_shortly_after_the_deadline() {
    let mut world = World::new(&["1.0.0"]);
    world.settle();
    world.pass(SignedDuration::from_hours(1));
    world.settle();
    assert_eq!(world.newest("dev").state, DeploymentState::Running);
    world.now = next_wake(&world.snapshot, world.now).unwrap();
    world.settle();
    assert_eq!(world.newest("dev").state, DeploymentState::Errored);
}

#[test]
fn a_restart_attaches_again_and_sends_nothing_twice() {
    let mut world = World::new(&["1.0.0"]);
    world.settle();
    world.snapshot.attached.clear();
    let decisions = decide(&world.snapshot, world.now);
    assert!(
        matches!(decisions[..], [Decision::Wait { .. }, Decision::Reattach { .. }]),
        "{decisions:#?}"
    );
    world.settle();
    assert_eq!(world.newest("dev").operations[0].sends, 2);
}

#[test]
fn a_cancel_is_kept_until_the_agent_takes_it() {
    let mut world = World::new(&["1.0.0"]);
    world.settle();
    let dev = world.newest("dev").id;
    world.agent("dev", false);
    world.cancel(dev).unwrap();
    let decisions = world.settle();
    let told: Vec<String> = waits(&decisions).iter().map(ToString::to_string).collect();
    assert!(
        told.contains(
            &"cancel not yet confirmed by agent dev, offline since 2026-11-24 12:00:00Z".to_owned()
        ),
        "{told:?}"
    );
    world.agent("dev", true);
    world.settle();
    assert!(world.newest("dev").operations[0].cancel_confirmed);
    world.run(Verdict::Cancelled);
    assert_eq!(world.state(dev), DeploymentState::Cancelled);
    assert_eq!(
        world.cancel(dev).unwrap_err().to_string(),
        "cancel_requested cannot follow while the deployment is cancelled"
    );
}

#[test]
fn what_is_cancelled_before_it_starts_asks_no_agent() {
    let mut world = World::new(&["1.0.0"]);
    world.run(Verdict::Succeeded);
    let prod = world.promote(0, None).unwrap();
    world.settle();
    world.cancel(prod).unwrap();
    world.settle();
    assert_eq!(world.state(prod), DeploymentState::Cancelled);
    assert!(world.newest("prod").operations.iter().all(|it| it.sends == 0));
}

#[test]
fn one_person_approves_once() {
    let text = SHOP.replace("count: 1", "count: 2");
    let mut world = World::new(&[]);
    world.project = project::parse(&text, "f").unwrap();
    world.release("1.0.0");
    world.run(Verdict::Succeeded);
    let prod = world.promote(0, None).unwrap();
    world.settle();
    world.approve(prod, "bob").unwrap();
    assert_eq!(
        world.approve(prod, "bob").unwrap_err().to_string(),
        "bob has approved already"
    );
    let decisions = world.settle();
    assert!(decisions.iter().any(|it| matches!(
        it,
        Decision::Wait {
            subject: Subject::Deployment(_),
            on: WaitingOn::Approval { have: 1, need: 2, .. },
            ..
        }
    )));
    world.approve(prod, "carol").unwrap();
    world.settle();
    assert_eq!(world.state(prod), DeploymentState::Running);
}

proptest::proptest! {
    #[test]
    fn whatever_happens_the_promises_hold(
        steps in proptest::collection::vec((0_u8..13, proptest::prelude::any::<u8>(), proptest::prelude::any::<u8>()), 1..120)
    ) {
        let mut world = World::new(&["1.0.0"]);
        let agents = ["dev", "staging", "prod"];
        let verdicts = [Verdict::Succeeded, Verdict::Succeeded, Verdict::Succeeded, Verdict::Unchanged, Verdict::Failed, Verdict::Errored, Verdict::Cancelled];
        for (kind, a, b) in steps {
            let (a, b) = (usize::from(a), usize::from(b));
            let deployments: Vec<DeploymentId> = world.snapshot.deployments.iter().map(|it| it.id).collect();
            let some = deployments.get(a % deployments.len().max(1)).copied();
            match kind {
                0..=3 => {
                    let open = world.open_operations();
                    if let Some((id, operation)) = open.get(a % open.len().max(1)) {
                        world.answer(*id, *operation, verdicts[b % verdicts.len()]);
                    }
                }
                4 => world.agent(agents[a % 3], b % 3 != 0),
                5 => world.snapshot.attached.clear(),
                6 => world.pass(SignedDuration::from_mins(i64::try_from(b % 40).unwrap())),
                7 | 8 => drop(world.promote(a % world.releases.len(), agents.get(b % 4).copied())),
                9 => if let Some(id) = some { drop(world.approve(id, ["bob", "carol"][b % 2])) },
                10 => if let Some(id) = some.filter(|_| b % 4 == 0) { drop(world.cancel(id)) },
                11 => world.plans += 1,
                _ => if world.releases.len() < 4 { world.release(&format!("1.{}.0", world.releases.len())) },
            }
            world.settle();
        }
        world.check_logs();
        // After all that, healing brings everything that may end to its end.
        agents.iter().for_each(|agent| world.agent(agent, true));
        world.run(Verdict::Succeeded);
        let stuck = world.snapshot.deployments.iter().find(|it| !it.state.is_terminal() && it.state != DeploymentState::AwaitingApproval);
        assert!(stuck.is_none(), "{stuck:#?}");
        world.check_logs();
    }
}

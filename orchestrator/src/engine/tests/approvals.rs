//! People approve what agents planned, and nothing else runs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_util::task::AbortOnDropHandle;
use towline_proto::agent::v1::Verdict;

use super::{
    account::Account,
    agent::{Call, FakeAgent, id_of},
    world::{Calls, SHOP, World, caller, patiently},
};
use crate::{
    engine::{DeploymentState, DeploymentView, EngineError, EventView, Promotion},
    store::Side,
};

/// Only `prod`, after an approval, on its two targets.
fn shop() -> String {
    SHOP.replace(
        "    - { phase: dev, environments: [dev], automatic: true }\n    - { phase: staging, environments: [staging], automatic: true }\n",
        "",
    )
}

fn to_prod() -> Promotion {
    Promotion {
        project: "shop".to_owned(),
        version: "1.0.0".to_owned(),
        ..Promotion::default()
    }
}

/// A world with release 1.0.0 that has not been promoted.
async fn released(rule: &str) -> World {
    let world = World::new().await;
    let text = shop().replace("{ role: approver, count: 1 }", rule);
    world.apply(&text).await;
    world.release("1.0.0").await;
    world
}

async fn promoted(world: &World, who: &str) -> DeploymentView {
    let promoted = world.engine.promote(&caller(who), &to_prod()).await;
    promoted.expect("a deployment")
}

const ANYBODY: &str = "{ role: approver, count: 1 }";

#[tokio::test]
async fn the_plan_that_people_see_is_what_is_sent() {
    let world = released(ANYBODY).await;
    let (prod, mut calls) = world.agent("prod");
    let created = promoted(&world, "dan").await;
    let asked = world.asked("1.0.0", "prod", 0).await;
    assert_eq!(
        (asked.id.as_str(), asked.state),
        (created.id.as_str(), DeploymentState::AwaitingApproval)
    );
    let plan = world.engine.deployment_plan(&created.id).await.expect("a plan");
    assert_eq!(plan.hash, asked.plan_hash);
    let planned: Vec<_> = plan
        .plans
        .iter()
        .map(|it| (it.of.target.as_str(), it.planned.hash.as_str()))
        .collect();
    assert_eq!(
        planned,
        [
            ("333333333333/eu-west-1/main", "4f2a"),
            ("333333333333/eu-central-1/main", "4f2a")
        ]
    );
    assert!(calls.only_plans());

    // Without its hash, or with another one, nobody approves.
    for seen in ["", "0123"] {
        let refused = world.engine.approve(&caller("bob"), &created.id, "", seen).await;
        let Err(EngineError::OtherPlan { current, hint, .. }) = refused else {
            panic!("{seen:?}: {refused:?}")
        };
        assert_eq!(current, plan.hash);
        assert!(
            hint.contains(&format!("towline approve {} --plan {current}", created.id)),
            "{hint}"
        );
    }
    let approved = world.approve("bob", &created.id).await.expect("an approval");
    assert_eq!(approved.approvals[0].plan_hash, plan.hash);
    for region in ["eu-west-1", "eu-central-1"] {
        let request = calls.update().await;
        assert_eq!(
            (request.region.as_str(), request.plan_hash.as_str()),
            (region, "4f2a")
        );
        prod.finish(&id_of(&request), Verdict::Succeeded, "completed");
    }
    let (events, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Succeeded));
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).take(9).collect();
    assert_eq!(
        kinds,
        [
            "release_created",
            "deployment_created",
            "plan_requested",
            "deployment_planned",
            "approval_requested",
            "approved",
            "plan_requested",
            "plan_confirmed",
            "deployment_started",
        ]
    );
    drop(world.stop().await);
}

#[tokio::test]
async fn a_plan_that_changed_makes_the_approval_void_and_says_why() {
    let world = released(ANYBODY).await;
    let (prod, mut calls) = world.agent("prod");
    let created = promoted(&world, "dan").await;
    let asked = world.asked("1.0.0", "prod", 0).await;
    let first = asked.plan_hash.clone();
    prod.account().changes("b");
    world.approve("bob", &created.id).await.expect("an approval");
    let voided = world
        .event("1.0.0", 0, |event| event.kind == "approval_voided")
        .await;
    assert_eq!(
        voided.message,
        "the approval of bob is void: the plan has changed. \
         orders on 333333333333/eu-west-1/main: plan 4f2a is now 4f2ab\n  + cpu: 256 -> \"b\"\n\
         orders on 333333333333/eu-central-1/main: plan 4f2a is now 4f2ab\n  + cpu: 256 -> \"b\""
    );
    let again = world.asked("1.0.0", "prod", voided.cursor).await;
    assert_eq!(
        (again.state, again.approvals.len()),
        (DeploymentState::AwaitingApproval, 0)
    );
    assert_ne!(again.plan_hash, first);
    assert!(calls.only_plans(), "nothing unapproved is sent");
    let stale = world
        .engine
        .approve(&caller("bob"), &created.id, "", &first)
        .await;
    assert!(matches!(stale, Err(EngineError::OtherPlan { .. })), "{stale:?}");

    world.approve("bob", &created.id).await.expect("another approval");
    let request = calls.update().await;
    assert_eq!(request.plan_hash, "4f2ab");
    drop(world.stop().await);
}

#[tokio::test]
async fn who_made_it_does_not_approve_it_and_nobody_counts_twice() {
    let world = released("{ role: approver, count: 2, not_author: true }").await;
    let (_prod, _calls) = world.agent("prod");
    // dan made the release, ann the deployment.
    let created = promoted(&world, "ann").await;
    let asked = world.asked("1.0.0", "prod", 0).await;
    let rule = asked.approval_rule.expect("a rule");
    assert_eq!((rule.count, rule.not_author), (2, true));
    assert_eq!(rule.authors, ["dan", "ann"]);
    let own = world.approve("ann", &created.id).await;
    assert!(
        matches!(
            own,
            Err(EngineError::Denied {
                reason: "is_author",
                ..
            })
        ),
        "{own:?}"
    );
    world.approve("bob", &created.id).await.expect("an approval");
    let twice = world.approve("bob", &created.id).await;
    assert!(
        matches!(
            twice,
            Err(EngineError::Conflict {
                reason: "approved_before",
                ..
            })
        ),
        "{twice:?}"
    );
    let view = world.engine.deployment(&created.id).await.expect("a view");
    assert_eq!(view.waiting_on, "approval of role approver (1 of 2)");
    drop(world.stop().await);
}

#[tokio::test]
async fn what_nobody_approves_in_time_ends_and_nothing_was_sent() {
    let world = released("{ role: approver, count: 1, expires: 24h }").await;
    let (_prod, mut calls) = world.agent("prod");
    let created = promoted(&world, "dan").await;
    world.asked("1.0.0", "prod", 0).await;
    // A watch has ended: people are asked, and that is where it settles.
    let mut commits = world.engine.0.store.commits();
    world.advance(Duration::from_secs(24 * 3600 + 60)).await;
    let ended = async {
        loop {
            let view = world.engine.deployment(&created.id).await.expect("a view");
            if view.state == DeploymentState::Errored {
                return view;
            }
            commits.changed().await.expect("a store");
        }
    };
    let view = patiently(ended).await;
    assert_eq!(view.end_reason, "approval_expired");
    assert!(calls.only_plans());
    let late = world.approve("bob", &created.id).await;
    assert!(
        matches!(
            late,
            Err(EngineError::Conflict {
                reason: "wrong_state",
                ..
            })
        ),
        "{late:?}"
    );
    drop(world.stop().await);
}

#[tokio::test]
async fn a_plan_waits_for_its_agent_and_is_made_when_it_is_back() {
    let world = released(ANYBODY).await;
    let created = promoted(&world, "dan").await;
    let waits = world.engine.deployment(&created.id).await.expect("a view");
    assert_eq!(waits.state, DeploymentState::Queued);
    assert!(
        waits.waiting_on.starts_with("its plan: agent prod"),
        "{}",
        waits.waiting_on
    );
    let none = world.engine.deployment_plan(&created.id).await;
    assert!(matches!(none, Err(EngineError::NotReady { .. })), "{none:?}");
    let early = world.engine.approve(&caller("bob"), &created.id, "", "").await;
    assert!(matches!(early, Err(EngineError::NotReady { .. })), "{early:?}");
    let (_prod, _calls) = world.agent("prod");
    world.asked("1.0.0", "prod", 0).await;
    drop(world.stop().await);

    let world = released(ANYBODY).await;
    let created = promoted(&world, "dan").await;
    world.advance(Duration::from_secs(3600 + 60)).await;
    world.entered("1.0.0", "prod", DeploymentState::Errored).await;
    let view = world.engine.deployment(&created.id).await.expect("a view");
    assert_eq!(view.end_reason, "plan_not_made");
    assert!(view.end_summary.contains("agent prod"), "{}", view.end_summary);
    drop(world.stop().await);
}

#[tokio::test]
async fn a_plan_that_was_named_with_the_promotion_has_to_be_the_one_that_is_made() {
    let world = released(ANYBODY).await;
    let (_prod, mut calls) = world.agent("prod");
    let mut promotion = to_prod();
    promotion.plans = vec![crate::engine::ApprovedPlan {
        service: "orders".to_owned(),
        target: "333333333333/eu-west-1/main".to_owned(),
        hash: "old".to_owned(),
    }];
    let created = world
        .engine
        .promote(&caller("dan"), &promotion)
        .await
        .expect("a deployment");
    world.entered("1.0.0", "prod", DeploymentState::Errored).await;
    let view = world.engine.deployment(&created.id).await.expect("a view");
    assert_eq!(view.end_reason, "plan_changed");
    assert!(
        view.end_summary.contains("named as old, and is 4f2a"),
        "{}",
        view.end_summary
    );
    assert!(calls.only_plans());
    drop(world.stop().await);
}

#[tokio::test]
async fn a_rejection_ends_it_and_says_why() {
    let world = released(ANYBODY).await;
    let (_prod, mut calls) = world.agent("prod");
    let created = promoted(&world, "dan").await;
    world.asked("1.0.0", "prod", 0).await;
    let silent = world.engine.reject(&caller("bob"), &created.id, " ").await;
    assert!(matches!(silent, Err(EngineError::Invalid { .. })), "{silent:?}");
    let no_role = world.engine.reject(&caller("dan"), &created.id, "no").await;
    assert!(matches!(no_role, Err(EngineError::Denied { .. })), "{no_role:?}");
    let view = world
        .engine
        .reject(&caller("bob"), &created.id, "not today")
        .await
        .expect("a no");
    assert_eq!(view.state, DeploymentState::Cancelled);
    assert_eq!(
        (view.end_reason.as_str(), view.end_summary.as_str()),
        ("rejected", "rejected by bob: not today")
    );
    assert!(calls.only_plans());
    drop(world.stop().await);
}

#[tokio::test]
async fn an_approval_outlives_the_orchestrator() {
    let world = released(ANYBODY).await;
    let (_prod, _calls) = world.agent("prod");
    let created = promoted(&world, "dan").await;
    world.asked("1.0.0", "prod", 0).await;
    let world = world.stop().await.start().await;
    world
        .approve("bob", &created.id)
        .await
        .expect("an approval without its agents");
    let (_prod, mut calls) = world.agent("prod");
    assert_eq!(calls.update().await.plan_hash, "4f2a");
    drop(world.stop().await);
}

/// What was sent: the plan's hash of each effect, in order.
type Effects = Arc<Mutex<Vec<(String, String)>>>;

/// Does at once what it is asked, and no operation twice.
fn work(agent: FakeAgent, mut calls: Calls, effects: Effects) -> AbortOnDropHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "ends with its handle")]
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let Call::Update(request) = calls.next().await else {
                continue;
            };
            let id = id_of(&request);
            let done = effects
                .lock()
                .expect("a lock")
                .iter()
                .any(|(known, _)| *known == id);
            if !done {
                effects
                    .lock()
                    .expect("a lock")
                    .push((id.clone(), request.plan_hash.clone()));
            }
            agent.started(&id);
            agent.finish(&id, Verdict::Succeeded, "completed");
        }
    }))
}

fn connect(world: &World, incarnation: &str, account: &Account, effects: &Effects) -> AbortOnDropHandle<()> {
    let (agent, calls) = FakeAgent::new("prod", incarnation);
    let agent = agent.lives_in(account);
    agent.connect(&world.engine);
    work(agent, Calls(calls), effects.clone())
}

#[tokio::test]
async fn a_death_at_any_commit_runs_what_was_approved_and_nothing_else() {
    for side in [Side::Before, Side::After] {
        let mut deaths = BTreeSet::new();
        for number in 1.. {
            match one_death(number, side).await {
                Some(point) => deaths.insert(point),
                None => break,
            };
        }
        for point in [
            "deployment_planned",
            "deployment_approved",
            "operation_intended",
            "operation_ended",
        ] {
            assert!(deaths.contains(point), "no death {side:?} {point}: {deaths:?}");
        }
    }
}

/// People approve whatever they are asked until it has gone through.
async fn approve_to_the_end(world: &World, account: &Account) {
    if world
        .engine
        .release("shop", "1.0.0")
        .await
        .expect("a release")
        .deployments
        .is_empty()
    {
        promoted(world, "dan").await;
    }
    let mut after = 0;
    loop {
        let view = world.deployment("1.0.0", "prod").await;
        if view.state.is_terminal() {
            return;
        }
        let is_next = |event: &EventView| {
            event.kind == "approval_requested" || event.state.is_some_and(DeploymentState::is_terminal)
        };
        let next = world.event("1.0.0", after, is_next).await;
        after = next.cursor;
        // What is there has changed after the first question.
        account.changes("later");
        drop(world.approve("bob", &view.id).await);
    }
}

/// The name of the commit at which the first orchestrator died; `None` when it
/// came to the end before.
async fn one_death(number: usize, side: Side) -> Option<&'static str> {
    let what = format!("{side:?} commit {number}");
    let world = released(ANYBODY).await;
    let (account, effects) = (Account::default(), Effects::default());
    world.engine.0.store.die_at(number, side);
    let agent = connect(&world, "first", &account, &effects);
    let died = tokio::select! {
        point = world.engine.0.store.died() => Some(point),
        () = approve_to_the_end(&world, &account) => None,
    };
    drop(agent);
    let world = world.stop().await.start().await;
    let agent = connect(&world, "second", &account, &effects);
    approve_to_the_end(&world, &account).await;
    let view = world.deployment("1.0.0", "prod").await;
    assert_eq!(view.state, DeploymentState::Succeeded, "{what} ({died:?})");
    assert_eq!(view.approvals[0].plan_hash, view.plan_hash, "{what} ({died:?})");
    let plan = world.engine.deployment_plan(&view.id).await.expect("a plan");
    let approved: Vec<String> = plan.plans.iter().map(|it| it.planned.hash.clone()).collect();
    let sent: Vec<String> = effects
        .lock()
        .expect("a lock")
        .iter()
        .map(|(_, hash)| hash.clone())
        .collect();
    assert_eq!(sent, approved, "{what} ({died:?})");
    // What was there changed after the first question: the old plan never ran.
    assert_eq!(sent, ["4f2alater", "4f2alater"], "{what} ({died:?})");
    drop(agent);
    drop(world.stop().await);
    died
}

//! Waits that end by themselves and waits that need a person: soak times,
//! schedules, superseding, blocks, and what stays in sight.

use std::time::Duration;

use jiff::SignedDuration;
use towline_proto::agent::v1::Verdict;

use super::{
    agent::{FakeAgent, id_of},
    world::{Calls, SHOP, World, caller},
};
use crate::engine::{DeploymentState, EngineError, Expiry, Page, Promotion};

const MINUTE: Duration = Duration::from_secs(60);

fn to(version: &str, environment: &str) -> Promotion {
    Promotion {
        project: "shop".to_owned(),
        version: version.to_owned(),
        environment: Some(environment.to_owned()),
        ..Promotion::default()
    }
}

/// SHOP with another way: its phases as they stand in a file.
fn shop(phases: &str, more: &str) -> String {
    let head = SHOP.split("lifecycles:").next().expect("a head");
    let phases: Vec<String> = phases
        .lines()
        .map(|line| format!("      - {{ {line} }}\n"))
        .collect();
    format!(
        "{head}lifecycles:\n  standard:\n{more}    phases:\n{}",
        phases.concat()
    )
}

async fn finish(agent: &FakeAgent, calls: &mut Calls) {
    let request = calls.next().await.update();
    agent.finish(&id_of(&request), Verdict::Succeeded, "completed");
}

#[tokio::test]
async fn a_phase_soaks_and_the_next_one_begins_by_itself_also_after_a_restart() {
    let world = World::new().await;
    let (dev, mut dev_calls) = world.agent("dev");
    let phases = "phase: dev, environments: [dev], automatic: true, soak: 30m\n\
                  phase: staging, environments: [staging], automatic: true\n\
                  phase: production, environments: [prod]";
    world.apply(&shop(phases, "")).await;
    world.release("1.0.0").await;
    finish(&dev, &mut dev_calls).await;
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
    let shown = world.engine.release("shop", "1.0.0").await.expect("a release");
    assert!(
        shown
            .waiting_on
            .starts_with("soak of phase dev until 2026-11-24 12:30:0"),
        "{}",
        shown.waiting_on
    );
    let refused = world
        .engine
        .promote(&caller("dan"), &to("1.0.0", "staging"))
        .await;
    let Err(EngineError::NotReady { waiting_on, .. }) = refused else {
        panic!("not refused")
    };
    assert_eq!(waiting_on, shown.waiting_on, "the same words");

    world.advance(29 * MINUTE).await;
    let world = world.stop().await.start().await;
    let (staging, mut staging_calls) = world.agent("staging");
    assert!(staging_calls.none(), "it soaks");
    world.advance(2 * MINUTE).await;
    finish(&staging, &mut staging_calls).await;
    world
        .entered("1.0.0", "staging", DeploymentState::Succeeded)
        .await;
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(
        settled.waiting_on,
        "promotion to prod (phase production is manual)"
    );
    drop(world.stop().await);
}

#[tokio::test]
async fn a_scheduled_deployment_starts_at_its_time_and_expires_when_it_cannot() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    world.apply(&shop("phase: dev, environments: [dev]", "")).await;
    world.release("1.0.0").await;
    let start = world.clock.now();
    let later = |minutes: i64| {
        start
            .checked_add(SignedDuration::from_mins(minutes))
            .expect("a time")
    };
    let backwards = Promotion {
        not_before: Some(later(60)),
        expires: Some(Expiry::At(later(30))),
        ..to("1.0.0", "dev")
    };
    let refused = world.engine.promote(&caller("dan"), &backwards).await;
    assert!(matches!(refused, Err(EngineError::Invalid { .. })));

    let promotion = Promotion {
        not_before: Some(later(60)),
        expires: Some(Expiry::After(SignedDuration::from_mins(30))),
        ..to("1.0.0", "dev")
    };
    let created = world
        .engine
        .promote(&caller("dan"), &promotion)
        .await
        .expect("one");
    assert_eq!(created.state, DeploymentState::Queued);
    assert!(
        created
            .waiting_on
            .starts_with("its time: not before 2026-11-24 13:0"),
        "{}",
        created.waiting_on
    );
    assert_eq!(
        (created.not_before, created.expires),
        (Some(later(60)), later(90))
    );
    world.advance(59 * MINUTE).await;
    assert_eq!(
        world.deployment("1.0.0", "dev").await.state,
        DeploymentState::Queued
    );
    assert!(calls.none());
    world.advance(MINUTE).await;
    finish(&dev, &mut calls).await;
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;

    // The same again, and something is in its way until it is too late.
    world.release("1.1.0").await;
    world.freeze("long", "dev", 300).await;
    let promotion = Promotion {
        expires: Some(Expiry::After(SignedDuration::from_mins(30))),
        ..to("1.1.0", "dev")
    };
    let created = world
        .engine
        .promote(&caller("dan"), &promotion)
        .await
        .expect("one");
    assert!(
        created.waiting_on.starts_with("freeze long until"),
        "{}",
        created.waiting_on
    );
    world.advance(31 * MINUTE).await;
    world.entered("1.1.0", "dev", DeploymentState::Errored).await;
    let ended = world.deployment("1.1.0", "dev").await;
    assert_eq!(ended.end_reason, "expired");
    assert!(
        ended.end_summary.starts_with("expired: it had not started by"),
        "{}",
        ended.end_summary
    );
    assert!(calls.none(), "nothing was sent");
    drop(world.stop().await);
}

#[tokio::test]
async fn a_newer_release_supersedes_what_waits_where_the_lifecycle_says_so() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    let phases = "phase: dev, environments: [dev], automatic: true";
    world.apply(&shop(phases, "    supersede: queued\n")).await;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        world.release(version).await;
    }
    let first = calls.next().await.update();
    let old = world.deployment("1.1.0", "dev").await;
    assert_eq!(old.state, DeploymentState::Cancelled);
    assert_eq!(old.end_reason, "superseded_by");
    assert_eq!(old.superseded_by_release, "1.2.0");
    assert_eq!(old.superseded_by, world.deployment("1.2.0", "dev").await.id);
    dev.finish(&id_of(&first), Verdict::Succeeded, "completed");
    let next = calls.next().await.update();
    assert_eq!(
        next.containers[0].digest,
        Some(super::registry::digest_of("1.2.0"))
    );
    let (_, settled) = world.settled("1.1.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Cancelled));
    drop(world.stop().await);
}

#[tokio::test]
async fn a_blocked_release_goes_no_further_until_it_is_unblocked() {
    let world = World::new().await;
    let (dev, mut dev_calls) = world.agent("dev");
    let (_staging, mut staging_calls) = world.agent("staging");
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let request = dev_calls.next().await.update();
    let ann = caller("ann");
    let nameless = world.engine.block_release(&ann, "shop", "1.0.0", " ").await;
    assert!(matches!(nameless, Err(EngineError::Invalid { .. })));
    let blocked = world
        .engine
        .block_release(&ann, "shop", "1.0.0", "loses orders")
        .await
        .expect("a block");
    assert_eq!(blocked.standing.blocked.expect("a block").by, "ann");
    let again = world.engine.block_release(&ann, "shop", "1.0.0", "again").await;
    assert!(matches!(
        again,
        Err(EngineError::Conflict {
            reason: "blocked_already",
            ..
        })
    ));

    // What runs goes on to its end.
    dev.finish(&id_of(&request), Verdict::Succeeded, "completed");
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
    let (events, settled) = world.settled("1.0.0", 0).await;
    let words = "the release is blocked by ann since 2026-11-24 12:00:00Z: loses orders";
    assert_eq!(settled.waiting_on, words);
    assert!(
        events
            .iter()
            .any(|it| it.kind == "release_blocked" && it.message == "blocked by ann: loses orders")
    );
    assert!(staging_calls.none());
    let refused = world.engine.promote(&caller("dan"), &to("1.0.0", "dev")).await;
    let Err(EngineError::NotReady { waiting_on, hint }) = refused else {
        panic!("not refused")
    };
    assert_eq!(waiting_on, words);
    assert!(hint.contains("towline release unblock 1.0.0"));

    let world = world.stop().await.start().await;
    let (_staging, mut staging_calls) = world.agent("staging");
    world
        .engine
        .unblock_release(&caller("bob"), "shop", "1.0.0", "it was the test")
        .await
        .expect("no block");
    staging_calls.next().await.update();
    drop(world.stop().await);
}

#[tokio::test]
async fn releases_beyond_those_that_are_kept_are_archived_and_come_back_when_more_are_kept() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    let phases = "phase: dev, environments: [dev]\nphase: staging, environments: [staging]";
    world.apply(&shop(phases, "    keep: 1\n")).await;
    for version in ["1.0.0", "1.1.0"] {
        world.release(version).await;
        world
            .engine
            .promote(&caller("dan"), &to(version, "dev"))
            .await
            .expect("one");
        finish(&dev, &mut calls).await;
        world.entered(version, "dev", DeploymentState::Succeeded).await;
    }
    for version in ["1.2.0", "1.3.0"] {
        world.release(version).await;
    }
    let listed = async |with_archived| {
        let page = world
            .engine
            .releases("shop", with_archived, Page::default())
            .await
            .expect("a list");
        page.items.into_iter().map(|it| it.version).collect::<Vec<_>>()
    };
    // 1.1.0 runs, 1.0.0 is what a rollback goes back to.
    assert_eq!(listed(false).await, ["1.3.0", "1.1.0", "1.0.0"]);
    assert_eq!(listed(true).await, ["1.3.0", "1.2.0", "1.1.0", "1.0.0"]);
    let refused = world.engine.promote(&caller("dan"), &to("1.2.0", "dev")).await;
    assert!(matches!(
        refused,
        Err(EngineError::Conflict {
            reason: "release_archived",
            ..
        })
    ));
    // Once 1.3.0 runs, nothing goes back to 1.0.0 any more.
    world
        .engine
        .promote(&caller("dan"), &to("1.3.0", "dev"))
        .await
        .expect("one");
    finish(&dev, &mut calls).await;
    world.entered("1.3.0", "dev", DeploymentState::Succeeded).await;
    assert_eq!(listed(false).await, ["1.3.0", "1.1.0"]);
    let log = world.settled("1.0.0", 0).await.0;
    assert_eq!(
        log.last().map(|event| event.kind.as_str()),
        Some("release_archived")
    );
    world.apply(&shop(phases, "    keep: 3\n")).await;
    assert_eq!(listed(false).await, ["1.3.0", "1.2.0", "1.1.0"]);
    drop(world.stop().await);
}

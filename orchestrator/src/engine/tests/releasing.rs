//! A release comes into being: what its tags hold, and what then holds.

use std::time::Duration;

use towline_proto::agent::v1::Verdict;

use super::{
    agent::{FakeAgent, id_of},
    registry::{REPOSITORY, digest_of},
    world::{Calls, SHOP, World, caller, patiently},
};
use crate::engine::{Created, DeploymentState, EngineError, NewRelease, Promotion};

const OF_STAGING: &str = "222222222222.dkr.ecr.eu-west-1.amazonaws.com/shop/orders";

fn of(version: &str, tag: &str) -> NewRelease {
    NewRelease {
        project: "shop".to_owned(),
        version: version.to_owned(),
        images: [("orders".to_owned(), tag.to_owned())].into(),
        ..NewRelease::default()
    }
}

fn newest() -> NewRelease {
    NewRelease {
        images: [].into(),
        all_newest: true,
        ..of("", "")
    }
}

/// The project with a template and a rule; nothing begins by itself.
fn shop() -> String {
    SHOP.replace("automatic: true", "automatic: false").replace(
        "stable: { lifecycle: standard }",
        "stable: { lifecycle: standard, version: \"{{date}}.{{sequence}}\", rules: { orders: \"[1.0,2.0)\" } }",
    )
}

async fn with_dev(project: &str) -> (World, FakeAgent, Calls) {
    let world = World::new().await;
    let (dev, calls) = world.agent("dev");
    world.connected("dev").await;
    world.apply(project).await;
    (world, dev, calls)
}

fn digest(created: &Created) -> &str {
    &created.release.images[0].digest
}

fn invalid(error: EngineError) -> Vec<String> {
    match error {
        EngineError::Invalid { faults } => faults.iter().map(|fault| fault.message.clone()).collect(),
        other => panic!("not invalid: {other:?}"),
    }
}

#[tokio::test]
async fn a_tag_is_resolved_in_the_repository_that_runs_and_when_it_moves_nothing_changes() {
    let (world, dev, mut calls) = with_dev(SHOP).await;
    let created = world.create(of("1.0.0", "1.0.0")).await.expect("a release");
    assert_eq!(digest(&created), digest_of("1.0.0"));
    assert_eq!(created.release.images[0].repository, REPOSITORY);
    assert!(!created.existed);
    let request = calls.next().await.update();
    assert_eq!(request.containers[0].digest, Some(digest_of("1.0.0")));
    dev.finish(&id_of(&request), Verdict::Failed, "rolled_back");
    world.settled("1.0.0", 0).await;

    let other = digest_of("something else");
    dev.registry().moved.insert("1.0.0".to_owned(), other.clone());
    let again = world.create(of("1.0.0", "1.0.0")).await.expect("the same");
    assert!(again.existed);
    assert_eq!(digest(&again), digest_of("1.0.0"));
    let moved = async {
        loop {
            let release = world.engine.release("shop", "1.0.0").await.expect("a release");
            if let Some(moved) = release.release.images[0].moved.first() {
                return moved.digest.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(patiently(moved).await, other);
    let (events, _) = world.settled("1.0.0", 0).await;
    let told = events.iter().find(|event| event.kind == "tag_moved");
    assert!(told.expect("an event").message.contains("the release keeps"));

    let promotion = Promotion {
        project: "shop".to_owned(),
        version: "1.0.0".to_owned(),
        ..Promotion::default()
    };
    let promoted = world.engine.promote(&caller("dan"), &promotion).await;
    promoted.expect("once more");
    let request = calls.next().await.update();
    assert_eq!(request.containers[0].digest, Some(digest_of("1.0.0")));
}

#[tokio::test]
async fn without_its_agent_nothing_is_stored_and_who_is_missing_is_named() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let refused = world.create(of("1.0.0", "1.0.0")).await.unwrap_err();
    assert!(matches!(refused, EngineError::NotReady { .. }), "{refused:?}");
    let told = refused.to_string();
    assert!(told.contains("agent dev") && told.contains("orders"), "{told}");
    assert!(refused.hint().is_some());
    assert!(world.engine.release("shop", "1.0.0").await.is_err());
}

#[tokio::test]
async fn asked_for_twice_it_is_there_once_and_another_content_is_refused_with_what_differs() {
    let (world, _dev, _calls) = with_dev(&shop()).await;
    let existed = async || {
        let created = world.create(of("1.0.0", "1.0.0")).await;
        created.expect("a release").existed
    };
    assert!(!existed().await);
    assert!(existed().await);
    let other = NewRelease {
        notes: "with words".to_owned(),
        commit: "4f2a".to_owned(),
        ..of("1.0.0", "1.1.0")
    };
    let refused = world.create(other).await.unwrap_err();
    let told = refused.to_string();
    assert!(matches!(refused, EngineError::Conflict { .. }), "{refused:?}");
    for difference in [
        "image orders 1.0.0 instead of 1.1.0",
        "notes none instead of with words",
        "commit none instead of 4f2a",
    ] {
        assert!(told.contains(difference), "{told}");
    }
}

#[tokio::test]
async fn a_version_comes_from_the_template_and_counts_within_the_day() {
    let (world, _dev, _calls) = with_dev(&shop()).await;
    let version = async |tag: &str| {
        let created = world.create(of("", tag)).await.expect("a release");
        (created.release.version, created.existed)
    };
    assert_eq!(version("1.0.0").await, ("2026.11.24.1".to_owned(), false));
    assert_eq!(
        version("1.0.0").await,
        ("2026.11.24.1".to_owned(), true),
        "the same again"
    );
    let by_hand = world.create(of("2026.11.24.2", "1.1.0")).await;
    by_hand.expect("one by hand");
    assert_eq!(version("1.2.0").await, ("2026.11.24.3".to_owned(), false));
    world.advance(Duration::from_secs(12 * 3600)).await;
    assert_eq!(version("1.0.0").await, ("2026.11.25.1".to_owned(), false));

    world.apply(SHOP).await;
    let told = invalid(world.create(of("", "1.0.0")).await.unwrap_err());
    assert_eq!(told, ["no version is given, and channel stable makes none"]);
}

#[tokio::test]
async fn the_newest_tag_is_found_over_all_pages_and_rules_are_kept() {
    let (world, dev, _calls) = with_dev(&shop()).await;
    let tags = |tags: &[&str]| {
        dev.registry().tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    };
    tags(&["latest", "2.0.0", "1.9.0", "1.10.0", "1.11.0-rc.1"]);
    let created = world.create(newest()).await.expect("a release");
    assert_eq!(created.release.images[0].tag, "1.10.0");
    assert_eq!(digest(&created), digest_of("1.10.0"));
    tags(&["latest", "2.0.0"]);
    let told = invalid(world.create(newest()).await.unwrap_err());
    assert_eq!(
        told,
        [format!(
            "image orders: none of the 2 tags in {REPOSITORY} is allowed in channel stable; \
             the newest is 2.0.0, which breaks the rule range: it is not in [1.0.0,2.0.0)"
        )]
    );
    let told = invalid(world.create(of("9", "2.0.0")).await.unwrap_err());
    assert_eq!(
        told,
        ["image orders: tag 2.0.0 breaks the rule range of channel stable: it is not in [1.0.0,2.0.0)"]
    );
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named() {
    let (world, dev, _calls) = with_dev(SHOP).await;
    dev.registry().missing.insert(digest_of("1.0.0"));
    let told = invalid(world.create(of("1.0.0", "1.0.0")).await.unwrap_err());
    assert_eq!(
        told,
        [format!("image orders: agent dev: {REPOSITORY} has no such image")]
    );
}

/// A release that has been in dev, and whose image staging has not yet: what the
/// deployment says meanwhile.
async fn without_replica(world: &World, dev: &FakeAgent, calls: &mut Calls) -> (FakeAgent, Calls, String) {
    let (staging, staging_calls) = world.agent("staging");
    staging.runs_image(&format!("{OF_STAGING}:0.9.0"));
    staging.registry().missing.insert(digest_of("1.0.0"));
    world.create(of("1.0.0", "1.0.0")).await.expect("a release");
    let request = calls.next().await.update();
    dev.finish(&id_of(&request), Verdict::Succeeded, "completed");
    world.entered("1.0.0", "staging", DeploymentState::Running).await;
    let waits = async {
        loop {
            let waiting_on = world.deployment("1.0.0", "staging").await.waiting_on;
            if waiting_on.contains("is not there yet") {
                return waiting_on;
            }
            tokio::task::yield_now().await;
        }
    };
    let waits = patiently(waits).await;
    (staging, staging_calls, waits)
}

#[tokio::test]
async fn a_replica_that_is_missing_is_waited_for_and_the_deployment_goes_on_when_it_arrives() {
    let (world, dev, mut calls) = with_dev(SHOP).await;
    let (staging, mut staging_calls, waits) = without_replica(&world, &dev, &mut calls).await;
    let start = format!("image orders on 222222222222/eu-west-1/main: {OF_STAGING}@sha256:");
    assert!(waits.starts_with(&start), "{waits}");
    assert!(staging_calls.none());
    staging.registry().missing.clear();
    let request = staging_calls.next().await.update();
    assert_eq!(request.containers[0].digest, Some(digest_of("1.0.0")));
    staging.finish(&id_of(&request), Verdict::Succeeded, "completed");
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Succeeded));
}

#[tokio::test]
async fn a_replica_that_does_not_come_ends_with_the_deadline() {
    let (world, dev, mut calls) = with_dev(SHOP).await;
    let (_staging, mut staging_calls, _) = without_replica(&world, &dev, &mut calls).await;
    world.advance(Duration::from_secs(3601)).await;
    world.settled("1.0.0", 0).await;
    let ended = world.deployment("1.0.0", "staging").await;
    assert_eq!(ended.state, DeploymentState::Errored);
    let operation = &ended.operations[0];
    assert_eq!(operation.reason, "replica_missing");
    assert!(operation.summary.contains("is not there yet"), "{operation:?}");
    assert!(staging_calls.none());
}

#[tokio::test]
async fn an_image_that_is_gone_from_where_it_was_resolved_is_an_error_at_once() {
    let (world, dev, mut calls) = with_dev(SHOP).await;
    dev.registry().missing.insert(digest_of("1.1.0"));
    world.release("1.1.0").await;
    world.settled("1.1.0", 0).await;
    let ended = world.deployment("1.1.0", "dev").await;
    assert_eq!(ended.state, DeploymentState::Errored);
    assert_eq!(ended.operations[0].reason, "image_expired");
    assert!(calls.none(), "nothing is sent");
}

#[tokio::test]
async fn an_agent_that_may_not_look_does_not_hold_a_deployment_up() {
    let (world, dev, mut calls) = with_dev(SHOP).await;
    dev.registry().refuses = Some(tonic::Status::unimplemented("what is that?"));
    let told = invalid(world.create(of("1.0.0", "1.0.0")).await.unwrap_err());
    assert!(told[0].contains("agent dev is too old"), "{told:?}");
    world.release("1.0.0").await;
    let request = calls.next().await.update();
    assert_eq!(request.containers[0].digest, Some(digest_of("1.0.0")));
}

#[tokio::test]
async fn a_preview_plans_every_environment_at_once_and_stores_nothing() {
    let (world, _dev, mut calls) = with_dev(&shop()).await;
    let (_staging, _staging_calls) = world.agent("staging");
    world.connected("staging").await;
    let preview = world
        .engine
        .preview_release(&caller("dan"), of("", "1.0.0"))
        .await
        .expect("a preview");
    assert_eq!(preview.release.version, "");
    let told: Vec<_> = preview
        .environments
        .iter()
        .map(|it| {
            (
                it.environment.as_str(),
                it.plans.len(),
                it.unplanned.len(),
                it.failures.len(),
            )
        })
        .collect();
    assert_eq!(told, [("dev", 1, 0, 0), ("staging", 1, 0, 0), ("prod", 0, 2, 0)]);
    let away = &preview.environments[2].unplanned[0];
    assert!(away.reason.contains("agent prod"), "{}", away.reason);
    assert!(preview.is_unknown() && !preview.would_fail());
    let planned = calls.next().await.plan();
    assert_eq!(planned.containers[0].digest, Some(digest_of("1.0.0")));
    let releases = world.engine.releases("shop", false, Default::default()).await;
    assert!(releases.expect("a list").items.is_empty());
}

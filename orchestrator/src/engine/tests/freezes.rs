//! Freezes: what meets one waits, and goes on by itself.

use std::time::Duration;

use jiff::SignedDuration;
use towline_proto::agent::v1::Verdict;

use super::{
    agent::id_of,
    world::{SHOP, World, caller},
};
use crate::{
    domain::freeze::{OverrideRole, Season},
    engine::{DeploymentState, EngineError, NewFreeze, Page, Promotion},
};

const MINUTE: Duration = Duration::from_secs(60);

impl World {
    /// A freeze of an environment for some minutes from now, which approvers may override.
    pub async fn freeze(&self, name: &str, environment: &str, minutes: i64) {
        let until = self.clock.now().checked_add(SignedDuration::from_mins(minutes));
        let new = NewFreeze {
            name: name.to_owned(),
            environments: vec![environment.to_owned()],
            until: Some(until.expect("a time")),
            because: "holidays".to_owned(),
            override_role: Some(OverrideRole::Approver),
            ..NewFreeze::default()
        };
        self.engine
            .create_freeze(&caller("ann"), new)
            .await
            .expect("a freeze");
    }
}

fn to_dev(override_freeze: &str) -> Promotion {
    Promotion {
        project: "shop".to_owned(),
        version: "1.0.0".to_owned(),
        environment: Some("dev".to_owned()),
        override_freeze: override_freeze.to_owned(),
        ..Promotion::default()
    }
}

#[tokio::test]
async fn what_meets_a_freeze_waits_in_the_same_words_everywhere_and_goes_on_by_itself() {
    let world = World::new().await;
    let (dev, mut dev_calls) = world.agent("dev");
    let (_staging, mut staging_calls) = world.agent("staging");
    world.apply(SHOP).await;
    world.freeze("holidays", "staging", 60).await;
    world.release("1.0.0").await;
    let request = dev_calls.next().await.update();
    dev.finish(&id_of(&request), Verdict::Succeeded, "completed");
    world.entered("1.0.0", "staging", DeploymentState::Queued).await;
    let shown = world.deployment("1.0.0", "staging").await;
    let words = "freeze holidays until 2026-11-24 13:00:0";
    assert!(shown.waiting_on.starts_with(words), "{}", shown.waiting_on);
    assert!(shown.waiting_on.ends_with("(holidays)"));
    let alone = world.engine.deployment(&shown.id).await.expect("one");
    let status = world.engine.status(Some("shop")).await.expect("a grid");
    let staging = &status[0].environments[1];
    assert_eq!([&alone.waiting_on, &staging.waiting_on], [&shown.waiting_on; 2]);

    world.advance(59 * MINUTE).await;
    let world = world.stop().await.start().await;
    let (_staging, mut calls) = world.agent("staging");
    assert!(calls.none() && staging_calls.none());
    world.advance(2 * MINUTE).await;
    calls.next().await.update();
    drop(world.stop().await);
}

#[tokio::test]
async fn a_freeze_that_is_removed_holds_nothing_any_more_and_its_name_is_free_again() {
    let world = World::new().await;
    let (_dev, mut calls) = world.agent("dev");
    world.apply(SHOP).await;
    world.freeze("quiet", "dev", 600).await;
    world.release("1.0.0").await;
    let again = NewFreeze {
        name: "quiet".to_owned(),
        every: "fri 16:00 for 64h".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        ..NewFreeze::default()
    };
    let taken = world.engine.create_freeze(&caller("ann"), again.clone()).await;
    assert!(matches!(
        taken,
        Err(EngineError::Conflict {
            reason: "freeze_exists",
            ..
        })
    ));
    assert!(
        world
            .deployment("1.0.0", "dev")
            .await
            .waiting_on
            .starts_with("freeze quiet")
    );
    assert!(calls.none());
    world
        .engine
        .remove_freeze(&caller("ann"), "quiet")
        .await
        .expect("one");
    calls.next().await.update();
    let gone = world.engine.remove_freeze(&caller("ann"), "quiet").await;
    assert!(matches!(gone, Err(EngineError::NotFound { what: "freeze", .. })));

    let made = world
        .engine
        .create_freeze(&caller("ann"), again)
        .await
        .expect("one");
    let friday = "2026-11-27T15:00:00Z".parse().expect("a time");
    assert_eq!(made.season, Season::Ahead { from: friday });
    let listed = async |place| {
        let page = world
            .engine
            .freezes(place, false, Page::default())
            .await
            .expect("a list");
        page.items.into_iter().map(|it| it.name).collect::<Vec<_>>()
    };
    world.freeze("prod-only", "prod", 5).await;
    assert_eq!(listed(("", "")).await, ["prod-only", "quiet"]);
    assert_eq!(listed(("shop", "dev")).await, ["quiet"]);
    world.advance(6 * MINUTE).await;
    assert_eq!(
        listed(("", "prod")).await,
        ["quiet"],
        "what is over is not listed"
    );
    drop(world.stop().await);
}

#[tokio::test]
async fn an_override_takes_the_role_and_a_reason_and_stands_in_the_log() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let request = calls.next().await.update();
    dev.finish(&id_of(&request), Verdict::Failed, "rolled_back");
    world.entered("1.0.0", "dev", DeploymentState::Failed).await;
    world.freeze("holidays", "dev", 60).await;

    let denied = world.engine.promote(&caller("dan"), &to_dev("INC-481")).await;
    let Err(EngineError::Denied { message, .. }) = denied else {
        panic!("dan is a deployer")
    };
    assert_eq!(
        message,
        "dan may not override freeze holidays: it needs role approver"
    );
    let waiting = world
        .engine
        .promote(&caller("dan"), &to_dev(""))
        .await
        .expect("one");
    assert!(waiting.waiting_on.starts_with("freeze holidays until"));
    let mute = world
        .engine
        .override_freeze(&caller("bob"), &waiting.id, "")
        .await;
    assert!(matches!(mute, Err(EngineError::Invalid { .. })));
    let started = world
        .engine
        .override_freeze(&caller("bob"), &waiting.id, "INC-481")
        .await
        .expect("an override");
    assert_eq!(started.state, DeploymentState::Running);
    assert_eq!(started.freeze_overrides[0].because, "INC-481");
    let request = calls.next().await.update();
    dev.finish(&id_of(&request), Verdict::Failed, "rolled_back");
    let told = world
        .event("1.0.0", 0, |event| event.kind == "freeze_overridden")
        .await;
    assert_eq!(told.message, "freeze holidays overridden by bob: INC-481");
    world
        .event("1.0.0", told.cursor, |event| {
            event.state == Some(DeploymentState::Failed)
        })
        .await;

    // With the promotion, by someone who may.
    let started = world
        .engine
        .promote(&caller("ann"), &to_dev("INC-482"))
        .await
        .expect("one");
    assert_eq!(started.state, DeploymentState::Running);
    let late = world
        .engine
        .override_freeze(&caller("ann"), &started.id, "INC-482")
        .await;
    assert!(matches!(late, Err(EngineError::Conflict { .. })));
    drop(world.stop().await);
}

#[tokio::test]
async fn everything_wrong_with_a_freeze_is_told_at_once() {
    let world = World::new().await;
    let new = NewFreeze {
        name: "No Name".to_owned(),
        environments: vec!["Prod".to_owned()],
        every: "someday 16:00 for 1h".to_owned(),
        timezone: "Mars/Olympus".to_owned(),
        ..NewFreeze::default()
    };
    let Err(EngineError::Invalid { faults }) = world.engine.create_freeze(&caller("ann"), new).await else {
        panic!("not refused")
    };
    let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
    assert_eq!(places, ["name", "environments[0]", "every", "timezone"]);
    let endless = NewFreeze {
        name: "some".to_owned(),
        ..NewFreeze::default()
    };
    let Err(EngineError::Invalid { faults }) = world.engine.create_freeze(&caller("ann"), endless).await
    else {
        panic!("not refused")
    };
    assert_eq!(faults[0].place, "until");
    drop(world.stop().await);
}

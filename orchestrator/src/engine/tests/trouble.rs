//! Ends, losses and repeats.

use std::time::Duration;

use tonic::Status;
use towline_proto::agent::v1::{CancelMode, Verdict};

use super::{
    agent::{Call, FakeAgent, id_of},
    world::{Calls, SHOP, World, caller, seams},
};
use crate::{
    engine::{AgentMode, AgentState, DeploymentState, Engine, EngineError, OperationState},
    store::StoreSettings,
};

#[tokio::test]
async fn a_restart_in_the_middle_sends_the_same_again_and_says_so() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let first = calls.next().await.update();
    dev.started(&id_of(&first));
    world
        .event("1.0.0", 0, |event| event.kind == "operation_started")
        .await;

    let world = world.stop().await.start().await;
    let (dev, calls) = FakeAgent::new("dev", "second");
    let mut calls = Calls(calls);
    dev.connect(&world.engine);
    let second = calls.next().await.update();
    assert_eq!(id_of(&second), id_of(&first));
    assert_eq!(second.expected, first.expected);
    let (before, after) = (first.context.expect("one"), second.context.expect("one"));
    assert!(!before.repeated_send && after.repeated_send);
    assert!(after.epoch > before.epoch);
    assert_eq!(after.deadline, before.deadline);
    assert_eq!(
        dev.describes(),
        0,
        "what it starts from is stored, and not asked anew"
    );
    dev.finish(&after.operation_id, Verdict::Succeeded, "completed");
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
}

#[tokio::test]
async fn after_a_lost_link_the_same_agent_is_watched_on_and_tells_nothing_twice() {
    let world = World::new().await;
    let (dev, calls) = FakeAgent::new("dev", "first");
    let mut calls = Calls(calls);
    let link = dev.connect(&world.engine);
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let request = calls.next().await.update();
    let id = id_of(&request);
    dev.started(&id);
    dev.service_event(&id, "the first word");
    world
        .event("1.0.0", 0, |event| event.message.contains("the first word"))
        .await;
    link.kill("cut by the test");
    dev.service_event(&id, "said while nobody listened");
    dev.connect(&world.engine);
    let watch = calls.next().await.watch();
    assert_eq!((watch.operation_id, watch.after_sequence), (id.clone(), 2));
    dev.finish(&id, Verdict::Failed, "rolled_back");
    let (events, _) = world.settled("1.0.0", 0).await;
    let count = |text: &str| events.iter().filter(|event| event.message.contains(text)).count();
    assert_eq!(count("the first word"), 1);
    assert_eq!(count("said while nobody listened"), 1);
}

#[tokio::test]
async fn an_operation_is_not_sent_again_before_it_is_known_whether_its_agent_was_started_anew() {
    let world = World::new().await;
    let (dev, calls) = FakeAgent::new("dev", "first");
    let mut calls = Calls(calls);
    let link = dev.connect(&world.engine);
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let id = id_of(&calls.next().await.update());
    dev.started(&id);
    world
        .event("1.0.0", 0, |event| event.kind == "operation_started")
        .await;
    dev.greet(false);
    link.kill("cut by the test");
    dev.connect(&world.engine);
    let early = tokio::time::timeout(Duration::from_millis(300), calls.next()).await;
    assert!(early.is_err(), "called too early: {early:?}");
    dev.greet(true);
    let watch = calls.next().await.watch();
    assert_eq!((watch.operation_id, watch.after_sequence), (id, 1));
}

#[tokio::test]
async fn what_an_agent_tells_twice_is_kept_once() {
    let world = World::new().await;
    let (dev, calls) = FakeAgent::new("dev", "first");
    let mut calls = Calls(calls);
    let link = dev.connect(&world.engine);
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let id = id_of(&calls.next().await.update());
    dev.started(&id);
    dev.service_event(&id, "the first word");
    world
        .event("1.0.0", 0, |event| event.message.contains("the first word"))
        .await;
    link.kill("cut by the test");
    dev.retell();
    dev.connect(&world.engine);
    calls.next().await.watch();
    dev.finish(&id, Verdict::Failed, "rolled_back");
    let (events, _) = world.settled("1.0.0", 0).await;
    let words = events
        .iter()
        .filter(|event| event.message.contains("the first word"));
    assert_eq!(words.count(), 1);
}

#[tokio::test]
async fn an_agent_that_stays_away_is_waited_for_until_the_deadline() {
    let world = World::new().await;
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let waiting = world.deployment("1.0.0", "dev").await;
    assert_eq!(waiting.state, DeploymentState::Running);
    assert!(waiting.waiting_on.contains("dev"), "{}", waiting.waiting_on);
    world.advance(Duration::from_secs(3700)).await;
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Errored));
    let ended = world.deployment("1.0.0", "dev").await;
    assert_eq!(ended.operations[0].reason, "agent_offline");
    assert!(!ended.operations[0].hint.is_empty());
}

#[tokio::test]
async fn what_an_agent_tells_after_the_deadline_is_appended_and_changes_no_verdict() {
    let world = World::new().await;
    let (dev, calls) = FakeAgent::new("dev", "first");
    let mut calls = Calls(calls);
    let link = dev.connect(&world.engine);
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let id = id_of(&calls.next().await.update());
    dev.started(&id);
    world
        .event("1.0.0", 0, |event| event.kind == "operation_started")
        .await;
    link.kill("cut by the test");
    let offline = async {
        let mut changes = world.engine.fleet().changes();
        while world
            .engine
            .fleet()
            .client(&"dev".parse().expect("a name"))
            .is_some()
            || world
                .engine
                .agents(Default::default())
                .await
                .expect("agents")
                .items[0]
                .state
                != AgentState::Offline
        {
            changes.changed().await.expect("a change");
        }
    };
    super::world::patiently(offline).await;
    world.advance(Duration::from_secs(3700)).await;
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Errored));
    let errored = world.deployment("1.0.0", "dev").await;
    assert_eq!(errored.operations[0].reason, "deadline_exceeded");

    dev.finish(&id, Verdict::Succeeded, "completed");
    dev.connect(&world.engine);
    assert_eq!(calls.next().await.watch().operation_id, id);
    let commits = async {
        let mut commits = world.engine.0.store.commits();
        while world.deployment("1.0.0", "dev").await.operations[0]
            .diagnosis
            .is_empty()
        {
            commits.changed().await.expect("a commit");
        }
    };
    super::world::patiently(commits).await;
    let told = world.deployment("1.0.0", "dev").await;
    assert_eq!(told.state, DeploymentState::Errored);
    assert!(
        told.operations[0].diagnosis[0].contains("succeeded"),
        "{:?}",
        told.operations[0]
    );
    let status = world.engine.status(Some("shop")).await.expect("a grid");
    assert_eq!(
        status[0].environments[0].cells[0].release, "1.0.0",
        "it runs there after all"
    );
    world.log_explains_state().await;
}

#[tokio::test]
async fn a_cancel_waits_for_an_agent_that_is_offline_and_is_shown_as_not_confirmed() {
    let world = World::new().await;
    let (dev, calls) = FakeAgent::new("dev", "first");
    let mut calls = Calls(calls);
    let link = dev.connect(&world.engine);
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let id = id_of(&calls.next().await.update());
    dev.started(&id);
    world
        .event("1.0.0", 0, |event| event.kind == "operation_started")
        .await;
    link.kill("cut by the test");
    let deployment = world.deployment("1.0.0", "dev").await.id;
    let view = world
        .engine
        .cancel(&caller("dan"), &deployment, false, "wrong tag")
        .await
        .expect("a cancel");
    assert!(view.cancel_requested && view.state == DeploymentState::Running);
    dev.connect(&world.engine);
    // It is watched on as well, in any order.
    let cancel = loop {
        if let Call::Cancel(cancel) = calls.next().await {
            break cancel;
        }
    };
    assert_eq!(cancel.operation_id, id);
    world
        .event("1.0.0", 0, |event| event.kind == "cancel_confirmed")
        .await;
    dev.finish(&id, Verdict::Cancelled, "cancelled");
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Cancelled));
    world.log_explains_state().await;
}

/// The agent keeps a cancel in memory only: whoever goes on with the operation
/// has to hear of it.
#[tokio::test]
async fn a_cancel_outlives_the_agent_that_confirmed_it() {
    let world = World::new().await;
    let (dev, calls) = FakeAgent::new("dev", "first");
    let mut calls = Calls(calls);
    let link = dev.connect(&world.engine);
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let first = calls.next().await.update();
    assert_eq!(
        first.context.as_ref().expect("a context").cancel(),
        CancelMode::Unspecified
    );
    let id = id_of(&first);
    dev.started(&id);
    world
        .event("1.0.0", 0, |event| event.kind == "operation_started")
        .await;
    let deployment = world.deployment("1.0.0", "dev").await.id;
    let asked = world
        .engine
        .cancel(&caller("dan"), &deployment, false, "wrong tag")
        .await;
    asked.expect("a cancel");
    world
        .event("1.0.0", 0, |event| event.kind == "cancel_confirmed")
        .await;
    link.kill("the agent was killed");

    let (dev, calls) = FakeAgent::new("dev", "second");
    let mut calls = Calls(calls);
    dev.connect(&world.engine);
    // The operation and the cancel come in any order.
    let (mut again, mut cancelled) = (None, false);
    while again.is_none() || !cancelled {
        match calls.next().await {
            Call::Update(request) => {
                dev.started(&id);
                again = request.context;
            }
            Call::Cancel(cancel) => cancelled = cancel.operation_id == id,
            _ => {}
        }
    }
    let context = again.expect("a context");
    assert!(context.repeated_send);
    assert_eq!(
        context.cancel(),
        CancelMode::RollBack,
        "it begins as a cancelled one"
    );
    dev.finish(&id, Verdict::Cancelled, "cancelled");
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Cancelled));
    world.log_explains_state().await;
}

#[tokio::test]
async fn an_agent_that_refuses_ends_the_operation_with_its_reason() {
    let world = World::new().await;
    let (dev, _calls) = world.agent("dev");
    let status = towline_link::status::Fault::new(
        tonic::Code::FailedPrecondition,
        "WRONG_ACCOUNT",
        "this is account 9",
    )
    .hint("correct the target")
    .into_status();
    dev.refuse_to_describe(status);
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Errored));
    let operation = &world.deployment("1.0.0", "dev").await.operations[0];
    assert_eq!(
        (operation.state, operation.reason.as_str()),
        (OperationState::Ended, "wrong_account")
    );
    assert_eq!(operation.hint, "correct the target");
}

#[tokio::test]
async fn a_busy_agent_is_asked_again_until_it_can() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    dev.refuse_to_describe(Status::unavailable("throttled"));
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    while dev.describes() < 2 {
        tokio::task::yield_now().await;
    }
    dev.heal();
    let id = id_of(&calls.next().await.update());
    dev.finish(&id, Verdict::Succeeded, "completed");
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
}

#[tokio::test]
async fn a_join_token_opens_once() {
    let world = World::new().await;
    let name = "edge".parse().expect("a name");
    let invitation = world
        .engine
        .invite_agent(&caller("ann"), &name, AgentMode::Polling, None, None)
        .await
        .expect("an invitation");
    let token: towline_link::join::JoinToken = invitation.token.parse().expect("a token");
    let bad = world
        .engine
        .enrol(&token.secret.text(), "not a request", &[])
        .await;
    assert!(matches!(bad, Err(EngineError::Invalid { .. })), "{bad:?}");
    let enrolled = world.enrol(&invitation).await.expect("a certificate");
    assert_eq!(
        (enrolled.name.as_str(), enrolled.mode),
        ("edge", Some(AgentMode::Polling))
    );
    let again = world.enrol(&invitation).await;
    assert!(
        matches!(
            again,
            Err(EngineError::Denied {
                reason: "token_used",
                ..
            })
        ),
        "{again:?}"
    );
    let late = world
        .engine
        .invite_agent(
            &caller("ann"),
            &name,
            AgentMode::Polling,
            None,
            Some(Duration::from_secs(60)),
        )
        .await
        .expect("an invitation");
    world.advance(Duration::from_secs(61)).await;
    let expired = world.enrol(&late).await;
    assert!(
        matches!(
            expired,
            Err(EngineError::Denied {
                reason: "token_expired",
                ..
            })
        ),
        "{expired:?}"
    );
}

#[tokio::test]
async fn a_second_orchestrator_on_the_same_file_is_told_so() {
    let world = World::new().await;
    let settings = StoreSettings::at(world.database());
    let admin = "eve".parse().expect("a name");
    let refused = Engine::found(settings.clone(), &seams(world.clock), &admin).await;
    let text = format!("{:#}", anyhow::Error::from(refused.expect_err("refused")));
    assert!(
        text.contains("another towline process") && text.contains("hint:"),
        "{text}"
    );
    drop(world.stop().await);
}

#[tokio::test]
async fn a_join_token_that_many_show_at_once_lets_one_in() {
    let world = World::new().await;
    let name = "edge".parse().expect("a name");
    let invitation = world
        .engine
        .invite_agent(&caller("ann"), &name, AgentMode::Polling, None, None)
        .await
        .expect("an invitation");
    let tries = std::iter::repeat_with(|| world.enrol(&invitation)).take(8);
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
}

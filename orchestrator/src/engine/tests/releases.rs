//! A release on its way when nothing goes wrong, and what people may ask.

use towline_proto::agent::v1::Verdict;

use super::{
    agent::id_of,
    registry::digest_of,
    world::{SHOP, World, caller},
};
use crate::engine::{DeploymentState, EngineError, NewRelease, Promotion};

fn to(version: &str, environment: Option<&str>) -> Promotion {
    Promotion {
        project: "shop".to_owned(),
        version: version.to_owned(),
        environment: environment.map(str::to_owned),
        ..Promotion::default()
    }
}

#[tokio::test]
async fn a_release_goes_through_automatic_phases_to_the_approval_and_then_through_prod() {
    let world = World::new().await;
    let (dev, mut dev_calls) = world.agent("dev");
    let (staging, mut staging_calls) = world.agent("staging");
    let (prod, mut prod_calls) = world.agent("prod");
    world.apply(SHOP).await;
    world.release("1.0.0").await;

    let request = dev_calls.next().await.update();
    let context = request.context.clone().expect("a context");
    assert_eq!(request.containers[0].digest, Some(digest_of("1.0.0")));
    assert_eq!(request.containers[0].tag, None);
    assert_eq!(request.account, "111111111111");
    assert_eq!(
        request.expected.as_ref().expect("a start").task_definition,
        "orders:1"
    );
    assert!(!context.repeated_send);
    assert!(context.epoch > 0 && context.deadline.is_some());
    assert!(staging_calls.none(), "staging waits for dev");
    dev.started(&id_of(&request));
    dev.finish(&id_of(&request), Verdict::Succeeded, "completed");

    let request = staging_calls.next().await.update();
    staging.finish(&id_of(&request), Verdict::Unchanged, "unchanged");

    // Prod is not automatic: it settles on the promotion, then on the approval.
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Succeeded));
    assert!(!settled.waiting_on.is_empty());
    let created = world
        .engine
        .promote(&caller("dan"), &to("1.0.0", None))
        .await
        .expect("a deployment");
    let asked = world.asked("1.0.0", "prod", 0).await;
    assert_eq!(asked.id, created.id);
    assert!(asked.waiting_on.contains("approv"), "{}", asked.waiting_on);
    world.approve("bob", &created.id).await.expect("an approval");

    let first = prod_calls.update().await;
    assert_eq!(first.region, "eu-west-1");
    assert!(prod_calls.none(), "the second region is the next wave");
    prod.finish(&id_of(&first), Verdict::Succeeded, "completed");
    let second = prod_calls.update().await;
    assert_eq!(second.region, "eu-central-1");
    prod.finish(&id_of(&second), Verdict::Succeeded, "completed");

    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.state, Some(DeploymentState::Succeeded));
    assert_eq!(settled.waiting_on, "");
    let status = world.engine.status(Some("shop")).await.expect("a grid");
    let cells: Vec<_> = status[0]
        .environments
        .iter()
        .flat_map(|environment| &environment.cells)
        .collect();
    assert_eq!(cells.len(), 4);
    assert!(cells.iter().all(
        |cell| cell.release == "1.0.0" && cell.images["app"] == format!(":1.0.0@{}", digest_of("1.0.0"))
    ));
    drop(world.stop().await);
}

#[tokio::test]
async fn a_bad_release_stops_at_its_first_target_and_goes_no_further() {
    let world = World::new().await;
    let (dev, mut dev_calls) = world.agent("dev");
    let (_staging, mut staging_calls) = world.agent("staging");
    let two_targets = SHOP.replace(
        "      - { agent: staging, account: \"222222222222\", region: eu-west-1, cluster: main }\n",
        "      - { agent: dev, account: \"111111111111\", region: eu-central-1, cluster: main }\n      - { agent: staging, account: \"222222222222\", region: eu-west-1, cluster: main }\n",
    );
    world.apply(&two_targets).await;
    world.release("1.1.0").await;
    let request = dev_calls.next().await.update();
    dev.finish(&id_of(&request), Verdict::Succeeded, "completed");
    let request = dev_calls.next().await.update();
    dev.finish(&id_of(&request), Verdict::Failed, "rolled_back");

    let (_, settled) = world.settled("1.1.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Failed));
    assert!(staging_calls.none(), "the second wave is not started");
    let deployment = world.deployment("1.1.0", "staging").await;
    assert_eq!(deployment.state, DeploymentState::Failed);
    assert_eq!(deployment.operations[0].reason, "rolled_back");
    assert!(
        deployment.operations[1].summary.contains("failed"),
        "{:?}",
        deployment.operations[1]
    );
    let refused = world
        .engine
        .promote(&caller("dan"), &to("1.1.0", Some("prod")))
        .await;
    assert!(
        matches!(refused, Err(EngineError::NotReady { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_deployer_does_not_approve_and_nobody_approves_twice() {
    let world = World::new().await;
    let only_prod = SHOP
        .replace("automatic: true", "automatic: false")
        .replace("count: 1", "count: 2")
        .replace(
            "phase: dev, environments: [dev]",
            "phase: dev, environments: [dev], approvals: { role: approver, count: 2 }",
        );
    world.apply(&only_prod).await;
    world.release("1.0.0").await;
    let created = world
        .engine
        .promote(&caller("dan"), &to("1.0.0", None))
        .await
        .expect("a deployment");
    let (_dev, _dev_calls) = world.agent("dev");
    world.asked("1.0.0", "dev", 0).await;
    let denied = world.approve("dan", &created.id).await;
    assert!(matches!(denied, Err(EngineError::Denied { .. })), "{denied:?}");
    world
        .approve("bob", &created.id)
        .await
        .expect("the first approval");
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
    let view = world.approve("ann", &created.id).await;
    assert_eq!(view.expect("the second approval").approvals.len(), 2);
    world.entered("1.0.0", "dev", DeploymentState::Running).await;
}

#[tokio::test]
async fn a_second_project_cannot_claim_the_same_ecs_service() {
    let world = World::new().await;
    world.apply(SHOP).await;
    let second = SHOP.replace("project: shop", "project: other");
    for dry_run in [true, false] {
        let refused = world
            .engine
            .apply(&caller("dan"), &second, "other.yaml", dry_run)
            .await;
        let Err(EngineError::Conflict { reason, message, .. }) = refused else {
            panic!("not refused: {refused:?}");
        };
        assert_eq!(reason, "service_claimed");
        assert!(
            message.contains("orders") && message.contains("shop"),
            "{message}"
        );
    }
    assert!(
        world.engine.project("other").await.is_err(),
        "nothing is half-written"
    );
    let again = world
        .engine
        .apply(&caller("dan"), SHOP, "towline.yaml", false)
        .await
        .expect("the same");
    assert!(!again.changed && again.project.version == 1);
}

#[tokio::test]
async fn all_faults_of_a_file_and_of_a_choice_come_at_once() {
    let world = World::new().await;
    let bad = SHOP
        .replace("kind: existing", "kind: nonsense")
        .replace("environments: [prod]", "environments: [nowhere]");
    let refused = world
        .engine
        .apply(&caller("dan"), &bad, "towline.yaml", false)
        .await;
    let Err(EngineError::Invalid { faults }) = refused else {
        panic!("not refused: {refused:?}");
    };
    assert!(faults.len() >= 2, "{faults:?}");
    assert!(
        faults
            .iter()
            .all(|fault| fault.place.starts_with("towline.yaml:")),
        "{faults:?}"
    );
    world.apply(SHOP).await;
    let new = NewRelease {
        project: "shop".to_owned(),
        version: "1.0.0".to_owned(),
        images: [("nothing".to_owned(), "1".to_owned())].into(),
        ..NewRelease::default()
    };
    let refused = world.engine.create_release(&caller("dan"), new).await;
    let Err(EngineError::Invalid { faults }) = refused else {
        panic!("not refused: {refused:?}");
    };
    assert_eq!(
        faults.len(),
        2,
        "an unknown image and one without a tag: {faults:?}"
    );
}

#[tokio::test]
async fn a_watch_resumes_from_its_cursor_without_gap_or_repeat() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let request = calls.next().await.update();
    dev.started(&id_of(&request));
    let cut = world
        .event("1.0.0", 0, |event| event.kind == "operation_started")
        .await;
    dev.service_event(&id_of(&request), "has started 1 tasks");
    dev.finish(&id_of(&request), Verdict::Failed, "rolled_back");
    let (rest, _) = world.settled("1.0.0", cut.cursor).await;
    let (all, settled) = world.settled("1.0.0", 0).await;
    let cursors =
        |events: &[crate::engine::EventView]| events.iter().map(|event| event.cursor).collect::<Vec<_>>();
    let expected: Vec<_> = cursors(&all)
        .into_iter()
        .filter(|cursor| *cursor > cut.cursor)
        .collect();
    assert_eq!(cursors(&rest), expected);
    assert_eq!(Some(&settled.cursor), cursors(&all).last());
    assert!(
        rest.iter()
            .any(|event| event.message.contains("has started 1 tasks"))
    );
}

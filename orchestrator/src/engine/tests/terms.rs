//! Deployments on terms: forced, only as planned, within a time limit of their own.

use std::time::Duration;

use towline_proto::agent::v1::Verdict;

use super::{
    agent::id_of,
    registry::digest_of,
    world::{SHOP, World, caller, patiently},
};
use crate::engine::{ApprovedPlan, DeploymentState, EngineError, PlanAction, Promotion, ServiceQuestion};

fn to_dev() -> Promotion {
    Promotion {
        project: "shop".to_owned(),
        version: "1.0.0".to_owned(),
        environment: Some("dev".to_owned()),
        ..Promotion::default()
    }
}

fn plan(service: &str, target: &str) -> ApprovedPlan {
    ApprovedPlan {
        service: service.to_owned(),
        target: target.to_owned(),
        hash: "4f2a".to_owned(),
    }
}

/// A release that is through dev, without a staging agent to go on with.
async fn released() -> (World, super::agent::FakeAgent, super::world::Calls) {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    world.apply(SHOP).await;
    world.release("1.0.0").await;
    let request = calls.next().await.update();
    assert!(
        !request.force && request.plan_hash.is_empty(),
        "nobody asked for more"
    );
    dev.finish(&id_of(&request), Verdict::Succeeded, "completed");
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
    (world, dev, calls)
}

#[tokio::test]
async fn a_forced_deployment_says_so_to_the_agent_and_in_the_log_also_after_a_restart() {
    let (world, _dev, mut calls) = released().await;
    let promotion = Promotion {
        force: true,
        plans: vec![plan("orders", "")],
        ..to_dev()
    };
    let created = world
        .engine
        .promote(&caller("dan"), &promotion)
        .await
        .expect("a deployment");
    assert!(created.force);
    assert_eq!(created.operations[0].plan_hash, "4f2a");
    let request = calls.next().await.update();
    assert!(request.force);
    assert_eq!(request.plan_hash, "4f2a");
    let event = world
        .event("1.0.0", 0, |event| {
            event.message.contains("into dev, created by dan")
        })
        .await;
    assert_eq!(
        event.message,
        "release 1.0.0 into dev, created by dan, forced, only as planned"
    );

    // The next orchestrator sends the same again.
    let world = world.stop().await.start().await;
    let (agent, mut calls) = world.agent("dev");
    let again = calls.next().await.update();
    assert_eq!(id_of(&again), id_of(&request));
    assert!(again.force && again.plan_hash == "4f2a");
    agent.finish(&id_of(&again), Verdict::Errored, "plan_changed");
    world.entered("1.0.0", "dev", DeploymentState::Errored).await;
    let shown = world.deployment("1.0.0", "dev").await;
    assert_eq!(shown.operations[0].reason, "plan_changed");
    world.log_explains_state().await;
}

#[tokio::test]
async fn plans_of_nothing_in_the_deployment_are_refused_and_nothing_is_created() {
    let (world, _dev, mut calls) = released().await;
    let promotion = Promotion {
        plans: vec![plan("ordes", ""), plan("orders", "222222222222/eu-west-1/main")],
        ..to_dev()
    };
    let error = world
        .engine
        .promote(&caller("dan"), &promotion)
        .await
        .unwrap_err();
    let EngineError::Invalid { faults } = error else {
        panic!("not a wrong question: {error}")
    };
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "plans[0]: there is no service \"ordes\" in environment dev",
            "plans[1]: service orders does not go to target \"222222222222/eu-west-1/main\" in environment dev",
        ]
    );
    assert!(calls.none());
    let release = world.engine.release("shop", "1.0.0").await.expect("a release");
    let of_dev = release.deployments.iter().filter(|it| it.environment == "dev");
    assert_eq!(of_dev.count(), 1);
}

#[tokio::test]
async fn a_service_may_have_less_time_than_its_environment_and_repeats_keep_it() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    let text = SHOP.replace("    service: orders\n", "    service: orders\n    timeout: 10m\n");
    world.apply(&text).await;
    let start = world.clock.now();
    world.release("1.0.0").await;
    let first = calls.next().await.update();
    let deadline = |request: &towline_proto::agent::v1::UpdateServiceRequest| {
        let context = request.context.clone().expect("a context");
        context.deadline.expect("a deadline").seconds
    };
    let after = deadline(&first) - start.as_second();
    assert!((600..620).contains(&after), "10 minutes from the send: {after} s");
    drop(dev);
    drop(calls);
    world.advance(Duration::from_secs(120)).await;
    let world = world.stop().await.start().await;
    let (_dev, mut calls) = world.agent("dev");
    let again = calls.next().await.update();
    assert!(again.context.clone().expect("a context").repeated_send);
    assert_eq!(deadline(&again), deadline(&first));
}

#[tokio::test]
async fn a_plan_of_a_release_is_of_the_project_as_it_was() {
    let (world, _dev, mut calls) = released().await;
    let newer = SHOP.replace("{ app: orders }", "{ renamed: orders }").replace(
        "images:\n",
        "images:\n  other: { repository: running, tag: \"1\" }\n",
    );
    world.apply(&newer).await;
    let question = ServiceQuestion {
        project: "shop".to_owned(),
        service: "orders".to_owned(),
        environment: "prod".to_owned(),
        release: "1.0.0".to_owned(),
        force: true,
        ..ServiceQuestion::default()
    };
    let (_prod, mut prod) = world.agent("prod");
    let name = "prod".parse().expect("a name");
    let mut changes = world.engine.fleet().changes();
    patiently(async {
        while world.engine.fleet().client(&name).is_none() {
            changes.changed().await.expect("a fleet");
        }
    })
    .await;
    let plan = world.engine.plan_service(&question).await.expect("a plan");
    assert_eq!(plan.planned.action, PlanAction::Register);
    assert_eq!(plan.of.target, "333333333333/eu-west-1/main");
    let asked = prod.next().await.plan();
    assert_eq!(asked.containers[0].name, "app");
    assert_eq!(asked.containers[0].digest, Some(digest_of("1.0.0")));
    assert!(asked.force);

    // An image beside the release counts more; without a release the newest file counts.
    let images = vec![("orders".to_owned(), "2.0.0".to_owned())];
    let beside = ServiceQuestion {
        images: images.clone(),
        ..question.clone()
    };
    world.engine.plan_service(&beside).await.expect("a plan");
    assert_eq!(
        prod.next().await.plan().containers[0].digest,
        Some(digest_of("2.0.0")),
        "planned as it would be deployed"
    );
    let newest = ServiceQuestion {
        images,
        release: String::new(),
        ..question
    };
    world.engine.plan_service(&newest).await.expect("a plan");
    assert_eq!(prod.next().await.plan().containers[0].name, "renamed");
    assert!(calls.none());
}

#[tokio::test]
async fn a_promotion_is_planned_operation_by_operation_and_who_is_away_is_named() {
    let (world, _dev, mut calls) = released().await;
    let promotion = Promotion {
        force: true,
        ..to_dev()
    };
    let plan = world.engine.plan_promotion(&promotion).await.expect("a plan");
    assert_eq!((plan.environment.as_str(), plan.plans.len()), ("dev", 1));
    assert_eq!(plan.plans[0].of.release, "1.0.0");
    assert!(calls.next().await.plan().force);
    assert!(calls.none(), "nothing was deployed");

    // Staging's turn comes by itself, and its agent is not there.
    let (staging, mut staging_calls) = world.agent("staging");
    let request = staging_calls.next().await.update();
    staging.finish(&id_of(&request), Verdict::Succeeded, "completed");
    world
        .entered("1.0.0", "staging", DeploymentState::Succeeded)
        .await;
    let prod = Promotion {
        environment: None,
        ..to_dev()
    };
    let plan = world.engine.plan_promotion(&prod).await.expect("a plan");
    assert_eq!((plan.environment.as_str(), plan.plans.len()), ("prod", 0));
    let away: Vec<&str> = plan.unplanned.iter().map(|it| it.target.as_str()).collect();
    assert_eq!(
        away,
        ["333333333333/eu-west-1/main", "333333333333/eu-central-1/main"]
    );
    assert!(
        plan.unplanned[0].reason.contains("agent prod offline since"),
        "{:?}",
        plan.unplanned
    );
}

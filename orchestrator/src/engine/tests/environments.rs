//! What an environment runs, once more and back; and whose turn it is where
//! limits hold operations back.

use towline_proto::agent::v1::Verdict;

use super::{
    agent::{FakeAgent, id_of},
    registry::digest_of,
    world::{Calls, SHOP, World, caller},
};
use crate::{
    domain::plan::Limits,
    engine::{DeploymentState, EngineError, Redeployment, Rollback},
};

/// Only `dev`, by itself, and prod: asked for, with an approval.
async fn with_release(version: &str) -> (World, FakeAgent, Calls) {
    let world = World::new().await;
    let (agent, mut calls) = world.agent("dev");
    world.apply(SHOP).await;
    deploy(&world, &agent, &mut calls, version, Verdict::Succeeded).await;
    (world, agent, calls)
}

async fn deploy(world: &World, agent: &FakeAgent, calls: &mut Calls, version: &str, verdict: Verdict) {
    world.release(version).await;
    let request = calls.next().await.update();
    assert_eq!(request.containers[0].digest, Some(digest_of(version)));
    agent.finish(&id_of(&request), verdict, "told");
    let state = match verdict {
        Verdict::Succeeded | Verdict::Unchanged => DeploymentState::Succeeded,
        _ => DeploymentState::Failed,
    };
    world.entered(version, "dev", state).await;
}

fn dev(version: &str) -> Rollback {
    Rollback {
        project: "shop".to_owned(),
        environment: "dev".to_owned(),
        version: version.to_owned(),
        note: "orders fail".to_owned(),
    }
}

async fn runs(world: &World) -> String {
    let status = world.engine.status(Some("shop")).await.expect("a grid");
    status[0].environments[0].cells[0].release.clone()
}

#[tokio::test]
async fn an_environment_goes_back_to_what_was_recorded_of_the_release_before() {
    let (world, agent, mut calls) = with_release("1.0.0").await;
    let nowhere = world
        .engine
        .roll_back(&caller("dan"), &dev(""))
        .await
        .unwrap_err();
    assert!(
        nowhere.to_string().contains("no release before 1.0.0"),
        "{nowhere}"
    );
    // The project says something else meanwhile: what was recorded counts.
    world
        .apply(&SHOP.replace(
            "containers: { app: orders }",
            "containers: { app: { image: orders, environment: { set: { NEW: x } } } }",
        ))
        .await;
    deploy(&world, &agent, &mut calls, "1.1.0", Verdict::Failed).await;

    let created = world
        .engine
        .roll_back(&caller("dan"), &dev(""))
        .await
        .expect("a way back");
    assert_eq!(
        (
            created.release.as_str(),
            created.course.rolled_back_from().as_str()
        ),
        ("1.0.0", "1.1.0")
    );
    let back = calls.next().await.update();
    assert_eq!(back.containers[0].digest, Some(digest_of("1.0.0")));
    assert!(
        back.containers[0].environment.is_none(),
        "the release before did not set it"
    );
    let twice = world.engine.roll_back(&caller("dan"), &dev("")).await;
    assert!(
        matches!(
            twice,
            Err(EngineError::Conflict {
                reason: "deployment_active",
                ..
            })
        ),
        "{twice:?}"
    );
    agent.finish(&id_of(&back), Verdict::Succeeded, "completed");
    world
        .event("1.0.0", 0, |it| {
            it.message == "succeeded" && it.deployment == created.id
        })
        .await;
    assert_eq!(runs(&world).await, "1.0.0");
    let told = world
        .event("1.0.0", 0, |it| {
            it.kind == "deployment_created" && it.deployment == created.id
        })
        .await;
    assert_eq!(
        told.message,
        "release 1.0.0 into dev, back from 1.1.0, created by dan: orders fail"
    );

    let never = world
        .engine
        .roll_back(&caller("dan"), &dev("1.1.0"))
        .await
        .unwrap_err();
    assert_eq!(never.hint(), Some("these were: 1.0.0"));
    let there = world
        .engine
        .roll_back(&caller("dan"), &dev("1.0.0"))
        .await
        .unwrap_err();
    assert!(there.to_string().contains("dev runs release 1.0.0"));
    drop(world.stop().await);
}

#[tokio::test]
async fn neither_phases_nor_approvals_hinder_a_rollback_unless_the_lifecycle_says_so() {
    for needs in [false, true] {
        let list = "  standard:\n    - { phase: dev, environments: [dev], automatic: true }\n    - { phase: staging, environments: [staging], automatic: true }\n    - { phase: production, environments: [prod], approvals: { role: approver, count: 1 } }\n";
        let text = SHOP.replace(
            list,
            &format!("  standard:\n    rollback_needs_approval: {needs}\n    phases:\n      - {{ phase: dev, environments: [dev], automatic: true, approvals: {{ role: approver, count: 1 }} }}\n"),
        );
        let world = World::new().await;
        let (agent, mut calls) = world.agent("dev");
        world.apply(&text).await;
        for version in ["1.0.0", "1.1.0"] {
            world.release(version).await;
            let asked = world.asked(version, "dev", 0).await;
            world.approve("bob", &asked.id).await.expect("an approval");
            let request = calls.update().await;
            agent.finish(&id_of(&request), Verdict::Succeeded, "completed");
            world.entered(version, "dev", DeploymentState::Succeeded).await;
        }
        let back = world
            .engine
            .roll_back(&caller("dan"), &dev(""))
            .await
            .expect("a way back");
        assert_eq!(back.approval_rule.is_some(), needs);
        if needs {
            let asks = |event: &crate::engine::EventView| {
                event.kind == "approval_requested" && event.deployment == back.id
            };
            world.event("1.0.0", 0, asks).await;
            world.approve("bob", &back.id).await.expect("an approval");
        }
        let request = calls.update().await;
        assert_eq!(request.containers[0].digest, Some(digest_of("1.0.0")));
        agent.finish(&id_of(&request), Verdict::Succeeded, "completed");
        world
            .event("1.0.0", 0, |it| {
                it.message == "succeeded" && it.deployment == back.id
            })
            .await;
        drop(world.stop().await);
    }
}

#[tokio::test]
async fn what_runs_is_deployed_once_more() {
    let (world, agent, mut calls) = with_release("1.0.0").await;
    let asked = Redeployment {
        project: "shop".to_owned(),
        environment: "dev".to_owned(),
        force: true,
        note: String::new(),
    };
    let again = world
        .engine
        .redeploy(&caller("dan"), &asked)
        .await
        .expect("once more");
    let request = calls.next().await.update();
    assert!(request.force);
    assert_eq!(request.containers[0].digest, Some(digest_of("1.0.0")));
    agent.finish(&id_of(&request), Verdict::Succeeded, "completed");
    world
        .event("1.0.0", 0, |it| {
            it.message == "succeeded" && it.deployment == again.id
        })
        .await;
    for (environment, words) in [
        ("prod", "nothing was deployed into prod"),
        ("pro", "pro in project shop"),
    ] {
        let asked = Redeployment {
            environment: environment.to_owned(),
            ..asked.clone()
        };
        let refused = world.engine.redeploy(&caller("dan"), &asked).await.unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
    drop(world.stop().await);
}

#[tokio::test]
async fn limits_hold_operations_back_in_the_order_of_age_over_all_projects() {
    let world = World::limited(Limits {
        operations_per_agent: Some(1),
        operations: Some(2),
    })
    .await;
    let (agent, mut calls) = world.agent("dev");
    // Other services in the same cluster: three projects at one agent.
    let project = |name: &str| {
        SHOP.replace("project: shop", &format!("project: {name}"))
            .replace("service: orders", &format!("service: {name}"))
    };
    for name in ["zoo", "shop", "app"] {
        world.apply(&project(name)).await;
    }
    let release = async |name: &str| {
        world.release_of(name, "1.0.0").await;
        world.advance(std::time::Duration::from_secs(1)).await;
    };
    release("zoo").await;
    let first = calls.next().await.update();
    assert_eq!(first.service, "zoo");
    release("shop").await;
    release("app").await;
    let waits = world.deployment("1.0.0", "dev").await;
    assert_eq!(waits.state, DeploymentState::Running);
    assert_eq!(
        waits.operations[0].waiting_on,
        "its turn: 1 operations run at agent dev, the limit"
    );
    assert!(calls.none());
    let mut last = first;
    for next in ["shop", "app"] {
        agent.finish(&id_of(&last), Verdict::Succeeded, "completed");
        last = calls.next().await.update();
        assert_eq!(last.service, next, "the older one, not the first by name");
        assert!(calls.none(), "one at a time");
    }
    agent.finish(&id_of(&last), Verdict::Succeeded, "completed");
    world.entered("1.0.0", "dev", DeploymentState::Succeeded).await;
}

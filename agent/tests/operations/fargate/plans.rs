//! `PlanFargateService` and `GetFargateTemplate`: what would be done, and nothing is.

use serde_json::Value;
use towline_proto::agent::v1::{
    FargatePlan, FargatePlanAction, GetFargateTemplateRequest, PlanFargateServiceRequest, Verdict,
};

use super::{FIRST, SECOND, deploy_web, made};
use crate::world::{Client, World, describe, finished, to_the_end, told};

/// What deploying `web` with this tag would do.
pub async fn plan_web(client: &mut Client, tag: &str) -> FargatePlan {
    let deploy = deploy_web(FIRST, tag);
    let request = PlanFargateServiceRequest {
        region: deploy.region,
        cluster: deploy.cluster,
        service: deploy.service,
        ..Default::default()
    };
    let planned = client.plan_fargate_service(request).await.expect("planned");
    planned.into_inner().plan.expect("a plan")
}

#[tokio::test]
async fn the_plan_of_a_new_service_leaves_no_stack_behind() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let plan = plan_web(&mut client, "1.0.0").await;
    assert_eq!(plan.action(), FargatePlanAction::Create, "{plan:#?}");
    assert!(
        plan.changes
            .iter()
            .any(|change| change.r#type == "AWS::ECS::Service"),
        "{plan:#?}"
    );
    assert!(describe(&mut client, "web").await.stack.is_none());
}

#[tokio::test]
async fn the_plan_of_a_release_shows_the_image_and_changes_nothing() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    let before = describe(&mut client, "web").await;
    let plan = plan_web(&mut client, "1.2.0").await;
    assert_eq!(plan.action(), FargatePlanAction::Update, "{plan:#?}");
    assert!(plan.changes.iter().all(|change| !change.replacement), "{plan:#?}");
    assert_eq!(describe(&mut client, "web").await, before);
    assert_eq!(
        plan_web(&mut client, "1.0.0").await.action(),
        FargatePlanAction::Unchanged
    );
}

#[tokio::test]
async fn the_template_is_what_a_deployment_would_use() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let deploy = deploy_web(FIRST, "1.0.0");
    let request = GetFargateTemplateRequest {
        region: deploy.region,
        cluster: deploy.cluster,
        service: deploy.service,
        ..Default::default()
    };
    let printed = client
        .get_fargate_template(request)
        .await
        .expect("printed")
        .into_inner();
    let template: Value = serde_json::from_str(&printed.template).expect("JSON");
    assert_eq!(template["Resources"]["Service"]["Type"], "AWS::ECS::Service");
    assert!(
        printed
            .parameters
            .values()
            .any(|image| image.ends_with("shop/web:1.0.0")),
        "{:?}",
        printed.parameters
    );
    assert!(describe(&mut client, "web").await.stack.is_none());
}

#[tokio::test]
async fn another_plan_than_the_approved_one_is_refused_and_shown_and_leaves_nothing() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let plan = plan_web(&mut client, "1.0.0").await;
    assert!(!plan.hash.is_empty(), "{plan:#?}");
    let mut other = deploy_web(FIRST, "1.2.0");
    other.plan_hash = plan.hash.clone();
    let events = to_the_end(client.deploy_fargate_service(other).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "plan_changed"),
        "{:#?}",
        told(&events)
    );
    assert!(!end.diagnosis.as_ref().unwrap().details.is_empty(), "{end:#?}");
    assert!(!world.writes(FIRST).await.contains(&"ExecuteChangeSet".to_owned()));

    let mut approved = deploy_web(SECOND, "1.0.0");
    approved.plan_hash = plan.hash;
    let events = to_the_end(client.deploy_fargate_service(approved).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
}

#[tokio::test]
async fn what_will_not_work_is_refused_before_anything_is_written() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let plan = plan_web(&mut client, "9.9.9").await;
    assert_eq!(plan.action(), FargatePlanAction::Refused, "{plan:#?}");
    let events = to_the_end(client.deploy_fargate_service(deploy_web(FIRST, "9.9.9")).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "preflight_failed"),
        "{:#?}",
        told(&events)
    );
    assert!(end.summary.contains("9.9.9"), "{}", end.summary);
    assert!(world.writes(FIRST).await.is_empty());
}

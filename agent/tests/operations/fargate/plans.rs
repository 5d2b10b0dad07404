//! `PlanFargateService` and `GetFargateTemplate`: what would be done, and nothing is.

use serde_json::Value;
use towline_proto::agent::v1::{
    DeployFargateServiceRequest, FargatePlan, FargatePlanAction, GetFargateTemplateRequest, ListenerRuleSpec,
    LoadBalancerSpec, OverrideSpec, PlanFargateServiceRequest, PortSpec, Verdict, operation_event::Event,
};

use super::{FIRST, SECOND, THIRD, deploy_web, made};
use crate::world::{ACCOUNT, Client, REGION, World, describe, finished, to_the_end, told};

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
    let mut world = World::start(40.0).await;
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
    let power = |plan: &FargatePlan| {
        let reason = "cloudformation_has_agents_rights";
        plan.findings.iter().any(|finding| finding.reason == reason)
    };
    assert!(power(&plan), "{plan:#?}");
    let file = world.path().join("agent.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let role = format!("[aws]\ncloudformation_role = \"arn:aws:iam::{ACCOUNT}:role/towline-cloudformation\"");
    std::fs::write(&file, text.replace("[aws]", &role)).unwrap();
    world.kill_agent();
    world.start_agent();
    let mut client = world.orchestrator().await;
    let plan = plan_web(&mut client, "1.0.0").await;
    assert!(!power(&plan), "{plan:#?}");
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

fn behind_a_rule(mut request: DeployFargateServiceRequest) -> DeployFargateServiceRequest {
    let service = request.service.as_mut().unwrap();
    service.containers[0].ports = vec![PortSpec {
        container_port: 8080,
        ..Default::default()
    }];
    service.load_balancers = vec![LoadBalancerSpec {
        container: "web".into(),
        port: 8080,
        listener_rule: Some(ListenerRuleSpec {
            listener: format!(
                "arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"
            ),
            paths: vec!["/web/*".into()],
            vpc: "vpc-0d10000000000000e".into(),
            ..Default::default()
        }),
        ..Default::default()
    }];
    request
}

#[tokio::test]
async fn the_next_free_priority_is_chosen_once_and_kept() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let deploy = behind_a_rule(deploy_web(FIRST, "1.0.0"));
    let request = PlanFargateServiceRequest {
        region: deploy.region.clone(),
        cluster: deploy.cluster.clone(),
        service: deploy.service.clone(),
        ..Default::default()
    };
    let planned = client.plan_fargate_service(request).await.unwrap();
    let plan = planned.into_inner().plan.unwrap();
    assert_eq!(plan.action(), FargatePlanAction::Create, "{plan:#?}");
    let deploy = DeployFargateServiceRequest {
        plan_hash: plan.hash,
        ..deploy
    };
    let events = to_the_end(client.deploy_fargate_service(deploy).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let again = behind_a_rule(deploy_web(SECOND, "1.0.0"));
    let events = to_the_end(client.deploy_fargate_service(again).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Unchanged,
        "{:#?}",
        told(&events)
    );
    let next = behind_a_rule(deploy_web(THIRD, "1.2.0"));
    let events = to_the_end(client.deploy_fargate_service(next).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let rules = |event: &&towline_proto::agent::v1::OperationEvent| {
        matches!(&event.event,
        Some(Event::StackResource(resource)) if resource.logical_id.contains("Rule"))
    };
    assert_eq!(events.iter().filter(rules).count(), 0, "{:#?}", told(&events));
}

#[tokio::test]
async fn a_service_that_would_be_replaced_is_refused_and_left_alone() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    let before = describe(&mut client, "web").await;
    let mut deploy = deploy_web(SECOND, "1.2.0");
    let overrides = &mut deploy.service.as_mut().unwrap().overrides;
    overrides.push(OverrideSpec {
        resource: "service".into(),
        merge_patch: r#"{"Properties": {"SchedulingStrategy": "REPLICA"}}"#.into(),
    });
    let request = PlanFargateServiceRequest {
        region: deploy.region.clone(),
        cluster: deploy.cluster.clone(),
        service: deploy.service.clone(),
        ..Default::default()
    };
    let planned = client.plan_fargate_service(request).await.unwrap();
    let plan = planned.into_inner().plan.unwrap();
    assert_eq!(plan.action(), FargatePlanAction::Refused, "{plan:#?}");
    assert!(plan.changes.iter().any(|change| change.replacement), "{plan:#?}");
    let events = to_the_end(client.deploy_fargate_service(deploy).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "replacement_impossible"),
        "{:#?}",
        told(&events)
    );
    assert!(!end.hint.is_empty());
    assert_eq!(world.writes(SECOND).await, ["CreateChangeSet", "DeleteChangeSet"]);
    assert_eq!(describe(&mut client, "web").await, before);
}

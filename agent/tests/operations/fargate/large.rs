//! Templates that CloudFormation does not take in a request go through a bucket.

use serde_json::{Value, json};
use towline_proto::agent::v1::{
    DeployFargateServiceRequest, FargatePlanAction, PlanFargateServiceRequest, Verdict,
};

use super::{FIRST, SECOND, THIRD, deploy_web};
use crate::world::{ACCOUNT, REGION, World, describe, finished, to_the_end, told};

const BUCKET: &str = "towline-templates-111111111111-eu-west-1";

/// A service whose template has some 60,000 bytes.
fn large(id: &str, tag: &str) -> DeployFargateServiceRequest {
    let mut deploy = deploy_web(id, tag);
    let container = &mut deploy.service.as_mut().unwrap().containers[0];
    for number in 0..500 {
        let value = format!("{number:04}").repeat(20);
        container.environment.insert(format!("SETTING_{number}"), value);
    }
    deploy
}

fn plan_of(deploy: &DeployFargateServiceRequest) -> PlanFargateServiceRequest {
    PlanFargateServiceRequest {
        region: deploy.region.clone(),
        cluster: deploy.cluster.clone(),
        service: deploy.service.clone(),
        ..Default::default()
    }
}

async fn with_bucket(bucket: &str) -> World {
    let line = format!("template_bucket = \"{bucket}\"");
    World::start_in_region_with(40.0, &line, "").await
}

/// `BUCKET/KEY` of what the account has in buckets of the region.
async fn objects(world: &World) -> Vec<String> {
    let state = world.state(ACCOUNT, REGION).await;
    serde_json::from_value(state["objects"].clone()).unwrap()
}

#[tokio::test]
async fn a_large_service_is_made_updated_and_left_alone_when_nothing_changed() {
    let world = with_bucket(BUCKET).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.deploy_fargate_service(large(FIRST, "1.0.0")).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let written = ["PutObject", "CreateChangeSet", "ExecuteChangeSet"];
    assert_eq!(world.writes(FIRST).await, written);
    let first = objects(&world).await;
    assert_eq!(first.len(), 1, "{first:?}");
    let place = format!("{BUCKET}/towline/towline-main-web/");
    assert!(first[0].starts_with(&place), "{first:?}");

    let events = to_the_end(client.deploy_fargate_service(large(SECOND, "1.0.0")).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(verdict, Verdict::Unchanged, "{:#?}", told(&events));
    let calls = world.calls(SECOND).await;
    assert!(
        calls.len() <= 3 && !calls.contains(&"PutObject".to_owned()),
        "{calls:?}"
    );

    let mut changed = large(THIRD, "1.2.0");
    let container = &mut changed.service.as_mut().unwrap().containers[0];
    container.environment.insert("ONE_MORE".into(), "1".into());
    let planned = client.plan_fargate_service(plan_of(&changed)).await.unwrap();
    let plan = planned.into_inner().plan.unwrap();
    assert_eq!(plan.action(), FargatePlanAction::Update, "{plan:#?}");
    assert_eq!(objects(&world).await.len(), 2);
    changed.plan_hash = plan.hash;
    let events = to_the_end(client.deploy_fargate_service(changed).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    // What the plan stored is what the deployment stores: the key names the content.
    assert_eq!(world.writes(THIRD).await, written);
    assert_eq!(objects(&world).await.len(), 2);
}

#[tokio::test]
async fn a_bucket_that_does_not_take_the_template_ends_it_before_anything_is_made() {
    let elsewhere = "towline-templates-333333333333-eu-central-1";
    let others = "towline-templates-222222222222-eu-west-1";
    for (bucket, reason, code, hint) in [
        (
            "no-such-bucket",
            "template_not_stored",
            "does not exist",
            "make the bucket in eu-west-1",
        ),
        (
            elsewhere,
            "template_not_stored",
            "PermanentRedirect",
            "must be a bucket of eu-west-1",
        ),
        (others, "access_denied", "Access Denied", "s3:PutObject"),
    ] {
        let world = with_bucket(bucket).await;
        let mut client = world.orchestrator().await;
        let deploy = large(FIRST, "1.0.0");
        let status = client.plan_fargate_service(plan_of(&deploy)).await.unwrap_err();
        assert!(status.message().contains(bucket), "{}", status.message());
        let events = to_the_end(client.deploy_fargate_service(deploy).await).await;
        let end = finished(&events);
        assert_eq!(
            (end.verdict(), end.reason.as_str()),
            (Verdict::Errored, reason),
            "{end:#?}"
        );
        assert!(
            end.summary.contains(bucket) && end.summary.contains(code),
            "{}",
            end.summary
        );
        assert!(end.hint.contains(hint), "{}", end.hint);
        assert!(world.writes(FIRST).await.is_empty());
        let state = world.state(ACCOUNT, REGION).await;
        assert_eq!((&state["objects"], &state["stacks"]), (&json!([]), &json!([])));
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_at_its_upload_goes_on_from_there() {
    for when in ["before", "after"] {
        let mut world = with_bucket(BUCKET).await;
        let mut client = world.orchestrator().await;
        let mut request = large(FIRST, "1.0.0");
        request.expected = describe(&mut client, "web").await.expected;
        let hold =
            json!({"account": ACCOUNT, "region": REGION, "action": "PutObject", "skip": 0, "when": when});
        let hold = world.sim_post("breakpoints", hold).await;
        let _stream = client.deploy_fargate_service(request.clone()).await.unwrap();
        world.wait_hit(&hold).await;
        world.kill_agent();
        world.release(&hold, "drop").await;
        world.start_agent();
        let mut client = world.orchestrator().await;
        request.context.as_mut().unwrap().repeated_send = true;
        let events = to_the_end(client.deploy_fargate_service(request).await).await;
        let verdict = finished(&events).verdict();
        assert_eq!(
            verdict,
            Verdict::Succeeded,
            "{when}: {:#?}\n{}",
            told(&events),
            world.log()
        );
        assert_eq!(objects(&world).await.len(), 1);
        let mut writes = world.writes(FIRST).await;
        writes.dedup();
        assert_eq!(
            writes,
            ["PutObject", "CreateChangeSet", "ExecuteChangeSet"],
            "{when}"
        );
    }
}

#[tokio::test]
async fn an_upload_whose_answers_are_lost_is_sent_again() {
    let world = with_bucket(BUCKET).await;
    let mut client = world.orchestrator().await;
    let lost = json!({"kind": "lost_answer", "service": "s3", "action": "PutObject", "times": 4});
    world
        .sim_post("faults", json!({ "seed": 1, "rules": [lost] }))
        .await;
    let events = to_the_end(client.deploy_fargate_service(large(FIRST, "1.0.0")).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(objects(&world).await.len(), 1);
}

#[tokio::test]
async fn without_a_bucket_a_large_template_is_a_fault_of_the_request_with_the_way_out() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let status = client
        .deploy_fargate_service(large(FIRST, "1.0.0"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    for words in [
        "service.containers: ",
        "template_bucket",
        "eu-west-1",
        "environment_files",
    ] {
        assert!(status.message().contains(words), "{}", status.message());
    }
    assert_eq!(
        world.state(ACCOUNT, REGION).await["stacks"],
        Value::Array(Vec::new())
    );
}

#[tokio::test]
async fn what_aws_would_not_take_is_refused_with_a_bucket_too() {
    let world = with_bucket(BUCKET).await;
    let mut client = world.orchestrator().await;
    for (bytes, words) in [
        (70_000, "ECS takes at most 65536"),
        (1_000_000, "reads at most 1000000"),
    ] {
        let mut deploy = deploy_web(FIRST, "1.0.0");
        let container = &mut deploy.service.as_mut().unwrap().containers[0];
        container.environment.insert("LONG".into(), "x".repeat(bytes));
        let status = client.deploy_fargate_service(deploy).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(status.message().contains(words), "{}", status.message());
    }
    assert!(objects(&world).await.is_empty());
}

//! `DeployFargateService`: a service of Towline's own, in one stack.

mod copilot;
mod drift;
mod keys;
mod large;
mod leftovers;
mod plans;
mod power;
mod strangers;
mod stuck;

use serde_json::json;
use towline_proto::agent::v1::{
    CancelMode, CancelOperationRequest, ContainerSpec, DeployFargateServiceRequest, FargateServiceSpec,
    LoadBalancerSpec, NetworkSpec, OperationContext, PortSpec, Verdict, operation_event::Event,
};

use crate::world::{ACCOUNT, CLUSTER, Client, REGION, World, describe, finished, to_the_end, told};

pub const FIRST: &str = "11111111-1111-4111-8111-111111111111";
pub const SECOND: &str = "22222222-2222-4222-8222-222222222222";
pub const THIRD: &str = "33333333-3333-4333-8333-333333333333";
pub const REGISTRY: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";

pub fn deploy_web(id: &str, tag: &str) -> DeployFargateServiceRequest {
    DeployFargateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: Some(FargateServiceSpec {
            name: "web".into(),
            cpu: 512,
            memory: 1024,
            containers: vec![ContainerSpec {
                name: "web".into(),
                image: format!("{REGISTRY}/shop/web:{tag}"),
                ..Default::default()
            }],
            network: Some(NetworkSpec {
                subnets: vec!["subnet-0d10000000000000a".into()],
                security_groups: vec!["sg-0d10000000000000c".into()],
                ..Default::default()
            }),
            desired_count: Some(2),
            ..Default::default()
        }),
        context: Some(OperationContext {
            operation_id: id.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The service `web`, made and healthy.
pub async fn made(world: &World, client: &mut Client) {
    let events = to_the_end(client.deploy_fargate_service(deploy_web(FIRST, "1.0.0")).await).await;
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
async fn a_service_is_made_and_the_same_again_changes_nothing() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut request = deploy_web(FIRST, "1.0.0");
    request.expected = describe(&mut client, "web").await.expected;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let mut request = deploy_web(SECOND, "1.0.0");
    request.expected = describe(&mut client, "web").await.expected;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Unchanged,
        "{:#?}",
        told(&events)
    );
    assert!(world.writes(SECOND).await.is_empty());
}

#[tokio::test]
async fn an_update_that_crashes_is_rolled_back_and_failed() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.deploy_fargate_service(deploy_web(FIRST, "1.0.0")).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let events = to_the_end(client.deploy_fargate_service(deploy_web(SECOND, "1.1.0")).await).await;
    let end = finished(&events);
    assert_eq!(
        end.verdict(),
        Verdict::Failed,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(end.reason, "rolled_back", "{:#?}", told(&events));
    let diagnosis = end.diagnosis.as_ref().unwrap();
    let exits = diagnosis.stopped_tasks.iter().flat_map(|task| &task.containers);
    assert!(
        exits.into_iter().any(|c| c.exit_code == Some(1)),
        "{diagnosis:#?}"
    );
    assert!(
        diagnosis
            .log_lines
            .iter()
            .any(|line| line.message.contains("missing key DB_POOL")),
        "{diagnosis:#?}"
    );
    assert!(diagnosis.root_cause.contains("exit"), "{}", diagnosis.root_cause);
}

#[tokio::test]
async fn a_killed_agent_goes_on_from_its_change_set() {
    for (action, when) in [
        ("CreateChangeSet", "after"),
        ("ExecuteChangeSet", "before"),
        ("ExecuteChangeSet", "after"),
    ] {
        let mut world = World::start(40.0).await;
        let mut client = world.orchestrator().await;
        let mut request = deploy_web(FIRST, "1.0.0");
        request.expected = describe(&mut client, "web").await.expected;
        let hold = json!({"account": ACCOUNT, "region": REGION, "action": action, "skip": 0, "when": when});
        let hold = world.sim_post("breakpoints", hold).await;
        let _stream = client.deploy_fargate_service(request.clone()).await.unwrap();
        world.wait_hit(&hold).await;
        world.kill_agent();
        world.release(&hold, "drop").await;
        world.start_agent();
        let mut client = world.orchestrator().await;
        request.context.as_mut().unwrap().repeated_send = true;
        let events = to_the_end(client.deploy_fargate_service(request).await).await;
        assert_eq!(
            finished(&events).verdict(),
            Verdict::Succeeded,
            "{action} {when}: {:#?}\n{}",
            told(&events),
            world.log()
        );
        let writes = world.writes(FIRST).await;
        assert_eq!(writes, ["CreateChangeSet", "ExecuteChangeSet"], "{action} {when}");
    }
}

pub async fn until_rollout(
    stream: &mut tonic::Streaming<towline_proto::agent::v1::DeployFargateServiceResponse>,
) {
    loop {
        let event = stream
            .message()
            .await
            .unwrap()
            .expect("it has not ended")
            .event
            .unwrap();
        if matches!(event.event, Some(Event::Rollout(_))) {
            return;
        }
    }
}

fn roll_back(id: &str) -> CancelOperationRequest {
    CancelOperationRequest {
        operation_id: id.into(),
        mode: CancelMode::RollBack.into(),
        epoch: 0,
    }
}

#[tokio::test]
async fn a_cancelled_update_is_rolled_back_by_cloudformation() {
    let world = World::start(20.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.deploy_fargate_service(deploy_web(FIRST, "1.0.0")).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let before = describe(&mut client, "web").await.service.unwrap().containers;
    let mut stream = client
        .deploy_fargate_service(deploy_web(SECOND, "1.2.0"))
        .await
        .unwrap()
        .into_inner();
    until_rollout(&mut stream).await;
    client.cancel_operation(roll_back(SECOND)).await.unwrap();
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Cancelled, "update_cancelled"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(
        describe(&mut client, "web").await.service.unwrap().containers,
        before
    );
    assert_eq!(
        world.writes(SECOND).await,
        ["CreateChangeSet", "ExecuteChangeSet", "CancelUpdateStack"]
    );
}

#[tokio::test]
async fn a_cancelled_creation_leaves_nothing() {
    let world = World::start(20.0).await;
    let mut client = world.orchestrator().await;
    let mut stream = client
        .deploy_fargate_service(deploy_web(FIRST, "1.0.0"))
        .await
        .unwrap()
        .into_inner();
    until_rollout(&mut stream).await;
    client.cancel_operation(roll_back(FIRST)).await.unwrap();
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Cancelled, "create_cancelled"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let after = describe(&mut client, "web").await;
    assert!(after.stack.is_none(), "{after:#?}");
    let events = to_the_end(client.deploy_fargate_service(deploy_web(SECOND, "1.0.0")).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
}

#[tokio::test]
async fn a_first_creation_that_crashes_is_failed_and_can_be_made_anew() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.deploy_fargate_service(deploy_web(FIRST, "1.1.0")).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Failed, "create_rolled_back"),
        "{:#?}",
        told(&events)
    );
    let diagnosis = end.diagnosis.as_ref().unwrap();
    assert!(
        diagnosis
            .log_lines
            .iter()
            .any(|line| line.message.contains("DB_POOL")),
        "{diagnosis:#?}"
    );
    let mut request = deploy_web(SECOND, "1.0.0");
    request.expected = describe(&mut client, "web").await.expected;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(
        world.writes(SECOND).await,
        ["DeleteStack", "CreateChangeSet", "ExecuteChangeSet"]
    );
}

#[tokio::test]
async fn a_crash_that_was_rolled_back_while_the_agent_was_down_is_explained() {
    let mut world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.deploy_fargate_service(deploy_web(FIRST, "1.0.0")).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let mut request = deploy_web(SECOND, "1.1.0");
    request.expected = describe(&mut client, "web").await.expected;
    let mut stream = client
        .deploy_fargate_service(request.clone())
        .await
        .unwrap()
        .into_inner();
    until_rollout(&mut stream).await;
    world.kill_agent();
    world.sim_post("clock", json!({"advance_ms": 300_000})).await;
    world.start_agent();
    let mut client = world.orchestrator().await;
    request.context.as_mut().unwrap().repeated_send = true;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Failed, "rolled_back"),
        "{:#?}",
        told(&events)
    );
    let diagnosis = end.diagnosis.as_ref().unwrap();
    assert!(
        diagnosis
            .log_lines
            .iter()
            .any(|line| line.message.contains("DB_POOL")),
        "{diagnosis:#?}"
    );
    assert_eq!(
        world.writes(SECOND).await,
        ["CreateChangeSet", "ExecuteChangeSet"]
    );
}

pub fn behind_load_balancer(mut request: DeployFargateServiceRequest) -> DeployFargateServiceRequest {
    let service = request.service.as_mut().unwrap();
    service.containers[0].ports = vec![PortSpec {
        container_port: 8080,
        ..Default::default()
    }];
    service.load_balancers = vec![LoadBalancerSpec {
        container: "web".into(),
        port: 8080,
        target_group: format!(
            "arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/web/73e2d6bc24d8a067"
        ),
        ..Default::default()
    }];
    request
}

#[tokio::test]
async fn targets_that_do_not_answer_are_a_failed_release() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let good = behind_load_balancer(deploy_web(FIRST, "1.0.0"));
    let events = to_the_end(client.deploy_fargate_service(good).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let bad = behind_load_balancer(deploy_web(SECOND, "1.3.0"));
    let events = to_the_end(client.deploy_fargate_service(bad).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Failed, "rolled_back"),
        "{:#?}",
        told(&events)
    );
    let cause = &end.diagnosis.as_ref().unwrap().root_cause;
    assert!(cause.contains("health check"), "{cause}");
}

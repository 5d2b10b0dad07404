//! `DeployFargateService`: a service of Towline's own, in one stack.

use serde_json::json;
use towline_proto::agent::v1::{
    ContainerSpec, DeployFargateServiceRequest, FargateServiceSpec, NetworkSpec, OperationContext, Verdict,
};

use crate::world::{ACCOUNT, CLUSTER, REGION, World, describe, finished, told, to_the_end};

const FIRST: &str = "11111111-1111-4111-8111-111111111111";
const SECOND: &str = "22222222-2222-4222-8222-222222222222";
const REGISTRY: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";

fn deploy_web(id: &str, tag: &str) -> DeployFargateServiceRequest {
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

#[tokio::test]
async fn a_service_is_made_and_the_same_again_changes_nothing() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let mut request = deploy_web(FIRST, "1.0.0");
    request.expected = describe(&mut client, "web").await.expected;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    assert_eq!(finished(&events).verdict(), Verdict::Succeeded, "{:#?}\n{}", told(&events), world.log());
    let mut request = deploy_web(SECOND, "1.0.0");
    request.expected = describe(&mut client, "web").await.expected;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    assert_eq!(finished(&events).verdict(), Verdict::Unchanged, "{:#?}", told(&events));
    assert!(world.writes(SECOND).await.is_empty());
}

#[tokio::test]
async fn an_update_that_crashes_is_rolled_back_and_failed() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(client.deploy_fargate_service(deploy_web(FIRST, "1.0.0")).await).await;
    assert_eq!(finished(&events).verdict(), Verdict::Succeeded, "{:#?}\n{}", told(&events), world.log());
    let events = to_the_end(client.deploy_fargate_service(deploy_web(SECOND, "1.1.0")).await).await;
    let end = finished(&events);
    assert_eq!(end.verdict(), Verdict::Failed, "{:#?}\n{}", told(&events), world.log());
    assert_eq!(end.reason, "rolled_back", "{:#?}", told(&events));
    let diagnosis = end.diagnosis.as_ref().unwrap();
    let exits = diagnosis.stopped_tasks.iter().flat_map(|task| &task.containers);
    assert!(exits.into_iter().any(|c| c.exit_code == Some(1)), "{diagnosis:#?}");
    assert!(diagnosis.log_lines.iter().any(|line| line.message.contains("missing key DB_POOL")), "{diagnosis:#?}");
    assert!(diagnosis.root_cause.contains("exit"), "{}", diagnosis.root_cause);
}

#[tokio::test]
async fn a_killed_agent_goes_on_from_its_change_set() {
    for (action, when) in [("CreateChangeSet", "after"), ("ExecuteChangeSet", "before"), ("ExecuteChangeSet", "after")] {
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
        assert_eq!(finished(&events).verdict(), Verdict::Succeeded, "{action} {when}: {:#?}\n{}", told(&events), world.log());
        let writes = world.writes(FIRST).await;
        assert_eq!(writes, ["CreateChangeSet", "ExecuteChangeSet"], "{action} {when}");
    }
}

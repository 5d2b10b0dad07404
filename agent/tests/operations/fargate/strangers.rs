//! Stacks of other tools, and others who change a stack while an operation works.

use serde_json::{Value, json};
use towline_proto::agent::v1::{FargatePlanAction, ListServicesRequest, PlanFargateServiceRequest, Verdict};

use super::{FIRST, REGISTRY, SECOND, THIRD, deploy_web, made, until_rollout};
use crate::world::{CLUSTER, Client, REGION, World, describe, finished, to_the_end, told};

const STACK: &str = "cf-ecs-main-web";

/// A stack as other tools make it: other ids, a log group of its own, no service name.
fn foreign_template() -> Value {
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            "AwsLogGroupWeb": { "Type": "AWS::Logs::LogGroup", "Properties": { "LogGroupName": "/ecs/web" } },
            "TaskExecutionRoleWeb": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "Path": "/",
                    "AssumeRolePolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [{
                            "Effect": "Allow",
                            "Principal": { "Service": "ecs-tasks.amazonaws.com" },
                            "Action": "sts:AssumeRole",
                        }],
                    },
                },
            },
            "TaskDefinitionWeb": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {
                    "Family": "web",
                    "Cpu": "512",
                    "Memory": "1024",
                    "NetworkMode": "awsvpc",
                    "RequiresCompatibilities": ["FARGATE"],
                    "ExecutionRoleArn": { "Fn::GetAtt": ["TaskExecutionRoleWeb", "Arn"] },
                    "ContainerDefinitions": [{
                        "Name": "web",
                        "Image": format!("{REGISTRY}/shop/web:1.0.0"),
                        "Essential": true,
                        "LogConfiguration": {
                            "LogDriver": "awslogs",
                            "Options": {
                                "awslogs-group": { "Ref": "AwsLogGroupWeb" },
                                "awslogs-region": REGION,
                                "awslogs-stream-prefix": "ecs",
                            },
                        },
                    }],
                },
            },
            "ServiceWeb": {
                "Type": "AWS::ECS::Service",
                "Properties": {
                    "Cluster": CLUSTER,
                    "LaunchType": "FARGATE",
                    "DesiredCount": 1,
                    "TaskDefinition": { "Ref": "TaskDefinitionWeb" },
                    "NetworkConfiguration": {
                        "AwsvpcConfiguration": {
                            "Subnets": ["subnet-0d10000000000000a"],
                            "SecurityGroups": ["sg-0d10000000000000c"],
                        },
                    },
                },
            },
        },
    })
}

/// Another tool makes its stack; the name that CloudFormation gave the service.
async fn foreign_stack(world: &World, client: &mut Client) -> String {
    let template = foreign_template().to_string();
    let parameters = [
        ("StackName", STACK),
        ("TemplateBody", template.as_str()),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
    ];
    let answer = world.cloudformation("CreateStack", &parameters).await;
    assert!(answer.contains("StackId"), "{answer}");
    world.stack_is(STACK, "CREATE_COMPLETE").await;
    let request = ListServicesRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        ..Default::default()
    };
    let listed = client.list_services(request).await.unwrap().into_inner();
    let made = listed
        .services
        .into_iter()
        .find(|service| service.name.contains("ServiceWeb"));
    made.expect("the stack's service").name
}

#[tokio::test]
async fn a_stack_of_another_tool_is_taken_over_without_replacing_its_service() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let name = foreign_stack(&world, &mut client).await;
    let before = describe(&mut client, &name).await.service.unwrap();

    let mut request = deploy_web(FIRST, "1.2.0");
    let service = request.service.as_mut().unwrap();
    service.name = name.clone();
    service.stack_name = STACK.into();
    service.desired_count = None;
    let events = to_the_end(client.deploy_fargate_service(request.clone()).await).await;
    assert_eq!(finished(&events).reason, "stack_not_ours", "{:#?}", told(&events));
    assert!(world.writes(FIRST).await.is_empty());

    let plan = PlanFargateServiceRequest {
        region: request.region.clone(),
        cluster: request.cluster.clone(),
        service: request.service.clone(),
        adopt: true,
        ..Default::default()
    };
    let plan = client
        .plan_fargate_service(plan)
        .await
        .unwrap()
        .into_inner()
        .plan
        .unwrap();
    assert_eq!(plan.action(), FargatePlanAction::Update, "{plan:#?}");
    let service_change = plan
        .changes
        .iter()
        .find(|change| change.r#type == "AWS::ECS::Service");
    assert!(
        service_change.is_none_or(|change| !change.replacement),
        "{plan:#?}"
    );

    request.context.as_mut().unwrap().operation_id = SECOND.into();
    request.adopt = true;
    request.plan_hash = plan.hash;
    let events = to_the_end(client.deploy_fargate_service(request.clone()).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let after = describe(&mut client, &name).await.service.unwrap();
    assert_eq!(after.arn, before.arn);
    assert!(
        after.containers[0].image.ends_with("shop/web:1.2.0"),
        "{after:#?}"
    );

    // From now on it is Towline's, and nothing changes when nothing changed.
    request.context.as_mut().unwrap().operation_id = THIRD.into();
    request.adopt = false;
    request.plan_hash = String::new();
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Unchanged,
        "{:#?}",
        told(&events)
    );
}

#[tokio::test]
async fn what_somebody_else_changes_is_waited_for_and_said() {
    let world = World::start(10.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    let stack = "towline-main-web";
    let parameters = [
        ("StackName", stack),
        ("UsePreviousTemplate", "true"),
        ("Parameters.member.1.ParameterKey", "ImageWeb"),
        (
            "Parameters.member.1.ParameterValue",
            &format!("{REGISTRY}/shop/web:1.2.0"),
        ),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("ClientRequestToken", "somebody-else"),
        ("Tags.member.1.Key", "towline:service"),
        ("Tags.member.1.Value", "main/web"),
    ];
    let answer = world.cloudformation("UpdateStack", &parameters).await;
    assert!(answer.contains("StackId"), "{answer}");
    let events = to_the_end(client.deploy_fargate_service(deploy_web(SECOND, "1.0.0")).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let said = told(&events).iter().any(|line| line.contains("somebody-else"));
    assert!(said, "{:#?}", told(&events));
}

#[tokio::test]
async fn access_that_is_lost_meanwhile_is_told_from_a_stack_that_is_gone() {
    let world = World::start(10.0).await;
    let mut client = world.orchestrator().await;
    let mut stream = client
        .deploy_fargate_service(deploy_web(FIRST, "1.0.0"))
        .await
        .unwrap()
        .into_inner();
    until_rollout(&mut stream).await;
    let deny = json!({"seed": 7, "rules": [{"kind": "deny", "service": "cloudformation"}]});
    world.sim_post("faults", deny).await;
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "access_lost"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    // An operation that may not even look says so, and has not lost anything.
    let events = to_the_end(client.deploy_fargate_service(deploy_web(SECOND, "1.0.0")).await).await;
    assert_eq!(finished(&events).reason, "access_denied", "{:#?}", told(&events));
}

#[tokio::test]
async fn a_stack_that_is_deleted_meanwhile_is_gone_and_not_made_anew() {
    let world = World::start(10.0).await;
    let mut client = world.orchestrator().await;
    let mut stream = client
        .deploy_fargate_service(deploy_web(SECOND, "1.0.0"))
        .await
        .unwrap()
        .into_inner();
    until_rollout(&mut stream).await;
    let deleted = world
        .cloudformation("DeleteStack", &[("StackName", "towline-main-web")])
        .await;
    assert!(!deleted.contains("<Error>"), "{deleted}");
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    let end = finished(&events);
    assert_ne!(end.verdict(), Verdict::Succeeded, "{:#?}", told(&events));
    let writes = world.writes(SECOND).await;
    assert_eq!(
        writes,
        ["CreateChangeSet", "ExecuteChangeSet"],
        "{:#?}",
        told(&events)
    );
    assert!(
        ["stack_gone", "superseded"].contains(&end.reason.as_str()),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
}

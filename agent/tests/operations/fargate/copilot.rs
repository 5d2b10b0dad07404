//! A stack as Copilot lays one out, taken over without replacing its service: fixed
//! logical ids, names put together by functions, a role for the tasks, and resources
//! that only Copilot needs. In place of its custom resources, which no simulator has
//! functions for, there is a handle.

use serde_json::{Value, json};
use towline_proto::agent::v1::{
    DeployFargateServiceRequest, FargatePlan, FargatePlanAction, ListServicesRequest, ListenerRuleSpec,
    LoadBalancerSpec, PlanFargateServiceRequest, PortSpec, TargetHealthCheckSpec, Verdict,
};

use super::{FIRST, REGISTRY, SECOND, THIRD, deploy_web};
use crate::world::{ACCOUNT, CLUSTER, Client, REGION, World, describe, finished, to_the_end, told};

const STACK: &str = "shop-prod-web";
const VPC: &str = "vpc-0d10000000000000e";

fn listener() -> String {
    format!(
        "arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"
    )
}

/// `/copilot/shop-prod-web`, and without the slash what a family is called.
fn named(first: &str) -> Value {
    let parts = json!([first, {"Ref": "AppName"}, "-", {"Ref": "EnvName"}, "-", {"Ref": "WorkloadName"}]);
    json!({ "Fn::Join": ["", parts] })
}

fn role(retain: bool) -> Value {
    let mut role = json!({
        "Type": "AWS::IAM::Role",
        "Properties": { "AssumeRolePolicyDocument": { "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "ecs-tasks.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }] } },
    });
    if retain {
        role["DeletionPolicy"] = "Retain".into();
    }
    role
}

fn task_definition() -> Value {
    let variable = |name: &str, parameter: &str| json!({ "Name": name, "Value": { "Ref": parameter } });
    json!({
        "Type": "AWS::ECS::TaskDefinition",
        "DependsOn": "LogGroup",
        "Properties": {
            "Family": named(""),
            "NetworkMode": "awsvpc",
            "RequiresCompatibilities": ["FARGATE"],
            "Cpu": { "Ref": "TaskCPU" },
            "Memory": { "Ref": "TaskMemory" },
            "ExecutionRoleArn": { "Fn::GetAtt": ["ExecutionRole", "Arn"] },
            "TaskRoleArn": { "Fn::GetAtt": ["TaskRole", "Arn"] },
            "ContainerDefinitions": [{
                "Name": { "Ref": "WorkloadName" },
                "Image": { "Ref": "ContainerImage" },
                "Environment": [
                    variable("COPILOT_APPLICATION_NAME", "AppName"),
                    variable("COPILOT_ENVIRONMENT_NAME", "EnvName"),
                ],
                "PortMappings": [{ "ContainerPort": 8080, "Protocol": "tcp" }],
                "LogConfiguration": {
                    "LogDriver": "awslogs",
                    "Options": {
                        "awslogs-region": { "Ref": "AWS::Region" },
                        "awslogs-group": { "Ref": "LogGroup" },
                        "awslogs-stream-prefix": "copilot",
                    },
                },
            }],
        },
    })
}

fn service() -> Value {
    json!({
        "Type": "AWS::ECS::Service",
        "DependsOn": ["ListenerRule", "EnvControllerAction"],
        "Properties": {
            "Cluster": { "Fn::Sub": "${ClusterId}" },
            "TaskDefinition": { "Ref": "TaskDefinition" },
            "DesiredCount": { "Ref": "TaskCount" },
            "DeploymentConfiguration": {
                "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true },
                "MinimumHealthyPercent": 100,
                "MaximumPercent": 200,
            },
            "PropagateTags": "SERVICE",
            "LaunchType": "FARGATE",
            "NetworkConfiguration": { "AwsvpcConfiguration": {
                "AssignPublicIp": { "Fn::If": ["IsPublic", "ENABLED", "DISABLED"] },
                "Subnets": ["subnet-0d10000000000000a"],
                "SecurityGroups": ["sg-0d10000000000000c"],
            } },
            "HealthCheckGracePeriodSeconds": 60,
            "LoadBalancers": [{
                "ContainerName": { "Ref": "WorkloadName" },
                "ContainerPort": 8080,
                "TargetGroupArn": { "Ref": "TargetGroup" },
            }],
        },
    })
}

fn copilots_template() -> Value {
    let text = |default: &str| json!({ "Type": "String", "Default": default });
    json!({
        "Parameters": {
            "AppName": text("shop"), "EnvName": text("prod"), "WorkloadName": text("web"),
            "ContainerImage": text(&format!("{REGISTRY}/shop/web:1.0.0")),
            "TaskCPU": text("512"), "TaskMemory": text("1024"), "ClusterId": text(CLUSTER),
            "TaskCount": { "Type": "Number", "Default": 2 },
            "Public": text("no"),
        },
        "Conditions": { "IsPublic": { "Fn::Equals": [{ "Ref": "Public" }, "yes"] } },
        "Resources": {
            "LogGroup": {
                "Type": "AWS::Logs::LogGroup",
                "Properties": { "LogGroupName": named("/copilot/"), "RetentionInDays": 30 },
            },
            "ExecutionRole": role(false),
            "TaskRole": role(true),
            "TaskDefinition": task_definition(),
            "EnvControllerAction": { "Type": "AWS::CloudFormation::WaitConditionHandle" },
            "TargetGroup": {
                "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
                "Properties": {
                    "VpcId": VPC, "Port": 8080, "Protocol": "HTTP", "TargetType": "ip",
                    "HealthCheckPath": "/health", "HealthCheckIntervalSeconds": 5,
                    "HealthCheckTimeoutSeconds": 4, "HealthyThresholdCount": 2,
                },
            },
            "ListenerRule": {
                "Type": "AWS::ElasticLoadBalancingV2::ListenerRule",
                "Properties": {
                    "ListenerArn": listener(), "Priority": 50,
                    "Actions": [{ "Type": "forward", "TargetGroupArn": { "Ref": "TargetGroup" } }],
                    "Conditions": [{ "Field": "path-pattern", "PathPatternConfig": { "Values": ["/web/*"] } }],
                },
            },
            "Service": service(),
        },
    })
}

/// Copilot makes its stack; the names of the service and of the tasks' role.
async fn made_by_copilot(world: &World, client: &mut Client) -> (String, String) {
    let template = copilots_template().to_string();
    let parameters = [
        ("StackName", STACK),
        ("TemplateBody", template.as_str()),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("Tags.member.1.Key", "copilot-application"),
        ("Tags.member.1.Value", "shop"),
    ];
    let answer = world.cloudformation("CreateStack", &parameters).await;
    assert!(answer.contains("StackId"), "{answer}");
    world.stack_is(STACK, "CREATE_COMPLETE").await;
    let request = ListServicesRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        ..Default::default()
    };
    let services = client.list_services(request).await.unwrap().into_inner().services;
    let mut names = services.into_iter().map(|service| service.name);
    let service = names.find(|name| name.starts_with("shop-prod-web-Service-"));
    (
        service.expect("the stack's service"),
        physical(world, "TaskRole").await,
    )
}

/// What a resource of the stack is called.
async fn physical(world: &World, logical_id: &str) -> String {
    let state = world.state(ACCOUNT, REGION).await;
    let stacks = state["stacks"].as_array().unwrap();
    let stack = stacks.iter().find(|stack| stack["name"] == STACK).unwrap();
    let mut resources = stack["resources"].as_array().unwrap().iter();
    let found = resources.find(|resource| resource["logicalId"] == logical_id);
    let id = found.and_then(|resource| resource["physicalId"].as_str());
    id.unwrap_or_else(|| panic!("{logical_id}: {stack:#}")).to_owned()
}

/// What docs/fargate.md says to write of it.
fn described(id: &str, name: &str, task_role: &str) -> DeployFargateServiceRequest {
    let mut request = deploy_web(id, "1.0.0");
    let service = request.service.as_mut().unwrap();
    service.name = name.into();
    service.stack_name = STACK.into();
    service.desired_count = None;
    service.task_role = format!("arn:aws:iam::{ACCOUNT}:role/{task_role}");
    service.health_check_grace_period = 60;
    service.containers[0].ports = vec![PortSpec {
        container_port: 8080,
        ..Default::default()
    }];
    service.load_balancers = vec![LoadBalancerSpec {
        container: "web".into(),
        port: 8080,
        listener_rule: Some(ListenerRuleSpec {
            listener: listener(),
            paths: vec!["/web/*".into()],
            vpc: VPC.into(),
            health_check: Some(TargetHealthCheckSpec {
                path: "/health".into(),
                interval: 5,
                timeout: 4,
                healthy_threshold: 2,
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }];
    request.adopt = true;
    request
}

async fn planned(client: &mut Client, request: &DeployFargateServiceRequest) -> FargatePlan {
    let request = PlanFargateServiceRequest {
        region: request.region.clone(),
        cluster: request.cluster.clone(),
        service: request.service.clone(),
        adopt: true,
        ..Default::default()
    };
    let answer = client.plan_fargate_service(request).await.unwrap();
    answer.into_inner().plan.unwrap()
}

#[tokio::test]
async fn a_stack_of_copilot_is_taken_over_without_replacing_its_service() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    let (name, task_role) = made_by_copilot(&world, &mut client).await;
    let before = describe(&mut client, &name).await.service.unwrap();
    const KEPT: [&str; 5] = [
        "Service",
        "LogGroup",
        "TargetGroup",
        "ListenerRule",
        "ExecutionRole",
    ];
    let mut ids = Vec::new();
    for id in KEPT {
        ids.push(physical(&world, id).await);
    }

    let mut request = described(SECOND, &name, &task_role);
    let plan = planned(&mut client, &request).await;
    assert_eq!(plan.action(), FargatePlanAction::Update, "{plan:#?}");
    // The revision is made anew; nothing else is.
    let replaced = plan
        .changes
        .iter()
        .find(|change| change.replacement && change.logical_id != "TaskDefinition");
    assert_eq!(replaced, None, "{plan:#?}");
    let goes = |id: &str| {
        plan.findings
            .iter()
            .any(|finding| finding.reason == "adopted_resource_removed" && finding.message.contains(id))
    };
    assert!(goes("EnvControllerAction") && goes("TaskRole"), "{plan:#?}");

    request.plan_hash = plan.hash;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let after = describe(&mut client, &name).await.service.unwrap();
    assert_eq!((after.arn, after.desired), (before.arn, 2));
    for (id, was) in KEPT.iter().zip(&ids) {
        assert_eq!(&physical(&world, id).await, was, "{id}");
    }
    let state = world.state(ACCOUNT, REGION).await.to_string();
    assert!(
        state.contains("/copilot/shop-prod-web"),
        "the log group keeps its name"
    );

    let mut next = described(THIRD, &name, &task_role);
    next.adopt = false;
    let events = to_the_end(client.deploy_fargate_service(next).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Unchanged,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let mut release = described(FIRST, &name, &task_role);
    release.service.as_mut().unwrap().containers[0].image = format!("{REGISTRY}/shop/web:1.2.0");
    let events = to_the_end(client.deploy_fargate_service(release).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
}

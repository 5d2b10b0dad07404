//! Stacks as other tools make them, taken over.

use serde_json::json;

use super::*;
use crate::fargate::spec::{Container, FargateService, Link, ListenerRule, LoadBalancer, Network, Port};
use crate::fargate::{AccountFacts, template, validate};

fn valid(name: &str) -> ValidService {
    validate(&FargateService {
        name: name.to_owned(),
        cpu: 256,
        memory: 512,
        containers: vec![Container {
            name: "web".to_owned(),
            image: "registry.example/web:1".to_owned(),
            ..Container::default()
        }],
        network: Network {
            subnets: vec!["subnet-1".to_owned()],
            ..Network::default()
        },
        ..FargateService::default()
    })
    .unwrap()
}

fn facts() -> AccountFacts {
    AccountFacts {
        account: "111122223333".to_owned(),
        partition: "aws".to_owned(),
        region: "eu-west-1".to_owned(),
        cluster: "main".to_owned(),
        permissions_boundary: None,
        role_path: "/towline/".to_owned(),
        mandatory_tags: Default::default(),
    }
}

fn resource(logical_id: &str, physical_id: &str, target: Target) -> StackResource {
    StackResource {
        logical_id: logical_id.to_owned(),
        physical_id: physical_id.to_owned(),
        resource_type: target.resource_type().to_owned(),
        status: "CREATE_COMPLETE".to_owned(),
    }
}

/// What Octopus's step makes: no service name, names by parameters.
fn octopus() -> (String, Vec<StackResource>) {
    let template = json!({
        "Parameters": { "TaskDefinitionName": { "Type": "String" } },
        "Resources": {
            "ServiceWeb": {
                "Type": "AWS::ECS::Service",
                "Properties": {
                    "TaskDefinition": { "Ref": "TaskDefinitionWeb" },
                    "Cluster": { "Ref": "ClusterName" },
                    "SchedulingStrategy": "REPLICA",
                },
            },
            "TaskDefinitionWeb": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {
                    "Family": { "Ref": "TaskDefinitionName" },
                    "ExecutionRoleArn": { "Fn::GetAtt": ["TaskExecutionRoleWeb", "Arn"] },
                    "ContainerDefinitions": [
                        { "LogConfiguration": { "Options": { "awslogs-group": { "Ref": "AwsLogGroupWeb" } } } },
                    ],
                },
            },
            "TaskExecutionRoleWeb": { "Type": "AWS::IAM::Role", "Properties": { "Path": "/" } },
            "AwsLogGroupWeb": {
                "Type": "AWS::Logs::LogGroup",
                "Properties": { "LogGroupName": { "Ref": "LogGroupName" } },
            },
        },
    });
    let resources = vec![
        resource(
            "ServiceWeb",
            "arn:aws:ecs:eu-west-1:1:service/main/cf-ServiceWeb-BvO1",
            Target::Service,
        ),
        resource(
            "TaskDefinitionWeb",
            "arn:aws:ecs:eu-west-1:1:task-definition/web:7",
            Target::TaskDefinition,
        ),
        resource(
            "TaskExecutionRoleWeb",
            "cf-TaskExecutionRoleWeb-1A",
            Target::ExecutionRole,
        ),
        resource("AwsLogGroupWeb", "/ecs/web", Target::LogGroup),
    ];
    (template.to_string(), resources)
}

#[test]
fn ids_names_and_absent_names_stay() {
    let (existing, resources) = octopus();
    let service = valid("cf-ServiceWeb-BvO1");
    let parameters = [("ClusterName".to_owned(), "main".to_owned())];
    let foreign = Foreign {
        template: &existing,
        parameters: &parameters,
        resources: &resources,
    };
    let choices = choices(&foreign, &service, "main").unwrap();
    let facts = facts();
    assert!(choices.open(&service, "main").is_empty());
    let made = template(&service, &facts, &choices).unwrap();
    let resources = made.resources();
    let property = |id: &str, name: &str| resources[id]["Properties"].get(name).cloned();
    assert_eq!(property("ServiceWeb", "ServiceName"), None, "it had none");
    assert_eq!(
        property("ServiceWeb", "SchedulingStrategy"),
        Some(json!("REPLICA")),
        "it cannot go"
    );
    assert_eq!(property("ServiceWeb", "Cluster"), Some(json!("main")));
    assert_eq!(
        property("ServiceWeb", "TaskDefinition"),
        Some(json!({ "Ref": "TaskDefinitionWeb" }))
    );
    assert_eq!(property("TaskDefinitionWeb", "Family"), Some(json!("web")));
    assert_eq!(
        property("TaskExecutionRoleWeb", "Path"),
        Some(json!("/")),
        "a path cannot change"
    );
    assert_eq!(property("TaskExecutionRoleWeb", "RoleName"), None);
    assert_eq!(
        property("AwsLogGroupWeb", "LogGroupName"),
        Some(json!("/ecs/web"))
    );
    // The next release finds all of it in the metadata.
    let document: Value = serde_json::from_str(made.text()).unwrap();
    let found = Choices::found(document.get("Metadata"));
    assert_eq!(template(&service, &facts, &found).unwrap().text(), made.text());
}

#[test]
fn a_stack_of_another_service_or_of_none_is_not_taken_over() {
    let (existing, resources) = octopus();
    let refused = |template: &str, parameters: &[(String, String)], name: &str| {
        let foreign = Foreign {
            template,
            parameters,
            resources: &resources,
        };
        choices(&foreign, &valid(name), "main").unwrap_err().message
    };
    assert!(refused(&existing, &[], "web").contains("cf-ServiceWeb-BvO1"));
    let other = [("ClusterName".to_owned(), "other".to_owned())];
    assert!(refused(&existing, &other, "cf-ServiceWeb-BvO1").contains("cluster other"));
    let bucket = r#"{"Resources": {"B": {"Type": "AWS::S3::Bucket"}}}"#;
    assert!(refused(bucket, &[], "web").contains("no ECS service"));
    assert!(refused("a: [", &[], "web").contains("cannot be read"));
}

/// A stack in YAML with a rule of its own.
const WITH_RULE: &str = "
Resources:
  Service:
    Type: AWS::ECS::Service
    Properties:
      ServiceName: !Sub '${AWS::StackName}-web'
      Cluster: arn:aws:ecs:eu-west-1:1:cluster/main
      TaskDefinition: !Ref Task
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: web
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      Name: web
      Port: 80
  Rule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      Priority: 7
";

#[test]
fn the_rule_and_its_target_group_go_on_in_their_place() {
    let lb = "arn:aws:elasticloadbalancing:eu-west-1:1";
    let resources = [
        resource(
            "Service",
            "arn:aws:ecs:eu-west-1:1:service/main/shop-web",
            Target::Service,
        ),
        resource(
            "Task",
            "arn:aws:ecs:eu-west-1:1:task-definition/web:7",
            Target::TaskDefinition,
        ),
        resource(
            "Group",
            &format!("{lb}:targetgroup/web/0a1b"),
            Target::TargetGroup,
        ),
        resource(
            "Rule",
            &format!("{lb}:listener-rule/app/main/1/2/3"),
            Target::ListenerRule,
        ),
    ];
    let mut spec = valid("shop-web").spec().clone();
    spec.containers[0].ports = vec![Port {
        port: 8080,
        ..Port::default()
    }];
    spec.load_balancers = vec![LoadBalancer {
        container: "web".to_owned(),
        port: 8080,
        link: Link::ListenerRule(ListenerRule {
            listener: format!("{lb}:listener/app/main/1/2"),
            paths: vec!["/*".to_owned()],
            vpc: "vpc-1".to_owned(),
            ..ListenerRule::default()
        }),
    }];
    let service = validate(&spec).unwrap();
    let foreign = Foreign {
        template: WITH_RULE,
        parameters: &[],
        resources: &resources,
    };
    let choices = choices(&foreign, &service, "main").unwrap();
    assert_eq!(choices.open(&service, "main").listeners, [] as [&str; 0]);
    let made = template(&service, &facts(), &choices).unwrap();
    let property = |id: &str, name: &str| made.resources()[id]["Properties"].get(name).cloned();
    assert_eq!(property("Rule", "Priority"), Some(json!(7)));
    assert_eq!(property("Group", "Name"), Some(json!("web")));
    assert_eq!(property("Group", "Port"), Some(json!(80)), "a port cannot change");
    assert_eq!(property("Service", "ServiceName"), Some(json!("shop-web")));
    assert_eq!(
        property("Service", "Cluster"),
        Some(json!("arn:aws:ecs:eu-west-1:1:cluster/main"))
    );
}

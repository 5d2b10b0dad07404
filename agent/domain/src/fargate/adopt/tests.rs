//! Stacks as other tools make them, taken over.

use serde_json::json;

use super::*;
use crate::fargate::spec::{Container, FargateService, Network};
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
                "Properties": { "TaskDefinition": { "Ref": "TaskDefinitionWeb" } },
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
    let choices = choices(&existing, &resources, &service).unwrap();
    let facts = AccountFacts {
        account: "111122223333".to_owned(),
        partition: "aws".to_owned(),
        region: "eu-west-1".to_owned(),
        cluster: "main".to_owned(),
        permissions_boundary: None,
        role_path: "/towline/".to_owned(),
        mandatory_tags: Default::default(),
    };
    assert!(choices.open(&service, "main").is_empty());
    let made = template(&service, &facts, &choices).unwrap();
    let resources = made.resources();
    let property = |id: &str, name: &str| resources[id]["Properties"].get(name).cloned();
    assert_eq!(property("ServiceWeb", "ServiceName"), None, "it had none");
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
    let refused = choices(&existing, &resources, &valid("web")).unwrap_err();
    assert!(
        refused.message.contains("cf-ServiceWeb-BvO1"),
        "{}",
        refused.message
    );
    let bucket = r#"{"Resources": {"B": {"Type": "AWS::S3::Bucket"}}}"#;
    assert!(
        choices(bucket, &[], &valid("web"))
            .unwrap_err()
            .message
            .contains("no ECS service")
    );
    assert!(choices("a: [", &[], &valid("web")).is_err());
}

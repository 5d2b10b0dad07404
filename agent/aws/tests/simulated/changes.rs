//! A change set word for word, a deployment that is forced, and a roll-back that
//! got stuck.

use serde_json::{Value, json};
use towline_agent_domain::outside::{
    CallError, ChangeSetRequest, Ecs as _, StackChanges as _, Stacks as _, TemplateSource,
};

use crate::sim::{ACCOUNT, REGION, Sim, main_cluster};

/// A Fargate service of one container, with what the test changes.
fn template(tag: &str, count: u32) -> String {
    json!({
        "Resources": {
            "Role": { "Type": "AWS::IAM::Role", "Properties": { "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": { "Service": "ecs-tasks.amazonaws.com" },
                    "Action": "sts:AssumeRole",
                }],
            } } },
            "Task": {
                "Type": "AWS::ECS::TaskDefinition",
                "UpdateReplacePolicy": "Retain",
                "Properties": {
                    "Family": "plain",
                    "Cpu": "256",
                    "Memory": "512",
                    "NetworkMode": "awsvpc",
                    "RequiresCompatibilities": ["FARGATE"],
                    "ExecutionRoleArn": { "Fn::GetAtt": ["Role", "Arn"] },
                    "ContainerDefinitions": [{
                        "Name": "plain",
                        "Image": format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web:{tag}"),
                    }],
                },
            },
            "Service": { "Type": "AWS::ECS::Service", "Properties": {
                "ServiceName": "plain",
                "Cluster": "main",
                "LaunchType": "FARGATE",
                "DesiredCount": count,
                "TaskDefinition": { "Ref": "Task" },
                "DeploymentConfiguration": { "DeploymentCircuitBreaker": { "Enable": true, "Rollback": false } },
                "NetworkConfiguration": { "AwsvpcConfiguration": {
                    "Subnets": ["subnet-0d10000000000000a"],
                    "SecurityGroups": ["sg-0d10000000000000c"],
                } },
            } },
        },
    })
    .to_string()
}

fn request(name: &str, creates_stack: bool, template: String) -> ChangeSetRequest {
    ChangeSetRequest {
        region: REGION.to_owned(),
        stack_name: "plain".to_owned(),
        change_set_name: name.to_owned(),
        creates_stack,
        template: TemplateSource::Inline(template),
        parameters: Vec::new(),
        tags: Vec::new(),
        role_arn: None,
        token: format!("token-{name}"),
    }
}

async fn is_ready(sim: &Sim, name: &str) -> towline_agent_domain::observed::ChangeSet {
    loop {
        let found = sim.aws.change_set(REGION, "plain", name).await.unwrap();
        if found.status.ends_with("COMPLETE") || found.status == "FAILED" {
            return found;
        }
        sim.control("POST", "clock", &json!({ "advance_ms": 1000 })).await;
    }
}

/// Executes a change set, and answers the status that the stack ends in.
async fn ends(sim: &Sim, name: &str, creates_stack: bool, template: String) -> String {
    let wanted = request(name, creates_stack, template);
    sim.aws.create_change_set(&wanted).await.unwrap();
    is_ready(sim, name).await;
    sim.aws
        .execute_change_set(REGION, "plain", name, &wanted.token)
        .await
        .unwrap();
    settled(sim).await
}

async fn settled(sim: &Sim) -> String {
    loop {
        sim.control("POST", "clock", &json!({ "advance_ms": 5000 })).await;
        let stack = sim.aws.stack(REGION, "plain").await.unwrap().unwrap();
        if !stack.status.ends_with("IN_PROGRESS") {
            return stack.status;
        }
    }
}

#[tokio::test]
async fn a_change_set_says_each_property_with_both_values() {
    let sim = Sim::start().await;
    assert_eq!(
        ends(&sim, "first", true, template("1.0.0", 1)).await,
        "CREATE_COMPLETE"
    );
    let wanted = request("second", false, template("1.2.0", 2));
    sim.aws.create_change_set(&wanted).await.unwrap();
    let found = is_ready(&sim, "second").await;
    let of = |id: &str| {
        found
            .changes
            .iter()
            .find(|change| change.logical_id == id)
            .unwrap()
    };

    let task = of("Task");
    assert_eq!(
        (task.action.as_str(), task.replacement.as_str()),
        ("Modify", "True")
    );
    assert_eq!(task.policy_action, "ReplaceAndRetain");
    assert!(
        task.physical_id.contains("task-definition/plain:1"),
        "{}",
        task.physical_id
    );
    let image = task
        .details
        .iter()
        .find(|one| one.path.contains("ContainerDefinitions"))
        .unwrap();
    assert_eq!(
        (image.attribute.as_str(), image.requires_recreation.as_str()),
        ("Properties", "Always")
    );
    assert!(
        image.before.as_ref().unwrap().contains("shop/web:1.0.0"),
        "{image:?}"
    );
    assert!(
        image.after.as_ref().unwrap().contains("shop/web:1.2.0"),
        "{image:?}"
    );

    let service = of("Service");
    assert_eq!(service.replacement, "False");
    let count = service
        .details
        .iter()
        .find(|one| one.name == "DesiredCount")
        .unwrap();
    assert_eq!(count.path, "/Properties/DesiredCount");
    assert_eq!(
        (count.before.as_deref(), count.after.as_deref()),
        (Some("1"), Some("2"))
    );
    let revision = service
        .details
        .iter()
        .find(|one| one.name == "TaskDefinition")
        .unwrap();
    assert_eq!(
        (revision.source.as_str(), revision.cause.as_str()),
        ("ResourceReference", "Task")
    );
}

#[tokio::test]
async fn a_forced_deployment_is_a_new_one_of_the_same_revision() {
    let sim = Sim::start().await;
    let at = main_cluster();
    let before = sim.aws.service(&at, "orders").await.unwrap().unwrap();
    let id = |service: &towline_agent_domain::observed::ObservedService| service.deployments[0].id.clone();
    let revision = before.task_definition.clone();
    // The same revision again is no deployment ...
    let same = sim.aws.update_service(&at, "orders", &revision).await.unwrap();
    assert_eq!(id(&same), id(&before));
    // ... unless it is forced.
    let forced = sim.aws.force_deployment(&at, "orders", &revision).await.unwrap();
    assert_ne!(id(&forced), id(&before));
    assert_eq!(forced.deployments[0].task_definition, revision);
}

#[tokio::test]
async fn a_lost_answer_of_a_forced_deployment_is_not_asked_for_again() {
    let sim = Sim::start().await;
    let at = main_cluster();
    let before = sim.aws.service(&at, "orders").await.unwrap().unwrap();
    let rules = json!({"rules": [{"kind": "lost_answer", "action": "UpdateService", "times": 1}]});
    sim.control("POST", "faults", &rules).await;
    let answer = sim
        .aws
        .force_deployment(&at, "orders", &before.task_definition)
        .await;
    assert!(matches!(answer, Err(CallError::Unknown { .. })), "{answer:?}");
    assert_eq!(sim.arrivals("UpdateService").await.len(), 1);
}

#[tokio::test]
async fn a_stuck_roll_back_is_continued_under_a_token_of_its_own() {
    let sim = Sim::start().await;
    assert_eq!(
        ends(&sim, "first", true, template("1.0.0", 1)).await,
        "CREATE_COMPLETE"
    );
    // The way back leads to a revision that somebody deregisters meanwhile.
    let wanted = request("bad", false, template("1.1.0", 1));
    sim.aws.create_change_set(&wanted).await.unwrap();
    is_ready(&sim, "bad").await;
    sim.aws
        .execute_change_set(REGION, "plain", "bad", &wanted.token)
        .await
        .unwrap();
    while !runs(&sim, "plain:2").await {
        sim.control("POST", "clock", &json!({ "advance_ms": 1000 })).await;
    }
    deregister(&sim, "plain:1").await;
    assert_eq!(settled(&sim).await, "UPDATE_ROLLBACK_FAILED");

    sim.aws
        .continue_rollback(REGION, "plain", None, "token-continue")
        .await
        .unwrap();
    // Nothing has changed about its cause.
    assert_eq!(settled(&sim).await, "UPDATE_ROLLBACK_FAILED");
    let events = sim.aws.stack_events(REGION, "plain", None).await.unwrap();
    assert!(
        events
            .iter()
            .any(|event| event.token.as_deref() == Some("token-continue"))
    );
}

async fn runs(sim: &Sim, revision: &str) -> bool {
    let service = sim.aws.service(&main_cluster(), "plain").await.unwrap().unwrap();
    service.deployments[0].task_definition.0.ends_with(revision)
}

/// Somebody else's call, past the agent.
async fn deregister(sim: &Sim, revision: &str) {
    let target = "AmazonEC2ContainerServiceV20141113.DeregisterTaskDefinition";
    let answer: Value = sim.raw(target, &json!({ "taskDefinition": revision })).await;
    assert_eq!(answer["taskDefinition"]["status"], "INACTIVE", "{answer}");
}

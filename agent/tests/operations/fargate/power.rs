//! What the agent's own file decides about every stack, as CloudFormation gets it.

use std::fs;

use serde_json::{Value, json};

use super::{FIRST, deploy_web};
use crate::world::{ACCOUNT, World, describe, finished, to_the_end, told};

const STACK: &str = "towline-main-web";

/// An agent whose file names a service role, a boundary, a path and tags.
async fn bounded() -> World {
    let mut world = World::start(40.0).await;
    world.kill_agent();
    let file = world.path().join("agent.toml");
    let text = fs::read_to_string(&file).unwrap();
    let bounds = format!(
        "[aws]\ncloudformation_role = \"arn:aws:iam::{ACCOUNT}:role/towline-cloudformation\"\n\
         permissions_boundary = \"arn:aws:iam::{ACCOUNT}:policy/boundary\"\nrole_path = \"/towline/\"\n\
         tags = {{ cost-centre = \"shop\" }}\n"
    );
    fs::write(&file, text.replacen("[aws]\n", &bounds, 1)).unwrap();
    world.start_agent();
    world
}

#[tokio::test]
async fn a_stack_has_the_role_the_boundary_the_path_and_the_tags_of_the_account() {
    let world = bounded().await;
    let mut client = world.orchestrator().await;
    let mut request = deploy_web(FIRST, "1.0.0");
    let service = request.service.as_mut().unwrap();
    service.tags.insert("team".into(), "shop".into());
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    assert_eq!(
        finished(&events).reason,
        "completed",
        "{:#?}\n{}",
        told(&events),
        world.log()
    );

    let stack = world
        .cloudformation("DescribeStacks", &[("StackName", STACK)])
        .await;
    let role = format!("<RoleARN>arn:aws:iam::{ACCOUNT}:role/towline-cloudformation</RoleARN>");
    assert!(stack.contains(&role), "{stack}");
    for tag in [
        "<Key>cost-centre</Key>",
        "<Key>team</Key>",
        "<Key>towline:service</Key>",
    ] {
        assert!(stack.contains(tag), "{tag}: {stack}");
    }

    let answer = world.cloudformation("GetTemplate", &[("StackName", STACK)]).await;
    let body = answer.split_once("<TemplateBody>").unwrap().1;
    let body = body.split_once("</TemplateBody>").unwrap().0;
    let body = body
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let template: Value = serde_json::from_str(&body).expect("JSON");
    let role = &template["Resources"]["ExecutionRole"]["Properties"];
    assert_eq!(
        (&role["PermissionsBoundary"], &role["Path"]),
        (
            &json!(format!("arn:aws:iam::{ACCOUNT}:policy/boundary")),
            &json!("/towline/")
        )
    );

    // What was made carries the tags: the service, and its revision.
    let made = describe(&mut client, "web").await.service.unwrap();
    for arn in [&made.arn, &made.task_definition] {
        let tags = world
            .ecs("ListTagsForResource", &json!({ "resourceArn": arn }))
            .await;
        assert!(
            tags.contains("cost-centre") && tags.contains("team"),
            "{arn}: {tags}"
        );
    }
}

//! A stack that is as wanted, and a service that may not be.

use serde_json::json;
use towline_proto::agent::v1::{FargatePlanAction, OperationEvent, Verdict, operation_event::Event};

use super::{SECOND, THIRD, deploy_web, made, plans::plan_web, roll_back, until_rollout};
use crate::world::{ACCOUNT, Client, REGION, World, describe, finished, to_the_end, told, update_orders};

/// Somebody updates the service of the stack by hand.
async fn updated_by_hand(world: &World, client: &mut Client, tag: &str) {
    let mut by_hand = update_orders(SECOND, tag);
    by_hand.service = "web".into();
    by_hand.containers[0].name = "web".into();
    let events = to_the_end(client.update_service(by_hand).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
}

fn updates(writes: &[String]) -> usize {
    writes.iter().filter(|write| *write == "UpdateService").count()
}

fn findings(events: &[OperationEvent]) -> Vec<String> {
    let reason = |event: &OperationEvent| match event.event.as_ref() {
        Some(Event::Finding(finding)) => Some(finding.reason.clone()),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}

#[tokio::test]
async fn a_service_that_runs_something_else_is_put_back_by_one_update() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    let stacks = describe(&mut client, "web")
        .await
        .service
        .unwrap()
        .task_definition;
    updated_by_hand(&world, &mut client, "1.2.0").await;

    let plan = plan_web(&mut client, "1.0.0").await;
    assert_eq!(plan.action(), FargatePlanAction::Repair, "{plan:#?}");
    assert!(plan.drifted, "{plan:#?}");

    let mut request = deploy_web(THIRD, "1.0.0");
    request.expected = describe(&mut client, "web").await.expected;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Succeeded, "completed"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert!(
        findings(&events).contains(&"drift".to_owned()),
        "{:#?}",
        told(&events)
    );
    assert_eq!(
        updates(&world.writes(THIRD).await),
        1,
        "{:?}",
        world.writes(THIRD).await
    );
    assert_eq!(
        describe(&mut client, "web")
            .await
            .service
            .unwrap()
            .task_definition,
        stacks
    );
}

#[tokio::test]
async fn the_plan_of_one_update_says_what_the_deployment_will() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    updated_by_hand(&world, &mut client, "1.2.0").await;
    let deny = json!({"seed": 7, "rules": [{"kind": "deny", "service": "ec2"}]});
    world.sim_post("faults", deny).await;

    let plan = plan_web(&mut client, "1.0.0").await;
    assert_eq!(plan.action(), FargatePlanAction::Repair, "{plan:#?}");
    let planned: Vec<String> = plan.findings.iter().map(|f| f.message.clone()).collect();
    assert!(
        planned
            .iter()
            .any(|message| message.contains("could not be checked")),
        "{plan:#?}"
    );
    let events = to_the_end(client.deploy_fargate_service(deploy_web(THIRD, "1.0.0")).await).await;
    assert_eq!(finished(&events).reason, "completed", "{:#?}", told(&events));
    let said: Vec<String> = events
        .iter()
        .filter_map(|event| match event.event.as_ref() {
            Some(Event::Finding(finding)) if finding.reason != "drift" => Some(finding.message.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(said, planned, "{:#?}", told(&events));
}

#[tokio::test]
async fn a_cancel_of_the_one_update_is_a_stop_and_never_a_second_update() {
    for force in [false, true] {
        let world = World::start(10.0).await;
        let mut client = world.orchestrator().await;
        made(&world, &mut client).await;
        if !force {
            updated_by_hand(&world, &mut client, "1.2.0").await;
        }
        let before = describe(&mut client, "web")
            .await
            .service
            .unwrap()
            .task_definition;
        let mut request = deploy_web(THIRD, "1.0.0");
        request.force = force;
        let mut stream = client.deploy_fargate_service(request).await.unwrap().into_inner();
        until_rollout(&mut stream).await;
        client.cancel_operation(roll_back(THIRD)).await.unwrap();
        let events = to_the_end(Ok(tonic::Response::new(stream))).await;
        let end = finished(&events);
        assert_eq!(
            (end.verdict(), end.reason.as_str()),
            (Verdict::Cancelled, "cancelled"),
            "force={force}: {:#?}\n{}",
            told(&events),
            world.log()
        );
        assert_eq!(
            world.writes(THIRD).await,
            ["UpdateService", "StopServiceDeployment"],
            "force={force}: {:#?}",
            told(&events)
        );
        let after = describe(&mut client, "web")
            .await
            .service
            .unwrap()
            .task_definition;
        assert_eq!(after, before, "force={force}");
        assert_eq!(end.hint.contains("deploy again"), !force, "{end:#?}");
    }
}

#[tokio::test]
async fn what_ecs_does_not_stop_goes_on_and_that_is_said() {
    let world = World::start(10.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    updated_by_hand(&world, &mut client, "1.2.0").await;
    let mut stream = client
        .deploy_fargate_service(deploy_web(THIRD, "1.0.0"))
        .await
        .unwrap()
        .into_inner();
    until_rollout(&mut stream).await;
    let deny = json!({"seed": 7, "rules": [{"kind": "deny", "action": "StopServiceDeployment"}]});
    world.sim_post("faults", deny).await;
    client.cancel_operation(roll_back(THIRD)).await.unwrap();
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Cancelled, "detached"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert!(end.summary.contains("it goes on"), "{}", end.summary);
    assert_eq!(updates(&world.writes(THIRD).await), 1);
}

#[tokio::test]
async fn a_template_edited_by_hand_is_never_unchanged() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    let ours = template_of(&world).await;
    let mut edited = ours.clone();
    // Its metadata goes along, and with it the fingerprint.
    edited["Resources"]["TaskDefinition"]["Properties"]["Cpu"] = json!("1024");
    edited["Resources"]["TaskDefinition"]["Properties"]["Memory"] = json!("2048");
    let body = edited.to_string();
    let answer = world
        .cloudformation(
            "UpdateStack",
            &[
                ("StackName", "towline-main-web"),
                ("TemplateBody", &body),
                ("Parameters.member.1.ParameterKey", "ImageWeb"),
                ("Parameters.member.1.UsePreviousValue", "true"),
                ("Capabilities.member.1", "CAPABILITY_IAM"),
                ("Tags.member.1.Key", "towline:service"),
                ("Tags.member.1.Value", "main/web"),
            ],
        )
        .await;
    assert!(answer.contains("StackId"), "{answer}");
    world.stack_is("towline-main-web", "UPDATE_COMPLETE").await;
    let plan = plan_web(&mut client, "1.0.0").await;
    assert_eq!(plan.action(), FargatePlanAction::Update, "{plan:#?}");

    let events = to_the_end(client.deploy_fargate_service(deploy_web(THIRD, "1.0.0")).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Succeeded, "completed"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(template_of(&world).await, ours);
}

/// The stack's template as it is.
async fn template_of(world: &World) -> serde_json::Value {
    let stack = [("StackName", "towline-main-web")];
    let answer = world.cloudformation("GetTemplate", &stack).await;
    let (_, body) = answer.split_once("<TemplateBody>").unwrap();
    let (body, _) = body.split_once("</TemplateBody>").unwrap();
    let body = body
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&lt;", "<");
    serde_json::from_str(&body.replace("&gt;", ">").replace("&amp;", "&")).unwrap()
}

#[tokio::test]
async fn an_agent_killed_around_the_one_update_ends_as_if_nobody_had() {
    for (when, then) in [("before", "drop"), ("after", "drop"), ("after", "continue")] {
        for force in [false, true] {
            let mut world = World::start(40.0).await;
            let mut client = world.orchestrator().await;
            made(&world, &mut client).await;
            if !force {
                updated_by_hand(&world, &mut client, "1.2.0").await;
            }
            let mut request = deploy_web(THIRD, "1.0.0");
            request.force = force;
            request.expected = describe(&mut client, "web").await.expected;
            let hold = json!({"account": ACCOUNT, "region": REGION, "action": "UpdateService", "skip": 0, "when": when});
            let hold = world.sim_post("breakpoints", hold).await;
            let _stream = client.deploy_fargate_service(request.clone()).await.unwrap();
            world.wait_hit(&hold).await;
            world.kill_agent();
            world.release(&hold, then).await;
            world.start_agent();
            let mut client = world.orchestrator().await;
            request.context.as_mut().unwrap().repeated_send = true;
            let events = to_the_end(client.deploy_fargate_service(request).await).await;
            let end = finished(&events);
            assert_eq!(
                (end.verdict(), end.reason.as_str()),
                (Verdict::Succeeded, "completed"),
                "{when} {then} force={force}: {:#?}\n{}",
                told(&events),
                world.log()
            );
            assert_eq!(
                updates(&world.writes(THIRD).await),
                1,
                "{when} {then} force={force}: {:#?}",
                told(&events)
            );
        }
    }
}

#[tokio::test]
async fn force_starts_a_new_deployment_of_the_same_revision() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    let before = describe(&mut client, "web").await.expected.unwrap();
    let mut request = deploy_web(THIRD, "1.0.0");
    request.force = true;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        end.verdict(),
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert!(
        findings(&events).contains(&"forced".to_owned()),
        "{:#?}",
        told(&events)
    );
    let after = describe(&mut client, "web").await.expected.unwrap();
    assert_eq!(after.task_definition, before.task_definition);
    assert_ne!(after.deployment_id, before.deployment_id);
    assert_eq!(updates(&world.writes(THIRD).await), 1);
}

#[tokio::test]
async fn no_change_takes_three_calls_and_replays_no_old_events() {
    let world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    let events = to_the_end(client.deploy_fargate_service(deploy_web(THIRD, "1.0.0")).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Unchanged,
        "{:#?}",
        told(&events)
    );
    let old = |event: &&OperationEvent| matches!(event.event, Some(Event::ServiceEvent(_)));
    assert_eq!(events.iter().filter(old).count(), 0, "{:#?}", told(&events));
    let calls = world.calls(THIRD).await;
    assert_eq!(calls, ["DescribeStacks", "GetTemplate", "DescribeServices"]);
}

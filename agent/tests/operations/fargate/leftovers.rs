//! What is not carried out leaves nothing behind: no change set and no empty stack, also
//! when the agent was killed while it planned; and what a person cancelled stays so.

use serde_json::{Value, json};
use tokio::task::JoinSet;
use towline_proto::agent::v1::{
    CancelMode, CancelOperationRequest, FargatePlanAction, PlanFargateServiceRequest, Verdict,
};

use super::{FIRST, SECOND, deploy_web, made, plans::plan_web, until_rollout};
use crate::world::{ACCOUNT, REGION, World, describe, finished, to_the_end, told};

const STACK: &str = "towline-main-web";
const CREATE: [(&str, &str); 2] = [("StackName", STACK), ("ChangeSetName", "of-somebody-else")];

async fn hold(world: &World, action: &str, when: &str) -> Value {
    let hold = json!({"account": ACCOUNT, "region": REGION, "action": action, "skip": 0, "when": when});
    world.sim_post("breakpoints", hold).await
}

async fn change_sets(world: &World) -> String {
    world
        .cloudformation("ListChangeSets", &[("StackName", STACK)])
        .await
}

/// A plan whose agent is killed at `action`.
async fn killed_plan(world: &mut World, action: &str, when: &str) {
    let hold = hold(world, action, when).await;
    let mut client = world.orchestrator().await;
    let deploy = deploy_web(FIRST, "1.2.0");
    let request = PlanFargateServiceRequest {
        region: deploy.region,
        cluster: deploy.cluster,
        service: deploy.service,
        ..Default::default()
    };
    let mut planning = JoinSet::new();
    planning.spawn(async move { client.plan_fargate_service(request).await });
    world.wait_hit(&hold).await;
    world.kill_agent();
    world.release(&hold, "drop").await;
    let planned = planning.join_next().await.expect("it is planned").unwrap();
    assert!(planned.is_err());
    world.start_agent();
}

#[tokio::test]
async fn the_next_plan_clears_away_what_a_killed_one_left() {
    for (action, when) in [("CreateChangeSet", "after"), ("DeleteStack", "before")] {
        let mut world = World::start(40.0).await;
        killed_plan(&mut world, action, when).await;
        world.stack_is(STACK, "REVIEW_IN_PROGRESS").await;

        // Perhaps somebody still plans.
        let mut client = world.orchestrator().await;
        plan_web(&mut client, "1.0.0").await;
        world.stack_is(STACK, "REVIEW_IN_PROGRESS").await;

        world.sim_post("clock", json!({"advance_ms": 15 * 60_000})).await;
        let plan = plan_web(&mut client, "1.0.0").await;
        assert_eq!(plan.action(), FargatePlanAction::Create, "{plan:#?}");
        let after = describe(&mut client, "web").await;
        assert!(after.stack.is_none(), "{action}: {after:#?}\n{}", world.log());
    }
}

#[tokio::test]
async fn a_killed_plan_s_change_set_goes_and_other_peoples_stay() {
    let mut world = World::start(40.0).await;
    let mut client = world.orchestrator().await;
    made(&world, &mut client).await;
    killed_plan(&mut world, "CreateChangeSet", "after").await;
    let parameters = [
        CREATE[0],
        CREATE[1],
        ("UsePreviousTemplate", "true"),
        ("Parameters.member.1.ParameterKey", "ImageWeb"),
        ("Parameters.member.1.ParameterValue", "web:1"),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
    ];
    world.cloudformation("CreateChangeSet", &parameters).await;
    let before = change_sets(&world).await;
    assert!(before.contains("towline-plan-"), "{before}");

    world.sim_post("clock", json!({"advance_ms": 15 * 60_000})).await;
    let mut client = world.orchestrator().await;
    plan_web(&mut client, "1.2.0").await;
    let after = change_sets(&world).await;
    assert!(!after.contains("towline-plan-"), "{after}\n{}", world.log());
    assert!(after.contains("of-somebody-else"), "{after}");
}

#[tokio::test]
async fn an_empty_stack_with_other_peoples_change_sets_is_left_to_them() {
    let world = World::start(40.0).await;
    let template = json!({"Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}}}).to_string();
    let parameters = [
        CREATE[0],
        CREATE[1],
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", template.as_str()),
    ];
    let answer = world.cloudformation("CreateChangeSet", &parameters).await;
    assert!(answer.contains("StackId"), "{answer}");
    let mut client = world.orchestrator().await;
    plan_web(&mut client, "1.0.0").await;
    let after = change_sets(&world).await;
    assert!(after.contains("of-somebody-else"), "{after}");
    assert!(!after.contains("towline-plan-"), "{after}");
}

#[tokio::test]
async fn a_deadline_or_a_cancel_before_the_execution_leaves_nothing() {
    for cancelled in [true, false] {
        let world = World::start(40.0).await;
        let mut client = world.orchestrator().await;
        let mut request = deploy_web(FIRST, "1.0.0");
        if !cancelled {
            let deadline = world.seams.clock.now() + jiff::SignedDuration::from_secs(2);
            request.context.as_mut().unwrap().deadline = Some(prost_types::Timestamp {
                seconds: deadline.as_second(),
                nanos: deadline.subsec_nanosecond(),
            });
        }
        let hold = hold(&world, "DescribeChangeSet", "before").await;
        let stream = client.deploy_fargate_service(request).await;
        world.wait_hit(&hold).await;
        if cancelled {
            let cancel = CancelOperationRequest {
                operation_id: FIRST.into(),
                mode: CancelMode::RollBack.into(),
                epoch: 0,
            };
            client.cancel_operation(cancel).await.unwrap();
        } else {
            world
                .seams
                .clock
                .sleep(std::time::Duration::from_millis(2100))
                .await;
        }
        world.release(&hold, "continue").await;
        let events = to_the_end(stream).await;
        let reason = if cancelled {
            "cancelled"
        } else {
            "deadline_exceeded"
        };
        assert_eq!(finished(&events).reason, reason, "{:#?}", told(&events));
        assert_eq!(
            world.writes(FIRST).await,
            ["CreateChangeSet", "DeleteChangeSet", "DeleteStack"],
            "{}",
            world.log()
        );
    }
}

#[tokio::test]
async fn a_creation_that_was_cancelled_is_not_made_anew_when_it_is_sent_again() {
    let mut world = World::start(20.0).await;
    let mut client = world.orchestrator().await;
    let mut request = deploy_web(FIRST, "1.0.0");
    request.expected = describe(&mut client, "web").await.expected;
    let mut stream = client
        .deploy_fargate_service(request.clone())
        .await
        .unwrap()
        .into_inner();
    until_rollout(&mut stream).await;
    let hold = hold(&world, "DeleteStack", "after").await;
    let cancel = CancelOperationRequest {
        operation_id: FIRST.into(),
        mode: CancelMode::RollBack.into(),
        epoch: 0,
    };
    client.cancel_operation(cancel).await.unwrap();
    world.wait_hit(&hold).await;
    world.kill_agent();
    world.release(&hold, "drop").await;
    world.sim_post("clock", json!({"advance_ms": 10 * 60_000})).await;
    world.start_agent();
    let mut client = world.orchestrator().await;
    assert!(describe(&mut client, "web").await.stack.is_none());
    request.context.as_mut().unwrap().repeated_send = true;
    let events = to_the_end(client.deploy_fargate_service(request).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Cancelled, "create_cancelled"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    // The log group, which CloudFormation keeps, is gone: the way is open.
    let events = to_the_end(client.deploy_fargate_service(deploy_web(SECOND, "1.0.0")).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(verdict, Verdict::Succeeded, "{:#?}", told(&events));
}

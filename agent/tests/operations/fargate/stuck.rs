//! A roll-back that CloudFormation cannot finish: asked once to go on, then left to
//! a person, and never deleted.

use serde_json::json;
use towline_proto::agent::v1::{
    CircuitBreakerSpec, DeployFargateServiceRequest, DeployFargateServiceResponse, OperationEvent, Verdict,
    operation_event::Event,
};

use super::{FIRST, SECOND, THIRD, deploy_web, made, roll_back, until_rollout};
use crate::world::{ACCOUNT, REGION, World, describe, finished, to_the_end, told};

const FOURTH: &str = "44444444-4444-4444-8444-444444444444";
const FIFTH: &str = "55555555-5555-4555-8555-555555555555";

fn continued(writes: &[String]) -> usize {
    let of = |write: &&String| *write == "ContinueUpdateRollback";
    writes.iter().filter(of).count()
}

/// An update that crashes, while the revision that it would go back to is taken away.
async fn stuck(world: &World) -> Vec<OperationEvent> {
    let mut client = world.orchestrator().await;
    made(world, &mut client).await;
    let first = describe(&mut client, "web")
        .await
        .service
        .unwrap()
        .task_definition;
    let mut stream = client
        .deploy_fargate_service(deploy_web(SECOND, "1.1.0"))
        .await
        .unwrap()
        .into_inner();
    until_rollout(&mut stream).await;
    let gone = world
        .ecs("DeregisterTaskDefinition", &json!({ "taskDefinition": first }))
        .await;
    assert!(gone.contains("INACTIVE"), "{gone}");
    to_the_end(Ok(tonic::Response::new(stream))).await
}

#[tokio::test]
async fn a_roll_back_that_is_stuck_is_continued_once_and_then_left_to_a_person() {
    let world = World::start(40.0).await;
    let events = stuck(&world).await;
    let end = finished(&events);
    assert_eq!(
        end.verdict(),
        Verdict::Failed,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert!(
        continued(&world.writes(SECOND).await) <= 1,
        "{:#?}",
        told(&events)
    );

    // What was approved was not of a stack that is stuck, and what will not work is not begun.
    let mut client = world.orchestrator().await;
    let mut approved = deploy_web(FOURTH, "1.2.0");
    approved.plan_hash = "the hash of a plan".into();
    let impossible = deploy_web(FIFTH, "9.9.9");
    for (request, reason) in [(approved, "plan_changed"), (impossible, "preflight_failed")] {
        let id = request.context.as_ref().unwrap().operation_id.clone();
        let events = to_the_end(client.deploy_fargate_service(request).await).await;
        let end = finished(&events);
        assert_eq!(
            (end.verdict(), end.reason.as_str()),
            (Verdict::Errored, reason),
            "{:#?}\n{}",
            told(&events),
            world.log()
        );
        assert_eq!(world.writes(&id).await, Vec::<String>::new(), "{reason}");
    }

    let events = to_the_end(client.deploy_fargate_service(deploy_web(THIRD, "1.2.0")).await).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Errored, "stack_stuck"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert!(end.hint.contains("--resources-to-skip"), "{}", end.hint);
    assert!(end.hint.contains("Service"), "{}", end.hint);
    assert_eq!(world.writes(THIRD).await, ["ContinueUpdateRollback"]);
}

fn without_breaker(mut request: DeployFargateServiceRequest) -> DeployFargateServiceRequest {
    let service = request.service.as_mut().unwrap();
    let rollout = service.rollout.get_or_insert_default();
    rollout.circuit_breaker = Some(CircuitBreakerSpec {
        enabled: Some(false),
        ..Default::default()
    });
    request
}

#[tokio::test]
async fn a_rollout_that_nothing_gives_up_is_told_once_and_can_be_cancelled() {
    let world = World::start(80.0).await;
    let mut client = world.orchestrator().await;
    let first = without_breaker(deploy_web(FIRST, "1.0.0"));
    let events = to_the_end(client.deploy_fargate_service(first).await).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Succeeded,
        "{:#?}",
        told(&events)
    );
    let second = without_breaker(deploy_web(SECOND, "1.1.0"));
    let mut stream = client.deploy_fargate_service(second).await.unwrap().into_inner();
    let mut warned = 0;
    while let Some(message) = stream.message().await.unwrap() {
        match message.event.unwrap().event.unwrap() {
            Event::Finding(finding) if finding.message.contains("CloudFormation does not give up") => {
                warned += 1;
                assert_eq!(finding.reason, "crash_looping", "{finding:?}");
                client.cancel_operation(roll_back(SECOND)).await.unwrap();
            }
            Event::Finished(end) => {
                assert_eq!(end.reason, "update_cancelled", "{end:#?}\n{}", world.log());
            }
            _ => {}
        }
    }
    assert_eq!(warned, 1, "{}", world.log());
}

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-password-a1b2c3";

/// Somebody takes away the secret that every task needs, or puts it back.
async fn secret(world: &World, what: &str) {
    world
        .sim_post(
            "secrets",
            json!({ "account": ACCOUNT, "region": REGION, what: [SECRET] }),
        )
        .await;
}

/// Old tasks stop before new ones start: nothing is left to go back to.
fn stops_first(mut request: DeployFargateServiceRequest) -> DeployFargateServiceRequest {
    let service = request.service.as_mut().unwrap();
    let rollout = service.rollout.get_or_insert_default();
    (rollout.minimum_healthy_percent, rollout.maximum_percent) = (Some(0), Some(100));
    service.containers[0].secrets.insert("DB".into(), SECRET.into());
    request
}

/// An update that crashes, while what it would go back to cannot start.
async fn nothing_runs(world: &World) -> tonic::Streaming<DeployFargateServiceResponse> {
    let mut client = world.orchestrator().await;
    let first = stops_first(deploy_web(FIRST, "1.0.0"));
    let events = to_the_end(client.deploy_fargate_service(first).await).await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    let second = stops_first(deploy_web(SECOND, "1.1.0"));
    let mut stream = client.deploy_fargate_service(second).await.unwrap().into_inner();
    until_rollout(&mut stream).await;
    secret(world, "remove").await;
    stream
}

#[tokio::test]
async fn a_roll_back_that_goes_on_when_it_is_continued_is_a_roll_back() {
    let world = World::start(40.0).await;
    let stream = nothing_runs(&world).await;
    let hold = json!({ "action": "ContinueUpdateRollback", "skip": 0, "when": "before" });
    let hold = world.sim_post("breakpoints", hold).await;
    world.wait_hit(&hold).await;
    secret(&world, "add").await;
    world.release(&hold, "continue").await;
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    let end = finished(&events);
    assert_eq!(
        (end.verdict(), end.reason.as_str()),
        (Verdict::Failed, "rolled_back"),
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(continued(&world.writes(SECOND).await), 1);
    world
        .stack_is("towline-main-web", "UPDATE_ROLLBACK_COMPLETE")
        .await;
    let mut client = world.orchestrator().await;
    let service = describe(&mut client, "web").await.service.unwrap();
    assert!(
        service.containers[0].image.ends_with("shop/web:1.0.0"),
        "{service:#?}"
    );
}

#[tokio::test]
async fn a_deployment_continues_the_roll_back_that_it_finds_and_goes_on() {
    let world = World::start(40.0).await;
    let stream = nothing_runs(&world).await;
    let events = to_the_end(Ok(tonic::Response::new(stream))).await;
    assert_eq!(
        finished(&events).verdict(),
        Verdict::Failed,
        "{:#?}",
        told(&events)
    );
    assert_eq!(continued(&world.writes(SECOND).await), 1);
    world.stack_is("towline-main-web", "UPDATE_ROLLBACK_FAILED").await;

    secret(&world, "add").await;
    let mut client = world.orchestrator().await;
    let events = to_the_end(
        client
            .deploy_fargate_service(stops_first(deploy_web(THIRD, "1.2.0")))
            .await,
    )
    .await;
    let verdict = finished(&events).verdict();
    assert_eq!(
        verdict,
        Verdict::Succeeded,
        "{:#?}\n{}",
        told(&events),
        world.log()
    );
    assert_eq!(
        world.writes(THIRD).await,
        ["ContinueUpdateRollback", "CreateChangeSet", "ExecuteChangeSet"]
    );
}

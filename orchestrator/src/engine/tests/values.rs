//! Values that stand in an account: read once, then the same for every send.

use towline_proto::agent::v1::Verdict;

use super::{
    agent::id_of,
    world::{SHOP, World, caller},
};
use crate::engine::{DeploymentState, Page, Promotion, ServiceQuestion, VariableQuestion};

const VARIABLES: &str = r#"variables:
  POOL: { ssm: "/shop/${environment.level}/pool" }
  HOST: { stack_output: { stack: network, output: Host } }
environments:
  dev:
    values: { level: debug }
"#;

/// `dev` alone has `level`; only `orders` in dev uses the variables.
fn shop() -> String {
    let text = SHOP.replace("environments:\n  dev:\n", VARIABLES).replace(
        "    containers: { app: orders }\n",
        "    only_in: [dev]\n    containers: { app: { image: orders, environment: { set: { POOL: \"${variable.POOL}\", HOST: \"${variable.HOST}\" } } } }\n",
    );
    // The others have nothing any more.
    let rest = text.find("  staging:").expect("staging");
    let channels = text.find("channels:").expect("channels");
    let phases = text.find("    - { phase: staging").expect("a phase");
    format!("{}{}", &text[..rest], &text[channels..phases])
}

fn values_of(request: &towline_proto::agent::v1::UpdateServiceRequest) -> (String, String) {
    let set = &request.containers[0]
        .environment
        .as_ref()
        .expect("an environment")
        .set;
    (set["POOL"].clone(), set["HOST"].clone())
}

#[tokio::test]
async fn what_was_read_is_sent_again_after_a_death_though_it_changed() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    dev.account().holds("/shop/debug/pool", Ok("5"));
    dev.account().holds("network/Host", Ok("db.example"));
    world.apply(&shop()).await;
    world.release("1.0.0").await;
    let first = calls.update().await;
    assert_eq!(values_of(&first), ("5".to_owned(), "db.example".to_owned()));
    assert_eq!(dev.account().reads(), 1);
    dev.account().holds("/shop/debug/pool", Ok("6"));
    let account = dev.account().clone();
    let world = world.stop().await.start().await;

    let (again, again_calls) = super::agent::FakeAgent::new("dev", "second");
    let again = again.lives_in(&account);
    again.connect(&world.engine);
    let mut again_calls = super::world::Calls(again_calls);
    let second = again_calls.update().await;
    assert!(second.context.as_ref().expect("one").repeated_send);
    assert_eq!(id_of(&second), id_of(&first));
    assert_eq!(values_of(&second), values_of(&first));
    assert_eq!(account.reads(), 1);
    again.finish(&id_of(&second), Verdict::Succeeded, "completed");
    let (events, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Succeeded));
    let read = events
        .iter()
        .find(|event| event.kind == "values_read")
        .expect("a line");
    assert_eq!(
        read.message,
        "the agent read SSM parameter /shop/debug/pool, output Host of stack network"
    );

    // Another deployment reads anew.
    let promotion = Promotion {
        project: "shop".to_owned(),
        version: "1.0.0".to_owned(),
        environment: Some("dev".to_owned()),
        ..Promotion::default()
    };
    world
        .engine
        .promote(&caller("dan"), &promotion)
        .await
        .expect("a deployment");
    assert_eq!(values_of(&again_calls.update().await).0, "6");
    drop(world.stop().await);
}

#[tokio::test]
async fn a_value_that_cannot_be_read_ends_the_operation_before_anything_is_sent() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    dev.account().holds("/shop/debug/pool", Err("secure_string"));
    dev.account().holds("network/Host", Ok("db.example"));
    world.apply(&shop()).await;
    world.release("1.0.0").await;
    let (_, settled) = world.settled("1.0.0", 0).await;
    assert_eq!(settled.outcome, Some(DeploymentState::Errored));
    let operation = &world.deployment("1.0.0", "dev").await.operations[0];
    assert_eq!(operation.reason, "value_not_read");
    assert_eq!(
        operation.summary,
        "SSM parameter /shop/debug/pool cannot be read: /shop/debug/pool: secure_string"
    );
    assert_eq!(operation.hint, "see the account");
    assert!(calls.none());
    drop(world.stop().await);
}

#[tokio::test]
async fn a_value_that_is_out_of_reach_for_a_while_is_asked_for_again() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    dev.account().holds("/shop/debug/pool", Ok("5"));
    dev.account().holds("network/Host", Err("unreachable"));
    world.apply(&shop()).await;
    world.release("1.0.0").await;
    super::world::patiently(async {
        while dev.account().reads() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(calls.none());
    dev.account().holds("network/Host", Ok("db.example"));
    assert_eq!(values_of(&calls.update().await).1, "db.example");
    drop(world.stop().await);
}

#[tokio::test]
async fn an_approval_is_of_the_values_as_they_were_read() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    dev.account().holds("/shop/debug/pool", Ok("5"));
    dev.account().holds("network/Host", Ok("db.example"));
    let text = shop().replace(
        "environments: [dev], automatic: true",
        "environments: [dev], automatic: true, approvals: { role: approver }",
    );
    world.apply(&text).await;
    world.release("1.0.0").await;
    let asked = world.asked("1.0.0", "dev", 0).await;
    dev.account().holds("/shop/debug/pool", Ok("6"));
    world.approve("bob", &asked.id).await.expect("an approval");
    let voided = world
        .event("1.0.0", 0, |event| event.kind == "approval_voided")
        .await;
    world.asked("1.0.0", "dev", voided.cursor).await;
    assert!(calls.only_plans());
    world.approve("bob", &asked.id).await.expect("an approval");
    assert_eq!(values_of(&calls.update().await).0, "6");
    assert_eq!(
        dev.account().reads(),
        3,
        "for two plans, and once more before the start"
    );
    drop(world.stop().await);
}

#[tokio::test]
async fn a_service_is_planned_with_what_stands_in_the_account_now() {
    let world = World::new().await;
    let (dev, mut calls) = world.agent("dev");
    dev.account().holds("/shop/debug/pool", Ok("5"));
    dev.account().holds("network/Host", Ok("db.example"));
    world.apply(&shop()).await;
    let question = ServiceQuestion {
        project: "shop".to_owned(),
        service: "orders".to_owned(),
        environment: "dev".to_owned(),
        images: vec![("orders".to_owned(), "1.0.0".to_owned())],
        ..ServiceQuestion::default()
    };
    world.engine.plan_service(&question).await.expect("a plan");
    assert_eq!(
        values_of(&calls.next().await.plan()),
        ("5".to_owned(), "db.example".to_owned())
    );
    drop(world.stop().await);
}

#[tokio::test]
async fn a_plan_is_made_again_when_its_values_can_be_read() {
    let world = World::new().await;
    let (dev, _calls) = world.agent("dev");
    dev.account().holds("/shop/debug/pool", Ok("5"));
    let text = shop().replace(
        "environments: [dev], automatic: true",
        "environments: [dev], automatic: true, approvals: { role: approver }",
    );
    world.apply(&text).await;
    world.release("1.0.0").await;
    let failed = world
        .event("1.0.0", 0, |event| event.kind == "planning_failed")
        .await;
    assert_eq!(
        failed.message,
        "agent dev: output Host of stack network cannot be read: network/Host: not_found"
    );
    let waits = world.deployment("1.0.0", "dev").await.waiting_on;
    assert_eq!(
        waits,
        "its plan: agent dev: output Host of stack network cannot be read: network/Host: not_found, hint: see the account"
    );
    dev.account().holds("network/Host", Ok("db.example"));
    world.asked("1.0.0", "dev", 0).await;
    drop(world.stop().await);
}

#[tokio::test]
async fn which_value_wins_where_is_told_with_its_line() {
    let world = World::new().await;
    let text = shop().replace(
        "  POOL: { ssm: \"/shop/${environment.level}/pool\" }\n",
        "  POOL:\n    - { value: 5 }\n    - { value: \"${environment.level}-7\", environment: dev, service: orders }\n",
    );
    world.apply(&text).await;
    let question = VariableQuestion {
        project: "shop".to_owned(),
        ..VariableQuestion::default()
    };
    let told = world
        .engine
        .variables(&question, Page::default())
        .await
        .expect("variables");
    let [pool, host] = told.items.as_slice() else {
        panic!("{told:?}")
    };
    let value = pool.value.as_ref().expect("a value");
    let line = 1 + text.lines().position(|line| line.contains("-7")).expect("a line");
    assert_eq!(
        (value.texts.as_slice(), value.line as usize),
        (["debug-7".to_owned()].as_slice(), line)
    );
    assert_eq!(
        pool.why,
        format!(
            "it names 2 scopes, the next 0 (line {}): environment dev, service orders",
            line - 1
        )
    );
    assert_eq!(pool.others[0].texts, ["5"]);
    let host = host.value.as_ref().expect("a value");
    assert_eq!((host.stack.as_str(), host.output.as_str()), ("network", "Host"));
    let one = Page {
        size: 1,
        ..Page::default()
    };
    let first = world.engine.variables(&question, one).await.expect("a page");
    assert_eq!((first.items.len(), first.next.as_str()), (1, "1"));
    let wrong = VariableQuestion {
        service: "web".to_owned(),
        ..question
    };
    assert!(world.engine.variables(&wrong, Page::default()).await.is_err());
    drop(world.stop().await);
}

//! What crosses the wire, and what becomes of it when an answer is lost.

use serde_json::json;
use towline_agent_domain::observed::{Controller, ServiceStatus};
use towline_agent_domain::outside::{CallError, Ecs as _, StackChanges as _, Stacks as _};

use crate::sim::{ACCOUNT, REGION, Sim, main_cluster};

#[tokio::test]
async fn the_account_says_who_we_are() {
    let sim = Sim::start().await;
    assert_eq!((sim.aws.account_id(), sim.aws.partition()), (ACCOUNT, "aws"));
}

#[tokio::test]
async fn a_service_is_read_in_our_words() {
    let sim = Sim::start().await;
    let service = sim.aws.service(&main_cluster(), "orders").await.unwrap().unwrap();
    assert_eq!(service.status, ServiceStatus::Active);
    assert_eq!(service.controller, Controller::Rolling);
    assert!(service.circuit_breaker.rolls_back);
    assert_eq!(service.launch_type.as_deref(), Some("EC2"));
    assert_eq!(service.primary().unwrap().task_definition.family(), "orders");
    assert_eq!(sim.aws.service(&main_cluster(), "nobody").await.unwrap(), None);
    let all = sim.aws.services(&main_cluster()).await.unwrap();
    assert_eq!(all, [service]);
}

#[tokio::test]
async fn a_member_that_the_sdk_has_never_heard_of_crosses_both_ways() {
    let sim = Sim::start().await;
    let found = sim.aws.task_definition(REGION, "orders").await.unwrap();
    assert!(found.tags.iter().any(|tag| tag["key"] == "ManagedBy"));
    let request = json!({
        "family": "future",
        "containerDefinitions": [{ "name": "app", "image": "r/app:1", "memory": 64, "essential": true }],
        "placedOnTheMoon": { "crater": "Tycho" },
    });
    let arn = sim.aws.register_task_definition(REGION, &request).await.unwrap();
    assert_eq!(arn.short(), "future:1");
    let found = sim.aws.task_definition(REGION, &arn.0).await.unwrap();
    assert_eq!(found.definition["placedOnTheMoon"], request["placedOnTheMoon"]);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_unknown_and_not_sent_again() {
    let sim = Sim::start().await;
    let running = sim.aws.service(&main_cluster(), "orders").await.unwrap().unwrap();
    let spec = json!({ "action": "UpdateService", "when": "after" });
    let id = sim.control("POST", "breakpoints", &spec).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let at = main_cluster();
    let update = sim.aws.update_service(&at, "orders", &running.task_definition);
    let drop_it = async {
        sim.control("GET", &format!("breakpoints/{id}?wait_ms=5000"), &json!({}))
            .await;
        sim.control(
            "POST",
            &format!("breakpoints/{id}/release"),
            &json!({ "then": "drop" }),
        )
        .await;
    };
    let (answer, ()) = tokio::join!(update, drop_it);
    assert!(matches!(answer, Err(CallError::Unknown { .. })), "{answer:?}");
    assert_eq!(sim.arrivals("UpdateService").await.len(), 1);
}

#[tokio::test]
async fn a_write_that_reached_nobody_was_not_applied() {
    let sim = Sim::start().await;
    let running = sim.aws.service(&main_cluster(), "orders").await.unwrap().unwrap();
    let aws = sim.stop().await;
    let answer = aws
        .update_service(&main_cluster(), "orders", &running.task_definition)
        .await;
    assert!(matches!(answer, Err(CallError::Throttled { .. })), "{answer:?}");
}

#[tokio::test]
async fn requests_of_an_operation_carry_its_id() {
    let sim = Sim::start().await;
    let at = main_cluster();
    let read = sim.aws.service(&at, "orders");
    towline_agent_aws::in_operation("6f1c2b1e-57a4-4b62-9f6e-1f0f4a1d2c3b", read)
        .await
        .unwrap();
    sim.aws.stack(REGION, "none").await.unwrap();
    let arrival = sim.arrivals("DescribeServices").await.pop().unwrap();
    assert_eq!(arrival["operation"], "6f1c2b1e-57a4-4b62-9f6e-1f0f4a1d2c3b");
    // A round of the poller that serves one operation alone is that operation's as well.
    let look = sim.aws.next_service(&at, "orders");
    towline_agent_aws::in_operation("0b7e9d2a-57a4-4b62-9f6e-1f0f4a1d2c3b", look)
        .await
        .unwrap();
    let arrival = sim.arrivals("DescribeServices").await.pop().unwrap();
    assert_eq!(arrival["operation"], "0b7e9d2a-57a4-4b62-9f6e-1f0f4a1d2c3b");
    let outside = sim.arrivals("DescribeStacks").await.pop().unwrap();
    assert_eq!(outside.get("operation"), None);
}

#[tokio::test]
async fn what_is_not_there_is_missing_and_no_refusal() {
    let sim = Sim::start().await;
    assert_eq!(sim.aws.stack(REGION, "none").await.unwrap(), None);
    assert_eq!(sim.aws.template_body(REGION, "none").await.unwrap(), None);
    for answer in [
        sim.aws.change_set(REGION, "none", "none").await.map(drop),
        sim.aws.task_definition(REGION, "none").await.map(drop),
    ] {
        assert!(matches!(answer, Err(CallError::Missing { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn all_followers_of_a_cluster_share_one_call() {
    let sim = Sim::start().await;
    let at = main_cluster();
    let names: Vec<String> = (0..12)
        .map(|n| {
            if n == 0 {
                "orders".to_owned()
            } else {
                format!("other-{n}")
            }
        })
        .collect();
    let looks = names.iter().map(|name| sim.aws.next_service(&at, name));
    let mut seen = Vec::new();
    let mut looks: Vec<_> = looks.map(Box::pin).collect();
    // All ask before the first is answered.
    std::future::poll_fn(|context| {
        for look in &mut looks {
            if let std::task::Poll::Ready(answer) = look.as_mut().poll(context) {
                seen.push(answer);
            }
        }
        std::task::Poll::Ready(())
    })
    .await;
    assert!(seen.is_empty());
    for look in looks {
        seen.push(look.await);
    }
    assert_eq!(
        seen.iter().filter(|answer| matches!(answer, Ok(Some(_)))).count(),
        1
    );
    assert_eq!(
        sim.arrivals("DescribeServices").await.len(),
        2,
        "twelve services, ten a call"
    );
}

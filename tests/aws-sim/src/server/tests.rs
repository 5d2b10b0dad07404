//! The server over real connections: the effect log, breakpoints, faults.

mod causes;

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Handle, Simulator};
use crate::world::Seed;

async fn start() -> Handle {
    let seed = Seed::read(include_str!("../../seeds/shop.toml")).unwrap();
    let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Simulator::start(seed, listen, 0.0).await.unwrap()
}

/// One request on its own connection: status and body; `None` when the connection ends unanswered.
#[expect(clippy::disallowed_methods, reason = "the test is the client")]
async fn send(address: SocketAddr, request: String) -> Option<(u16, Value)> {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    assert!(head.to_lowercase().contains("server: aws-sim (simulator)"));
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

async fn ecs(address: SocketAddr, action: &str, input: Value) -> Option<(u16, Value)> {
    let body = input.to_string();
    let scope = "111111111111/20261124/eu-west-1/ecs/aws4_request";
    let request = format!(
        "POST / HTTP/1.1\r\nhost: ecs\r\nconnection: close\r\nx-amz-target: AmazonEC2ContainerServiceV20141113.{action}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0\r\n\
         x-amzn-trace-id: Operation=op-1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    send(address, request).await
}

async fn control(address: SocketAddr, method: &str, path: &str, body: Value) -> Value {
    let body = if method == "GET" {
        String::new()
    } else {
        body.to_string()
    };
    let request = format!(
        "{method} /_sim/{path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, answer) = send(address, request).await.unwrap();
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn effects(address: SocketAddr) -> Vec<Value> {
    let effects = control(address, "GET", "effects?after=0", Value::Null).await;
    effects.as_array().unwrap().clone()
}

fn update() -> Value {
    json!({"cluster": "main", "service": "orders", "forceNewDeployment": true})
}

async fn deployments(address: SocketAddr) -> usize {
    let input = json!({"cluster": "main", "services": ["orders"]});
    let (_, answer) = ecs(address, "DescribeServices", input).await.unwrap();
    answer["services"][0]["deployments"].as_array().unwrap().len()
}

#[tokio::test]
async fn every_arrival_is_in_the_effect_log_refused_ones_too() {
    let simulator = start().await;
    let address = simulator.address();
    assert_eq!(ecs(address, "UpdateService", update()).await.unwrap().0, 200);
    let wrong = json!({"cluster": "main", "service": "nobody"});
    assert_eq!(ecs(address, "UpdateService", wrong).await.unwrap().0, 400);
    deployments(address).await;
    let log = effects(address).await;
    let said: Vec<_> = log
        .iter()
        .map(|effect| {
            (
                effect["seq"].clone(),
                effect["kind"].clone(),
                effect["disposition"].clone(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            (json!(1), json!("write"), json!("applied")),
            (json!(2), json!("write"), json!("refused")),
            (json!(3), json!("read"), json!("applied")),
        ]
    );
    assert_eq!(log[0]["operation"], "op-1");
    assert_eq!(log[0]["subject"], "orders");
    assert_eq!(log[1]["code"], "ServiceNotFoundException");
    simulator.stop().await;
}

#[tokio::test]
async fn a_repeated_client_token_is_deduplicated_and_said_to_be() {
    let simulator = start().await;
    let address = simulator.address();
    let create = json!({"cluster": "main", "launchType": "EC2", "serviceName": "twin", "taskDefinition": "orders",
        "desiredCount": 1, "clientToken": "token-1"});
    assert_eq!(
        ecs(address, "CreateService", create.clone()).await.unwrap().0,
        200
    );
    assert_eq!(ecs(address, "CreateService", create).await.unwrap().0, 200);
    let log = effects(address).await;
    assert_eq!(
        (&log[0]["disposition"], &log[1]["disposition"]),
        (&json!("applied"), &json!("deduplicated"))
    );
    assert_eq!(log[1]["token"], "token-1");
    simulator.stop().await;
}

#[tokio::test]
async fn a_breakpoint_holds_one_arrival_and_nobody_else() {
    let simulator = start().await;
    let address = simulator.address();
    for (when, then, expected) in [
        ("before", "continue", 2),
        ("before", "drop", 2),
        ("after", "drop", 3),
        ("after", "continue", 4),
    ] {
        let spec = json!({"account": "111111111111", "action": "UpdateService", "when": when});
        let id = control(address, "POST", "breakpoints", spec).await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let held = tokio::task::LocalSet::new();
        held.run_until(async {
            let request = tokio::task::spawn_local(ecs(address, "UpdateService", update()));
            let hit = control(
                address,
                "GET",
                &format!("breakpoints/{id}?wait_ms=5000"),
                Value::Null,
            )
            .await;
            assert_eq!(hit["state"], "hit");
            let meanwhile = deployments(address).await;
            assert_eq!(
                meanwhile,
                if when == "before" && then == "continue" {
                    1
                } else if when == "before" {
                    2
                } else {
                    expected
                }
            );
            control(
                address,
                "POST",
                &format!("breakpoints/{id}/release"),
                json!({"then": then}),
            )
            .await;
            assert_eq!(request.await.unwrap().is_some(), then == "continue");
        })
        .await;
        assert_eq!(deployments(address).await, expected, "{when} {then}");
    }
    let log = effects(address).await;
    let dropped: Vec<_> = log
        .iter()
        .filter(|effect| effect["disposition"] == "dropped")
        .collect();
    assert_eq!(dropped.len(), 1);
    simulator.stop().await;
}

#[tokio::test]
async fn faults_come_as_scheduled_and_a_stale_read_shows_what_was() {
    let simulator = start().await;
    let address = simulator.address();
    let rules = json!({"seed": 1, "rules": [
        {"kind": "stale", "action": "DescribeServices", "ms": 5000},
        {"kind": "lost_answer", "action": "UpdateService", "times": 1},
        {"kind": "throttle", "action": "ListServices", "times": 1},
    ]});
    control(address, "POST", "faults", rules).await;
    assert!(ecs(address, "UpdateService", update()).await.is_none());
    assert_eq!(deployments(address).await, 1);
    control(address, "POST", "clock", json!({"advance_ms": 5_500})).await;
    assert_eq!(deployments(address).await, 2);
    let list = json!({"cluster": "main"});
    let (status, answer) = ecs(address, "ListServices", list.clone()).await.unwrap();
    assert_eq!((status, &answer["__type"]), (400, &json!("ThrottlingException")));
    assert_eq!(ecs(address, "ListServices", list).await.unwrap().0, 200);
    simulator.stop().await;
}

#[tokio::test]
async fn describing_stacks_is_throttled_by_the_schedule_and_secrets_come_and_go() {
    let simulator = start().await;
    let address = simulator.address();
    let rules = json!({"rules": [
        {"kind": "throttle", "service": "cloudformation", "action": "DescribeStacks", "times": 2},
    ]});
    control(address, "POST", "faults", rules).await;
    let describe = || {
        let body = "Action=DescribeStacks&Version=2010-05-15";
        let scope = "111111111111/20261124/eu-west-1/cloudformation/aws4_request";
        let request = format!(
            "POST / HTTP/1.1\r\nhost: cloudformation\r\nconnection: close\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        send(address, request)
    };
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(describe().await.unwrap().0);
    }
    assert_eq!(answers, [400, 400, 200]);
    let log = effects(address).await;
    assert_eq!(log[0]["code"], "Throttling");
    let secret = "arn:aws:ssm:eu-west-1:111111111111:parameter/passing";
    let set = |add: Value, remove: Value| json!({"account": "111111111111", "region": "eu-west-1", "add": add, "remove": remove});
    control(address, "POST", "secrets", set(json!([secret]), json!([]))).await;
    control(address, "POST", "secrets", set(json!([]), json!([secret]))).await;
    simulator.stop().await;
}

#[tokio::test]
async fn registering_is_limited_and_concurrent_registrations_of_a_family_are_refused() {
    let simulator = start().await;
    let address = simulator.address();
    let register = |family: &str| json!({"family": family, "containerDefinitions": [{"name": "a", "image": "a", "memory": 64}]});
    let spec = json!({"action": "RegisterTaskDefinition", "when": "before"});
    let id = control(address, "POST", "breakpoints", spec).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let held = tokio::task::LocalSet::new();
    held.run_until(async {
        let first = tokio::task::spawn_local(ecs(address, "RegisterTaskDefinition", register("one")));
        control(
            address,
            "GET",
            &format!("breakpoints/{id}?wait_ms=5000"),
            Value::Null,
        )
        .await;
        let (_, second) = ecs(address, "RegisterTaskDefinition", register("one"))
            .await
            .unwrap();
        assert!(
            second["message"]
                .as_str()
                .unwrap()
                .starts_with("Too many concurrent attempts")
        );
        control(
            address,
            "POST",
            &format!("breakpoints/{id}/release"),
            json!({"then": "continue"}),
        )
        .await;
        assert_eq!(first.await.unwrap().unwrap().0, 200);
    })
    .await;
    let mut throttled = 0;
    for _ in 0..40 {
        let (_, answer) = ecs(address, "RegisterTaskDefinition", register("many"))
            .await
            .unwrap();
        throttled += usize::from(answer["__type"] == "ThrottlingException");
    }
    assert!(throttled >= 10, "{throttled}");
    simulator.stop().await;
}

#[tokio::test]
async fn it_refuses_to_listen_beyond_this_machine() {
    let listen: SocketAddr = "0.0.0.0:0".parse().unwrap();
    assert!(Simulator::start(Seed::default(), listen, 1.0).await.is_err());
}

#[tokio::test]
async fn a_reset_brings_the_seed_back() {
    let simulator = start().await;
    let address = simulator.address();
    ecs(address, "UpdateService", update()).await.unwrap();
    assert_eq!(deployments(address).await, 2);
    control(address, "POST", "reset", json!({})).await;
    assert!(effects(address).await.is_empty());
    assert_eq!(deployments(address).await, 1);
    simulator.stop().await;
}

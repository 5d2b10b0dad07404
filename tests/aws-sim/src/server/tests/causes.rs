//! What happens without a call of a client, and what clients meet on their way.

use serde_json::{Value, json};

use super::{control, deployments, ecs, effects, send, start, update};

const PLACE: &str = "account=111111111111&region=eu-west-1";

fn here(more: Value) -> Value {
    let mut all = json!({"account": "111111111111", "region": "eu-west-1"});
    for (member, value) in more.as_object().unwrap() {
        all[member] = value.clone();
    }
    all
}

async fn get(address: std::net::SocketAddr, path: &str) -> Option<(u16, Value)> {
    let request = format!("GET /_sim/{path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n");
    send(address, request).await
}

#[tokio::test]
async fn a_request_that_lands_late_lands_when_the_simulated_clock_says_so() {
    let simulator = start().await;
    let address = simulator.address();
    let rules = json!({"rules": [{"kind": "late", "action": "UpdateService", "times": 1, "sim_ms": 20_000}]});
    control(address, "POST", "faults", rules).await;
    assert!(ecs(address, "UpdateService", update()).await.is_none());
    control(address, "POST", "clock", json!({"advance_ms": 19_000})).await;
    assert_eq!(deployments(address).await, 1);
    assert_eq!(effects(address).await[0]["disposition"], "held");
    control(address, "POST", "clock", json!({"advance_ms": 1_500})).await;
    assert_eq!(deployments(address).await, 2);
    let log = effects(address).await;
    assert_eq!(
        (&log[0]["disposition"], &log[0]["answered"]),
        (&json!("applied"), &json!(false))
    );
    simulator.stop().await;
}

#[tokio::test]
async fn a_slow_answer_comes_when_the_simulated_clock_says_so() {
    let simulator = start().await;
    let address = simulator.address();
    let rules = json!({"rules": [{"kind": "delay", "action": "UpdateService", "times": 1, "sim_ms": 5_000}]});
    control(address, "POST", "faults", rules).await;
    let both = async {
        while effects(address).await.is_empty() {}
        control(address, "POST", "clock", json!({"advance_ms": 5_000})).await;
    };
    let (answer, ()) = tokio::join!(ecs(address, "UpdateService", update()), both);
    assert_eq!(answer.unwrap().0, 200);
    simulator.stop().await;
}

#[tokio::test]
async fn other_tools_eat_the_rates_of_their_account() {
    let simulator = start().await;
    let address = simulator.address();
    let tools =
        json!({"other_tools": [{"account": "111111111111", "action": "ListServices", "per_second": 200}]});
    control(address, "POST", "faults", tools).await;
    let input = json!({"cluster": "main", "services": ["orders"]});
    let mut throttled = 0;
    for _ in 0..20 {
        let (_, answer) = ecs(address, "DescribeServices", input.clone()).await.unwrap();
        throttled += usize::from(answer["__type"] == "ThrottlingException");
    }
    assert!(throttled >= 10, "{throttled}");
    let tasks = json!({"cluster": "main", "serviceName": "orders"});
    assert_eq!(ecs(address, "ListTasks", tasks).await.unwrap().0, 200);
    simulator.stop().await;
}

#[tokio::test]
async fn what_a_revision_was_registered_with_is_kept_to_the_byte() {
    let simulator = start().await;
    let address = simulator.address();
    let body = "{ \"family\":\"raw\",  \"inventedTomorrow\": {\"b\":1, \"a\":[1.50, null]},\n\"containerDefinitions\":[{\"memory\":64,\"name\":\"a\",\"image\":\"a\"}]}";
    let request = format!(
        "POST / HTTP/1.1\r\nhost: ecs\r\nconnection: close\r\nx-amz-target: AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=111111111111/20261124/eu-west-1/ecs/aws4_request, SignedHeaders=host, Signature=0\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(send(address, request).await.unwrap().0, 200);
    let wanted = format!(
        "GET /_sim/task_definitions?{PLACE}&revision=raw:1 HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n"
    );
    assert!(raw(address, &wanted).await.ends_with(body));
    let seeded = get(address, &format!("task_definitions?{PLACE}&revision=orders:1")).await;
    assert_eq!(seeded.unwrap().0, 404);
    simulator.stop().await;
}

#[expect(clippy::disallowed_methods, reason = "the test is the client")]
async fn raw(address: std::net::SocketAddr, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn autoscaling_instances_roles_and_metrics_move_without_a_client() {
    let simulator = start().await;
    let address = simulator.address();
    let scale = here(json!({"cluster": "main", "service": "orders", "desired": 5}));
    assert_eq!(control(address, "POST", "scale", scale).await["desiredCount"], 5);
    control(address, "POST", "clock", json!({"advance_ms": 30_000})).await;
    assert!(effects(address).await.is_empty());
    let describe = json!({"cluster": "main", "services": ["orders"]});
    let (_, found) = ecs(address, "DescribeServices", describe.clone()).await.unwrap();
    assert_eq!(found["services"][0]["runningCount"], 5);
    assert_eq!(found["services"][0]["deployments"].as_array().unwrap().len(), 1);
    let instance =
        json!({"id": "i-new", "ip": "10.9.9.9", "zone": "eu-west-1a", "cpu": 4096, "memory": 9000});
    let set = here(
        json!({"cluster": "main", "add": [instance], "remove": ["i-0d10000000000000a"], "drain": ["i-0d10000000000000b"]}),
    );
    control(address, "POST", "instances", set).await;
    control(address, "POST", "clock", json!({"advance_ms": 30_000})).await;
    let (_, found) = ecs(address, "DescribeServices", describe).await.unwrap();
    assert_eq!(found["services"][0]["runningCount"], 5);
    let metric = here(json!({"alarm": "orders-errors", "raised": true}));
    control(address, "POST", "metrics", metric).await;
    control(address, "POST", "clock", json!({"advance_ms": 10_000})).await;
    assert_eq!(alarm_by_query(address).await, "ALARM");
    control(
        address,
        "POST",
        "capacity",
        here(json!({"zone": "eu-west-1a", "tasks": 0})),
    )
    .await;
    let deny = json!([{"Effect": "Deny", "Action": "ecr:*", "Resource": "*"}]);
    let role = here(json!({"name": "orders-execution", "statements": deny}));
    control(address, "POST", "roles", role).await;
    control(
        address,
        "POST",
        "roles",
        here(json!({"name": "orders-task", "delete": true})),
    )
    .await;
    simulator.stop().await;
}

/// The state of the alarm of the seed, as awsQuery says it.
async fn alarm_by_query(address: std::net::SocketAddr) -> String {
    let body = "Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.1=orders-errors";
    let request = format!(
        "POST / HTTP/1.1\r\nhost: monitoring\r\nconnection: close\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=111111111111/20261124/eu-west-1/monitoring/aws4_request, SignedHeaders=host, Signature=0\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(address, &request).await;
    let (_, state) = answer.split_once("<StateValue>").unwrap();
    state.split_once('<').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_service_that_was_just_made_is_missing_for_stale_reads() {
    let simulator = start().await;
    let address = simulator.address();
    let rules = json!({"rules": [{"kind": "stale", "action": "DescribeServices", "ms": 3000}]});
    control(address, "POST", "faults", rules).await;
    let create = json!({"cluster": "main", "launchType": "EC2", "serviceName": "new", "taskDefinition": "orders", "desiredCount": 1});
    assert_eq!(ecs(address, "CreateService", create).await.unwrap().0, 200);
    let describe = json!({"cluster": "main", "services": ["new"]});
    let (_, found) = ecs(address, "DescribeServices", describe.clone()).await.unwrap();
    assert_eq!(found["failures"][0]["reason"], "MISSING");
    control(address, "POST", "clock", json!({"advance_ms": 3_500})).await;
    let (_, found) = ecs(address, "DescribeServices", describe).await.unwrap();
    assert_eq!(found["services"][0]["status"], "ACTIVE");
    simulator.stop().await;
}

//! Tasks that belong to no service.

use serde_json::{Value, json};

use super::{SUBNET, Shop};

/// Registers `orders` with another command as a family of its own.
fn register(shop: &mut Shop, tag: &str, command: &str) {
    let found = shop.call("DescribeTaskDefinition", json!({"taskDefinition": "orders"}));
    let mut next = json!({"family": "orders-once"});
    for member in [
        "containerDefinitions",
        "networkMode",
        "executionRoleArn",
        "taskRoleArn",
        "volumes",
    ] {
        next[member] = found["taskDefinition"][member].clone();
    }
    next["containerDefinitions"][0]["image"] = json!(Shop::image("shop/orders", tag));
    next["containerDefinitions"][0]["command"] = json!([command]);
    shop.call("RegisterTaskDefinition", next);
}

fn request(token: &str) -> Value {
    json!({
        "cluster": "main", "taskDefinition": "orders-once", "launchType": "EC2", "startedBy": "towline/1",
        "clientToken": token, "tags": [{"key": "team", "value": "shop"}],
    })
}

fn task(shop: &mut Shop, arn: &Value) -> Value {
    let found = shop.call(
        "DescribeTasks",
        json!({"cluster": "main", "tasks": [arn], "include": ["TAGS"]}),
    );
    found["tasks"][0].clone()
}

#[test]
fn a_task_runs_once_and_ends_with_its_commands_exit_code() {
    let mut shop = Shop::open();
    register(&mut shop, "1.1.0", "migrate");
    let ran = shop.call("RunTask", request("a"));
    let arn = ran["tasks"][0]["taskArn"].clone();
    assert_eq!(ran["tasks"][0]["lastStatus"], "PENDING");
    shop.pass(60.0);
    let ended = task(&mut shop, &arn);
    assert_eq!(
        (&ended["lastStatus"], &ended["stopCode"]),
        (&json!("STOPPED"), &json!("EssentialContainerExited"))
    );
    assert_eq!(ended["containers"][0]["exitCode"], 0);
    assert_eq!(ended["group"], "family:orders-once");
    assert_eq!(
        (&ended["startedBy"], &ended["tags"][0]["key"]),
        (&json!("towline/1"), &json!("team"))
    );
    let by = json!({"cluster": "main", "startedBy": "towline/1", "desiredStatus": "STOPPED"});
    assert_eq!(shop.call("ListTasks", by)["taskArns"], json!([arn]));
    register(&mut shop, "1.2.0", "migrate");
    let failed = shop.call("RunTask", request("b"))["tasks"][0]["taskArn"].clone();
    shop.pass(60.0);
    assert_eq!(task(&mut shop, &failed)["containers"][0]["exitCode"], 3);
    assert_eq!(
        shop.service("orders")["runningCount"],
        2,
        "nothing of the service"
    );
}

#[test]
fn a_token_is_good_for_one_request_until_an_hour_after_its_task() {
    let mut shop = Shop::open();
    register(&mut shop, "1.1.0", "migrate");
    let first = shop.call("RunTask", request("a"))["tasks"][0]["taskArn"].clone();
    let again = shop.call("RunTask", request("a"))["tasks"][0]["taskArn"].clone();
    assert_eq!(first, again);
    let mut other = request("a");
    other["startedBy"] = json!("towline/2");
    let refused = shop.try_call("RunTask", &other).unwrap_err();
    assert_eq!(refused.code, "ConflictException");
    assert_eq!(refused.more["resourceIds"], json!([first]));
    shop.pass(3_000.0);
    assert_eq!(shop.call("RunTask", request("a"))["tasks"][0]["taskArn"], first);
    shop.pass(1_000.0);
    assert_ne!(
        shop.call("RunTask", request("a"))["tasks"][0]["taskArn"],
        first,
        "it is forgotten"
    );
}

#[test]
fn a_task_without_a_place_is_a_failure_and_leaves_its_token_unused() {
    let mut shop = Shop::open();
    register(&mut shop, "1.1.0", "migrate");
    let mut tight = request("a");
    tight["cluster"] = json!("tight");
    let ran = shop.call("RunTask", tight);
    assert_eq!(
        (&ran["tasks"], &ran["failures"][0]["reason"]),
        (&json!([]), &json!("RESOURCE:MEMORY"))
    );
    let mut networked = request("b");
    networked["networkConfiguration"] = json!({"awsvpcConfiguration": {"subnets": [SUBNET]}});
    assert!(
        shop.try_call("RunTask", &networked).is_err(),
        "bridge has no network configuration"
    );
}

#[test]
fn a_task_that_somebody_stops_says_so() {
    let mut shop = Shop::open();
    register(&mut shop, "1.1.0", "reindex");
    let arn = shop.call("RunTask", request("a"))["tasks"][0]["taskArn"].clone();
    shop.pass(20.0);
    assert_eq!(task(&mut shop, &arn)["lastStatus"], "RUNNING");
    shop.call(
        "StopTask",
        json!({"cluster": "main", "task": arn, "reason": "enough"}),
    );
    shop.pass(60.0);
    let ended = task(&mut shop, &arn);
    assert_eq!(
        (&ended["stopCode"], &ended["stoppedReason"]),
        (&json!("UserInitiated"), &json!("enough"))
    );
}

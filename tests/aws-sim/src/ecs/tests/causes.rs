//! What goes wrong, and how that is seen.

use serde_json::{Value, json};

use super::{ACCOUNT, REGION, SUBNET, Shop, has};
use crate::{logs, world::CallContext};

#[test]
fn a_crashed_task_leaves_its_exit_code_and_its_log() {
    let mut shop = Shop::open();
    shop.update_orders("1.3.0");
    shop.settle("orders");
    let stopped = shop.stopped_tasks("orders");
    let task = stopped
        .iter()
        .find(|task| task["stopCode"] == "EssentialContainerExited")
        .unwrap();
    assert_eq!(task["stoppedReason"], "Essential container in task exited");
    assert_eq!(task["containers"][0]["exitCode"], 2);
    let id = task["taskArn"].as_str().unwrap().rsplit('/').next().unwrap();
    let now = shop.0.advance();
    let ctx = CallContext::service(now, ACCOUNT, "test");
    let input = json!({"logGroupName": "/ecs/orders", "logStreamName": format!("orders/app/{id}")});
    let lines = logs::call(shop.0.region(ACCOUNT, REGION), &ctx, "GetLogEvents", &input).unwrap();
    assert_eq!(
        lines["events"][1]["message"],
        "fatal: queue orders: access denied"
    );
    shop.pass(3_700.0);
    assert!(
        shop.try_call("DescribeTasks", &json!({"cluster": "main", "tasks": [id]}))
            .unwrap()["tasks"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_image_that_is_not_there_cannot_be_pulled() {
    let mut shop = Shop::open();
    shop.update_orders("9.9.9");
    shop.settle("orders");
    let stopped = shop.stopped_tasks("orders");
    let task = stopped
        .iter()
        .find(|task| task["stopCode"] == "TaskFailedToStart")
        .unwrap();
    assert_eq!(task["stoppedReason"], "Task failed to start");
    let words = task["containers"][0]["reason"].as_str().unwrap();
    assert!(words.starts_with("CannotPullContainerError"), "{words}");
    assert_eq!(task["containers"][0]["exitCode"], Value::Null);
}

#[test]
fn an_image_that_fails_its_load_balancers_checks_trips_the_breaker() {
    let mut shop = Shop::open();
    shop.create_web("1.3.0", SUBNET).unwrap();
    let service = shop.settle("web");
    assert_eq!(service["deployments"][0]["rolloutState"], "FAILED");
    assert!(has(&shop.events("web"), "is unhealthy in (target-group "));
    let stopped = shop.stopped_tasks("web");
    assert!(
        stopped[0]["stoppedReason"]
            .as_str()
            .unwrap()
            .starts_with("Task failed ELB health checks")
    );
    assert_eq!(shop.service_deployments("web")[0]["status"], "STOPPED");
}

#[test]
fn a_subnet_without_addresses_and_a_cluster_without_room_say_so() {
    let mut shop = Shop::open();
    shop.create_web("1.0.0", "subnet-0d10000000000000f").unwrap();
    shop.settle("web");
    let stopped = shop.stopped_tasks("web");
    assert!(
        stopped[0]["stoppedReason"]
            .as_str()
            .unwrap()
            .contains("InsufficientFreeAddressesInSubnet")
    );
    shop.call(
        "CreateService",
        json!({"cluster": "tight", "serviceName": "big", "taskDefinition": "orders", "desiredCount": 1}),
    );
    shop.pass(30.0);
    let found = shop.call(
        "DescribeServices",
        json!({"cluster": "tight", "services": ["big"]}),
    );
    let message = found["services"][0]["events"][0]["message"].as_str().unwrap();
    assert!(
        message.contains(
            "was unable to place a task because no container instance met all of its requirements."
        )
    );
    assert!(message.contains("has insufficient memory available"));
    assert_eq!(found["services"][0]["deployments"][0]["failedTasks"], 0);
}

#[test]
fn tasks_that_run_first_and_die_later_evade_a_breaker_that_resets() {
    let mut shop = Shop::open();
    let late = json!({"repository": "shop/orders", "tag": "late", "behaviour": "crash", "after_s": 6.0});
    shop.0.images.add(serde_json::from_value(late).unwrap());
    shop.update_orders("late");
    shop.pass(120.0);
    let service = shop.service("orders");
    assert_ne!(service["deployments"][0]["rolloutState"], "FAILED");
    assert!(shop.stopped_tasks("orders").len() > 4);
}

#[test]
fn what_a_task_needs_and_does_not_find_stops_it_before_its_start() {
    let cases = [
        (
            "executionRoleArn",
            json!("arn:aws:iam::111111111111:role/gone"),
            "ECS was unable to assume the role",
        ),
        // It is there, and trusts somebody else.
        (
            "executionRoleArn",
            json!("arn:aws:iam::111111111111:role/shop-instance"),
            "ECS was unable to assume the role",
        ),
        (
            "secrets",
            json!([{"name": "A", "valueFrom": "arn:aws:secretsmanager:eu-west-1:111111111111:secret:gone-aaaaaa"}]),
            "Fetching secret data from AWS Secrets Manager in region eu-west-1: secret",
        ),
        (
            "logConfiguration",
            json!({"logDriver": "awslogs", "options": {"awslogs-group": "/gone", "awslogs-region": REGION}}),
            "CannotStartContainerError: Error response from daemon",
        ),
    ];
    for (member, value, words) in cases {
        let mut shop = Shop::open();
        let image = Shop::image("shop/orders", "1.0.0");
        let mut definition = json!({
            "family": "x", "containerDefinitions": [{"name": "a", "image": image, "memory": 64}],
        });
        if member == "executionRoleArn" {
            definition[member] = value;
        } else {
            definition["containerDefinitions"][0][member] = value;
        }
        shop.call("RegisterTaskDefinition", definition);
        let create = json!({"cluster": "main", "launchType": "EC2", "serviceName": "x", "taskDefinition": "x", "desiredCount": 1});
        shop.call("CreateService", create);
        shop.pass(10.0);
        let stopped = shop.stopped_tasks("x");
        let reason = told(&stopped[0]);
        assert!(reason.starts_with(words), "{reason}");
        assert_eq!(stopped[0]["stopCode"], "TaskFailedToStart");
    }
}

#[test]
fn an_image_for_another_cpu_is_not_found_in_an_index_and_does_not_start_by_itself() {
    let mut shop = Shop::open();
    let cluster = shop
        .0
        .region(ACCOUNT, REGION)
        .ecs
        .clusters
        .get_mut("main")
        .unwrap();
    for instance in &mut cluster.instances {
        instance.architecture = "arm64".to_owned();
    }
    let both = json!({"repository": "shop/orders", "tag": "both", "architectures": ["amd64", "riscv64"]});
    shop.0.images.add(serde_json::from_value(both).unwrap());
    for (tag, reason) in [
        ("1.0.0", "Essential container"),
        ("both", "CannotPullContainerError"),
    ] {
        let image = Shop::image("shop/orders", tag);
        let definition = json!({
            "family": tag.replace('.', "-"),
            "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
            "containerDefinitions": [{"name": "a", "image": image, "memory": 64, "essential": true}],
        });
        let made = shop.call("RegisterTaskDefinition", definition);
        let arn = &made["taskDefinition"]["taskDefinitionArn"];
        let name = format!("arm-{}", tag.replace('.', "-"));
        shop.call(
            "CreateService",
            json!({"cluster": "main", "launchType": "EC2", "serviceName": name, "taskDefinition": arn, "desiredCount": 1}),
        );
        shop.pass(30.0);
        let stopped = shop.stopped_tasks(&name);
        let found = told(&stopped[0]);
        assert!(found.starts_with(reason), "{tag}: {found}");
    }
}

#[test]
fn a_missing_key_is_what_crashes_web_1_1_0() {
    let mut shop = Shop::open();
    shop.create_web("1.1.0", SUBNET).unwrap();
    assert_eq!(shop.settle("web")["deployments"][0]["rolloutState"], "FAILED");
    let found = shop.call("DescribeTaskDefinition", json!({"taskDefinition": "web"}));
    let mut next = found["taskDefinition"].clone();
    for computed in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    ] {
        next.as_object_mut().unwrap().shift_remove(computed);
    }
    next["containerDefinitions"][0]["environment"] = json!([{"name": "DB_POOL", "value": "10"}]);
    shop.call("RegisterTaskDefinition", next);
    shop.call(
        "UpdateService",
        json!({"cluster": "main", "service": "web", "taskDefinition": "web"}),
    );
    assert_eq!(shop.settle("web")["deployments"][0]["rolloutState"], "COMPLETED");
}

/// What a stopped task says of itself or, where that says nothing, of its containers.
fn told(task: &Value) -> String {
    let reason = task["stoppedReason"].as_str().unwrap();
    let of_container = task["containers"][0]["reason"].as_str();
    let words = if reason == "Task failed to start" {
        of_container.unwrap()
    } else {
        reason
    };
    words.to_owned()
}

#[test]
fn fargate_says_of_the_task_what_an_instance_says_of_the_container() {
    let deny = |action: &str| json!([{"Effect": "Deny", "Action": action, "Resource": "*"}]);
    let cases = [
        (
            json!([]),
            "1.0.0",
            "ResourceInitializationError: unable to pull secrets",
            "Fetching secret data from",
        ),
        (
            deny("ecr:GetAuthorizationToken"),
            "1.0.0",
            "ResourceInitializationError",
            "CannotPullECRContainerError: AccessDenied",
        ),
        (
            deny("ecr:BatchGetImage"),
            "1.0.0",
            "CannotPullContainerError: pull image manifest",
            "CannotPullContainerError: Error response",
        ),
        (
            json!([]),
            "9.9.9",
            "CannotPullContainerError: pull image manifest",
            "CannotPullContainerError: Error response",
        ),
    ];
    for (index, (statements, tag, on_fargate, on_instance)) in cases.into_iter().enumerate() {
        for (launch, words) in [("FARGATE", on_fargate), ("EC2", on_instance)] {
            let mut shop = Shop::open();
            shop.set_policy("orders-execution", &statements);
            let mut container = json!({"name": "a", "image": Shop::image("shop/orders", tag), "memory": 64});
            if index == 0 {
                let gone = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:gone-aaaaaa";
                container["secrets"] = json!([{"name": "A", "valueFrom": gone}]);
            }
            let mut definition = json!({
                "family": "x", "executionRoleArn": "arn:aws:iam::111111111111:role/orders-execution",
                "containerDefinitions": [container],
            });
            let mut create = json!({"cluster": "main", "launchType": launch, "serviceName": "x", "taskDefinition": "x", "desiredCount": 1});
            if launch == "FARGATE" {
                definition["networkMode"] = json!("awsvpc");
                definition["cpu"] = json!("256");
                definition["memory"] = json!("512");
                create["networkConfiguration"] = json!({"awsvpcConfiguration": {"subnets": [SUBNET]}});
            }
            shop.call("RegisterTaskDefinition", definition);
            shop.call("CreateService", create);
            shop.pass(15.0);
            let found = told(&shop.stopped_tasks("x")[0]);
            assert!(found.starts_with(words), "{launch}: {found}");
        }
    }
}

//! The settings of a service that ECS refuses, and where capacity providers put tasks.

use serde_json::{Value, json};

use super::{SUBNET, Shop, target_group};

/// A Fargate service behind a load balancer, changed as `with` says.
fn create(shop: &mut Shop, with: &Value) -> Result<Value, crate::AwsError> {
    let image = Shop::image("shop/web", "1.0.0");
    let definition = json!({
        "family": "web", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "requiresCompatibilities": ["FARGATE"],
        "executionRoleArn": "arn:aws:iam::111111111111:role/shop-execution",
        "containerDefinitions": [{"name": "web", "image": image, "portMappings": [{"containerPort": 8080}]}],
    });
    shop.call("RegisterTaskDefinition", definition);
    let mut input = json!({
        "cluster": "main", "serviceName": "web", "taskDefinition": "web", "desiredCount": 6,
        "launchType": "FARGATE", "platformVersion": "LATEST", "healthCheckGracePeriodSeconds": 30,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": [SUBNET], "assignPublicIp": "ENABLED"}},
        "loadBalancers": [{"targetGroupArn": target_group("web"), "containerName": "web", "containerPort": 8080}],
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {"enable": true, "rollback": true,
                "thresholdConfiguration": {"type": "COUNT", "value": 4}, "resetOnHealthyTask": false},
            "alarms": {"enable": true, "rollback": true, "alarmNames": ["errors"]},
        },
    });
    for (member, value) in with.as_object().expect("members") {
        input[member] = value.clone();
    }
    shop.try_call("CreateService", &input)
}

#[test]
fn what_cannot_stand_together_is_refused_in_ecs_s_words() {
    let strategy = |items: Value| json!({"launchType": null, "capacityProviderStrategy": items});
    let percent = |least: i64, more: Value| json!({"availabilityZoneRebalancing": more, "deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": least}});
    let alarms = json!({"enable": true, "rollback": true, "alarmNames": []});
    let faults = [
        (
            json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]}),
            "Specifying both a launch type and capacity provider strategy is not supported.",
        ),
        (
            strategy(json!([{"capacityProvider": "spare", "weight": 1}])),
            "a capacity provider that is not associated with the cluster",
        ),
        (
            strategy(json!([{"capacityProvider": "FARGATE", "weight": 0}])),
            "a weight greater than zero",
        ),
        (
            strategy(
                json!([{"capacityProvider": "FARGATE", "base": 1, "weight": 1}, {"capacityProvider": "FARGATE_SPOT", "base": 1}]),
            ),
            "Only one capacity provider",
        ),
        (
            json!({"loadBalancers": []}),
            "Health check grace period is only valid for services configured to use load balancers",
        ),
        (
            json!({"enableExecuteCommand": true}),
            "The service couldn't be created because a valid taskRoleArn is not being used.",
        ),
        (
            json!({"platformVersion": "2.0.0"}),
            "The specified platform version does not exist.",
        ),
        (
            json!({"placementConstraints": [{"type": "distinctInstance"}]}),
            "placementConstraints",
        ),
        (
            percent(50, json!("ENABLED")),
            "AvailabilityZoneRebalancing does not support maximumPercent <= 100.",
        ),
        (
            json!({"deploymentConfiguration": {"alarms": alarms}}),
            "alarmNames must not be empty",
        ),
        (
            json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true}}}),
            "enable and rollback must be specified",
        ),
    ];
    let mut shop = Shop::open();
    for (with, words) in faults {
        let refused = create(&mut shop, &with).expect_err(words);
        assert!(refused.message.contains(words), "{with}: {}", refused.message);
    }
    create(&mut shop, &json!({})).expect("all else is well");
}

#[test]
fn tasks_go_to_capacity_providers_by_base_and_weight() {
    let mut shop = Shop::open();
    let strategy = json!([
        {"capacityProvider": "FARGATE", "base": 2, "weight": 1},
        {"capacityProvider": "FARGATE_SPOT", "weight": 3},
    ]);
    let with = json!({"launchType": null, "capacityProviderStrategy": strategy});
    create(&mut shop, &with).expect("a service");
    shop.settle("web");
    let listed = shop.call("ListTasks", json!({"cluster": "main", "serviceName": "web"}));
    let found = shop.call(
        "DescribeTasks",
        json!({"cluster": "main", "tasks": listed["taskArns"]}),
    );
    let tasks = found["tasks"].as_array().expect("tasks");
    let on = |name: &str| {
        tasks
            .iter()
            .filter(|task| task["capacityProviderName"] == name)
            .count()
    };
    assert_eq!((on("FARGATE"), on("FARGATE_SPOT")), (3, 3));
    assert_eq!(tasks[0]["launchType"], "FARGATE");
}

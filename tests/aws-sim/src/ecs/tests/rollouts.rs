//! How rollouts go, within their bounds and to their ends.

use serde_json::json;

use super::{ACCOUNT, REGION, SUBNET, Shop, has, target_group};
use crate::{elb, world::CallContext};

#[test]
fn what_terraform_made_is_steady_when_the_world_opens() {
    let mut shop = Shop::open();
    let orders = shop.service("orders");
    assert_eq!(orders["runningCount"], 2);
    assert_eq!(orders["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(orders["deployments"][0]["rolloutState"], "COMPLETED");
    assert!(has(
        &shop.events("orders"),
        "(service orders) has reached a steady state."
    ));
}

#[test]
fn a_good_rollout_takes_its_time_and_ends_completed_and_steady() {
    let mut shop = Shop::open();
    let arn = shop.update_orders("1.0.0");
    shop.pass(5.0);
    let during = shop.service("orders");
    let deployments = during["deployments"].as_array().unwrap();
    assert_eq!(deployments.len(), 2);
    assert_eq!(
        (&deployments[0]["status"], &deployments[1]["status"]),
        (&json!("PRIMARY"), &json!("ACTIVE"))
    );
    assert_eq!(deployments[0]["pendingCount"], 2);
    assert_eq!(during["runningCount"], 2);
    let after = shop.settle("orders");
    assert_eq!(after["taskDefinition"], json!(arn));
    assert_eq!(after["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(after["deployments"][0]["runningCount"], 2);
    let events = shop.events("orders");
    assert_eq!(
        events.last().unwrap(),
        "(service orders) has reached a steady state."
    );
    assert!(has(&events, "has started 2 tasks: (task "));
    assert_eq!(shop.service_deployments("orders")[0]["status"], "SUCCESSFUL");
}

#[test]
fn a_crash_trips_the_breaker_and_the_old_revision_comes_back_while_the_failure_is_shown() {
    let mut shop = Shop::open();
    let old = shop.service("orders")["taskDefinition"].clone();
    let first = shop.service("orders")["deployments"][0]["id"].clone();
    shop.update_orders("1.3.0");
    let mut shown = None;
    for _ in 0..400 {
        shop.pass(0.25);
        let service = shop.service("orders");
        let deployments = service["deployments"].as_array().unwrap().clone();
        if let Some(failed) = deployments.iter().find(|one| one["rolloutState"] == "FAILED") {
            shown = Some((deployments[0].clone(), failed.clone()));
            break;
        }
    }
    let (primary, failed) = shown.unwrap();
    assert_eq!(primary["taskDefinition"], old);
    assert_ne!(primary["id"], first);
    assert!(
        primary["rolloutStateReason"]
            .as_str()
            .unwrap()
            .contains("rolling back to deploymentId")
    );
    assert_eq!(
        failed["rolloutStateReason"],
        "ECS deployment circuit breaker: tasks failed to start."
    );
    assert!(failed["failedTasks"].as_i64().unwrap() >= 3);
    let after = shop.settle("orders");
    assert_eq!(after["taskDefinition"], old);
    assert_eq!(after["deployments"][0]["rolloutState"], "COMPLETED");
    assert_eq!(after["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(
        shop.service_deployments("orders")[0]["status"],
        "ROLLBACK_SUCCESSFUL"
    );
    let events = shop.events("orders");
    assert!(has(&events, "deployment failed: tasks failed to start."));
    assert!(has(&events, "rolling back to deployment ecs-svc/"));
}

#[test]
fn two_updates_make_two_deployments_and_the_first_one_is_stopped() {
    let mut shop = Shop::open();
    shop.update_orders("1.0.0");
    shop.pass(3.0);
    shop.update_orders("1.1.0");
    let service = shop.service("orders");
    assert_eq!(service["deployments"].as_array().unwrap().len(), 3);
    let records = shop.service_deployments("orders");
    assert_eq!(
        (&records[0]["status"], &records[1]["status"]),
        (&json!("IN_PROGRESS"), &json!("STOPPED"))
    );
    shop.settle("orders");
    assert_eq!(shop.service_deployments("orders")[0]["status"], "SUCCESSFUL");
}

#[test]
fn a_sixth_deployment_and_another_controller_are_refused() {
    let mut shop = Shop::open();
    let force = json!({"cluster": "main", "service": "orders", "forceNewDeployment": true});
    let outcomes: Vec<bool> = (0..6)
        .map(|_| shop.try_call("UpdateService", &force).is_ok())
        .collect();
    assert_eq!(outcomes, [true, true, true, true, false, false]);
    let create = json!({
        "cluster": "main", "launchType": "EC2", "serviceName": "blue", "taskDefinition": "orders", "desiredCount": 0,
        "deploymentController": {"type": "CODE_DEPLOY"},
    });
    shop.call("CreateService", create);
    let update = json!({"cluster": "main", "service": "blue", "taskDefinition": "orders"});
    assert_eq!(
        shop.try_call("UpdateService", &update).unwrap_err().code,
        "InvalidParameterException"
    );
}

#[test]
fn targets_become_healthy_before_a_rollout_behind_a_load_balancer_completes() {
    let mut shop = Shop::open();
    shop.create_web("1.0.0", SUBNET).unwrap();
    shop.pass(11.0);
    let running = shop.service("web");
    assert_eq!(running["runningCount"], 2);
    assert_eq!(running["deployments"][0]["rolloutState"], "IN_PROGRESS");
    let service = shop.settle("web");
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    let now = shop.0.advance();
    let ctx = CallContext::service(now, ACCOUNT, "test");
    let params = [("TargetGroupArn".to_owned(), target_group("web"))].into();
    let health = elb::call(
        shop.0.region(ACCOUNT, REGION),
        &ctx,
        "DescribeTargetHealth",
        &params,
    )
    .unwrap();
    assert_eq!(health.matches("<State>healthy</State>").count(), 2);
    assert!(has(&shop.events("web"), "registered 2 targets in (target-group "));
}

#[test]
fn stopping_a_service_deployment_rolls_back_to_what_had_completed() {
    let mut shop = Shop::open();
    let old = shop.service("orders")["taskDefinition"].clone();
    shop.update_orders("1.0.0");
    shop.pass(3.0);
    let record = shop.service_deployments("orders")[0]["serviceDeploymentArn"].clone();
    let stop = json!({"serviceDeploymentArn": record, "stopType": "ROLLBACK"});
    shop.call("StopServiceDeployment", stop.clone());
    let after = shop.settle("orders");
    assert_eq!(after["taskDefinition"], old);
    assert_eq!(
        shop.service_deployments("orders")[0]["status"],
        "ROLLBACK_SUCCESSFUL"
    );
    assert_eq!(
        shop.try_call("StopServiceDeployment", &stop).unwrap_err().code,
        "ConflictException"
    );
}

#[test]
fn minimum_and_maximum_healthy_percent_bound_every_moment_of_a_rollout() {
    for (least, most, fewest, highest) in [(50, 100, 1, 2), (100, 150, 2, 3), (100, 200, 2, 4)] {
        let mut shop = Shop::open();
        let percents = json!({"minimumHealthyPercent": least, "maximumPercent": most});
        let input = json!({"cluster": "main", "service": "orders", "deploymentConfiguration": percents});
        shop.call("UpdateService", input);
        shop.update_orders("1.0.0");
        let mut seen = Vec::new();
        while shop.service("orders")["deployments"][0]["rolloutState"] == "IN_PROGRESS" {
            let service = shop.service("orders");
            let running = service["runningCount"].as_i64().unwrap();
            seen.push((running, running + service["pendingCount"].as_i64().unwrap()));
            shop.pass(0.25);
        }
        assert_eq!(
            seen.iter().map(|(running, _)| *running).min(),
            Some(fewest),
            "{least}/{most}"
        );
        assert_eq!(
            seen.iter().map(|(_, all)| *all).max(),
            Some(highest),
            "{least}/{most}"
        );
    }
}

#[test]
fn percents_that_leave_no_room_deadlock_a_rollout() {
    let mut shop = Shop::open();
    let percents = json!({"minimumHealthyPercent": 100, "maximumPercent": 100});
    let input = json!({"cluster": "main", "service": "orders", "deploymentConfiguration": percents});
    shop.call("UpdateService", input);
    shop.update_orders("1.0.0");
    shop.pass(3_600.0);
    let service = shop.service("orders");
    assert_eq!(service["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert_eq!(service["deployments"][0]["runningCount"], 0);
    assert_eq!(service["runningCount"], 2);
}

#[test]
fn a_breaker_follows_its_own_threshold() {
    let mut shop = Shop::open();
    let breaker = json!({"enable": true, "rollback": false,
        "thresholdConfiguration": {"type": "COUNT", "value": 6}});
    let input = json!({"cluster": "main", "service": "orders",
        "deploymentConfiguration": {"deploymentCircuitBreaker": breaker}});
    shop.call("UpdateService", input);
    shop.update_orders("1.3.0");
    let service = shop.settle("orders");
    assert_eq!(service["deployments"][0]["rolloutState"], "FAILED");
    assert_eq!(service["deployments"][0]["failedTasks"], 6);
    assert_eq!(service["runningCount"], 2);
    assert_eq!(shop.service_deployments("orders")[0]["status"], "STOPPED");
}

#[test]
fn an_inactive_revision_cannot_be_rolled_back_to() {
    let mut shop = Shop::open();
    shop.call("DeregisterTaskDefinition", json!({"taskDefinition": "orders:1"}));
    let template = shop.call("DescribeTaskDefinition", json!({"taskDefinition": "orders:1"}));
    let mut next = json!({"family": "orders", "networkMode": "bridge"});
    next["containerDefinitions"] = template["taskDefinition"]["containerDefinitions"].clone();
    next["containerDefinitions"][0]["image"] = json!(Shop::image("shop/orders", "1.3.0"));
    next["volumes"] = template["taskDefinition"]["volumes"].clone();
    shop.call("RegisterTaskDefinition", next);
    let input = json!({"cluster": "main", "service": "orders", "taskDefinition": "orders"});
    shop.call("UpdateService", input);
    let service = shop.settle("orders");
    assert_eq!(service["deployments"][0]["rolloutState"], "FAILED");
    assert!(!has(&shop.events("orders"), "rolling back"));
}

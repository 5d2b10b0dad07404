//! What images do to the tasks that run them.

use serde_json::{Value, json};

use super::{SUBNET, Shop, has};

/// `shop/web` with another behaviour, behind its load balancer.
fn web(shop: &mut Shop, more: &Value) {
    let mut image = json!({"repository": "shop/web", "tag": "odd"});
    for (member, value) in more.as_object().unwrap() {
        image[member] = value.clone();
    }
    shop.0.images.add(serde_json::from_value(image).unwrap());
    shop.create_web("odd", SUBNET).unwrap();
}

#[test]
fn an_image_that_needs_more_memory_than_its_container_has_is_killed() {
    let mut shop = Shop::open();
    shop.push_orders("big", json!({"needs_memory": 700}));
    shop.update_orders("big");
    shop.settle("orders");
    let stopped = shop.stopped_tasks("orders");
    let killed = stopped
        .iter()
        .find(|task| task["containers"][0]["exitCode"] == 137)
        .unwrap();
    let reason = killed["containers"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("OutOfMemoryError"));
}

#[test]
fn a_slow_start_is_forgiven_within_the_grace_period_only() {
    for (grace, ends) in [(60, "COMPLETED"), (0, "FAILED")] {
        let mut shop = Shop::open();
        web(&mut shop, &json!({"ready_s": 30}));
        let input = json!({"cluster": "main", "service": "web", "healthCheckGracePeriodSeconds": grace});
        shop.call("UpdateService", input);
        assert_eq!(
            shop.settle("web")["deployments"][0]["rolloutState"],
            ends,
            "{grace}"
        );
    }
}

#[test]
fn an_image_that_stops_answering_is_replaced() {
    let mut shop = Shop::open();
    web(&mut shop, &json!({"unhealthy_after_s": 60}));
    assert_eq!(shop.settle("web")["deployments"][0]["rolloutState"], "COMPLETED");
    shop.pass(120.0);
    assert!(has(&shop.events("web"), "is unhealthy in (target-group "));
    let reason = shop.stopped_tasks("web")[0]["stoppedReason"].clone();
    assert!(
        reason
            .as_str()
            .unwrap()
            .starts_with("Task failed ELB health checks")
    );
}

#[test]
fn an_image_that_ignores_sigterm_is_killed_after_its_stop_timeout() {
    let mut shop = Shop::open();
    shop.push_orders("stubborn", json!({"ignores_sigterm": true}));
    shop.update_orders("stubborn");
    shop.settle("orders");
    shop.update_orders("1.0.0");
    shop.pass(20.0);
    let service = shop.service("orders");
    assert_eq!(service["deployments"][0]["rolloutState"], "IN_PROGRESS");
    shop.settle("orders");
    let stopped = shop.stopped_tasks("orders");
    assert!(
        stopped
            .iter()
            .any(|task| task["containers"][0]["exitCode"] == 137)
    );
}

#[test]
fn a_task_that_protects_itself_keeps_its_deployment_alive() {
    let mut shop = Shop::open();
    shop.push_orders("busy", json!({"protects_s": 300}));
    shop.update_orders("busy");
    shop.settle("orders");
    shop.update_orders("1.0.0");
    shop.pass(120.0);
    let service = shop.service("orders");
    assert_eq!(service["deployments"].as_array().unwrap().len(), 2);
    assert_eq!(service["deployments"][1]["runningCount"], 2);
    assert_eq!(service["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert_eq!(
        shop.settle("orders")["deployments"][0]["rolloutState"],
        "COMPLETED"
    );
}

#[test]
fn a_slow_pull_takes_its_time() {
    let mut shop = Shop::open();
    shop.push_orders("huge", json!({"pull_s": 90}));
    shop.update_orders("huge");
    shop.pass(60.0);
    assert_eq!(shop.service("orders")["deployments"][0]["pendingCount"], 2);
    assert_eq!(
        shop.settle("orders")["deployments"][0]["rolloutState"],
        "COMPLETED"
    );
}

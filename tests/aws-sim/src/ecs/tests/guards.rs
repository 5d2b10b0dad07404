//! What ends a deployment: the circuit breaker's settings, and deployment alarms.

use serde_json::{Value, json};

use super::{ACCOUNT, REGION, SUBNET, Shop, has};
use crate::cloudwatch::{self, Alarm};

impl Shop {
    fn add_alarm(&mut self, name: &str) {
        let now = self.0.advance();
        let region = self.0.region(ACCOUNT, REGION);
        region
            .alarms
            .insert(name.to_owned(), Alarm::new(name, 5.0, true, now));
    }

    fn alarm_states(&mut self) -> Vec<String> {
        self.0.advance();
        let region = self.0.region(ACCOUNT, REGION);
        let found = cloudwatch::call(region, "DescribeAlarms", &json!({"AlarmNames": ["web-5xx"]})).unwrap();
        let states = found["MetricAlarms"].as_array().unwrap().iter();
        states
            .map(|alarm| alarm["StateValue"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn watched(rolls_back: bool) -> Value {
    json!({
        "deploymentCircuitBreaker": {"enable": false, "rollback": false},
        "alarms": {"enable": true, "rollback": rolls_back, "alarmNames": ["web-5xx"]},
    })
}

#[test]
fn an_alarm_that_the_new_image_raises_rolls_its_deployment_back() {
    let mut shop = Shop::open();
    shop.add_alarm("web-5xx");
    shop.push_orders("loud", json!({"alarm": "web-5xx", "alarm_after_s": 3}));
    shop.configure_orders(watched(true));
    let old = shop.service("orders")["taskDefinition"].clone();
    shop.update_orders("loud");
    let after = shop.settle("orders");
    assert_eq!(after["taskDefinition"], old);
    let record = shop.newest_deployment("orders");
    assert_eq!(record["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(record["alarms"]["status"], "TRIGGERED");
    assert_eq!(record["alarms"]["triggeredAlarmNames"], json!(["web-5xx"]));
    assert_eq!(
        record["rollback"]["serviceRevisionArn"],
        record["sourceServiceRevisions"][0]["arn"]
    );
    assert!(has(&shop.events("orders"), "deployment failed: alarm detected."));
    shop.pass(30.0);
    assert_eq!(shop.alarm_states(), ["OK"]);
}

#[test]
fn an_alarm_without_rollback_stops_the_deployment_and_leaves_it() {
    let mut shop = Shop::open();
    shop.add_alarm("web-5xx");
    shop.push_orders("loud", json!({"alarm": "web-5xx"}));
    shop.configure_orders(watched(false));
    shop.update_orders("loud");
    let after = shop.settle("orders");
    assert_eq!(after["deployments"][0]["rolloutState"], "FAILED");
    assert_eq!(shop.newest_deployment("orders")["status"], "STOPPED");
}

#[test]
fn a_deployment_that_begins_in_alarm_goes_unwatched() {
    let mut shop = Shop::open();
    shop.add_alarm("web-5xx");
    let region = shop.0.region(ACCOUNT, REGION);
    region.alarms.get_mut("web-5xx").unwrap().raised_outside = true;
    shop.pass(10.0);
    assert_eq!(shop.alarm_states(), ["ALARM"]);
    shop.configure_orders(watched(true));
    shop.update_orders("1.0.0");
    assert_eq!(
        shop.settle("orders")["deployments"][0]["rolloutState"],
        "COMPLETED"
    );
    assert_eq!(shop.newest_deployment("orders")["alarms"]["status"], "DISABLED");
}

#[test]
fn tasks_that_die_after_they_were_healthy_trip_a_breaker_that_does_not_forgive() {
    for (forgives, ends) in [(true, "IN_PROGRESS"), (false, "FAILED")] {
        let mut shop = Shop::open();
        shop.push_orders("late", json!({"behaviour": "crash", "after_s": 4}));
        shop.configure_orders(json!({"deploymentCircuitBreaker":
            {"enable": true, "rollback": false, "resetOnHealthyTask": forgives}}));
        shop.update_orders("late");
        shop.pass(90.0);
        let service = shop.service("orders");
        assert_eq!(
            service["deployments"][0]["rolloutState"], ends,
            "forgives: {forgives}"
        );
    }
}

#[test]
fn a_rollback_to_a_revision_that_cannot_start_any_more_fails_too() {
    let mut shop = Shop::open();
    shop.configure_orders(json!({
        "minimumHealthyPercent": 0, "maximumPercent": 100,
        "deploymentCircuitBreaker": {"enable": true, "rollback": true},
    }));
    shop.update_orders("1.3.0");
    shop.pass(4.0);
    let secrets = &mut shop.0.region(ACCOUNT, REGION).secrets;
    secrets.clear();
    shop.pass(900.0);
    let service = shop.service("orders");
    assert_eq!(service["deployments"][0]["rolloutState"], "FAILED");
    assert_eq!(service["runningCount"], 0);
    assert_eq!(shop.newest_deployment("orders")["status"], "ROLLBACK_FAILED");
}

#[test]
fn a_task_that_cannot_start_is_told_of_once() {
    let mut shop = Shop::open();
    shop.create_web("9.9.9", SUBNET).unwrap();
    shop.settle("web");
    let events = shop.events("web");
    let told = events
        .iter()
        .filter(|event| event.contains("was unable to place a task. Reason: CannotPullContainerError"));
    assert_eq!(told.count(), 1);
}

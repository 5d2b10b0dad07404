//! Containers of one task: their order, their health checks, their restarts.

use serde_json::{Value, json};

use super::{ACCOUNT, SUBNET, Shop};
use crate::images::{Behaviour, Image};

impl Shop {
    /// Pushes an image that ends by itself.
    fn push(&self, tag: &str, exit_code: i32, after_s: f64) {
        self.0.images.add(Image {
            tag: tag.to_owned(),
            behaviour: Behaviour::Crash,
            exit_code,
            after_s,
            ..ended_image()
        });
    }

    /// A Fargate service of one task with these containers, `web` first.
    fn run(&mut self, containers: Value) {
        let family = json!({
            "family": "ordered", "networkMode": "awsvpc", "cpu": "512", "memory": "1024",
            "requiresCompatibilities": ["FARGATE"],
            "executionRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/shop-execution"),
            "containerDefinitions": containers,
        });
        self.call("RegisterTaskDefinition", family);
        self.call(
            "CreateService",
            json!({
                "cluster": "main", "serviceName": "ordered", "taskDefinition": "ordered", "desiredCount": 1,
                "launchType": "FARGATE",
                "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": false}},
                "networkConfiguration": {"awsvpcConfiguration": {"subnets": [SUBNET]}},
            }),
        );
    }

    /// The service's only task that has not stopped.
    fn task(&mut self) -> Value {
        let listed = self.call("ListTasks", json!({"cluster": "main", "serviceName": "ordered"}));
        let input = json!({"cluster": "main", "tasks": listed["taskArns"]});
        self.call("DescribeTasks", input)["tasks"][0].clone()
    }

    fn container(&mut self, name: &str) -> Value {
        let task = self.task();
        let containers = task["containers"].as_array().cloned().unwrap_or_default();
        let found = containers.into_iter().find(|one| one["name"] == name);
        found.unwrap_or_default()
    }
}

fn ended_image() -> Image {
    serde_json::from_value(json!({"repository": "shop/web", "tag": "x"})).unwrap()
}

fn container(name: &str, tag: &str, more: Value) -> Value {
    let mut one = json!({"name": name, "image": Shop::image("shop/web", tag)});
    for (member, value) in more.as_object().unwrap() {
        one[member] = value.clone();
    }
    one
}

fn waits_for(name: &str, condition: &str) -> Value {
    json!({"dependsOn": [{"containerName": name, "condition": condition}]})
}

#[test]
fn a_container_starts_when_the_one_before_it_has_succeeded() {
    let mut shop = Shop::open();
    shop.push("migrates", 0, 20.0);
    shop.run(json!([
        container("web", "1.0.0", waits_for("migrate", "SUCCESS")),
        container("migrate", "migrates", json!({"essential": false})),
    ]));
    shop.pass(15.0);
    assert_eq!(shop.container("migrate")["lastStatus"], "RUNNING");
    assert_eq!(shop.container("web")["lastStatus"], "PENDING");
    assert_eq!(shop.task()["lastStatus"], "PENDING");
    shop.pass(20.0);
    assert_eq!(shop.container("migrate")["exitCode"], 0);
    assert_eq!(shop.task()["lastStatus"], "RUNNING");
    assert_eq!(
        shop.settle("ordered")["deployments"][0]["rolloutState"],
        "COMPLETED"
    );
}

#[test]
fn a_migration_that_fails_keeps_the_task_from_starting() {
    let mut shop = Shop::open();
    shop.push("fails", 3, 2.0);
    shop.run(json!([
        container("web", "1.0.0", waits_for("migrate", "SUCCESS")),
        container("migrate", "fails", json!({"essential": false})),
    ]));
    assert_eq!(shop.settle("ordered")["deployments"][0]["rolloutState"], "FAILED");
    let task = &shop.stopped_tasks("ordered")[0];
    assert_eq!(task["stopCode"], "TaskFailedToStart");
    let reason = task["stoppedReason"].as_str().unwrap();
    assert!(reason.contains("migrate exited with code 3"), "{reason}");
}

#[test]
fn a_container_waits_for_another_ones_health_check() {
    let mut shop = Shop::open();
    let check = json!({"healthCheck": {"command": ["CMD", "true"], "interval": 30}});
    shop.run(json!([
        container("web", "1.0.0", waits_for("cache", "HEALTHY")),
        container("cache", "1.0.0", check.clone()),
    ]));
    shop.pass(30.0);
    assert_eq!(shop.container("cache")["healthStatus"], "UNKNOWN");
    assert_eq!(shop.container("web")["lastStatus"], "PENDING");
    shop.pass(15.0);
    assert_eq!(shop.container("cache")["healthStatus"], "HEALTHY");
    assert_eq!(shop.container("web")["lastStatus"], "RUNNING");
}

#[test]
fn a_health_check_that_fails_leaves_what_waits_for_it_unstarted() {
    let mut shop = Shop::open();
    let check = json!({"healthCheck": {"command": ["CMD", "false"], "interval": 5, "retries": 2}});
    shop.run(json!([
        container("web", "1.0.0", waits_for("cache", "HEALTHY")),
        container("cache", "1.3.0", check),
    ]));
    assert_eq!(shop.settle("ordered")["deployments"][0]["rolloutState"], "FAILED");
    let reason = shop.stopped_tasks("ordered")[0]["stoppedReason"].clone();
    assert!(
        reason.as_str().unwrap().contains("cache is UNHEALTHY"),
        "{reason}"
    );
}

#[test]
fn a_restart_policy_begins_a_container_anew_that_ran_long_enough() {
    let mut shop = Shop::open();
    shop.push("weary", 1, 90.0);
    let policy = |period: i64, ignored: Value| json!({"restartPolicy": {"enabled": true, "restartAttemptPeriod": period, "ignoredExitCodes": ignored}});
    shop.run(json!([container("web", "weary", policy(60, json!([])))]));
    shop.settle("ordered");
    let first = shop.task()["taskArn"].clone();
    shop.pass(200.0);
    let task = shop.task();
    assert_eq!(
        (&task["taskArn"], &task["lastStatus"]),
        (&first, &json!("RUNNING"))
    );

    let mut shop = Shop::open();
    shop.push("weary", 1, 90.0);
    shop.run(json!([container("web", "weary", policy(60, json!([1])))]));
    shop.settle("ordered");
    let first = shop.task()["taskArn"].clone();
    shop.pass(120.0);
    assert_ne!(
        shop.task()["taskArn"],
        first,
        "an ignored exit code ends the task"
    );
}

//! Rollouts in the world of `seeds/shop.toml`, on a clock that only the test moves.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    AwsError, elb, logs,
    world::{CallContext, Seed, World, seed},
};

const ACCOUNT: &str = "111111111111";
const REGION: &str = "eu-west-1";

struct Shop(World);

impl Shop {
    fn open() -> Self {
        let seed = Seed::read(include_str!("../../seeds/shop.toml")).unwrap();
        Self(seed::build(&seed, 0.0).unwrap())
    }

    fn try_call(&mut self, action: &str, input: &Value) -> Result<Value, AwsError> {
        let now = self.0.advance();
        let ctx = CallContext::service(now, ACCOUNT, "test");
        super::call(self.0.region(ACCOUNT, REGION), &ctx, action, input)
    }

    fn call(&mut self, action: &str, input: Value) -> Value {
        self.try_call(action, &input)
            .unwrap_or_else(|error| panic!("{action}: {error}"))
    }

    fn pass(&mut self, seconds: f64) {
        self.0.clock.advance(Duration::from_secs_f64(seconds));
        self.0.advance();
    }

    fn image(repository: &str, tag: &str) -> String {
        format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}:{tag}")
    }

    /// Registers the orders family's latest revision with another image; its ARN.
    fn register_orders(&mut self, tag: &str) -> String {
        let found = self.call("DescribeTaskDefinition", json!({"taskDefinition": "orders"}));
        let mut next = json!({"family": "orders"});
        for member in [
            "containerDefinitions",
            "networkMode",
            "executionRoleArn",
            "taskRoleArn",
            "volumes",
        ] {
            next[member] = found["taskDefinition"][member].clone();
        }
        next["containerDefinitions"][0]["image"] = json!(Self::image("shop/orders", tag));
        let registered = self.call("RegisterTaskDefinition", next);
        let arn = registered["taskDefinition"]["taskDefinitionArn"].as_str();
        arn.unwrap().to_owned()
    }

    fn update_orders(&mut self, tag: &str) -> String {
        let arn = self.register_orders(tag);
        let input = json!({"cluster": "main", "service": "orders", "taskDefinition": arn});
        self.call("UpdateService", input);
        arn
    }

    /// A Fargate service behind the target group `web`.
    fn create_web(&mut self, tag: &str, subnet: &str) -> Result<Value, AwsError> {
        let image = Self::image("shop/web", tag);
        self.try_call(
            "RegisterTaskDefinition",
            &json!({
                "family": "web", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
                "requiresCompatibilities": ["FARGATE"],
                "executionRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/shop-execution"),
                "containerDefinitions": [{"name": "web", "image": image, "portMappings": [{"containerPort": 8080}]}],
            }),
        )?;
        self.try_call(
            "CreateService",
            &json!({
                "cluster": "main", "serviceName": "web", "taskDefinition": "web", "desiredCount": 2,
                "launchType": "FARGATE",
                "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}},
                "networkConfiguration": {"awsvpcConfiguration": {"subnets": [subnet]}},
                "loadBalancers": [{"targetGroupArn": target_group("web"), "containerName": "web", "containerPort": 8080}],
            }),
        )
    }

    fn service(&mut self, name: &str) -> Value {
        let found = self.call("DescribeServices", json!({"cluster": "main", "services": [name]}));
        found["services"][0].clone()
    }

    /// The messages of a service's events, oldest first.
    fn events(&mut self, name: &str) -> Vec<String> {
        let service = self.service(name);
        let events = service["events"].as_array().unwrap().iter().rev();
        events
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Lets time pass until the PRIMARY deployment is no longer IN_PROGRESS.
    fn settle(&mut self, name: &str) -> Value {
        for _ in 0..2_400 {
            let service = self.service(name);
            if service["deployments"][0]["rolloutState"] != "IN_PROGRESS" {
                return service;
            }
            self.pass(0.25);
        }
        panic!("{name} never settled: {:?}", self.events(name));
    }

    fn stopped_tasks(&mut self, name: &str) -> Vec<Value> {
        let input = json!({"cluster": "main", "serviceName": name, "desiredStatus": "STOPPED"});
        let listed = self.call("ListTasks", input);
        let input = json!({"cluster": "main", "tasks": listed["taskArns"]});
        let described = self.call("DescribeTasks", input);
        described["tasks"].as_array().unwrap().clone()
    }

    fn service_deployments(&mut self, name: &str) -> Vec<Value> {
        let listed = self.call(
            "ListServiceDeployments",
            json!({"cluster": "main", "service": name}),
        );
        listed["serviceDeployments"].as_array().unwrap().clone()
    }
}

fn target_group(name: &str) -> String {
    let id = if name == "web" {
        "73e2d6bc24d8a067"
    } else {
        "6d0ecf831eec9f09"
    };
    format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{name}/{id}")
}

const SUBNET: &str = "subnet-0d10000000000000a";

fn has(events: &[String], part: &str) -> bool {
    events.iter().any(|event| event.contains(part))
}

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
    assert!(
        task["stoppedReason"]
            .as_str()
            .unwrap()
            .starts_with("CannotPullContainerError")
    );
    assert_eq!(task["containers"][0]["exitCode"], Value::Null);
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
        "cluster": "main", "serviceName": "blue", "taskDefinition": "orders", "desiredCount": 0,
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
fn a_member_that_nobody_knows_survives_in_a_task_definition() {
    let mut shop = Shop::open();
    let input = json!({
        "family": "future", "inventedTomorrow": {"depth": [1, 2]},
        "containerDefinitions": [{"name": "a", "image": "a", "memory": 64, "alsoInvented": true}],
    });
    shop.call("RegisterTaskDefinition", input);
    let found = shop.call("DescribeTaskDefinition", json!({"taskDefinition": "future:1"}));
    assert_eq!(
        found["taskDefinition"]["inventedTomorrow"],
        json!({"depth": [1, 2]})
    );
    assert_eq!(
        found["taskDefinition"]["containerDefinitions"][0]["alsoInvented"],
        true
    );
}

#[test]
fn what_ecs_computes_is_refused_and_so_is_an_empty_tag_list() {
    let mut shop = Shop::open();
    let mut input =
        json!({"family": "x", "containerDefinitions": [{"name": "a", "image": "a", "memory": 64}]});
    input["revision"] = json!(3);
    assert!(shop.try_call("RegisterTaskDefinition", &input).is_err());
    input.as_object_mut().unwrap().shift_remove("revision");
    input["tags"] = json!([]);
    assert!(shop.try_call("RegisterTaskDefinition", &input).is_err());
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
fn the_same_requests_at_the_same_times_give_the_same_world() {
    let run = || {
        let seed = Seed::read(include_str!("../../seeds/shop.toml")).unwrap();
        let seed = Seed {
            start: Some("2026-11-24T12:00:00Z".parse().unwrap()),
            ..seed
        };
        let mut shop = Shop(seed::build(&seed, 0.0).unwrap());
        shop.update_orders("1.3.0");
        shop.pass(7.3);
        shop.pass(60.0);
        shop.service("orders").to_string()
    };
    assert_eq!(run(), run());
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

#[test]
fn what_a_task_needs_and_does_not_find_stops_it_before_its_start() {
    let cases = [
        (
            "executionRoleArn",
            json!("arn:aws:iam::111111111111:role/gone"),
            "ECS was unable to assume the role",
        ),
        (
            "secrets",
            json!([{"name": "A", "valueFrom": "arn:aws:secretsmanager:eu-west-1:111111111111:secret:gone-aaaaaa"}]),
            "ResourceInitializationError: unable to pull secrets",
        ),
        (
            "logConfiguration",
            json!({"logDriver": "awslogs", "options": {"awslogs-group": "/gone", "awslogs-region": REGION}}),
            "ResourceInitializationError: failed to validate logger args",
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
        let create = json!({"cluster": "main", "serviceName": "x", "taskDefinition": "x", "desiredCount": 1});
        shop.call("CreateService", create);
        shop.pass(10.0);
        let stopped = shop.stopped_tasks("x");
        let reason = stopped[0]["stoppedReason"].as_str().unwrap().to_owned();
        assert!(reason.starts_with(words), "{reason}");
        assert_eq!(stopped[0]["stopCode"], "TaskFailedToStart");
    }
}

#[test]
fn a_moved_tag_does_not_change_what_a_deployment_was_pinned_to() {
    let mut shop = Shop::open();
    shop.update_orders("1.0.0");
    let broken = json!({"repository": "shop/orders", "tag": "1.0.0", "behaviour": "crash"});
    shop.0.images.add(serde_json::from_value(broken).unwrap());
    assert_eq!(
        shop.settle("orders")["deployments"][0]["rolloutState"],
        "COMPLETED"
    );
    let force = json!({"cluster": "main", "service": "orders", "forceNewDeployment": true});
    shop.call("UpdateService", force);
    shop.settle("orders");
    assert_eq!(
        shop.service_deployments("orders")[0]["status"],
        "ROLLBACK_SUCCESSFUL"
    );
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

//! What happens to a service while it is deployed: it is scaled, deployed anew,
//! deleted, protected.

use serde_json::{Value, json};

use super::{SUBNET, Shop};

#[test]
fn scaling_underneath_changes_how_many_tasks_a_rollout_ends_with() {
    for desired in [4, 1, 0] {
        let mut shop = Shop::open();
        shop.update_orders("1.0.0");
        shop.pass(6.0);
        let input = json!({"cluster": "main", "service": "orders", "desiredCount": desired});
        shop.call("UpdateService", input);
        let service = shop.settle("orders");
        assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
        assert_eq!(service["runningCount"], desired);
        assert_eq!(shop.service_deployments("orders").len(), 2);
    }
}

#[test]
fn a_service_of_no_tasks_is_deployed_at_once() {
    let mut shop = Shop::open();
    let none = json!({"cluster": "main", "service": "orders", "desiredCount": 0});
    shop.call("UpdateService", none);
    shop.pass(30.0);
    shop.update_orders("9.9.9");
    let service = shop.settle("orders");
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    assert_eq!(service["deployments"][0]["failedTasks"], 0);
}

#[test]
fn protection_is_given_and_taken_away() {
    let mut shop = Shop::open();
    let listed = shop.call("ListTasks", json!({"cluster": "main", "serviceName": "orders"}));
    let tasks = &listed["taskArns"];
    let mut input =
        json!({"cluster": "main", "tasks": tasks, "protectionEnabled": true, "expiresInMinutes": 10});
    let answer = shop.call("UpdateTaskProtection", input.clone());
    assert_eq!(answer["protectedTasks"][0]["protectionEnabled"], true);
    shop.update_orders("1.0.0");
    shop.pass(60.0);
    assert_eq!(shop.service("orders")["deployments"].as_array().unwrap().len(), 2);
    input["protectionEnabled"] = json!(false);
    shop.call("UpdateTaskProtection", input);
    let found = shop.call("GetTaskProtection", json!({"cluster": "main", "tasks": tasks}));
    assert_eq!(found["protectedTasks"][0]["protectionEnabled"], false);
    assert_eq!(
        shop.settle("orders")["deployments"][0]["rolloutState"],
        "COMPLETED"
    );
}

#[test]
fn a_deleted_service_drains_and_is_inactive_and_is_not_updated() {
    let mut shop = Shop::open();
    shop.push_orders("stubborn", json!({"ignores_sigterm": true}));
    shop.update_orders("stubborn");
    shop.settle("orders");
    shop.call(
        "DeleteService",
        json!({"cluster": "main", "service": "orders", "force": true}),
    );
    let update = json!({"cluster": "main", "service": "orders", "forceNewDeployment": true});
    for (seconds, status) in [(5.0, "DRAINING"), (120.0, "INACTIVE")] {
        shop.pass(seconds);
        assert_eq!(shop.service("orders")["status"], status);
        let refused = shop.try_call("UpdateService", &update).unwrap_err();
        assert_eq!(refused.code, "ServiceNotActiveException");
    }
}

#[test]
fn an_inactive_revision_is_refused_to_an_update() {
    let mut shop = Shop::open();
    let arn = shop.register_orders("1.0.0");
    shop.call("DeregisterTaskDefinition", json!({"taskDefinition": arn}));
    let update = json!({"cluster": "main", "service": "orders", "taskDefinition": arn});
    let refused = shop.try_call("UpdateService", &update).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        ("ClientException", "TaskDefinition is inactive")
    );
}

#[test]
fn stopping_is_refused_when_nothing_was_ever_completed() {
    let mut shop = Shop::open();
    shop.create_web("1.0.0", SUBNET).unwrap();
    let record = shop.service_deployments("web")[0]["serviceDeploymentArn"].clone();
    let stop = json!({"serviceDeploymentArn": record, "stopType": "ROLLBACK"});
    let refused = shop.try_call("StopServiceDeployment", &stop).unwrap_err();
    assert_eq!(refused.code, "InvalidParameterException");
    let abort = json!({"serviceDeploymentArn": record, "stopType": "ABORT"});
    let refused = shop.try_call("StopServiceDeployment", &abort).unwrap_err();
    assert_eq!(refused.code, "UnsupportedFeatureException");
}

#[test]
fn a_service_revision_says_which_digests_its_containers_run() {
    let mut shop = Shop::open();
    shop.update_orders("1.0.0");
    shop.settle("orders");
    let revision = shop.newest_deployment("orders")["targetServiceRevision"]["arn"].clone();
    let found = shop.call(
        "DescribeServiceRevisions",
        json!({"serviceRevisionArns": [revision]}),
    );
    let images = found["serviceRevisions"][0]["containerImages"]
        .as_array()
        .unwrap()
        .clone();
    let has_digest = |image: &Value| image["imageDigest"].as_str().unwrap().starts_with("sha256:");
    assert!(images.len() == 2 && images.iter().all(has_digest));
}

#[test]
fn a_service_of_another_controller_has_task_sets_and_no_deployments() {
    for controller in ["CODE_DEPLOY", "EXTERNAL"] {
        let mut shop = Shop::open();
        shop.call(
            "CreateService",
            json!({
                "cluster": "main", "launchType": "EC2", "serviceName": "blue", "taskDefinition": "orders",
                "desiredCount": 1, "deploymentController": {"type": controller},
            }),
        );
        shop.pass(30.0);
        let service = shop.service("blue");
        assert_eq!(service["deployments"], json!([]));
        assert_eq!(service["taskSets"][0]["stabilityStatus"], "STEADY_STATE");
        let update = json!({"cluster": "main", "service": "blue", "taskDefinition": "orders"});
        assert_eq!(
            shop.try_call("UpdateService", &update).unwrap_err().code,
            "InvalidParameterException"
        );
    }
}

//! Services on container instances: what instances lack, and who brings more.

use serde_json::{Value, json};

use super::{ACCOUNT, REGION, Shop};
use crate::{
    ecs::engine,
    world::{Seed, seed},
};

/// A world of its own: a cluster `grown` behind an Auto Scaling group of at most
/// two instances, one of which is there; `fixed` of one instance that has port 8080 in use.
const WORLD: &str = r#"
[[regions]]
account = "111111111111"
name = "eu-west-1"
contents = ["w"]

[[images]]
repository = "app"
tag = "1"

[[contents.w.clusters]]
name = "grown"
auto_scaling = [{ name = "asg", most = 2, warmup_s = 60, zone = "eu-west-1a", cpu = 1024, memory = 1000 }]
instances = [{ id = "i-1", ip = "10.0.0.1", zone = "eu-west-1a", cpu = 1024, memory = 1000, capacity_provider = "asg" }]

[[contents.w.clusters]]
name = "fixed"
instances = [
  { id = "i-2", ip = "10.0.0.2", zone = "eu-west-1a", cpu = 1024, memory = 1000, taken_ports = [8080] },
  { id = "i-3", ip = "10.0.0.3", zone = "eu-west-1b", cpu = 1024, memory = 1000 },
]

[[contents.w.task_definitions]]
family = "app"
containerDefinitions = [{ name = "app", image = "${account}.dkr.ecr.${region}.amazonaws.com/app:1", cpu = 128, memory = 600, portMappings = [{ containerPort = 80, hostPort = 8080 }] }]

[[contents.w.task_definitions]]
family = "small-#"
count = 3
containerDefinitions = [{ name = "app", image = "${account}.dkr.ecr.${region}.amazonaws.com/app:1", cpu = 16, memory = 32 }]

[[contents.w.services]]
count = 3
cluster = "fixed"
serviceName = "small-#"
taskDefinition = "small-#"
desiredCount = 1
launchType = "EC2"
"#;

impl Shop {
    fn instances() -> Self {
        Self(seed::build(&Seed::read(WORLD).unwrap(), 0.0).unwrap())
    }

    fn create(&mut self, cluster: &str, more: Value) {
        let mut input = json!({"cluster": cluster, "serviceName": "app", "taskDefinition": "app"});
        for (member, value) in more.as_object().unwrap() {
            input[member] = value.clone();
        }
        self.call("CreateService", input);
    }

    fn described(&mut self, cluster: &str, name: &str) -> Value {
        let found = self.call(
            "DescribeServices",
            json!({"cluster": cluster, "services": [name]}),
        );
        found["services"][0].clone()
    }

    fn complaint(&mut self, cluster: &str) -> String {
        let service = self.described(cluster, "app");
        service["events"][0]["message"].as_str().unwrap().to_owned()
    }

    fn pending(&mut self, cluster: &str) -> Vec<Value> {
        let listed = self.call("ListTasks", json!({"cluster": cluster, "serviceName": "app"}));
        let input = json!({"cluster": cluster, "tasks": listed["taskArns"]});
        let tasks = self.call("DescribeTasks", input)["tasks"]
            .as_array()
            .unwrap()
            .clone();
        tasks
            .into_iter()
            .filter(|task| task["lastStatus"] == "PROVISIONING")
            .collect()
    }
}

#[test]
fn a_fixed_port_fits_once_on_an_instance_where_nothing_else_has_it() {
    let mut shop = Shop::instances();
    shop.create("fixed", json!({"desiredCount": 2}));
    shop.pass(30.0);
    assert_eq!(shop.described("fixed", "app")["runningCount"], 1);
    let complaint = shop.complaint("fixed");
    assert!(complaint.contains("was unable to place a task because no container instance met all of its"));
    assert!(
        complaint.contains("is already using a port required by your task"),
        "{complaint}"
    );
    let instances = shop.call("ListContainerInstances", json!({"cluster": "fixed"}));
    let input = json!({"cluster": "fixed", "containerInstances": instances["containerInstanceArns"]});
    let described = shop.call("DescribeContainerInstances", input);
    for instance in described["containerInstances"].as_array().unwrap() {
        let ports = &instance["remainingResources"][2];
        assert_eq!(ports["name"], "PORTS");
        assert!(ports["stringSetValue"].to_string().contains("\"8080\""));
    }
}

#[test]
fn managed_scaling_brings_instances_up_to_its_most() {
    let mut shop = Shop::instances();
    let strategy = json!([{"capacityProvider": "asg", "weight": 1}]);
    shop.create(
        "grown",
        json!({"desiredCount": 3, "capacityProviderStrategy": strategy}),
    );
    shop.pass(30.0);
    assert_eq!(shop.described("grown", "app")["runningCount"], 1);
    assert_eq!(shop.pending("grown").len(), 2);
    shop.pass(60.0);
    assert_eq!(shop.described("grown", "app")["runningCount"], 2);
    shop.pass(700.0);
    let service = shop.described("grown", "app");
    assert_eq!(service["runningCount"], 2);
    assert!(service["deployments"][0]["failedTasks"].as_i64().unwrap() >= 1);
    let told = service["events"].to_string();
    assert!(
        told.contains("was unable to place a task. Reason: TaskFailedToStart: RESOURCE:PORTS."),
        "{told}"
    );
    let provider = shop.call(
        "DescribeCapacityProviders",
        json!({"capacityProviders": ["asg", "none"]}),
    );
    let scaling = &provider["capacityProviders"][0]["autoScalingGroupProvider"]["managedScaling"];
    assert_eq!(scaling["status"], "ENABLED");
    assert_eq!(provider["failures"][0]["reason"], "MISSING");
}

#[test]
fn a_definition_for_another_cpu_finds_no_instance() {
    let mut shop = Shop::instances();
    let image = Shop::image("app", "1");
    shop.call(
        "RegisterTaskDefinition",
        json!({
            "family": "app", "runtimePlatform": {"cpuArchitecture": "ARM64"},
            "containerDefinitions": [{"name": "app", "image": image, "memory": 64}],
        }),
    );
    shop.create("fixed", json!({"desiredCount": 1}));
    shop.pass(20.0);
    let complaint = shop.complaint("fixed");
    assert!(
        complaint.contains("is missing an attribute required by your task"),
        "{complaint}"
    );
}

#[test]
fn a_daemon_has_a_task_on_each_instance_and_follows_them() {
    let mut shop = Shop::instances();
    let definition = json!({"taskDefinition": "small-001", "schedulingStrategy": "DAEMON"});
    shop.create("fixed", definition);
    shop.pass(30.0);
    let service = shop.described("fixed", "app");
    assert_eq!(
        (&service["desiredCount"], &service["runningCount"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    let now = shop.0.advance();
    let region = shop.0.region(ACCOUNT, REGION);
    engine::lose_instances(region, "fixed", &["i-2".to_owned()], now);
    region.ecs.at_rest_until = Default::default();
    shop.pass(30.0);
    let service = shop.described("fixed", "app");
    assert_eq!(
        (&service["desiredCount"], &service["runningCount"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
}

#[test]
fn tasks_with_interfaces_of_their_own_need_room_on_an_instance_too() {
    let mut shop = Shop::open();
    let definition = json!({
        "family": "inner", "networkMode": "awsvpc",
        "containerDefinitions": [{"name": "a", "image": Shop::image("shop/web", "1.0.0"), "memory": 300,
            "portMappings": [{"containerPort": 8080}]}],
    });
    shop.call("RegisterTaskDefinition", definition);
    shop.call("CreateService", json!({
        "cluster": "tight", "serviceName": "app", "taskDefinition": "inner", "desiredCount": 2, "launchType": "EC2",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": [super::SUBNET]}},
    }));
    shop.pass(30.0);
    assert_eq!(shop.described("tight", "app")["runningCount"], 1);
    assert!(
        shop.complaint("tight")
            .contains("has insufficient memory available")
    );
}

#[test]
fn what_runs_on_a_drained_instance_is_replaced() {
    let mut shop = Shop::open();
    let region = shop.0.region(ACCOUNT, REGION);
    engine::drain_instances(region, "main", &["i-0d10000000000000a".to_owned()]);
    region.ecs.at_rest_until = Default::default();
    shop.pass(60.0);
    let service = shop.service("orders");
    assert_eq!(service["runningCount"], 2);
    assert_eq!(service["deployments"].as_array().unwrap().len(), 1);
    let listed = shop.call(
        "ListContainerInstances",
        json!({"cluster": "main", "status": "DRAINING"}),
    );
    let drained = &listed["containerInstanceArns"][0];
    let input = json!({"cluster": "main", "containerInstance": drained});
    assert_eq!(shop.call("ListTasks", input)["taskArns"], json!([]));
}

#[test]
fn a_zone_in_which_fargate_has_no_room_takes_no_task() {
    let mut shop = Shop::open();
    let room = &mut shop.0.region(ACCOUNT, REGION).network.fargate_room;
    room.insert("eu-west-1a".to_owned(), 1);
    shop.create_web("1.0.0", super::SUBNET).unwrap();
    shop.pass(30.0);
    let service = shop.service("web");
    assert_eq!(service["runningCount"], 1);
    let events = shop.events("web");
    assert!(super::has(
        &events,
        "Reason: Capacity is unavailable at this time."
    ));
}

#[test]
fn entries_of_a_seed_are_written_out_as_often_as_they_say() {
    let mut shop = Shop::instances();
    let first = shop.call("ListServices", json!({"cluster": "fixed", "maxResults": 2}));
    assert_eq!(first["serviceArns"].as_array().unwrap().len(), 2);
    let input = json!({"cluster": "fixed", "nextToken": first["nextToken"]});
    let rest = shop.call("ListServices", input);
    assert!(rest["serviceArns"][0].as_str().unwrap().ends_with("/small-003"));
}

//! What is kept as it came: definitions, pinned images, the world itself.

use serde_json::json;

use super::Shop;
use crate::world::{Seed, seed};

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
fn the_same_requests_at_the_same_times_give_the_same_world() {
    let run = || {
        let seed = Seed::read(include_str!("../../../seeds/shop.toml")).unwrap();
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
fn the_fleet_is_two_hundred_services_in_ten_accounts() {
    let seed = Seed::read(include_str!("../../../seeds/fleet.toml")).unwrap();
    let world = seed::build(&seed, 0.0).unwrap();
    let services: Vec<_> = world
        .regions
        .values()
        .flat_map(|region| region.ecs.services.values())
        .collect();
    assert_eq!((world.regions.len(), services.len()), (10, 200));
    assert!(services.iter().all(|service| service.steady));
}

//! The world that a row begins in: `world.toml` with the row's patches over it.

use aws_sim::world::seed::Seed;
use serde_json::{Value, json};

use crate::{
    row::{Breaker, Launch, Row},
    world::{ACCOUNT, REGION},
};

/// The seed of a row.
pub fn seed(row: &Row) -> Seed {
    let mut world = written();
    let launch = launch(row);
    for image in world["images"].as_array_mut().expect("images") {
        match image["tag"].as_str() {
            Some("1.0.0") => patch(image, &row.old_image),
            Some("2.0.0") => patch(image, &row.image),
            _ => {}
        }
    }
    let contents = &mut world["contents"];
    patch(&mut contents["place"], &row.place);
    patch_definition(&mut contents[launch]["task_definitions"][0], row);
    let service = &mut contents[launch]["services"][0];
    patch(service, &breaker(row.breaker));
    if row.balanced {
        patch(service, &behind_a_target_group(row.launch));
    }
    patch(service, &row.service);
    let members = service.as_object_mut().expect("a service");
    members.retain(|member, _| !row.without.contains(member));
    world["regions"] = json!([{ "account": ACCOUNT, "name": REGION, "contents": ["place", launch] }]);
    serde_json::from_value(world).expect("a seed")
}

/// What somebody else registers: the task definition of the row, with another tag.
pub fn definition(row: &Row, tag: &str) -> Value {
    let mut definition = written()["contents"][launch(row)]["task_definitions"][0].clone();
    patch_definition(&mut definition, row);
    definition["containerDefinitions"][0]["image"] = json!(format!(
        "{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/orders:{tag}"
    ));
    definition
}

fn patch_definition(definition: &mut Value, row: &Row) {
    patch(definition, &row.definition);
    patch(&mut definition["containerDefinitions"][0], &row.container);
}

fn written() -> Value {
    toml::from_str(include_str!("world.toml")).expect("the world of every row")
}

fn launch(row: &Row) -> &'static str {
    match row.launch {
        Launch::Fargate => "FARGATE",
        Launch::Ec2 => "EC2",
    }
}

fn breaker(breaker: Breaker) -> Value {
    let (enable, rollback) = match breaker {
        Breaker::RollsBack => (true, true),
        Breaker::Stops => (true, false),
        Breaker::Off => (false, false),
        Breaker::None => return json!({}),
    };
    json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": enable, "rollback": rollback}}})
}

fn behind_a_target_group(launch: Launch) -> Value {
    let group = match launch {
        Launch::Fargate => "orders-ip/73e2d6bc24d8a067",
        Launch::Ec2 => "orders-instance/83e2d6bc24d8a067",
    };
    let arn = format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{group}");
    json!({"loadBalancers": [{"targetGroupArn": arn, "containerName": "app", "containerPort": 9090}]})
}

/// JSON merge patch (RFC 7396); TOML has no null, so nothing is taken away.
pub fn patch(value: &mut Value, over: &Value) {
    match (value, over) {
        (_, Value::Null) => {}
        (Value::Object(members), Value::Object(over)) => {
            for (member, over) in over {
                patch(members.entry(member.clone()).or_insert(Value::Null), over);
            }
        }
        (value, over) => *value = over.clone(),
    }
}

//! What nobody has invented yet goes through the agent's hands unharmed, over the wire:
//! compared with what the account holds before and afterwards.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use towline_agent_domain::outside::Ecs as _;
use towline_agent_domain::update::revision::{next_revision, same_content};
use towline_agent_domain::update::spec::{ContainerChange, NewImage, UpdateSpec};

use crate::sim::{REGION, Sim};

/// Revisions that are invented.
const ROUNDS: usize = 24;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_000_000..1_000_000_i32).prop_map(|number| Value::from(f64::from(number) / 64.0)),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{1,8}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Puts something invented into every object, at every depth; maps of texts stay so.
fn invent(value: &mut Value, something: &mut impl FnMut() -> Value, count: &mut usize) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if name != "options" && name != "dockerLabels" {
                    invent(member, something, count);
                }
            }
            members.insert(format!("invented{count}"), something());
            *count += 1;
        }
        Value::Array(entries) => entries
            .iter_mut()
            .for_each(|entry| invent(entry, something, count)),
        _ => {}
    }
}

fn without_computed(definition: &Value) -> Map<String, Value> {
    let mut members = definition.as_object().unwrap().clone();
    for computed in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    ] {
        members.shift_remove(computed);
    }
    members
}

async fn held(sim: &Sim) -> Value {
    let target = "AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition";
    let answer = sim
        .raw(
            target,
            &json!({ "taskDefinition": "orders", "include": ["TAGS"] }),
        )
        .await;
    assert!(answer["taskDefinition"].is_object(), "{answer}");
    answer
}

#[tokio::test]
async fn what_is_invented_tomorrow_reaches_ecs_as_ecs_held_it() {
    let seed = include_str!("../../../../tests/aws-sim/seeds/shop.toml")
        .replace("enforce = true", "enforce = false");
    let sim = Sim::of(&seed, 1.0, std::time::Duration::from_millis(50)).await;
    sim.leave_the_models();
    let plain = without_computed(&held(&sim).await["taskDefinition"]);
    let mut runner = TestRunner::deterministic();
    let mut invented = 0;
    for round in 0..ROUNDS {
        let mut definition = Value::Object(plain.clone());
        let mut something = || any_json().new_tree(&mut runner).unwrap().current();
        invent(&mut definition, &mut something, &mut invented);
        let target = "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition";
        let answer = sim.raw(target, &definition).await;
        assert!(answer["taskDefinition"].is_object(), "{answer}");
        let before = held(&sim).await;

        let base = sim.aws.task_definition(REGION, "orders").await.unwrap();
        let tag = format!("9.9.{round}");
        let spec = UpdateSpec {
            containers: vec![ContainerChange::of_image(
                "app",
                NewImage::TagOnly(tag.parse().unwrap()),
            )],
            ..UpdateSpec::default()
        };
        let next = next_revision(&base, "orders", &spec).unwrap();
        sim.aws
            .register_task_definition(REGION, &next.request)
            .await
            .unwrap();
        let after = held(&sim).await;

        let mut wanted = without_computed(&before["taskDefinition"]);
        let image = wanted["containerDefinitions"][0]["image"].as_str().unwrap();
        let (repository, _) = image.rsplit_once(':').unwrap();
        wanted["containerDefinitions"][0]["image"] = json!(format!("{repository}:{tag}"));
        let [wanted, found] = [wanted, without_computed(&after["taskDefinition"])]
            .map(|members| serde_json::to_string_pretty(&members).unwrap());
        assert_eq!(wanted, found, "the same members in the same order");
        let read_again = sim.aws.task_definition(REGION, "orders").await.unwrap();
        assert!(same_content(&read_again, &next), "found again by its content");
    }
    assert!(invented > ROUNDS * 5, "only {invented} members were invented");
}

//! Nothing is taken that was not given: a task definition with every member that AWS
//! documents (`every_member.json`, made by `every_member.py` beside it), and with
//! members that nobody has invented yet at every depth, comes out as it went in but
//! for what the update names.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail loudly")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use towline_agent_domain::{
    observed::TaskDefinition,
    update::{
        revision::{NextRevision, next_revision, same_content},
        spec::{ContainerChange, NewImage, UpdateSpec},
    },
};

const FIXTURE: &str = include_str!("every_member.json");

fn fixture() -> Value {
    serde_json::from_str(FIXTURE).unwrap()
}

fn every_member() -> TaskDefinition {
    let mut answer = fixture()["answer"].take();
    TaskDefinition {
        definition: answer["taskDefinition"].as_object().unwrap().clone(),
        tags: answer["tags"].take().as_array().unwrap().clone(),
    }
}

fn new_image(base: &TaskDefinition) -> UpdateSpec {
    let name = base.images()[0].0.clone();
    UpdateSpec {
        containers: vec![ContainerChange::of_image(
            name,
            NewImage::Whole("shop/web:2".parse().unwrap()),
        )],
        ..UpdateSpec::default()
    }
}

fn next(base: &TaskDefinition, spec: &UpdateSpec) -> NextRevision {
    next_revision(base, base.definition["family"].as_str().unwrap(), spec).unwrap()
}

/// What must be sent: written down here once more, without the code that is tested.
fn wanted(base: &TaskDefinition, next: &NextRevision) -> Value {
    let mut request: Map<String, Value> = base.definition.clone();
    for computed in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    ] {
        request.shift_remove(computed).unwrap();
    }
    request["containerDefinitions"][0]["image"] = json!("shop/web:2");
    let mut tags = base.tags.clone();
    tags.push(json!({ "key": "towline:content-hash", "value": next.content_hash }));
    request.insert("tags".to_owned(), json!(tags));
    Value::Object(request)
}

#[test]
fn every_documented_member_is_sent_as_it_was_found() {
    let base = every_member();
    let next = next(&base, &new_image(&base));
    // The text, not the value: members and entries keep their order as well.
    assert_eq!(next.request.to_string(), wanted(&base, &next).to_string());
    let mut sent: Vec<&String> = next.request.as_object().unwrap().keys().collect();
    sent.sort();
    let fixture = fixture();
    let taken: Vec<&str> = fixture["register"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(
        sent, taken,
        "RegisterTaskDefinition takes all of it, and has no member beside"
    );
}

#[test]
fn changing_lists_leaves_their_neighbours_alone() {
    let base = every_member();
    let mut spec = new_image(&base);
    let change = &mut spec.containers[0];
    change.environment.set.insert("NEW".to_owned(), "1".to_owned());
    change
        .secrets
        .set
        .insert("HIDDEN".to_owned(), "/hidden".to_owned());
    change
        .environment_files
        .add
        .push("arn:aws:s3:::bucket/new.env".to_owned());
    spec.tags.set.insert("team".to_owned(), "shop".to_owned());
    let mut sent = next(&base, &spec).request;
    // Taking the additions out again leaves exactly what was there.
    let container = &mut sent["containerDefinitions"][0];
    for (list, last) in [
        ("environment", json!({ "name": "NEW", "value": "1" })),
        ("secrets", json!({ "name": "HIDDEN", "valueFrom": "/hidden" })),
        (
            "environmentFiles",
            json!({ "value": "arn:aws:s3:::bucket/new.env", "type": "s3" }),
        ),
    ] {
        assert_eq!(container[list].as_array_mut().unwrap().pop(), Some(last));
    }
    let tags = sent["tags"].as_array_mut().unwrap();
    tags.retain(|tag| tag["key"] != "team");
    tags.pop();
    let unchanged = next(&base, &new_image(&base));
    let mut wanted = wanted(&base, &unchanged);
    wanted["tags"].as_array_mut().unwrap().pop();
    assert_eq!(sent, wanted);
}

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

/// Puts something invented into every object, at every depth, before or behind what is there.
fn invent(value: &mut Value, invented: &mut impl Iterator<Item = (String, Value, bool)>, count: &mut usize) {
    match value {
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|member| invent(member, invented, count));
            let (name, something, first) = invented.next().unwrap();
            let position = if first { 0 } else { members.len() };
            members.shift_insert(position, format!("x{name}"), something);
            *count += 1;
        }
        Value::Array(entries) => entries
            .iter_mut()
            .for_each(|entry| invent(entry, invented, count)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn members_invented_tomorrow_survive_at_every_depth(
        invented in prop::collection::vec(("[a-zA-Z]{1,10}", any_json(), any::<bool>()), 1..12),
    ) {
        let mut base = every_member();
        let mut count = 0;
        let mut invented = invented.into_iter().cycle();
        let mut definition = Value::Object(base.definition);
        invent(&mut definition, &mut invented, &mut count);
        base.definition = definition.as_object().unwrap().clone();
        for tag in &mut base.tags {
            invent(tag, &mut invented, &mut count);
        }
        prop_assert!(count > 60, "only {count} objects got something");

        let next = next(&base, &new_image(&base));
        prop_assert_eq!(next.request.to_string(), wanted(&base, &next).to_string());
        // It is found again as ECS would show it.
        prop_assert!(same_content(&next.definition(), &next));
        prop_assert!(!same_content(&base, &next));
    }
}

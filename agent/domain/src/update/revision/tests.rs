use proptest::prelude::*;
use serde_json::json;

use super::*;

fn definition(value: Value) -> TaskDefinition {
    let Value::Object(definition) = value else {
        panic!("not an object")
    };
    TaskDefinition {
        definition,
        tags: Vec::new(),
    }
}

fn orders() -> TaskDefinition {
    definition(json!({
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/orders:7",
        "family": "orders",
        "revision": 7,
        "status": "ACTIVE",
        "registeredAt": 1_700_000_000.123,
        "registeredBy": "arn:aws:iam::111122223333:role/terraform",
        "requiresAttributes": [{ "name": "ecs.capability.task-eni" }],
        "compatibilities": ["EC2"],
        "requiresCompatibilities": ["EC2"],
        "containerDefinitions": [
            { "name": "app", "image": "registry.example/orders:1.0.0", "environment": [], "fromTheFuture": { "x": [1] } },
            { "name": "envoy", "image": "registry.example/envoy:1", "essential": false },
        ],
        "enableFaultInjection": true,
        "runtimePlatform": { "cpuArchitecture": "ARM64" },
    }))
}

fn tag(container: &str, tag: &str) -> ContainerChange {
    ContainerChange::of_image(container, NewImage::TagOnly(tag.parse().unwrap()))
}

fn next_revision(base: &TaskDefinition, changes: &[ContainerChange]) -> Result<NextRevision, RevisionError> {
    let spec = UpdateSpec {
        containers: changes.to_vec(),
        ..UpdateSpec::default()
    };
    super::next_revision(base, "orders", &spec)
}

/// What ECS shows after `next` was registered.
fn registered(next: &NextRevision) -> TaskDefinition {
    let mut shown = next.request.as_object().unwrap().clone();
    let tags = shown.remove("tags").unwrap().as_array().unwrap().clone();
    for (member, value) in [
        ("revision", json!(8)),
        ("status", json!("ACTIVE")),
        ("registeredAt", json!(1.0)),
    ] {
        shown.insert(member.to_owned(), value);
    }
    TaskDefinition {
        definition: shown,
        tags,
    }
}

#[test]
fn only_the_image_changes_and_only_computed_members_go() {
    let next = next_revision(&orders(), &[tag("app", "1.1.0")]).unwrap();
    let request = &next.request;
    assert_eq!(
        request["containerDefinitions"][0]["image"],
        "registry.example/orders:1.1.0"
    );
    assert_eq!(
        request["containerDefinitions"][0]["fromTheFuture"],
        json!({ "x": [1] })
    );
    assert_eq!(
        request["containerDefinitions"][1],
        orders().definition["containerDefinitions"][1]
    );
    assert_eq!(request["enableFaultInjection"], true);
    assert_eq!(request["requiresCompatibilities"], json!(["EC2"]));
    for computed in COMPUTED {
        assert!(request.get(computed).is_none(), "{computed}");
    }
}

#[test]
fn a_registered_revision_is_found_again_by_its_content() {
    let next = next_revision(&orders(), &[tag("app", "1.1.0")]).unwrap();
    assert!(!same_content(&orders(), &next));
    let found = registered(&next);
    assert!(same_content(&found, &next));
    // The same change again, now on the revision that holds it, asks for nothing new.
    let again = next_revision(&found, &[tag("app", "1.1.0")]).unwrap();
    assert!(same_content(&found, &again));
}

#[test]
fn tags_are_carried_but_neither_towlines_own_nor_awss() {
    let mut base = orders();
    base.tags = vec![
        json!({ "key": "team", "value": "shop" }),
        json!({ "key": "towline:content-hash", "value": "old" }),
        json!({ "key": "aws:cloudformation:stack-name", "value": "s" }),
    ];
    let next = next_revision(&base, &[tag("app", "1.1.0")]).unwrap();
    assert_eq!(
        next.request["tags"],
        json!([
            { "key": "team", "value": "shop" },
            { "key": "towline:content-hash", "value": next.content_hash },
        ])
    );
}

#[test]
fn a_container_that_is_not_there_is_an_error_and_not_ignored() {
    let error = next_revision(&orders(), &[tag("App", "1")]).unwrap_err();
    assert!(error.to_string().contains("app, envoy"), "{error}");
}

#[test]
fn ecs_may_reorder_environment_but_not_commands() {
    let with = |environment: Value, command: Value| {
        let mut base = orders();
        let app = &mut base.definition["containerDefinitions"][0];
        app["environment"] = environment;
        app["command"] = command;
        content_hash(&base)
    };
    let (a, b) = (
        json!({ "name": "A", "value": "1" }),
        json!({ "name": "B", "value": "2" }),
    );
    let one = with(json!([a, b]), json!(["x", "y"]));
    assert_eq!(one, with(json!([b, a]), json!(["x", "y"])));
    assert_ne!(one, with(json!([a, b]), json!(["y", "x"])));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z0-9 /:._-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{1,10}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_member_survives_whatever_it_is(
        of_task in prop::collection::btree_map("x[a-zA-Z]{1,10}", any_json(), 0..6),
        of_container in prop::collection::btree_map("x[a-zA-Z]{1,10}", any_json(), 0..6),
    ) {
        let mut base = orders();
        base.definition.extend(of_task.clone());
        let app = base.definition["containerDefinitions"][0].as_object_mut().unwrap();
        app.extend(of_container.clone());

        let next = next_revision(&base, &[tag("app", "9.9.9")]).unwrap();
        for (member, value) in &of_task {
            prop_assert_eq!(&next.request[member], value);
        }
        for (member, value) in &of_container {
            prop_assert_eq!(&next.request["containerDefinitions"][0][member], value);
        }
        prop_assert!(same_content(&registered(&next), &next));
    }
}

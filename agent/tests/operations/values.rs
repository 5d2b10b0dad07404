//! Parameters and stack outputs: each is found, or fails by itself with its reason.

use serde_json::json;
use towline_proto::agent::v1::{
    ReadValue, ReadValuesRequest, StackOutputSource, ValueSource, read_value::Result as Outcome,
    value_source::Source,
};

use crate::world::{ACCOUNT, REGION, World};

fn parameter(name: &str) -> ValueSource {
    ValueSource {
        source: Some(Source::Parameter(name.into())),
    }
}

fn output(stack: &str, output: &str) -> ValueSource {
    ValueSource {
        source: Some(Source::StackOutput(StackOutputSource {
            stack: stack.into(),
            output: output.into(),
        })),
    }
}

/// The value, or the reason of the failure.
fn said(value: &ReadValue) -> Result<String, String> {
    match value.result.as_ref().expect("a result") {
        Outcome::Found(found) => Ok(found.value.clone()),
        Outcome::Failure(failure) => {
            assert!(
                !failure.message.is_empty() && !failure.hint.is_empty(),
                "{failure:?}"
            );
            Err(failure.reason.clone())
        }
    }
}

async fn read(world: &World, sources: Vec<ValueSource>) -> Vec<Result<String, String>> {
    let request = ReadValuesRequest {
        region: REGION.into(),
        sources,
        ..Default::default()
    };
    let answer = world.orchestrator().await.read_values(request).await;
    answer.unwrap().into_inner().values.iter().map(said).collect()
}

fn found(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

fn failed(reason: &str) -> Result<String, String> {
    Err(reason.to_owned())
}

/// A stack with an output and nothing else that takes long.
async fn make_network(world: &World) {
    let template = json!({
        "Resources": {"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/network"}}},
        "Outputs": {"DbHost": {"Value": "db.network.internal"}},
    });
    let template = template.to_string();
    let parameters = [
        ("StackName", "network"),
        ("ChangeSetName", "made"),
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", template.as_str()),
    ];
    world.cloudformation("CreateChangeSet", &parameters).await;
    world.sim_post("clock", json!({"advance_ms": 60_000})).await;
    let execute = [("StackName", "network"), ("ChangeSetName", "made")];
    world.cloudformation("ExecuteChangeSet", &execute).await;
    world.stack_is("network", "CREATE_COMPLETE").await;
}

#[tokio::test]
async fn each_value_is_found_or_fails_by_itself() {
    let world = World::start(40.0).await;
    make_network(&world).await;
    let put = json!({"account": ACCOUNT, "region": REGION, "put": {"/shop/db-host": "orders-2"}, "put_secret": ["/shop/password"]});
    world.sim_post("parameters", put).await;
    let arn = format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/db-host");
    let values = read(
        &world,
        vec![
            parameter("/shop/db-host"),
            parameter("/shop/db-host:1"),
            parameter(&arn),
            parameter("/shop/password"),
            parameter("/shop/no-such"),
            output("network", "DbHost"),
            output("network", "DbPort"),
            output("no-such", "DbHost"),
        ],
    )
    .await;
    assert_eq!(
        values,
        [
            found("orders-2"),
            found("orders.d1.db.internal"),
            found("orders-2"),
            failed("secure_string"),
            failed("not_found"),
            found("db.network.internal"),
            failed("output_not_found"),
            failed("stack_not_found"),
        ]
    );
    assert!(!world.log().contains("AQICAHg"), "nothing of a secret is logged");
}

#[tokio::test]
async fn many_values_take_few_calls() {
    let world = World::start(40.0).await;
    let names: Vec<String> = (0..25).map(|at| format!("/shop/{at}")).collect();
    let put: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), json!("x"))).collect();
    world
        .sim_post(
            "parameters",
            json!({"account": ACCOUNT, "region": REGION, "put": put}),
        )
        .await;
    let twice = names.iter().chain(&names).map(|name| parameter(name)).collect();
    let values = read(&world, twice).await;
    assert!(
        values.len() == 50 && values.iter().all(Result::is_ok),
        "{values:?}"
    );
    let effects = world.sim_get("effects").await;
    let calls = effects
        .as_array()
        .unwrap()
        .iter()
        .filter(|effect| effect["action"] == "GetParameters");
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn the_agents_file_bounds_what_is_read() {
    let world = World::start_with(40.0, "[values]\nallow = [\"/shop/*\"]\n").await;
    let values = read(
        &world,
        vec![
            parameter("/shop/db-host"),
            parameter("/other/db-host"),
            output("network", "DbHost"),
        ],
    )
    .await;
    assert_eq!(
        values,
        [
            found("orders.d1.db.internal"),
            failed("not_allowed"),
            failed("not_allowed")
        ]
    );
    let effects = world.sim_get("effects").await.to_string();
    assert!(!effects.contains("DescribeStacks"), "it is not even asked for");
}

#[tokio::test]
async fn what_iam_refuses_and_what_does_not_answer_are_told_apart() {
    let world = World::start(40.0).await;
    let rules = json!([{"kind": "deny", "action": "GetParameters", "times": 1000}]);
    world.sim_post("faults", json!({"seed": 7, "rules": rules})).await;
    let both = || vec![parameter("/shop/db-host"), parameter("/shop/no-such")];
    assert_eq!(
        read(&world, both()).await,
        [failed("access_denied"), failed("access_denied")]
    );
    let rules = json!([{"kind": "reset_before", "action": "GetParameters", "times": 1000}]);
    world.sim_post("faults", json!({"seed": 7, "rules": rules})).await;
    assert_eq!(
        read(&world, both()).await,
        [failed("unreachable"), failed("unreachable")]
    );
}

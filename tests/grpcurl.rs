//! A listening agent needs no client of ours: the real grpcurl with an
//! operator's certificate lists, describes, reads and deploys. A reflection
//! client in Rust does the reading half wherever grpcurl is missing.

use std::process::Command;

use serde_json::Value;
use tokio_util::task::TaskTracker;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use towline_link::{
    channel::LinkChannel,
    credentials::Credentials,
    dial::{Destination, Protocol, dial},
    identity::Identity,
    seams::Seams,
};
use towline_proto::agent::v1::{GetAgentRequest, agent_service_client::AgentServiceClient};
use towline_tests::{
    cli::Ran,
    world::{Options, World},
};

const MAY_DEPLOY: &str = "\n[[operators]]\nname = \"admin\"\nallow = [\"read\", \"deploy\"]\n";

fn staging(agent_extra: &str) -> World {
    World::start(Options {
        agents: vec!["staging"],
        agent_extra: agent_extra.to_owned(),
        ..Options::default()
    })
}

fn grpcurl(world: &World, program: &str, arguments: &[&str]) -> Ran {
    let credentials = world.credentials("admin");
    let address = world.agent("staging").listen.clone().unwrap();
    let mut command = Command::new(program);
    command.arg("-cacert").arg(credentials.join("ca.pem"));
    command
        .arg("-cert")
        .arg(credentials.join("cert.pem"))
        .arg("-key")
        .arg(credentials.join("key.pem"));
    let (flags, rest): (Vec<&str>, Vec<&str>) = match arguments {
        ["-d", data, rest @ ..] => (vec!["-d", data], rest.to_vec()),
        rest => (Vec::new(), rest.to_vec()),
    };
    command.args(flags).arg(address).args(rest);
    Ran::run(command)
}

fn events(stdout: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(stdout)
        .into_iter::<Value>()
        .map(|event| event.unwrap()["event"].clone())
        .collect()
}

#[test]
fn the_real_grpcurl_drives_a_listening_agent() {
    let Ok(program) = std::env::var("GRPCURL") else {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "CI=true and GRPCURL is not set"
        );
        println!("SKIPPED: GRPCURL names no grpcurl; `scripts/test` builds one with `scripts/tools grpcurl`");
        return;
    };
    let world = staging(MAY_DEPLOY);
    let services = grpcurl(&world, &program, &["list"]).expect_code(0).stdout;
    for service in ["towline.agent.v1.AgentService", "grpc.health.v1.Health"] {
        assert!(services.contains(service), "{services}");
    }
    let described = grpcurl(&world, &program, &["describe", "towline.agent.v1.AgentService"]).expect_code(0);
    assert!(
        described.stdout.contains("rpc UpdateService"),
        "{}",
        described.stdout
    );

    let agent = grpcurl(&world, &program, &["towline.agent.v1.AgentService/GetAgent"])
        .expect_code(0)
        .json();
    assert_eq!(agent["name"], "staging");
    assert_eq!(agent["account"], "222222222222");

    let before = world.sim.last();
    let update = r#"{"region":"eu-west-1","cluster":"main","service":"orders","containers":[{"name":"app","tag":"1.0.0"}]}"#;
    let ran = grpcurl(
        &world,
        &program,
        &["-d", update, "towline.agent.v1.AgentService/UpdateService"],
    )
    .expect_code(0);
    let events = events(&ran.stdout);
    assert!(
        events[0]["operationId"].as_str().is_some_and(|id| id.len() == 36),
        "the first event names the id"
    );
    let finished = &events.last().unwrap()["finished"];
    assert_eq!(finished["verdict"], "VERDICT_SUCCEEDED", "{finished}");
    let updates = world.sim.applied_writes(before);
    assert_eq!(
        updates
            .iter()
            .filter(|effect| effect.action == "UpdateService")
            .count(),
        1
    );
    world.stop();
}

/// What a release is made of: a digest, the tags, values, and a migration.
#[test]
fn the_real_grpcurl_resolves_images_reads_values_and_runs_a_task() {
    let Ok(program) = std::env::var("GRPCURL") else {
        return;
    };
    let world = staging(MAY_DEPLOY);
    let call = |data: &str, rpc: &str| {
        let method = format!("towline.agent.v1.AgentService/{rpc}");
        grpcurl(&world, &program, &["-d", data, &method]).expect_code(0)
    };
    let resolved = call(
        r#"{"region":"eu-west-1","repository":"shop/orders","tag":"1.1.0"}"#,
        "ResolveImage",
    )
    .json();
    let digest = resolved["digest"].as_str().unwrap();
    assert!(digest.starts_with("sha256:"), "{resolved}");
    let tags = call(
        r#"{"region":"eu-west-1","repository":"shop/orders","pageSize":2}"#,
        "ListImageTags",
    )
    .json();
    assert_eq!(tags["tags"].as_array().unwrap().len(), 2, "{tags}");
    let values = call(
        r#"{"region":"eu-west-1","sources":[{"parameter":"/shop/db-host"},{"stackOutput":{"stack":"network","output":"DbHost"}}]}"#,
        "ReadValues",
    )
    .json();
    assert_eq!(
        values["values"][0]["found"]["value"], "orders.51.db.internal",
        "{values}"
    );
    assert_eq!(
        values["values"][1]["failure"]["reason"], "stack_not_found",
        "{values}"
    );
    let task = serde_json::json!({
        "region": "eu-west-1", "cluster": "main", "task": "migrate", "like": "orders",
        "containers": [{"update": {"name": "app", "digest": digest}, "command": ["./orders", "migrate"]}],
    });
    let ran = call(&task.to_string(), "RunTask");
    let events = events(&ran.stdout);
    let finished = &events.last().unwrap()["finished"];
    assert_eq!(
        (&finished["verdict"], &finished["outputs"]["exit_code"]),
        (&Value::from("VERDICT_SUCCEEDED"), &Value::from("0")),
        "{finished}"
    );
    world.stop();
}

#[test]
fn by_default_an_operator_reads_and_does_not_deploy() {
    let Ok(program) = std::env::var("GRPCURL") else {
        return;
    };
    let world = staging("");
    grpcurl(&world, &program, &["towline.agent.v1.AgentService/GetAgent"]).expect_code(0);
    let update = r#"{"region":"eu-west-1","cluster":"main","service":"orders","containers":[{"name":"app","tag":"1.0.0"}]}"#;
    let before = world.sim.last();
    let refused = grpcurl(
        &world,
        &program,
        &["-d", update, "towline.agent.v1.AgentService/UpdateService"],
    );
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("PermissionDenied"), "{}", refused.stderr);
    assert!(world.sim.applied_writes(before).is_empty());
    world.stop();
}

/// The services that the reflection service of `channel` names.
async fn reflected(channel: LinkChannel) -> Vec<String> {
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(ask))
        .await;
    let first = answers.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = first.message_response else {
        panic!("no list of services: {first:?}");
    };
    list.service.into_iter().map(|service| service.name).collect()
}

#[tokio::test]
async fn a_reflection_client_needs_a_certificate_and_nothing_else() {
    let world = tokio::task::spawn_blocking(|| staging("")).await.unwrap();
    let seams = Seams::system();
    let credentials = Credentials::load(&world.credentials("admin"), seams.clock.now()).unwrap();
    let destination = Destination {
        address: world.agent("staging").listen.clone().unwrap(),
        protocol: Protocol::Api,
        expected: Identity::Agent("staging".parse().unwrap()),
        proxy: None,
    };
    let stream = dial(&seams, &credentials, &destination).await.unwrap();
    let channel = LinkChannel::unwatched(stream, &TaskTracker::new()).await.unwrap();
    let services = reflected(channel.clone()).await;
    for service in ["towline.agent.v1.AgentService", "grpc.health.v1.Health"] {
        assert!(services.iter().any(|name| name == service), "{services:?}");
    }
    let agent = AgentServiceClient::new(channel)
        .get_agent(GetAgentRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (agent.name.as_str(), agent.account.as_str()),
        ("staging", "222222222222")
    );
    tokio::task::spawn_blocking(|| world.stop()).await.unwrap();
}

//! An import asks every agent that can be asked, and names the others.

use towline_proto::agent::v1 as proto;

use super::world::{SHOP, World, caller, patiently};
use crate::engine::{EngineError, ImportQuestion};

fn service(name: &str, image: &str) -> proto::ServiceDescription {
    proto::ServiceDescription {
        name: name.to_owned(),
        status: "ACTIVE".to_owned(),
        containers: vec![proto::ContainerDescription {
            name: "app".to_owned(),
            image: image.to_owned(),
        }],
        ..proto::ServiceDescription::default()
    }
}

async fn connected(world: &World, name: &str) -> super::agent::FakeAgent {
    let (agent, mut calls) = world.agent(name);
    let name = name.parse().expect("a name");
    let mut changes = world.engine.fleet().changes();
    patiently(async {
        while world.engine.fleet().client(&name).is_none() {
            changes.changed().await.expect("a fleet");
        }
    })
    .await;
    assert!(calls.none());
    agent
}

fn question() -> ImportQuestion {
    ImportQuestion {
        environments: vec![("dev".to_owned(), "lab".to_owned())],
        ..ImportQuestion::default()
    }
}

#[tokio::test]
async fn all_pages_of_who_is_there_become_a_file_and_the_others_are_named() {
    let world = World::new().await;
    // Holds the service orders in the accounts of dev, staging and prod.
    world.apply(SHOP).await;
    let dev = connected(&world, "dev").await;
    let mut services: Vec<_> = (0..5)
        .map(|n| service(&format!("s{n}"), &format!("shop/s{n}:1.{n}")))
        .collect();
    services.push(service("orders", "shop/orders:1"));
    let mut stack = service("web", "shop/web:1");
    stack.task_definition_tags = [("towline:service".to_owned(), "main/web".to_owned())].into();
    services.push(stack);
    let mut other = service("blue", "shop/blue:1");
    other.deployment_controller = "CODE_DEPLOY".to_owned();
    services.push(other);
    let mut canary = service("canary", "shop/canary:1");
    canary.deployment_controller = "ECS".to_owned();
    canary.deployment_strategy = "CANARY".to_owned();
    services.push(canary);
    dev.runs(services);
    let import = world.engine.import_project(&question()).await.expect("a file");
    let keys: Vec<&str> = import
        .imported
        .services
        .iter()
        .map(|it| it.key.as_str())
        .collect();
    assert_eq!(keys, ["s0", "s1", "s2", "s3", "s4"]);
    assert!(import.imported.definition.contains("phase: lab"));
    let notes: Vec<(&str, &str)> = import
        .imported
        .notes
        .iter()
        .map(|it| (it.service.as_str(), it.reason.as_str()))
        .collect();
    assert_eq!(
        notes,
        [
            ("blue", "controller"),
            ("canary", "controller"),
            ("orders", "claimed"),
            ("web", "owned_by_stack")
        ]
    );
    let [(prod, why), (staging, _)] = import.unreached.as_slice() else {
        panic!("two agents are away: {:?}", import.unreached)
    };
    assert_eq!((prod.as_str(), staging.as_str()), ("prod", "staging"));
    assert!(why.starts_with("offline since"), "{why}");
    world
        .engine
        .apply(&caller("dan"), &import.imported.definition, "f", true)
        .await
        .expect("what was imported can be applied");
}

#[tokio::test]
async fn filters_choose_and_what_they_name_has_to_be_there() {
    let world = World::new().await;
    let dev = connected(&world, "dev").await;
    dev.runs(vec![
        service("shop-a", "a:1"),
        service("shop-b", "b:1"),
        service("other", "c:1"),
    ]);
    let some = ImportQuestion {
        agents: vec!["dev".to_owned()],
        services: vec!["shop-*".to_owned()],
        ..question()
    };
    let import = world.engine.import_project(&some).await.expect("a file");
    assert_eq!((import.imported.services.len(), import.unreached.len()), (2, 0));
    let none = ImportQuestion {
        clusters: vec!["other".to_owned()],
        ..some
    };
    let error = world.engine.import_project(&none).await.unwrap_err();
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
    let wrong = ImportQuestion {
        agents: vec!["dve".to_owned()],
        environments: vec![("nobody".to_owned(), "No".to_owned())],
        ..ImportQuestion::default()
    };
    let error = world.engine.import_project(&wrong).await.unwrap_err();
    let EngineError::Invalid { faults } = error else {
        panic!("not a wrong question: {error}")
    };
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert_eq!(faults[0].hint.as_deref(), Some("did you mean dev?"));
}

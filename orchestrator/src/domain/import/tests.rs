//! From an inventory to a file, as a person reads it; and the reader takes it.

mod any_inventory;

use super::{FoundCluster, FoundContainer, FoundService, Imported, Reason, Unfit, import};
use crate::domain::project;

fn registry(account: &str) -> String {
    format!("{account}.dkr.ecr.eu-west-1.amazonaws.com")
}

/// `name: container=image, container=image`; `@/` stands for the account's registry.
fn service(account: &str, text: &str) -> FoundService {
    let (name, containers) = text.split_once(": ").expect("a name");
    let container = |text: &str| {
        let (name, image) = text.split_once('=').expect("an image");
        FoundContainer {
            name: name.parse().expect("a name"),
            image: image.replace("@/", &format!("{}/", registry(account))),
        }
    };
    FoundService {
        name: name.parse().expect("a name"),
        containers: containers.split(", ").map(container).collect(),
        unfit: None,
    }
}

fn cluster(agent: &str, account: u8, services: &[&str]) -> FoundCluster {
    let account = account.to_string().repeat(12);
    FoundCluster {
        agent: agent.parse().expect("a name"),
        region: "eu-west-1".parse().expect("a region"),
        cluster: "main".parse().expect("a name"),
        environment: agent.parse().expect("a name"),
        services: services.iter().map(|it| service(&account, it)).collect(),
        account: account.parse().expect("an account"),
    }
}

/// Imports, and has the reader take the file without a warning.
fn imported(clusters: Vec<FoundCluster>) -> Imported {
    let imported = import(&"shop".parse().expect("a name"), clusters.clone(), &[]);
    let again = import(
        &"shop".parse().expect("a name"),
        clusters.into_iter().rev().collect(),
        &[],
    );
    assert_eq!(imported, again, "the order of agents does not count");
    match project::parse_with_warnings(&imported.definition, "imported.yaml") {
        Ok((_, warnings)) => assert_eq!(warnings, [], "{}", imported.definition),
        Err(faults) => panic!("{faults:#?}\n{}", imported.definition),
    }
    imported
}

#[test]
fn services_of_three_accounts_become_a_file_for_people() {
    let mut prod = cluster(
        "prod",
        3,
        &[
            "orders: app=@/shop/orders:1.1.0, envoy=public.ecr.aws/envoy/envoy:v1.31.0",
            "worker-prod: worker=@/shop/orders:1.1.0",
            "billing: app=@/prod/billing:7",
        ],
    );
    prod.services.push(FoundService {
        unfit: Some(Unfit::OwnStack),
        ..service("333333333333", "web: web=@/shop/web:1")
    });
    let dev = cluster(
        "dev",
        1,
        &[
            "orders: app=@/shop/orders:1.2.0, envoy=public.ecr.aws/envoy/envoy:v1.31.0, debug=@/debug:1",
            "worker-dev: worker=@/shop/orders:1.2.0",
            "billing: app=@/dev/billing:8",
            "tools: tools=ghcr.io/shop/tools:5",
        ],
    );
    let staging = cluster(
        "staging",
        2,
        &[
            "orders: app=@/shop/orders:1.1.0, envoy=public.ecr.aws/envoy/envoy:v1.31.0",
            "worker-staging: worker=@/shop/orders:1.1.0",
        ],
    );
    let imported = imported(vec![prod, dev, staging]);
    assert_eq!(imported.definition, include_str!("tests/three-accounts.yaml"));
    let reasons: Vec<(&str, Reason)> = imported
        .notes
        .iter()
        .map(|it| (it.service.as_str(), it.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            ("orders", Reason::ContainerNotEverywhere),
            ("web", Reason::OwnedByStack)
        ]
    );
    let worker = imported
        .services
        .iter()
        .find(|it| it.key.as_str() == "worker")
        .expect("a service");
    let places: Vec<String> = worker
        .places
        .iter()
        .map(|it| format!("{} {}", it.environment, it.ecs_service))
        .collect();
    assert_eq!(
        places,
        ["dev worker-dev", "staging worker-staging", "prod worker-prod"]
    );
}

#[test]
fn a_name_that_is_whole_elsewhere_is_not_taken_apart() {
    let imported = imported(vec![
        cluster(
            "dev",
            1,
            &[
                "dev-tools: app=@/tools:1",
                "orders: app=@/a:1",
                "orders-dev: app=@/b:1",
            ],
        ),
        cluster(
            "prod",
            3,
            &[
                "dev-tools: app=@/tools:1",
                "orders: app=@/a:1",
                "tools: app=@/c:1",
            ],
        ),
    ]);
    let keys: Vec<(&str, usize)> = imported
        .services
        .iter()
        .map(|it| (it.key.as_str(), it.places.len()))
        .collect();
    assert_eq!(
        keys,
        [("dev-tools", 2), ("orders", 2), ("orders-dev", 1), ("tools", 1)]
    );
    assert!(
        imported.definition.contains("only_in: [dev]"),
        "{}",
        imported.definition
    );
    let notes: Vec<&str> = imported.notes.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(
        notes,
        ["orders-dev stands alone: orders of the same cluster is joined as orders already"]
    );
}

#[test]
fn containers_of_other_names_are_the_same_when_each_service_has_one() {
    let imported = imported(vec![
        cluster("dev", 1, &["orders: main=@/orders:1"]),
        cluster("prod", 3, &["orders: app=@/orders:1"]),
    ]);
    assert_eq!(imported.services.len(), 1);
    assert_eq!(
        imported.services[0].containers,
        ["${target.orders_app_container}"]
    );
    assert!(imported.definition.contains("orders_app_container: main"));
}

#[test]
fn services_without_a_container_in_common_are_not_one() {
    let imported = imported(vec![
        cluster("dev", 1, &["orders: a=@/a:1, b=@/b:1"]),
        cluster("staging", 2, &["orders: a=@/a:1, b=@/b:1"]),
        cluster("prod", 3, &["orders: c=@/c:1, d=@/d:1"]),
    ]);
    let keys: Vec<(&str, usize)> = imported
        .services
        .iter()
        .map(|it| (it.key.as_str(), it.places.len()))
        .collect();
    assert_eq!(keys, [("orders", 2), ("orders-2", 1)]);
    assert!(imported.notes.iter().all(|it| it.reason == Reason::NotJoined));
}

#[test]
fn one_region_of_an_environment_may_have_more() {
    let mut other = cluster("prod", 3, &["orders: app=@/orders:1", "batch: app=@/batch:1"]);
    other.region = "eu-central-1".parse().expect("a region");
    let imported = imported(vec![cluster("prod", 3, &["orders: app=@/orders:1"]), other]);
    assert!(
        imported
            .definition
            .contains("only_in: [\"333333333333/eu-central-1/main\"]"),
        "{}",
        imported.definition
    );
}

#[test]
fn a_sidecar_by_digest_stays_as_it_is() {
    let digest = "0".repeat(64);
    let text = format!("orders: app=@/orders:1, log=fluent/fluent-bit@sha256:{digest}");
    let imported = imported(vec![cluster("dev", 1, &[&text])]);
    assert_eq!(imported.services[0].containers, ["app"]);
    assert_eq!(imported.notes[0].reason, Reason::ImageByDigest);
}

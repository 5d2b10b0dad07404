//! Whatever runs: the file says of every service that is in it exactly what runs
//! there, and of every other one why it is not.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::domain::{
    import::{FoundCluster, FoundContainer, FoundService, image::Reference, import},
    operation::{self, NewImage, Payload},
    project::{self, Project},
    release::choose_images_of,
};

const ENVIRONMENTS: [&str; 4] = ["dev", "staging", "prod-eu", "mars"];
const NAMES: [&str; 12] = [
    "orders",
    "orders-{}",
    "{}-orders",
    "shop_{}_web",
    "dev-tools",
    "tools",
    "dev",
    "web",
    "Web",
    "9lives",
    "a--b",
    "orders-2",
];
const WORDS: [&str; 6] = ["dev", "development", "stg", "prod-eu", "prod", "mars"];
const CONTAINERS: [&str; 6] = ["app", "app-{}", "side", "proxy", "dev", "on"];
const PATHS: [&str; 8] = [
    "@/shop/web",
    "@/{}/web",
    "@/web",
    "public.ecr.aws/envoy/envoy",
    "nginx",
    "ghcr.io/web",
    "localhost:5000/{}/x",
    "@/shop/a.b__c-d",
];
const TAGS: [&str; 4] = [
    ":1.0.0",
    ":v2",
    "",
    "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

fn some(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(texts)
}

/// A text in which `{}` is a word that may stand for the stage.
fn text(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    (some(texts), some(&WORDS)).prop_map(|(text, word)| text.replace("{}", word))
}

fn service() -> impl Strategy<Value = (String, Vec<(String, String)>)> {
    let image = (text(&PATHS), some(&TAGS)).prop_map(|(path, tag)| format!("{path}{tag}"));
    let containers = prop::collection::vec((text(&CONTAINERS), image), 1..4);
    (text(&NAMES), containers)
}

fn cluster(index: usize) -> impl Strategy<Value = FoundCluster> {
    let account = format!("{:012}", 100_000_000_000 + index);
    let services = prop::collection::vec(service(), 1..6);
    (some(&ENVIRONMENTS), services).prop_map(move |(environment, services)| {
        let registry = format!("{account}.dkr.ecr.eu-west-1.amazonaws.com/");
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for (name, containers) in services {
            let mut named = BTreeMap::new();
            for (name, image) in containers {
                named.insert(name, image.replace("@/", &registry));
            }
            if seen.insert(name.clone()) {
                found.push(FoundService {
                    name: name.parse().unwrap(),
                    containers: named
                        .into_iter()
                        .map(|(name, image)| FoundContainer {
                            name: name.parse().unwrap(),
                            image,
                        })
                        .collect(),
                    unfit: None,
                });
            }
        }
        FoundCluster {
            agent: format!("agent-{index}").parse().unwrap(),
            account: account.parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            cluster: "main".parse().unwrap(),
            environment: environment.parse().unwrap(),
            services: found,
        }
    })
}

/// What the file says, filled for each target: (target, service, container) to repository.
fn said(project: &Project) -> BTreeMap<(String, String, String), String> {
    let mut said = BTreeMap::new();
    let chosen: Vec<(String, String)> = project
        .images
        .iter()
        .filter(|(_, image)| image.tag.is_none())
        .map(|(key, _)| (key.to_string(), "1".to_owned()))
        .collect();
    for (name, environment) in &project.environments {
        for target in &environment.targets {
            let here = project.services.iter().filter(|(_, it)| it.goes_to(name, target));
            for (key, service) in here {
                let images = choose_images_of(project, service, &chosen).unwrap();
                let spot = operation::Spot {
                    environment: name,
                    definition: environment,
                    target,
                    channel: None,
                    read: &Default::default(),
                };
                let payload = operation::payload(project, &images, (key, service), spot).unwrap();
                let Payload::Update(update) = payload else {
                    panic!("all are existing services")
                };
                for container in update.containers {
                    let Some(NewImage::Whole(image)) = container.image else {
                        panic!("each has a repository")
                    };
                    let at = (
                        target.id().to_string(),
                        update.service.to_string(),
                        container.container.to_string(),
                    );
                    let repository = Reference::of(&image).repository();
                    assert_eq!(said.insert(at, repository), None, "said twice");
                }
            }
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_file_says_what_runs(clusters in (cluster(1), cluster(2), cluster(3), cluster(4))) {
        let (a, b, c, d) = clusters;
        let clusters = vec![a, b, c, d];
        let imported = import(&"any".parse().unwrap(), clusters.clone(), &[]);
        prop_assume!(!imported.services.is_empty());
        let read = project::parse_with_warnings(&imported.definition, "f");
        let (project, warnings) = match read {
            Ok(read) => read,
            Err(faults) => return Err(TestCaseError::fail(format!("{faults:#?}\n{}", imported.definition))),
        };
        prop_assert_eq!(warnings, []);
        let said = said(&project);
        let noted: BTreeSet<&str> = imported.notes.iter().map(|it| it.service.as_str()).collect();
        let mut there = 0;
        for cluster in &clusters {
            for service in &cluster.services {
                let place = imported.services.iter().find(|it| {
                    it.places
                        .iter()
                        .any(|place| place.target == cluster.target() && place.ecs_service == service.name)
                });
                let Some(place) = place else {
                    prop_assert!(!noted.is_empty(), "{} is nowhere\n{}", service.name, imported.definition);
                    continue;
                };
                for container in &service.containers {
                    let at = (
                        cluster.target().to_string(),
                        service.name.to_string(),
                        container.name.to_string(),
                    );
                    match said.get(&at) {
                        Some(repository) => {
                            there += 1;
                            prop_assert_eq!(repository, &Reference::of(&container.image).repository());
                        }
                        None => prop_assert!(
                            noted.contains(place.key.as_str()),
                            "{:?} is left out without a word\n{}", at, imported.definition
                        ),
                    }
                }
            }
        }
        prop_assert_eq!(there, said.len(), "the file says something that does not run");
    }
}

//! What a service of kind existing may say, and how each fault of it is told.

use super::{one_fault_of, reread::json};
use crate::domain::project::{
    ExistingService, Fault, NamedChanges, Project, ServiceKind, claims, parse, parse_with_warnings, schema,
};

const EXISTING: &str = include_str!("../../../../../examples/existing/towline.yaml");

fn existing(project: &Project, key: &str) -> ExistingService {
    match &project.services[key].kind {
        ServiceKind::Existing(existing) => ExistingService::clone(existing),
        ServiceKind::Fargate(_) => panic!("{key} is of kind existing"),
    }
}

#[test]
fn the_example_is_right_for_reader_schema_and_store() {
    let (project, warnings) = parse_with_warnings(EXISTING, "f").unwrap();
    assert_eq!(warnings, []);
    let validator = jsonschema::validator_for(&serde_json::from_str(schema()).unwrap()).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&json(EXISTING))
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert_eq!(faults, Vec::<String>::new());
    let stored = serde_json::to_string(&project).unwrap();
    assert_eq!(serde_json::from_str::<Project>(&stored).unwrap(), project);
    let names: Vec<String> = claims(&project)
        .iter()
        .map(|claim| format!("{} {}", claim.account, claim.ecs_service))
        .collect();
    assert_eq!(
        names,
        [
            "111111111111 orders",
            "111111111111 stock-dev",
            "333333333333 orders",
            "333333333333 stock-prod"
        ]
    );
}

/// What a program stored that knew images only.
#[test]
fn what_was_stored_before_is_read() {
    let stored = r#"{ "after": [], "kind": { "existing": { "service": "orders", "containers": { "app": "orders" } } } }"#;
    let service: crate::domain::project::Service = serde_json::from_str(stored).unwrap();
    assert!(service.only_in.is_empty());
    let ServiceKind::Existing(existing) = service.kind else {
        panic!("it is of kind existing")
    };
    assert_eq!(existing.containers.len(), 1);
    assert_eq!(existing.containers[0].name.as_str(), "app");
    assert_eq!(
        existing.containers[0].image.as_ref().map(|it| it.as_str()),
        Some("orders")
    );
    assert_eq!(existing.containers[0].environment, NamedChanges::default());
    assert_eq!((existing.base, existing.bake), (None, None));
}

/// Each of these is refused by the reader, at its place, and by the schema.
#[test]
fn what_the_reader_refuses_the_schema_refuses() {
    let validator = jsonschema::validator_for(&serde_json::from_str(schema()).unwrap()).unwrap();
    let faults = [
        ("    tags: { set", "    §tag: { set", "did you mean tags?"),
        (
            "on_failure: roll_back",
            "on_failure: §rollback",
            "cannot be \"rollback\"",
        ),
        ("bake: { time: 5m, alarms:", "bake: §{ alarms:", "bake lacks time"),
        ("replace: true\n", "replace: §yes\n", "must be true or false"),
        (
            "\"log-${environment.suffix}\":\n        environment: { set: { LEVEL: info } }",
            "§side: {}",
            "container side: nothing of it changes",
        ),
    ];
    for (from, to, words) in faults {
        one_fault_of(EXISTING, from, to, words);
        let text = EXISTING.replace(from, &to.replace('§', ""));
        assert!(!validator.is_valid(&json(&text)), "the schema takes {to}");
    }
}

#[test]
fn what_contradicts_itself_is_told_where_it_stands() {
    let faults = [
        ("image: stock\n", "image: §stok\n", "there is no image \"stok\""),
        ("bake: { time: 5m", "bake: { time: §25h", "at most 24 hours"),
        ("timeout: 30m ", "timeout: §soon ", "\"soon\" is not a time span"),
        ("remove: [DEBUG]", "remove: [DEBUG, §DEBUG]", "names DEBUG twice"),
        (
            "remove: [legacy]",
            "remove: [legacy], §replace: true",
            "has no key \"replace\"",
        ),
        (
            "    template_family: ",
            "    base: running\n    template_family: §",
            "has one base",
        ),
        (
            "set: { DB: \"${target.db_secret}\" }",
            "set: { DB: §hunter2 }",
            "the value of a secret never goes here",
        ),
        (
            "set: { DB: \"${target.db_secret}\" }",
            "set: { §LEVEL: \"${target.db_secret}\" }",
            "LEVEL is set both in environment and in secrets",
        ),
        (
            "set: { team: warehouse }, remove: [legacy]",
            "set: { §legacy: a }, remove: [legacy]",
            "legacy is both set and removed",
        ),
        (
            "set: { team: warehouse }",
            "set: { §towline:team: warehouse }",
            "AWS and Towline keep such tags themselves",
        ),
        (
            "set: { LEVEL: \"${environment.level}\"",
            "set: { §\"A=B\": \"${environment.level}\"",
            "has an equals sign",
        ),
        (
            "          replace: true\n",
            "          replace: true\n          remove: §[OLD]\n",
            "remove means nothing beside replace",
        ),
        (
            "on_failure: roll_back       # leave is the default: a person looks at it",
            "on_failure: leave\n    force: §true",
            "force is no property of a service",
        ),
        (
            "service: \"stock-${environment.suffix}\"",
            "service: §stock x",
            "\"stock x\" is no name in ECS on target 111111111111/eu-west-1/main (dev), 333",
        ),
        (
            "\"log-${environment.suffix}\":",
            "§\"log-${target.suffix}\":",
            "target.suffix has no value",
        ),
        (
            "service: \"stock-${environment.suffix}\"",
            "service: §orders",
            "the ECS service orders is claimed by service orders already",
        ),
    ];
    for (from, to, words) in faults {
        one_fault_of(EXISTING, from, to, words);
    }
    let unheard = EXISTING.replace(
        "on_failure: roll_back",
        "wait_for: started\n    on_failure: roll_back",
    );
    let faults: Vec<String> = parse(&unheard, "f")
        .unwrap_err()
        .iter()
        .map(Fault::to_string)
        .collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults
            .iter()
            .all(|fault| fault.contains("nobody waits for the verdict"))
    );
}

#[test]
fn all_faults_of_a_service_are_told_at_once() {
    let text = EXISTING
        .replace("image: stock\n", "image: stok\n")
        .replace("bake: { time: 5m", "bake: { time: 25h")
        .replace("on_failure: roll_back", "on_failure: undo")
        .replace("WORKERS: 4", "WORKERS: \"${target.workers}\"");
    let faults: Vec<String> = parse(&text, "f")
        .unwrap_err()
        .iter()
        .map(Fault::to_string)
        .collect();
    assert_eq!(faults.len(), 4, "{faults:#?}");
}

/// A service that is only somewhere needs its values there, and claims nothing elsewhere.
#[test]
fn only_in_says_where_a_service_is() {
    let text = EXISTING
        .replace("  stock:\n    kind: existing\n", "  stock:\n    kind: existing\n    only_in: [prod]\n")
        .replace(
            "          registry: 111111111111.dkr.ecr.eu-west-1.amazonaws.com\n          db_secret: arn:aws:secretsmanager:eu-west-1:111111111111:secret:stock-db-a1b2c3\n",
            "          other: x\n",
        );
    let project = parse(&text, "f").unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(claims(&project).len(), 3);
    assert_eq!(existing(&project, "orders").containers.len(), 1);
    let target = "[\"333333333333/eu-west-1/main\"]";
    let by_target = text.replace("only_in: [prod]", &format!("only_in: {target}"));
    assert_eq!(parse(&by_target, "f").unwrap().services["stock"].only_in.len(), 1);
    for (to, words) in [
        ("only_in: [§prud]", "there is no environment \"prud\""),
        (
            "only_in: [§\"333333333333/eu-west-1/other\"]",
            "there is no target",
        ),
        ("only_in: §[]", "it would be nowhere"),
    ] {
        let to = format!("  stock:\n    kind: existing\n    {to}\n");
        one_fault_of(EXISTING, "  stock:\n    kind: existing\n", &to, words);
    }
    let nothing = text.replace(
        "containers: { app: orders }",
        "containers: { app: orders }\n    only_in: [prod]",
    );
    one_fault_of(
        &nothing,
        "  dev:\n    values",
        "  §dev:\n    values",
        "environment dev has no service",
    );
}

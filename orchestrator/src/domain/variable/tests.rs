//! What the file says of variables, what of it is wrong, and what comes of it
//! on each target.

use crate::domain::{
    deployment::SlotKind,
    name::DeploymentId,
    operation::{self, FixedValue, Payload, PlannedOperation, Terms},
    project::{self, Project},
    release::{Release, choose_images},
    variable::{Reading, Readings, ValueSource},
};

/// Two channels; `orders` is in prod only.
const SHOP: &str = r#"
project: shop
images:
  web: { repository: "${target.registry}/web" }
  orders: { repository: running }
services:
  web:
    kind: fargate
    cpu: 256
    memory: 512
    desired_count: "${variable.COUNT}"
    containers:
      - { name: web, image: web, environment: { POOL: "${variable.POOL}" }, secrets: { DB: "${variable.DB}" } }
    network: { subnets: "${variable.SUBNETS}", security_groups: [sg-1] }
  orders:
    kind: existing
    only_in: [prod]
    containers: { app: { image: orders, environment: { set: { POOL: "${variable.POOL}" } } } }
VARIABLES
environments:
  dev:
    values: { level: debug }
    targets:
      - { agent: dev, account: "111111111111", region: eu-west-1, cluster: main, values: { registry: r1.example } }
  prod:
    values: { level: warn }
    targets:
      - { agent: prod, account: "333333333333", region: eu-west-1, cluster: main, values: { registry: r3.example } }
channels:
  stable: { lifecycle: standard }
  beta: { lifecycle: short }
lifecycles:
  standard:
    - { phase: dev, environments: [dev] }
    - { phase: prod, environments: [prod] }
  short:
    - { phase: dev, environments: [dev] }
"#;

const GOOD: &str = r#"variables:
  COUNT: [{ value: 1 }, { value: 3, environment: prod }]
  POOL:
    - { value: 5 }
    - { value: 20, environment: prod }
    - { value: 40, environment: prod, service: orders }
    - { value: "b-${environment.level}", channel: beta }
  DB: "arn:aws:secretsmanager:eu-west-1:111111111111:secret:db"
  SUBNETS:
    - { value: [subnet-1, subnet-2] }
    - { stack_output: { stack: "net-${environment.level}", output: Subnets }, list: true, environment: prod }
"#;

fn file(variables: &str) -> String {
    SHOP.replace("VARIABLES", variables)
}

fn project(variables: &str) -> Project {
    project::parse(&file(variables), "f").unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn faults(variables: &str) -> Vec<String> {
    let told = match project::parse_with_warnings(&file(variables), "f") {
        Ok((_, warnings)) => warnings,
        Err(faults) => faults,
    };
    told.iter()
        .map(|fault| format!("{}: {}", fault.line, fault.message))
        .collect()
}

fn planned(project: &Project, channel: &str, environment: &str) -> (Release, Vec<PlannedOperation>) {
    let channel = channel.parse().unwrap();
    let chosen = [("web", "1.0.0"), ("orders", "1.0.0")].map(|(key, tag)| (key.to_owned(), tag.to_owned()));
    let release = Release {
        images: choose_images(project, &channel, &chosen).unwrap(),
        channel,
        ..release(project)
    };
    let id = DeploymentId(uuid::Uuid::from_u128(1));
    let environment = environment.parse().unwrap();
    let planned = operation::plan(project, &release, &environment, id, &Terms::default()).unwrap();
    (release, planned)
}

fn release(project: &Project) -> Release {
    let stored = serde_json::json!({
        "project": project.name, "version": "1.0.0", "channel": "stable", "images": {},
        "project_version": 1, "notes": "", "created": "2026-11-24T21:00:00Z", "created_by": "ann",
    });
    serde_json::from_value(stored).unwrap()
}

fn pool(operations: &[PlannedOperation], service: &str) -> String {
    let operation = operations
        .iter()
        .find(|it| it.service.as_str() == service)
        .unwrap();
    match &operation.payload {
        Payload::Fargate(fargate) => fargate.containers[0].environment["POOL"].clone(),
        Payload::Update(update) => update.containers[0].more.environment.set["POOL"].clone(),
        Payload::Task(_) => panic!("no task is here"),
    }
}

#[test]
fn the_most_specific_value_fills_the_hole() {
    let project = project(GOOD);
    let of = |channel: &str, environment: &str, service: &str| {
        pool(&planned(&project, channel, environment).1, service)
    };
    assert_eq!(of("stable", "dev", "web"), "5");
    assert_eq!(of("stable", "prod", "web"), "20");
    assert_eq!(of("stable", "prod", "orders"), "40");
    assert_eq!(of("beta", "dev", "web"), "b-debug");
}

#[test]
fn what_stands_in_the_account_is_pending_until_it_is_read_and_then_fixed() {
    let project = project(GOOD);
    let (release, operations) = planned(&project, "stable", "prod");
    let web = &operations[0];
    let source = ValueSource::StackOutput {
        stack: "net-warn".to_owned(),
        output: "Subnets".to_owned(),
    };
    assert_eq!(
        (web.reads.as_slice(), web.is_pending()),
        ([source.clone()].as_slice(), true)
    );
    assert_eq!(web.kind, SlotKind::Service);
    let read = Readings::from([(source.clone(), Reading::Read("subnet-a, subnet-b".to_owned()))]);
    let environment = "prod".parse().unwrap();
    let Ok(Payload::Fargate(fargate)) = operation::fixed(&project, &release, &environment, web, &read) else {
        panic!("it is a fargate service")
    };
    assert_eq!(fargate.subnets, ["subnet-a", "subnet-b"]);
    assert_eq!(fargate.desired_count, Some(3));
    let unread = operation::fixed(&project, &release, &environment, web, &Readings::new());
    assert!(unread.unwrap_err().to_string().contains("nobody has read it yet"));
    // What was read survives storage.
    let fixed = PlannedOperation {
        values: vec![FixedValue {
            source,
            text: "subnet-a".to_owned(),
        }],
        ..web.clone()
    };
    let stored = serde_json::to_string(&fixed).unwrap();
    let back: PlannedOperation = serde_json::from_str(&stored).unwrap();
    assert_eq!((back.is_pending(), back == fixed), (false, true));
}

#[test]
fn what_an_operation_of_an_older_program_has_is_read() {
    let project = project(GOOD);
    let (_, operations) = planned(&project, "stable", "dev");
    let stored = serde_json::to_string(&operations).unwrap();
    assert!(
        !stored.contains("reads") && !stored.contains("\"values\""),
        "{stored}"
    );
    let mut parsed = serde_json::to_value(&project).unwrap();
    parsed.as_object_mut().unwrap().remove("variables");
    let old: Project = serde_json::from_value(parsed).unwrap();
    assert!(old.variables.is_empty());
}

#[test]
fn a_secret_that_was_read_must_be_a_reference() {
    let text = GOOD.replace(
        "DB: \"arn:aws:secretsmanager:eu-west-1:111111111111:secret:db\"",
        "DB: { ssm: /shop/db }",
    );
    let project = project(&text);
    let (release, operations) = planned(&project, "stable", "dev");
    let source = ValueSource::Parameter {
        name: "/shop/db".to_owned(),
    };
    let fix = |text: &str| {
        let read = Readings::from([(source.clone(), Reading::Read(text.to_owned()))]);
        operation::fixed(&project, &release, &"dev".parse().unwrap(), &operations[0], &read)
    };
    assert!(fix("arn:aws:ssm:eu-west-1:111111111111:parameter/db").is_ok());
    let told = fix("hunter2").unwrap_err().to_string();
    assert_eq!(
        told,
        "service web on target 111111111111/eu-west-1/main: secret DB: what was read for it is no reference: \
         the ARN of a secret or parameter is needed"
    );
}

#[test]
fn faults_are_told_with_their_lines() {
    let line = |text: &str, needle: &str| {
        1 + file(text)
            .lines()
            .position(|line| line.contains(needle))
            .expect("the line")
    };
    let base = "  COUNT: 1\n  DB: arn:aws:ssm:eu-west-1:111111111111:parameter/db\n  SUBNETS: [subnet-1]\n";
    let with = |pool: &str| format!("variables:\n{base}{pool}");
    // (what POOL is, where it is told, how)
    let rows: Vec<(String, &str, Vec<&str>)> = vec![
        (
            with(
                "  POOL:\n    - { value: 1, environment: prod }\n    - { value: 2, service: orders }\n    - { value: 3 }\n",
            ),
            "value: 2",
            vec![
                ": lines ",
                " are equally specific, and both match service orders on target 333333333333/eu-west-1/main (prod), channel stable",
            ],
        ),
        (
            // The same two scopes never meet: dev has no orders.
            with(
                "  POOL:\n    - { value: 1, environment: dev }\n    - { value: 2, service: orders }\n    - { value: 3 }\n",
            ),
            "",
            vec![],
        ),
        (
            // beta never comes into prod.
            with(
                "  POOL:\n    - { value: 1, environment: prod }\n    - { value: 2, channel: beta }\n    - { value: 3 }\n",
            ),
            "",
            vec![],
        ),
        (
            with("  POOL: [{ value: 1, environment: dev }]\n"),
            "name: web, image",
            vec![
                "variable.POOL has no value for service web, channel stable, on target 333333333333/eu-west-1/main (prod)",
            ],
        ),
        (
            with("  POOL: [{ value: 1 }, { value: 2, environment: qa }]\n"),
            "environment: qa",
            vec!["variable POOL: environment: there is no environment \"qa\""],
        ),
        (
            with("  POOL: [{ value: 1 }, { value: 2, target: 333333333333/eu-west-1/mian }]\n"),
            "mian",
            vec!["variable POOL: target: there is no target 333333333333/eu-west-1/mian"],
        ),
        (
            with("  POOL: \"${variable.COUNT}\"\n"),
            "POOL: \"${variable.COUNT}",
            vec!["cannot refer to another variable"],
        ),
        (
            with("  POOL: [{ value: \"${target.nothing}\" }]\n"),
            "target.nothing",
            vec!["target.nothing has no value"],
        ),
        (
            with("  POOL: [{ ssm: /a, value: 1 }]\n"),
            "ssm: /a",
            vec!["a value needs one of value, ssm and stack_output"],
        ),
        (
            with("  POOL: [{ value: 1, list: true }]\n"),
            "list: true",
            vec!["list is for values that are read"],
        ),
        (
            with("  POOL: []\n"),
            "POOL: []",
            vec!["variable POOL has no values"],
        ),
        (
            with("  POOL: [{ value: 1 }, { value: 2, environment: dev, service: orders }]\n"),
            "service: orders }",
            vec!["variable POOL: this value counts nowhere"],
        ),
        (
            with("  POOL: 1\n").replace(
                "DB: arn:aws:ssm:eu-west-1:111111111111:parameter/db",
                "DB: hunter2",
            ),
            "DB: hunter2",
            vec!["variable DB has the name of a secret, and is no reference to one"],
        ),
        (
            with("  POOL: 1\n").replace("COUNT: 1", "COUNT: many"),
            "desired_count",
            vec!["\"many\" is not a whole number"],
        ),
        (
            with("  POOL: 1\n").replace("COUNT: 1", "COUNT: { ssm: /count }"),
            "",
            vec![],
        ),
    ];
    for (text, needle, words) in rows {
        let told = faults(&text);
        if words.is_empty() {
            assert!(told.is_empty(), "{text}: {told:?}");
            continue;
        }
        let at = needle.lines().next().unwrap_or_default();
        let at = format!("{}: ", line(&text, at));
        let found = told.iter().find(|it| words.iter().all(|word| it.contains(word)));
        let found = found.unwrap_or_else(|| panic!("{text}: {told:?}"));
        assert!(found.starts_with(&at), "{text}: {found}, and not at line {at}");
    }
}

#[test]
fn what_must_be_known_before_an_agent_is_asked_is_not_read_by_one() {
    let text =
        file("variables:\n  COUNT: 1\n  DB: /db\n  SUBNETS: [subnet-1]\n  POOL: 1\n  NAME: { ssm: /name }\n");
    let text = text
        .replace(
            "    kind: existing\n",
            "    kind: existing\n    service: \"${variable.NAME}\"\n",
        )
        .replace("${target.registry}/web", "${variable.NAME}/web");
    let told = project::parse(&text, "f").unwrap_err();
    let told: Vec<&str> = told.iter().map(|fault| fault.message.as_str()).collect();
    assert!(
        told.contains(&"service orders: service must be known before an agent is asked, and variable NAME is read by one"),
        "{told:?}"
    );
    assert!(
        told.contains(
            &"image web: repository must be known before an agent is asked, and variable NAME is read by one"
        ),
        "{told:?}"
    );
}

#[test]
fn the_schema_knows_what_the_reader_knows() {
    let schema = serde_json::from_str(project::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let valid = |text: &str| validator.is_valid(&project::yaml_as_json(text).unwrap());
    assert!(valid(&file(GOOD)));
    let approvals = "{ phase: dev, environments: [dev], approvals: { role: admin, count: 2, not_author: true, expires: 24h } }";
    let asked = file(GOOD).replacen("{ phase: dev, environments: [dev] }", approvals, 1);
    assert!(valid(&asked));
    let rule = project::parse(&asked, "f").unwrap().lifecycles["standard"].phases[0]
        .approvals
        .clone();
    let rule = rule.expect("a rule");
    assert!(rule.not_author && rule.expires == jiff::SignedDuration::from_hours(24));
    for pool in [
        "[{ ssm: /a, value: 1 }]",
        "[{ environment: dev }]",
        "[{ value: 1, list: true }]",
        "[{ value: 1, enviroment: dev }]",
        "[{ value: 1, target: dev }]",
        "[{ stack_output: { stack: a } }]",
        "[]",
    ] {
        let text = file(&format!(
            "variables:\n  COUNT: 1\n  DB: /db\n  SUBNETS: [a]\n  POOL: {pool}\n"
        ));
        assert!(!valid(&text), "{pool}");
        assert!(project::parse(&text, "f").is_err(), "{pool}");
    }
}

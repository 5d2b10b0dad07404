//! A project file as other readers take it: an editor with the schema, and this
//! program from its store.

use super::{SHOP, fargate::WHOLE};
use crate::domain::project::{
    Amount, FargateService, Link, Switch, parse, schema,
    yaml::{Kind, Node},
    yaml_as_json,
};

/// What a program before the full specification stored of a service.
#[test]
fn what_was_stored_before_is_read() {
    let stored = r#"{
        "service": "web", "stack": null, "cpu": 512, "memory": "${target.memory}", "architecture": "x86_64",
        "containers": [{
            "name": "web", "image": "web", "cpu": 256, "memory": null, "memory_reservation": null,
            "ports": [{ "port": 8080, "protocol": "tcp" }], "environment": { "A": "b" }, "secrets": {},
            "depends_on": {}, "essential": true, "entry_point": [], "command": []
        }],
        "network": { "subnets": "${target.subnets}", "security_groups": ["sg-1"], "assign_public_ip": true },
        "load_balancers": [{ "container": "web", "port": 8080, "target_group": "${target.web_tg}" }],
        "desired_count": 2, "task_role": null, "execution_role": null,
        "rollout": { "minimum_healthy_percent": 50, "maximum_percent": null }, "tags": {}
    }"#;
    let service: FargateService = serde_json::from_str(stored).unwrap();
    assert_eq!(service.network.assign_public_ip, Switch::Fixed(true));
    assert_eq!(service.rollout.minimum_healthy_percent, Some(Amount::Fixed(50)));
    assert!(matches!(service.load_balancers[0].link, Link::TargetGroup(_)));
}

/// YAML as JSON, the way that an editor reads it.
pub(super) fn json(text: &str) -> serde_json::Value {
    yaml_as_json(text).unwrap()
}

pub fn json_of(node: &Node) -> serde_json::Value {
    match &node.kind {
        _ if node.is_null() => serde_json::Value::Null,
        Kind::List(items) => items.iter().map(json_of).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json_of(&entry.value)))
            .collect(),
        Kind::Scalar { text, quoted: false } => {
            serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text.clone()))
        }
        Kind::Scalar { text, .. } => serde_json::Value::from(text.clone()),
    }
}

#[test]
fn the_schema_takes_the_shop_and_refuses_what_the_reader_refuses() {
    let validator = jsonschema::validator_for(&serde_json::from_str(schema()).unwrap()).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&json(SHOP))
        .map(|fault| fault.to_string())
        .collect();
    assert_eq!(faults, Vec::<String>::new());
    let changes = [
        ("desired_count:", "desired_cout:"),
        ("cpu: 512", "cpu: many"),
        ("ports: [8080]", "ports: [80800]"),
        ("\"222222222222\"", "222222222222"),
        ("\"222222222222\"", "\"22222222222\""),
        ("depends_on: { envoy: start }", "depends_on: { envoy: started }"),
        ("kind: existing", "kind: lambda"),
        ("containers: { app: orders }", "containers: {}"),
        ("tag: v1.31.0", "tag: 1.10"),
        ("tag: v1.31.0", "tag: \"a b\""),
        ("role: approver", "role: boss"),
        ("region: eu-central-1", "region: Frankfurt"),
        ("deadline: 90m", "waves: sometimes"),
        ("    memory: 1024", "    # memory"),
        ("lifecycle: standard", "rule: {}"),
        ("project: shop", "project: Shop"),
    ];
    for (from, to) in changes {
        let text = SHOP.replace(from, to);
        assert!(!validator.is_valid(&json(&text)), "the schema takes {to:?}");
        assert!(parse(&text, "f").is_err(), "the reader takes {to:?}");
    }
}

/// Values that somebody may write where another was meant.
const ODD: [&str; 16] = [
    "-1",
    "0",
    "1",
    "1.5",
    "300",
    "4294967296",
    "true",
    "\"true\"",
    "word",
    "\"two words\"",
    "\"${target.region_name}\"",
    "\"${nothing}\"",
    "[]",
    "[a, 1]",
    "{}",
    "{ a: 1 }",
];

proptest::proptest! {
    /// However odd a file is, reading ends with a project or with faults that have
    /// places; and what is read, the schema takes.
    #[test]
    fn an_odd_value_is_told_and_the_schema_is_never_stricter(at in 0_usize..400, odd in 0..ODD.len(), drop in proptest::bool::weighted(0.2)) {
        let lines: Vec<&str> = WHOLE.lines().collect();
        let at = at % lines.len();
        let changed: Vec<String> = lines
            .iter()
            .enumerate()
            .filter(|(number, _)| !(drop && *number == at))
            .map(|(number, line)| match line.split_once(": ") {
                Some((key, _)) if number == at => format!("{key}: {}", ODD[odd]),
                _ => (*line).to_owned(),
            })
            .collect();
        let text = changed.join("\n");
        match parse(&text, "f") {
            Ok(_) => {
                let validator = jsonschema::validator_for(&serde_json::from_str(schema()).unwrap()).unwrap();
                let faults: Vec<String> = validator.iter_errors(&json(&text)).map(|it| it.to_string()).collect();
                proptest::prop_assert!(faults.is_empty(), "line {}: {faults:?}\n{}", at + 1, changed.get(at).cloned().unwrap_or_default());
            }
            Err(faults) => {
                proptest::prop_assert!(!faults.is_empty());
                proptest::prop_assert!(faults.iter().all(|fault| fault.line >= 1 && fault.column >= 1 && fault.line <= lines.len() + 1));
            }
        }
    }
}

//! What a fargate service may say, and how each fault of it is told.

use super::{one_fault_of, reread::json};
use crate::domain::project::{Severity, parse, parse_with_warnings, schema};

pub(super) const SIMPLE: &str = include_str!("../../../../../examples/fargate/simple.yaml");
pub(super) const CONTAINERS: &str = include_str!("../../../../../examples/fargate/containers.yaml");
const RULE: &str = include_str!("../../../../../examples/fargate/listener-rule.yaml");
pub(super) const WHOLE: &str = include_str!("whole.yaml");

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(schema()).unwrap()).unwrap()
}

#[test]
fn the_examples_are_right_without_a_warning_and_survive_storage() {
    let validator = validator();
    for text in [SIMPLE, CONTAINERS, RULE, WHOLE] {
        let (project, warnings) = parse_with_warnings(text, "f").unwrap_or_else(|faults| {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            panic!("{}", told.join("\n"))
        });
        assert_eq!(warnings, []);
        let faults: Vec<String> = validator
            .iter_errors(&json(text))
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert_eq!(faults, Vec::<String>::new());
        let stored = serde_json::to_string(&project).unwrap();
        assert_eq!(
            serde_json::from_str::<crate::domain::project::Project>(&stored).unwrap(),
            project
        );
    }
}

/// Each of these is refused by the reader, at its place, and by the schema.
#[test]
fn what_the_reader_refuses_the_schema_refuses() {
    let validator = validator();
    let faults = [
        (
            "ephemeral_storage: 40 ",
            "ephemeral_storage: §20 ",
            "must be a whole number from 21 to 200",
        ),
        (
            "log_retention: 14 ",
            "log_retention: §15 ",
            "must be one of 1, 3, 5, 7, 14,",
        ),
        ("        efs:\n", "        §esf:\n", "did you mean efs?"),
        (
            "transit_encryption: true",
            "transit_encryption: §1",
            "must be true or false",
        ),
        (
            "app_protocol: http }",
            "app_protocol: §https }",
            "did you mean http?",
        ),
        (
            "name: app, app_protocol",
            "app_protocol: §http, protocol",
            "app_protocol needs a name",
        ),
        ("[\"CMD-SHELL\", \"curl", "§[\"curl", "begins with CMD"),
        (
            "interval: 10",
            "interval: §2",
            "must be a whole number from 5 to 300",
        ),
        (
            "retries: 3",
            "retries: §11",
            "must be a whole number from 1 to 10",
        ),
        ("container_path: /tmp", "§path: /tmp", "has no key \"path\""),
        ("name: nofile", "name: §nofiles", "did you mean nofile?"),
        (
            "linux: { init: true,",
            "linux: { init: true, add_capabilities: [§NET_ADMIN],",
            "Fargate cannot add NET_ADMIN",
        ),
        (
            "linux: { init: true,",
            "linux: { tmpfs: [{ path: §scratch, size: 1 }],",
            "scratch is no absolute path below /",
        ),
        (
            "linux: { init: true,",
            "linux: { tmpfs: [{ path: /scratch, size: §0 }],",
            "from 1 to",
        ),
        (
            "linux: { init: true,",
            "linux: { tmpfs: [{ path: /scratch, size: 1, options: [§noexecute] }],",
            "did you mean noexec?",
        ),
        ("stop_timeout: 60", "stop_timeout: §121", "from 2 to 120"),
        ("attempt_period: 60", "attempt_period: §59", "from 60 to 1800"),
        (
            "execute_command: \"${environment.shell}\"",
            "execute_command: §maybe",
            "must be true or false",
        ),
        (
            "depends_on: { app: healthy }",
            "depends_on: { app: §health }",
            "did you mean healthy?",
        ),
    ];
    for (from, to, words) in faults {
        one_place(CONTAINERS, from, to, words);
        let text = CONTAINERS.replace(from, &to.replace('§', ""));
        assert!(!validator.is_valid(&json(&text)), "the schema takes {to:?}");
    }
}

/// The fault is told there; others may follow from it.
#[track_caller]
fn one_place(whole: &str, from: &str, to: &str, words: &str) {
    let (text, line, column) = super::broken(whole, from, to);
    let faults = parse(&text, "f").expect_err(words);
    let told: Vec<String> = faults
        .iter()
        .map(|fault| format!("{fault} [{}]", fault.hint.clone().unwrap_or_default()))
        .collect();
    let there = format!("f:{line}:{column}: ");
    assert!(
        told.iter()
            .any(|fault| fault.starts_with(&there) && fault.contains(words)),
        "no {words:?} at {there} in {told:#?}"
    );
}

#[test]
fn members_that_do_not_fit_each_other_are_told() {
    let of = |from, to, words| one_fault_of(CONTAINERS, from, to, words);
    of(
        "access_point: \"${target.media_ap}\"",
        "access_point: \"${target.media_ap}\"\n          root_directory: §/media",
        "the access_point says the directory",
    );
    of(
        "          SMTP_HOST: \"arn",
        "          §LEVEL: \"arn",
        "LEVEL is in environment and in secrets [ECS takes a variable once",
    );
    of(
        "volume: scratch, container_path",
        "volume: §media2, container_path",
        "mounts media2, and there is no such volume [did you mean media?]",
    );
    of(
        "soft: 65536",
        "soft: §65537",
        "the soft limit 65537 is above the hard one",
    );
    of(
        "    log_retention: 14 ",
        "    kms_keys: [§alias/shop]\n    log_retention: 14 ",
        "\"alias/shop\" is no ARN of a KMS key",
    );
    of(
        "    log_retention: 14 ",
        "    execution_role: arn:aws:iam::111111111111:role/e\n    kms_keys: §[\"arn:aws:kms:eu-west-1:111111111111:key/k\"]\n    log_retention: 14 ",
        "kms_keys are for the role that the stack makes",
    );
    of(
        "    log_retention: 14 ",
        "    log_group: /ecs/shared\n    log_retention: §14 ",
        "log_group names another",
    );
    let text = CONTAINERS.replace("          transit_encryption: true\n", "");
    let faults = parse(&text, "f").unwrap_err();
    let told: Vec<&str> = faults.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "service catalog: volumes: efs: access_point needs transit_encryption",
            "service catalog: volumes: efs: iam needs transit_encryption"
        ]
    );
    let start = CONTAINERS.find("        health_check:").unwrap();
    let end = CONTAINERS.find("        readonly_root").unwrap();
    let text = format!("{}{}", &CONTAINERS[..start], &CONTAINERS[end..]);
    let faults = parse(&text, "f").unwrap_err();
    assert!(
        faults[0]
            .message
            .contains("envoy waits for app to be healthy, and app has no health_check"),
        "{faults:?}"
    );
}

#[test]
fn a_link_says_what_it_links_to() {
    let of = |from, to, words| one_fault_of(RULE, from, to, words);
    of(
        "          vpc: \"${target.vpc}\"\n",
        "          vpc: \"${target.vpc}\"\n          priority: §next\n",
        "[left out, it is the next free one, which the plan fixes]",
    );
    of(
        "timeout: 5 }",
        "timeout: §10 }",
        "a timeout of 10 s does not fit into an interval of 10 s",
    );
    one_place(
        RULE,
        "        listener_rule:\n          listener: \"${target.listener}\"",
        "        target_group: arn:aws:x\n        listener_rule:\n          §listener: \"${target.listener}\"",
        "and here are both",
    );
    one_place(
        RULE,
        "      - container: web\n        port: 8080\n        # The listener",
        "      - §container: web\n        port: 8080\n      - container: web\n        port: 8080\n        # The listener",
        "lacks target_group or listener_rule",
    );
    one_place(
        RULE,
        "          listener: \"${target.listener}\"\n          vpc: \"${target.vpc}\"\n          hosts: [\"${environment.host}\"]\n          paths: [\"/v1/*\"]\n",
        "          §listener: \"${target.listener}\"\n          vpc: \"${target.vpc}\"\n",
        "needs hosts or paths",
    );
}

#[test]
fn a_rollout_that_could_never_move_is_told_with_its_targets() {
    one_place(
        RULE,
        "maximum_percent: 200",
        "maximum_percent: §120",
        "with 100 percent at least, 120 percent at most and desired_count 1 no task could ever be replaced on target 111111111111/eu-west-1/main (dev)",
    );
    one_fault_of(
        RULE,
        "{ threshold_count: 3, reset",
        "{ threshold_percent: 50, threshold_count: §3, reset",
        "has one threshold",
    );
    one_fault_of(
        RULE,
        "base: \"${environment.steady_tasks}\", weight: 1 }\n      - { name: FARGATE_SPOT, weight: 3 }",
        "base: 1 }\n      - { name: §FARGATE_SPOTS, weight: 3 }",
        "did you mean FARGATE_SPOT?",
    );
}

#[test]
fn what_a_value_brings_is_checked_where_it_is_used() {
    let text = WHOLE
        .replace("storage: 30", "storage: 500")
        .replace("adopt: true", "adopt: perhaps")
        .replace("priority: 40", "priority: 60000");
    let faults = parse(&text, "f").unwrap_err();
    let told: Vec<&str> = faults.iter().map(|it| it.message.as_str()).collect();
    let on = "on target 111111111111/eu-west-1/main (dev)";
    assert_eq!(
        told,
        [
            format!("\"perhaps\" is neither true nor false {on}"),
            format!("service web: ephemeral_storage must be a whole number from 21 to 200, and is 500 {on}"),
            format!(
                "service web: load_balancers: listener_rule: priority must be a whole number from 1 to 50000, and is 60000 {on}"
            ),
        ]
    );
}

#[test]
fn a_text_without_the_form_that_aws_knows_is_told_with_its_targets() {
    let of = |from, to, words| one_fault_of(SIMPLE, from, to, words);
    of(
        "subnets: [subnet-0d10000000000000a, ",
        "subnets: [§net-1, ",
        "subnets: \"net-1\" is no id of a subnet on target 111111111111/eu-west-1/main (dev) [subnet-...]",
    );
    of(
        "target_group: arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/web/73e2d6bc24d8a067",
        "target_group: §web",
        "is no ARN of a target group",
    );
    of(
        "    cpu: 256\n",
        "    cpu: 256\n    task_role: §catalog-task\n",
        "[arn:aws:iam::ACCOUNT:role/NAME]",
    );
    of(
        "    cpu: 256\n",
        "    cpu: 256\n    platform_version: §1.3.0\n",
        "is no platform version that Fargate starts tasks on",
    );
    of(
        "        ports: [8080]\n",
        "        ports: [8080]\n        secrets: { DB: §hunter2 }\n",
        "the value of a secret never goes here",
    );
    one_place(
        RULE,
        "          vpc: \"${target.vpc}\"",
        "          vpc: §\"${target.web_sg}\"",
        "is no id of a VPC",
    );
}

#[test]
fn what_something_else_is_needed_for_is_told() {
    let of = |from, to, words| one_fault_of(SIMPLE, from, to, words);
    of(
        "    cpu: 256\n",
        "    execute_command: §true\n    cpu: 256\n",
        "execute_command acts with the task role, and there is none",
    );
    let text = SIMPLE.replace(
        "        ports: [8080]\n",
        "        ports: [8080]\n        cpu: 300\n        memory: 513\n",
    );
    let told: Vec<String> = parse(&text, "f")
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    let on = "on target 111111111111/eu-west-1/main (dev)";
    assert_eq!(
        told,
        [
            format!("f:19:10: service hello: the containers take 300 CPU units, and the task has 256 {on}"),
            format!("f:20:13: service hello: the containers take 513 MiB, and the task has 512 {on}"),
        ]
    );
    let links = SIMPLE.find("    load_balancers:").unwrap();
    let end = SIMPLE.find("environments:").unwrap();
    let text = format!(
        "{}    health_check_grace_period: 10\n\n{}",
        &SIMPLE[..links],
        &SIMPLE[end..]
    );
    let faults = parse(&text, "f").unwrap_err();
    assert!(
        faults[0]
            .message
            .contains("health_check_grace_period needs load_balancers"),
        "{faults:?}"
    );
    let text = CONTAINERS
        .lines()
        .filter(|line| !line.contains("task_role"))
        .collect::<Vec<_>>()
        .join("\n");
    let faults = parse(&text, "f").unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults[1]
            .message
            .contains("volume media uses the task role (iam)"),
        "{faults:?}"
    );
}

#[test]
fn a_volume_that_nobody_mounts_is_a_warning() {
    let text = CONTAINERS.replace("          - { volume: scratch, container_path: /tmp }\n", "");
    let (_, warnings) = parse_with_warnings(&text, "f").unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert!(warnings[0].message.contains("nothing mounts volume scratch"));
}

//! A file that is wrong is refused as a whole, with every fault in its place.

use super::{Project, Severity, parse, parse_with_warnings};

mod channels;
mod deploying;
mod existing;
mod fargate;
mod limits;
mod reread;

pub(super) use reread::json_of;

const SHOP: &str = include_str!("../../../../../examples/shop/towline.yaml");

/// A file with one piece changed; `§` in the new piece marks where the fault
/// is told. Returns the text without the mark, and the place.
fn broken(whole: &str, from: &str, to: &str) -> (String, usize, usize) {
    assert_eq!(
        whole.matches(from).count(),
        1,
        "{from:?} must stand once in the file"
    );
    let text = whole.replace(from, to);
    let before = &text[..text.find('§').expect("a mark")];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (text.replace('§', ""), line, column)
}

/// Exactly one fault, there, whose words hold these.
fn one_fault(from: &str, to: &str, words: &str) {
    one_fault_of(SHOP, from, to, words);
}

#[track_caller]
fn one_fault_of(whole: &str, from: &str, to: &str, words: &str) {
    let (text, line, column) = broken(whole, from, to);
    let faults = parse(&text, "towline.yaml").expect_err(words);
    let told: Vec<String> = faults
        .iter()
        .map(|fault| format!("{fault} [{}]", fault.hint.clone().unwrap_or_default()))
        .collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with(&format!("towline.yaml:{line}:{column}: ")),
        "not at {line}:{column}: {told:?}"
    );
    assert!(told[0].contains(words), "{told:?} lacks {words:?}");
}

fn shop() -> Project {
    match parse_with_warnings(SHOP, "towline.yaml") {
        Ok((project, warnings)) => {
            assert_eq!(warnings, [], "the example gives no warning");
            project
        }
        Err(faults) => panic!(
            "{}",
            faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        ),
    }
}

#[test]
fn the_shop_is_read_and_survives_storage() {
    let project = shop();
    assert_eq!(
        project
            .environments
            .keys()
            .map(|it| it.as_str())
            .collect::<Vec<_>>(),
        ["dev", "staging", "prod"]
    );
    assert_eq!(
        project.environments["prod"].deadline,
        jiff::SignedDuration::from_mins(90)
    );
    let stored = serde_json::to_string(&project).unwrap();
    assert_eq!(serde_json::from_str::<Project>(&stored).unwrap(), project);
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    one_fault(
        "desired_count:",
        "§desired_cout:",
        "[did you mean desired_count?]",
    );
    one_fault(
        "project: shop\n",
        "project: shop\n§lifecycle: {}\n",
        "did you mean lifecycles?",
    );
    one_fault(
        "automatic: true }\n    - { phase: staging",
        "§automatc: true }\n    - { phase: staging",
        "did you mean automatic?",
    );
}

#[test]
fn wrong_types_are_told() {
    one_fault(
        "cpu: 512",
        "cpu: §many",
        "service web: cpu must be a whole number",
    );
    one_fault(
        "cpu: 512",
        "cpu: §\"512\"",
        "service web: cpu must be a whole number",
    );
    one_fault("ports: [8080]", "ports: §8080", "must be a list, and is a text");
    one_fault(
        "ports: [8080]",
        "ports: [§80800]",
        "a port must be a whole number from 1 to 65535",
    );
    one_fault(
        "environments: [dev], automatic: true",
        "environments: [dev], automatic: §\"yes\"",
        "true or false",
    );
    one_fault("deadline: 90m", "deadline: §soon", "\"soon\" is not a time span");
    one_fault(
        "containers: { app: orders }",
        "containers: §[app]",
        "must be a map, and is a list",
    );
}

#[test]
fn what_is_missing_is_told() {
    one_fault("    memory: 1024", "    §memory:", "service web: memory is empty");
    one_fault(
        "      - name: web\n        image: web",
        "      - §name: web",
        "service web: container web lacks image",
    );
    one_fault(
        "- agent: dev\n        account: \"111111111111\"    # quoted: it is no number\n",
        "- §agent: dev\n",
        "environment dev: a target lacks account",
    );
}

#[test]
fn names_that_lead_nowhere_are_told() {
    one_fault(
        "        image: envoy",
        "        image: §envoi",
        "there is no image \"envoi\" [did you mean envoy?]",
    );
    one_fault(
        "after: [web]",
        "after: [§wbe]",
        "there is no service \"wbe\" [did you mean web?]",
    );
    one_fault(
        "lifecycle: standard",
        "lifecycle: §standart",
        "did you mean standard?",
    );
    one_fault(
        "containers: { app: orders }",
        "containers: { app: §order }",
        "did you mean orders?",
    );
    one_fault("rules: { web:", "rules: { §wep:", "there is no image \"wep\"");
    one_fault(
        "{ container: web, port: 8080",
        "{ container: §webb, port: 8080",
        "there is no container \"webb\"",
    );
    one_fault(
        "{ container: web, port: 8080",
        "{ container: web, port: §8081",
        "has no port 8081",
    );
    one_fault(
        "depends_on: { envoy: start }",
        "depends_on: { §envoi: start }",
        "which does not exist",
    );
    one_fault(
        "depends_on: { envoy: start }",
        "depends_on: { envoy: §started }",
        "did you mean start?",
    );
}

#[test]
fn a_port_is_of_one_container() {
    one_fault(
        "ports: [9901]",
        "ports: §[9901, 8080]",
        "container envoy: web has port 8080 already",
    );
}

#[test]
fn an_account_is_twelve_digits_in_quotes() {
    one_fault(
        "\"222222222222\"",
        "§222222222222",
        "must be a text, and 222222222222 is none [write \"222222222222\"]",
    );
    one_fault("\"222222222222\"", "§\"22222222222\"", "exactly 12 digits");
    one_fault("tag: v1.31.0", "tag: §1.10", "[write \"1.10\"]");
}

#[test]
fn the_same_key_twice_is_told() {
    one_fault(
        "    cpu: 512",
        "    cpu: 512\n    §cpu: 256",
        "the key \"cpu\" is here twice",
    );
    one_fault(
        "  staging:\n",
        "  §dev: {}\n  staging:\n",
        "it is in line 59 already",
    );
}

#[test]
fn a_value_that_a_target_lacks_is_told_with_the_targets() {
    one_fault(
        "REGION: \"${target.region_name}\"",
        "REGION: §\"${target.zone}\"",
        "target.zone has no value on target 111111111111/eu-west-1/main (dev), 222222222222/eu-west-1/main (staging), 333333333333/eu-west-1/main (prod), 333333333333/eu-central-1/main (prod)",
    );
    one_fault(
        "LEVEL: \"${environment.level}\"",
        "LEVEL: §\"${target.subnets}\"",
        "is a list, and a text is needed here",
    );
    one_fault(
        "LEVEL: \"${environment.level}\"",
        "LEVEL: §\"${env.level}\"",
        "write ${target.NAME}, ${environment.NAME} or ${variable.NAME}",
    );
    let text = SHOP.replace("values: { level: info, web_tasks: 2 }", "values: { level: info }");
    let faults = parse(&text, "f").unwrap_err();
    assert_eq!(
        faults[0].to_string(),
        "f:27:20: environment.web_tasks has no value on target 222222222222/eu-west-1/main (staging)"
    );
    assert_eq!(
        faults[0].hint.as_deref(),
        Some("add web_tasks to the values of the environment")
    );
}

#[test]
fn circles_are_told() {
    one_fault(
        "    desired_count:",
        "    after: §[orders]\n    desired_count:",
        "services wait for each other: web → orders → web",
    );
    one_fault(
        "        depends_on: { envoy: start }\n      - name: envoy\n",
        "        depends_on: { envoy: start }\n      - name: envoy\n        depends_on: { §web: start }\n",
        "containers wait for each other: web → envoy → web",
    );
}

#[test]
fn sizes_that_fargate_lacks_are_told() {
    one_fault(
        "memory: 1024",
        "memory: §512",
        "no tasks of 512 CPU units with 512 MiB",
    );
    let faults = parse(&SHOP.replace("cpu: 512 ", "cpu: 300 "), "f").unwrap_err();
    assert_eq!(
        faults[0].to_string(),
        "f:25:10: service web: Fargate has no tasks of 300 CPU units on target 111111111111/eu-west-1/main (dev), \
         222222222222/eu-west-1/main (staging), 333333333333/eu-west-1/main (prod), 333333333333/eu-central-1/main (prod)"
    );
}

#[test]
fn one_ecs_service_is_claimed_once() {
    one_fault(
        "    service: orders",
        "    service: §web",
        "the ECS service web is claimed by service web already",
    );
    one_fault(
        "      - agent: prod\n        account: \"333333333333\"\n        region: eu-central-1",
        "      - §agent: prod\n        account: \"333333333333\"\n        region: eu-west-1",
        "is in environment prod already",
    );
}

#[test]
fn images_fit_the_services_that_use_them() {
    one_fault(
        "        image: web",
        "        image: §orders",
        "nothing runs before",
    );
    one_fault(
        "\"${target.registry}/shop/web\"",
        "§\"repo/shop/web:1.0\"",
        "holds a tag",
    );
    one_fault(
        "rules: { web: \">=1.0.0\"",
        "rules: { envoy: §\">=2\", web: \">=1.0.0\"",
        "the fixed tag v1.31.0 of image envoy breaks",
    );
    one_fault(
        "rules: { web: \">=1.0.0\"",
        "rules: { web: §\"newest\"",
        "is not a version range",
    );
}

#[test]
fn all_faults_come_at_once_in_their_order() {
    let text = SHOP
        .replace("tag: v1.31.0", "tga: v1.31.0")
        .replace("cpu: 512 ", "cpu: lots ")
        .replace("region: eu-central-1", "region: Frankfurt")
        .replace("role: approver", "role: boss");
    let faults = parse(&text, "f").unwrap_err();
    let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(faults.len(), 4, "{faults:#?}");
    assert!(lines.is_sorted());
}

#[test]
fn an_environment_in_no_phase_is_a_warning() {
    let text = SHOP.replace(
        "    - { phase: staging, environments: [staging], automatic: true }\n",
        "",
    );
    let (_, warnings) = parse_with_warnings(&text, "f").unwrap();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert!(
        warnings[0]
            .to_string()
            .contains("warning: environment staging is in no phase")
    );
}

#[test]
fn hostile_files_end_quickly() {
    let bomb = format!(
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{}",
        (1..9)
            .map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", ")))
            .collect::<String>()
    );
    let told = |text: &str| {
        parse(text, "f")
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(told(&bomb).contains("aliases bring more than 10000 values"));
    assert!(told(&"[".repeat(40)).contains("nested deeper than 32 levels"));
    assert!(told(&"[".repeat(100_000)).contains("not YAML: recursion limit exceeded"));
    assert!(told(&"x".repeat((1 << 20) + 1)).contains("at most 1048576 are read"));
    assert!(told("project: [").contains("not YAML"));
    assert!(told("").contains("the file is empty"));
    assert!(told("- a").contains("must be a map"));
    assert!(told("project: a\n---\nproject: b").contains("f:3:1: a second document"));
}

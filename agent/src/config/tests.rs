use std::{path::Path, time::Duration};

use towline_agent_domain::policy::Permission;

use super::*;

const WHOLE: &str = r#"
name = "dev"
account = "111111111111"
identity = "keys"
[orchestrator]
address = "towline.example:8443"
[listen]
address = "0.0.0.0:8444"
names = ["dev.example"]
[aws]
endpoint_url = "http://127.0.0.1:4566"
cloudformation_role = "arn:aws:iam::111111111111:role/cfn"
role_path = "/made/by/towline/"
tags = { team = "shop" }
[[aws.regions]]
name = "eu-west-1"
clusters = ["main", "batch"]
template_bucket = "shop-templates"
[[aws.regions]]
name = "us-east-1"
clusters = ["main"]
template_bucket = "shop-templates-us"
template_prefix = ""
[[aws.regions]]
name = "us-east-2"
clusters = ["main"]
[timing]
poll = "100ms"
settle = "2s"
default_deadline = "1h 30m"
[[operators]]
name = "ann"
allow = ["read", "deploy"]
[values]
allow = ["/shop/*", "stack:network"]
"#;

fn parse_text(text: &str) -> Result<Config, Vec<Fault>> {
    Config::parse(text, Path::new("/etc/towline-agent"))
}

#[test]
fn everything_that_can_be_said_is_heard() {
    let config = parse_text(WHOLE).unwrap();
    assert_eq!(config.identity, Path::new("/etc/towline-agent/keys"));
    assert_eq!(config.timing.poll, Duration::from_millis(100));
    assert_eq!(config.timing.default_deadline, Duration::from_secs(5400));
    assert!(config.aws.serves("eu-west-1", "batch"));
    assert!(!config.aws.serves("eu-west-1", "other"));
    assert_eq!(config.aws.role_path, "/made/by/towline/");
    assert!(config.operators.allows("ann", Permission::Deploy));
    assert!(!config.operators.allows("bob", Permission::Read));
    assert!(config.values.allows_parameter("/shop/db-host", "111111111111"));
    assert!(!config.values.allows_parameter("/other/db-host", "111111111111"));
    assert!(config.values.allows_stack("network"));
}

#[test]
fn values_that_nobody_lists_are_bounded_by_the_role_and_an_empty_list_is_none() {
    let section = "[values]\nallow = [\"/shop/*\", \"stack:network\"]\n";
    let unsaid = parse_text(&WHOLE.replace(section, "")).unwrap();
    assert!(unsaid.values.allows_stack("anything"));
    let none = parse_text(&WHOLE.replace(section, "[values]\nallow = []\n")).unwrap();
    assert!(!none.values.allows_stack("network"));
    let faults = parse_text(&WHOLE.replace("\"stack:network\"", "\"stack:\"")).unwrap_err();
    assert!(faults[0].message.contains("names no stack"), "{}", faults[0]);
}

#[test]
fn all_faults_come_at_once_with_their_places() {
    let text = "name = \"Dev\"\naccount = \"12\"\n[aws]\n[timing]\npoll = \"soon\"\n";
    let faults = parse_text(text).unwrap_err();
    let places: Vec<_> = faults.iter().map(|f| (f.line, f.column)).collect();
    assert!(places.contains(&(1, 8)), "the name: {faults:#?}");
    assert!(places.contains(&(2, 11)), "the account: {faults:#?}");
    assert!(places.contains(&(5, 8)), "the duration: {faults:#?}");
    let all: String = faults.iter().map(|f| format!("{f}\n")).collect();
    assert!(all.contains("neither [orchestrator] nor [listen]"), "{all}");
    assert!(all.contains("names no region"), "{all}");
}

#[test]
fn a_role_path_has_its_slashes() {
    let faults = parse_text(&WHOLE.replace("/made/by/towline/", "towline")).unwrap_err();
    assert_eq!((faults[0].line, faults[0].column), (13, 13));
    assert!(faults[0].message.contains("is no IAM path"), "{}", faults[0]);
    let unsaid = parse_text(&WHOLE.replace("role_path = \"/made/by/towline/\"\n", "")).unwrap();
    assert_eq!(unsaid.aws.role_path, "/towline/");
}

#[test]
fn a_bucket_for_templates_belongs_to_a_region() {
    let buckets = parse_text(WHOLE).unwrap().aws.template_buckets();
    let told: Vec<_> = buckets
        .iter()
        .map(|(region, bucket)| (region.as_str(), bucket.name.as_str(), bucket.prefix.as_str()))
        .collect();
    let expected = [
        ("eu-west-1", "shop-templates", "towline/"),
        ("us-east-1", "shop-templates-us", ""),
    ];
    assert_eq!(told, expected);
}

#[test]
fn buckets_that_cannot_be_are_told_all_at_once() {
    let text = WHOLE
        .replace(
            "\"shop-templates\"",
            "\"Shop_Templates\"\ntemplate_prefix = \"/a\"",
        )
        .replace("template_bucket = \"shop-templates-us\"\n", "")
        .replace("role_path", "template_bucket = \"one\"\nrole_path");
    let faults = parse_text(&text).unwrap_err();
    let told: Vec<_> = faults.iter().map(|f| (f.line, f.message.as_str())).collect();
    let expected = [
        (13, "template_bucket belongs to a region, as a bucket does"),
        (
            19,
            "template_bucket \"Shop_Templates\" is no bucket's name: they have small letters, digits, dots and hyphens only",
        ),
        (
            20,
            "template_prefix \"/a\" has an empty part: it begins with no slash and has no two in a row",
        ),
        (24, "template_prefix means nothing without a template_bucket"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_tag_that_no_stack_can_carry_is_a_fault_of_the_file() {
    let tags = "tags = { team = \"\", owner = \"ann\", \"aws:x\" = \"y\" }";
    let faults = parse_text(&WHOLE.replace("tags = { team = \"shop\" }", tags)).unwrap_err();
    let told: Vec<_> = faults.iter().map(|f| (f.line, f.column)).collect();
    assert_eq!(told, [(14, 17), (14, 46)]);
    assert!(
        faults[0].message.starts_with("the tag \"team\": "),
        "{}",
        faults[0]
    );
    assert!(faults[0].message.contains("values of 1 to 256"), "{}", faults[0]);
    assert!(faults[1].message.contains("aws:x"), "{}", faults[1]);
}

#[test]
fn a_typing_error_is_pointed_at() {
    let faults = parse_text(&WHOLE.replace("settle", "setle")).unwrap_err();
    assert_eq!((faults[0].line, faults[0].column), (29, 1));
    assert!(faults[0].message.contains("setle"), "{}", faults[0]);
    assert!(faults[0].hint.is_some());
}

#[test]
fn what_join_writes_is_what_serve_reads() {
    let listen = Listen {
        address: "0.0.0.0:8444".into(),
        names: vec!["a \"quoted\" name".into()],
    };
    let regions = [ServedRegion {
        name: "eu-west-1".into(),
        clusters: vec!["main".into()],
        template_bucket: Some(TemplateBucket {
            name: "shop-templates".into(),
            prefix: "towline/".into(),
        }),
    }];
    let draft = Draft {
        name: "dev",
        account: Some("111111111111"),
        orchestrator: Some("towline.example:8443"),
        listen: Some(&listen),
        endpoint_url: None,
        regions: &regions,
    };
    let config = parse_text(&draft.render()).unwrap();
    assert_eq!(config.listen, Some(listen));
    assert_eq!(config.aws.regions, regions);
    assert!(config.operators.allows("ann", Permission::Read));
}

//! Channels: version templates and rules, as the file says them.

use super::{SHOP, one_fault_of};
use crate::domain::project::{Project, parse, schema, yaml_as_json};

const SHORT: &str = "rules: { web: \">=1.0.0\", orders: \">=1.0.0\" }";

/// The example with this in the place of the rules.
fn with(channel: &str) -> String {
    assert!(SHOP.contains(SHORT));
    SHOP.replace(SHORT, channel)
}

fn is_valid(text: &str) -> bool {
    let validator = jsonschema::validator_for(&serde_json::from_str(schema()).unwrap()).unwrap();
    validator.is_valid(&yaml_as_json(text).unwrap())
}

#[test]
fn templates_and_rules_are_read_stored_and_known_to_the_schema() {
    let text = with(
        r#"version: "{{date}}.{{sequence}}-{{image.web.tag}}"
    rules:
      web: "[1.0,2.0)"
      orders: { range: ">=1.0.0", pre_release: "^(rc\\.\\d+)?$", tag: "^v" }"#,
    );
    let project = parse(&text, "f").unwrap();
    assert!(is_valid(&text));
    let stored = serde_json::to_string(&project).unwrap();
    assert_eq!(serde_json::from_str::<Project>(&stored).unwrap(), project);
    let stable = &project.channels["stable"];
    let version = stable.version.as_ref().unwrap();
    assert_eq!(version.to_string(), "{{date}}.{{sequence}}-{{image.web.tag}}");
    assert!(stable.rules["web"].pre_release.is_none());
    assert!(stable.rules["orders"].tag.is_some());
}

#[test]
fn a_channel_of_an_older_program_is_read() {
    let project = parse(SHOP, "f").unwrap();
    let mut stored = serde_json::to_value(&project).unwrap();
    let stable = &mut stored["channels"]["stable"];
    assert_eq!(
        stable["rules"]["web"], ">=1.0.0",
        "the short form is stored as it was"
    );
    stable.as_object_mut().unwrap().remove("version");
    assert_eq!(serde_json::from_value::<Project>(stored).unwrap(), project);
}

#[test]
fn each_fault_of_a_channel_is_told_in_its_place() {
    let fault = |rule: &str, words: &str| {
        let whole = with("rules: { web: HERE }");
        one_fault_of(&whole, "HERE", rule, words);
    };
    fault("§\"[1.0,2.0\"", "is not a version range: an interval begins with");
    fault("§\"[2.0,1.0]\"", "holds no version");
    fault("§\"about 3\"", "is not a version range");
    fault("§{}", "demands nothing");
    fault("{ range: §\"[1,2,3]\" }", "has one comma");
    fault("{ pre_release: §\"\" }", "\"^$\" lets no pre-release through");
    fault("{ tag: §\"(v\" }", "is not a regular expression: unclosed group");
    fault("{ §tags: \"^v\", range: \">=1\" }", "did you mean tag?");
    let template = |template: &str, words: &str| {
        let whole = with("version: HERE");
        one_fault_of(&whole, "HERE", template, words);
    };
    template("§\"{{dat}}\"", "{{dat}} is nothing that can be filled in");
    template("§\"{{date\"", "{{ has no }}");
    template("§\"{{image.wep.tag}}\"", "did you mean web?");
    template("§\"a release\"", "is not a release version");
}

//! JSON written as YAML that every reader takes the same way: block style, and
//! a text is plain only where no schema of YAML 1.1 or 1.2 could read it as
//! something else. What is written is what `serde_json` would write, in order.

use serde_json::Value as Json;

/// The document, with a line break at its end.
pub fn of(json: &Json) -> String {
    let mut text = String::new();
    match json {
        Json::Object(members) if !members.is_empty() => map(&mut text, members, 0),
        Json::Array(items) if !items.is_empty() => list(&mut text, items, 0),
        scalar => {
            text.push_str(&inline(scalar));
            text.push('\n');
        }
    }
    text
}

fn map(text: &mut String, members: &serde_json::Map<String, Json>, depth: usize) {
    for (at, (key, value)) in members.iter().enumerate() {
        // The first member stands behind the dash of its list's item.
        if at > 0 || text.is_empty() || text.ends_with('\n') {
            indent(text, depth);
        }
        text.push_str(&scalar(key));
        text.push(':');
        match value {
            Json::Object(members) if !members.is_empty() => {
                text.push('\n');
                map(text, members, depth + 1);
            }
            Json::Array(items) if !items.is_empty() => {
                text.push('\n');
                list(text, items, depth + 1);
            }
            value => {
                text.push(' ');
                text.push_str(&inline(value));
                text.push('\n');
            }
        }
    }
}

fn list(text: &mut String, items: &[Json], depth: usize) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 || text.is_empty() || text.ends_with('\n') {
            indent(text, depth);
        }
        text.push_str("- ");
        match item {
            Json::Object(members) if !members.is_empty() => map(text, members, depth + 1),
            Json::Array(items) if !items.is_empty() => list(text, items, depth + 1),
            value => {
                text.push_str(&inline(value));
                text.push('\n');
            }
        }
    }
}

fn indent(text: &mut String, depth: usize) {
    for _ in 0..depth {
        text.push_str("  ");
    }
}

/// What stands in one line; empty collections too.
fn inline(value: &Json) -> String {
    match value {
        Json::String(string) => scalar(string),
        Json::Array(_) => "[]".to_owned(),
        Json::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

fn scalar(string: &str) -> String {
    if is_plain(string) {
        string.to_owned()
    } else {
        // A text of JSON is a double-quoted text of YAML, but for what YAML
        // does not count as printable (1.2.2, section 5.1).
        let quoted = Json::from(string).to_string();
        let escaped = |c: char| match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        };
        quoted.chars().map(escaped).collect()
    }
}

/// Words that some reader takes for a boolean, nothing or a number.
const WORDS: [&str; 13] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity", "none",
];

fn is_plain(string: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_-./:%@+* ".contains(c);
    string.starts_with(|c: char| c.is_ascii_alphabetic())
        && string.chars().all(inside)
        && !string.contains(": ")
        && !string.ends_with([':', ' '])
        && !WORDS.contains(&string.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_template_is_written_as_people_write_it() {
        let template = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Parameters": { "WebImage": { "Type": "String", "Default": "yes" } },
            "Resources": {
                "Service": {
                    "Type": "AWS::ECS::Service",
                    "Properties": {
                        "LoadBalancers": [{ "ContainerPort": 8080, "TargetGroupArn": { "Ref": "Group" } }],
                        "Tags": [],
                        "Matrix": [["a", "b"], []],
                        "Enable": true,
                        "Command": ["sh", "-c", "echo \"a: b\" # c\nexit 0"]
                    }
                }
            }
        });
        assert_eq!(
            of(&template),
            r##"AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  WebImage:
    Type: String
    Default: "yes"
Resources:
  Service:
    Type: AWS::ECS::Service
    Properties:
      LoadBalancers:
        - ContainerPort: 8080
          TargetGroupArn:
            Ref: Group
      Tags: []
      Matrix:
        - - a
          - b
        - []
      Enable: true
      Command:
        - sh
        - "-c"
        - "echo \"a: b\" # c\nexit 0"
"##
        );
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let text = prop_oneof![
            "\\PC{0,12}",
            "[a-z:#\\- \n\t\"'{}!&*]{0,8}",
            "(yes|No|1e3|0x1|~|null)"
        ];
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            text.clone().prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            let key = prop_oneof!["[A-Za-z]{1,6}", "\\PC{1,6}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map(key, inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(json in any_json()) {
            let read = crate::domain::project::yaml_as_json(&of(&json));
            prop_assert_eq!(read, Some(json.clone()), "{}", of(&json));
        }
    }
}

//! Where inside a property two values differ: CloudFormation names each place
//! by its path (`/Properties/ContainerDefinitions/0/Image`) and says both values.

use serde_json::Value;

use crate::cloudformation::{references::single, template::scalar};

/// One place inside a property that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Below the property: `["0", "Image"]`.
    pub path: Vec<String>,
    /// `None` when it is added.
    pub before: Option<String>,
    /// `None` when it is removed.
    pub after: Option<String>,
}

/// The places where `before` and `after` differ, in the order of the paths.
pub fn leaves(before: Option<&Value>, after: Option<&Value>) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(&mut Vec::new(), before, after, &mut found);
    found
}

fn collect(path: &mut Vec<String>, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Leaf>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(was)), Some(Value::Object(is))) => {
            let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                path.push(name.clone());
                collect(path, was.get(name), is.get(name), found);
                path.pop();
            }
        }
        (Some(Value::Array(was)), Some(Value::Array(is))) => {
            for index in 0..was.len().max(is.len()) {
                path.push(index.to_string());
                collect(path, was.get(index), is.get(index), found);
                path.pop();
            }
        }
        _ => found.push(Leaf {
            path: path.clone(),
            before: before.map(text),
            after: after.map(text),
        }),
    }
}

/// A value as `BeforeValue` and `AfterValue` show it: scalars plain, all else as JSON.
pub fn text(value: &Value) -> String {
    scalar(value).unwrap_or_else(|| value.to_string())
}

/// What the template says at a path, as far down as it can be followed: an
/// intrinsic function on the way is what the place is made from.
pub fn written<'a>(value: &'a Value, path: &[String]) -> &'a Value {
    let mut at = value;
    for part in path {
        let is_function = single(at).is_some_and(|(name, _)| name == "Ref" || name.starts_with("Fn::"));
        let next = match at {
            _ if is_function => None,
            Value::Object(members) => members.get(part),
            Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        let Some(next) = next else { break };
        at = next;
    }
    at
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_place_that_differs_has_its_path_and_both_values() {
        let before = json!([{"Name": "web", "Image": "a:1", "Cpu": 128}, {"Name": "old"}]);
        let after = json!([{"Name": "web", "Image": "a:2", "Essential": true}]);
        let found = leaves(Some(&before), Some(&after));
        let shown: Vec<(String, Option<&str>, Option<&str>)> = found
            .iter()
            .map(|leaf| (leaf.path.join("/"), leaf.before.as_deref(), leaf.after.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                ("0/Cpu".to_owned(), Some("128"), None),
                ("0/Essential".to_owned(), None, Some("true")),
                ("0/Image".to_owned(), Some("a:1"), Some("a:2")),
                ("1".to_owned(), Some("{\"Name\":\"old\"}"), None),
            ]
        );
    }

    #[test]
    fn a_function_on_the_way_is_what_a_place_is_made_from() {
        let template = json!([{"Image": {"Ref": "Image"}, "Environment": {"Fn::If": ["C", [], []]}}]);
        let at = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
            written(&template, &path).clone()
        };
        assert_eq!(at(&["0", "Image"]), json!({"Ref": "Image"}));
        assert_eq!(
            at(&["0", "Environment", "0", "Value"]),
            json!({"Fn::If": ["C", [], []]})
        );
    }
}

//! What tells the entries of a task definition's lists apart. A list that is in here
//! has no order that ECS would heed; its entries are compared by these members.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>

use serde_json::Value;

/// The members that name an entry of the list `member`; `None` for a list whose order
/// counts, or that nobody knows.
fn naming(member: &str) -> Option<&'static [&'static str]> {
    Some(match member {
        "containerDefinitions" | "environment" | "secrets" | "volumes" | "ulimits" | "secretOptions" => {
            &["name"]
        }
        "tags" => &["key"],
        "portMappings" => &["containerPort", "containerPortRange", "protocol"],
        "mountPoints" | "tmpfs" => &["containerPath"],
        "volumesFrom" => &["sourceContainer"],
        "dependsOn" => &["containerName"],
        "extraHosts" => &["hostname"],
        "systemControls" => &["namespace"],
        "resourceRequirements" => &["type"],
        "devices" => &["hostPath"],
        "inferenceAccelerators" => &["deviceName"],
        _ => return None,
    })
}

/// Whether the list's order means nothing to ECS. Containers have none either, but
/// theirs is the one that people know them by.
pub(super) fn is_unordered(member: &str) -> bool {
    let is_set = matches!(member, "requiresCompatibilities" | "add" | "drop");
    is_set || (member != "containerDefinitions" && naming(member).is_some())
}

/// The entries by their names; `None` unless every one has a name of its own.
pub(super) fn named<'v>(member: &str, entries: &'v [Value]) -> Option<Vec<(String, &'v Value)>> {
    let naming = naming(member)?;
    let mut named: Vec<(String, &Value)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let parts: Vec<String> = naming
            .iter()
            .filter_map(|part| match entry.get(part)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            })
            .collect();
        let name = parts.join("/");
        if name.is_empty() || named.iter().any(|(known, _)| *known == name) {
            return None;
        }
        named.push((name, entry));
    }
    Some(named)
}

/// Lists of names and values.
const PAIRS: [&str; 4] = ["environment", "secrets", "tags", "secretOptions"];

/// The one member of an entry beside its name, when there is just one.
pub(super) fn value_of<'v>(member: &str, entry: &'v Value) -> Option<(&'v str, &'v Value)> {
    let naming = naming(member).filter(|_| PAIRS.contains(&member))?;
    let mut others = entry
        .as_object()?
        .iter()
        .filter(|(member, _)| !naming.contains(&member.as_str()));
    let (name, value) = others.next()?;
    others.next().is_none().then_some((name.as_str(), value))
}

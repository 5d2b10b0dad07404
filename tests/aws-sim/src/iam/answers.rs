//! IAM's answers: a role, and what a role's policies would let it do.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::{Role, no_such_role};
use crate::{
    AwsError,
    wire::query::{element, list, members, wrap},
    world::Region,
};

/// One awsQuery action. The answer is the XML inside `<ActionResult>`.
pub fn call(
    region: &mut Region,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    match action {
        "GetRole" => get_role(region, params),
        "SimulatePrincipalPolicy" => simulate(region, params),
        _ => Err(AwsError::client(
            "InvalidAction",
            format!("Could not find operation {action}"),
        )),
    }
}

fn get_role(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let name = params.get("RoleName").map_or("", String::as_str);
    let roles = region.iam.lock();
    let role = roles.get(name).ok_or_else(|| no_such_role(name))?;
    let trust = role.properties.get("AssumeRolePolicyDocument");
    let trust = trust.map(Value::to_string).unwrap_or_default();
    let described = [
        element("Path", &role.path),
        element("RoleName", &role.name),
        element("RoleId", &format!("AROAAWSSIM{:0>10}", role.name.len())),
        element("Arn", &role.arn),
        element("CreateDate", &role.created.iso()),
        element("AssumeRolePolicyDocument", &percent_encoded(&trust)),
        element("MaxSessionDuration", "3600"),
    ];
    Ok(wrap("Role", &described.concat()))
}

/// Policies come percent-encoded (RFC 3986).
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html>
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Each action on each resource, by the role's own inline policies.
fn simulate(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let source = params.get("PolicySourceArn").map_or("", String::as_str);
    let roles = region.iam.lock();
    let role = roles
        .values()
        .find(|role| role.arn == source)
        .ok_or_else(|| no_such_role(source))?;
    let mut resources = list(params, "ResourceArns");
    if resources.is_empty() {
        resources.push("*".to_owned());
    }
    let mut results = Vec::new();
    for action in list(params, "ActionNames") {
        for resource in &resources {
            let result = [
                element("EvalActionName", &action),
                element("EvalResourceName", resource),
                element("EvalDecision", decision(role, &action, resource)),
                members("MatchedStatements", std::iter::empty()),
                members("MissingContextValues", std::iter::empty()),
            ];
            results.push(result.concat());
        }
    }
    Ok(members("EvaluationResults", results) + &element("IsTruncated", "false"))
}

/// IAM's word for what a role's inline policies say.
pub(super) fn decision(role: &Role, action: &str, resource: &str) -> &'static str {
    let policies = role.properties.get("Policies").and_then(Value::as_array);
    let documents = policies
        .into_iter()
        .flatten()
        .filter_map(|policy| policy.get("PolicyDocument"));
    let fitting: Vec<&Value> = documents
        .flat_map(statements)
        .filter(|statement| fits(statement, "Action", action) && fits(statement, "Resource", resource))
        .collect();
    let says = |effect: &str| {
        fitting
            .iter()
            .any(|statement| statement.get("Effect").and_then(Value::as_str) == Some(effect))
    };
    match (says("Deny"), says("Allow")) {
        (true, _) => "explicitDeny",
        (false, true) => "allowed",
        (false, false) => "implicitDeny",
    }
}

fn fits(statement: &Value, member: &str, wanted: &str) -> bool {
    let patterns = statement.get(member).map(one_or_many).unwrap_or_default();
    patterns.iter().any(|pattern| matches(pattern, wanted))
}

/// `*` stands for anything, `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return text.is_empty();
    };
    let rest = &pattern[first.len_utf8()..];
    match (first, text.chars().next()) {
        ('*', None) => matches(rest, text),
        ('*', Some(next)) => matches(rest, text) || matches(pattern, &text[next.len_utf8()..]),
        ('?', Some(next)) => matches(rest, &text[next.len_utf8()..]),
        (exact, Some(next)) if exact == next => matches(rest, &text[next.len_utf8()..]),
        _ => false,
    }
}

/// The statements of a policy document.
pub(super) fn statements(document: &Value) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// A text, or a list of them, as policies write either.
pub(super) fn one_or_many(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

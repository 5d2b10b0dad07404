//! awsJson 1.1.

use serde_json::{Map, Value};

use crate::AwsError;

/// The error document of awsJson 1.1.
pub fn error_body(error: &AwsError) -> String {
    let mut body = error.more.clone();
    body.insert("__type".to_owned(), Value::from(error.code.as_str()));
    body.insert("message".to_owned(), Value::from(error.message.as_str()));
    Value::Object(body).to_string()
}

/// A string member; `None` when it is absent, null or empty.
pub fn text<'a>(input: &'a Value, member: &str) -> Option<&'a str> {
    input
        .get(member)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// The strings of a list member; empty when it is absent.
pub fn texts(input: &Value, member: &str) -> Vec<String> {
    input
        .get(member)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// A whole-number member.
pub fn number(input: &Value, member: &str) -> Option<i64> {
    input.get(member).and_then(Value::as_i64)
}

/// The members of an object; empty for anything else.
pub fn members(input: &Value) -> Map<String, Value> {
    input.as_object().cloned().unwrap_or_default()
}

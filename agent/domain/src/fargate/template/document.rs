//! The shape of the template, in the order of its text.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document {
    #[serde(rename = "AWSTemplateFormatVersion")]
    pub format: &'static str,
    pub description: String,
    pub metadata: Value,
    pub parameters: BTreeMap<String, Parameter>,
    /// By logical id, in the order in which they are made.
    pub resources: Map<String, Value>,
    pub outputs: BTreeMap<String, Output>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameter {
    pub r#type: &'static str,
    pub description: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    pub value: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Resource<P> {
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_replace_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    pub properties: P,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LogGroup {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group_name: Option<String>,
    pub retention_in_days: u32,
}

/// A part of the template as JSON.
pub(super) fn value_of(part: &impl Serialize) -> Value {
    // Only maps with keys that are no strings fail, and there are none.
    serde_json::to_value(part).unwrap_or_default()
}

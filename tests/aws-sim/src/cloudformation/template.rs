//! A template: its JSON, read once and checked as CloudFormation checks it
//! before it does anything.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{kind::Kind, references};
use crate::AwsError;

const SECTIONS: [&str; 10] = [
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Transform",
    "Resources",
    "Outputs",
];

const RESOURCE_MEMBERS: [&str; 9] = [
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "Metadata",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "CreationPolicy",
    "UpdatePolicy",
];

/// A template that passed CloudFormation's first look.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// As it was sent.
    pub body: String,
    pub description: Option<String>,
    pub metadata: Option<Value>,
    pub parameters: Vec<Parameter>,
    pub conditions: Map<String, Value>,
    pub mappings: Value,
    pub resources: Vec<Declaration>,
    pub outputs: Vec<Output>,
}

/// A declared parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: String,
    /// `String`, `Number`, `CommaDelimitedList`, `List<...>`, `AWS::...`.
    pub kind: String,
    pub default: Option<String>,
    pub no_echo: bool,
    pub description: Option<String>,
    pub allowed: Vec<String>,
}

/// `DeletionPolicy` and `UpdateReplacePolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Delete,
    Retain,
    RetainExceptOnCreate,
}

/// A declared resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    pub logical_id: String,
    pub kind: Kind,
    pub properties: Map<String, Value>,
    pub depends_on: Vec<String>,
    pub condition: Option<String>,
    pub deletion: Policy,
    pub update_replace: Policy,
    pub metadata: Option<Value>,
}

/// A declared output.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub name: String,
    pub value: Value,
    pub description: Option<String>,
    pub condition: Option<String>,
    pub export: Option<Value>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// `ValidationError` in CloudFormation's words.
    pub fn parse(body: &str) -> Result<Self, AwsError> {
        let document: Value = serde_json::from_str(body).map_err(|fault| {
            format_error(format!(
                "JSON not well-formed. (line {}, column {})",
                fault.line(),
                fault.column()
            ))
        })?;
        let Value::Object(document) = document else {
            return Err(format_error("unsupported structure."));
        };
        refuse_unknown_sections(&document)?;
        let template = Self {
            body: body.to_owned(),
            description: text(document.get("Description")),
            metadata: document.get("Metadata").cloned(),
            parameters: parameters(&document)?,
            conditions: section(&document, "Conditions"),
            mappings: Value::Object(section(&document, "Mappings")),
            resources: declarations(&document)?,
            outputs: outputs(&document)?,
        };
        references::check(&template)?;
        Ok(template)
    }

    pub fn resource(&self, logical_id: &str) -> Option<&Declaration> {
        self.resources.iter().find(|found| found.logical_id == logical_id)
    }

    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|found| found.name == name)
    }

    /// The capability that the caller must acknowledge, and the types that ask for it.
    pub fn needed_capability(&self) -> Option<(&'static str, Vec<&'static str>)> {
        let iam: Vec<&Declaration> = self.resources.iter().filter(|r| r.kind.is_iam()).collect();
        let named = iam.iter().any(|r| r.properties.contains_key("RoleName"));
        let types: BTreeSet<&'static str> = iam.iter().map(|r| r.kind.name()).collect();
        let types: Vec<&'static str> = types.into_iter().collect();
        match (iam.is_empty(), named) {
            (true, _) => None,
            (false, true) => Some(("CAPABILITY_NAMED_IAM", types)),
            (false, false) => Some(("CAPABILITY_IAM", types)),
        }
    }
}

/// `ValidationError`, HTTP 400.
pub fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("ValidationError", message)
}

/// `Template format error: …`.
pub fn format_error(message: impl AsRef<str>) -> AwsError {
    invalid(format!("Template format error: {}", message.as_ref()))
}

fn refuse_unknown_sections(document: &Map<String, Value>) -> Result<(), AwsError> {
    let unknown: Vec<&str> = document
        .keys()
        .map(String::as_str)
        .filter(|name| !SECTIONS.contains(name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "Invalid template property or properties [{}]",
        unknown.join(", ")
    )))
}

fn parameters(document: &Map<String, Value>) -> Result<Vec<Parameter>, AwsError> {
    section(document, "Parameters")
        .into_iter()
        .map(|(name, declared)| {
            let kind = text(declared.get("Type")).ok_or_else(|| {
                format_error(format!(
                    "Every Parameters object must contain a Type member. [/Parameters/{name}]"
                ))
            })?;
            Ok(Parameter {
                kind,
                default: declared.get("Default").and_then(scalar),
                no_echo: declared
                    .get("NoEcho")
                    .and_then(scalar)
                    .is_some_and(|said| said == "true"),
                description: text(declared.get("Description")),
                allowed: list(declared.get("AllowedValues")),
                name,
            })
        })
        .collect()
}

fn declarations(document: &Map<String, Value>) -> Result<Vec<Declaration>, AwsError> {
    let declared = section(document, "Resources");
    if declared.is_empty() {
        return Err(format_error("At least one Resources member must be defined."));
    }
    let unknown: BTreeSet<&str> = declared
        .values()
        .filter_map(|resource| resource.get("Type")?.as_str())
        .filter(|name| Kind::parse(name).is_none())
        .collect();
    if !unknown.is_empty() {
        let unknown: Vec<&str> = unknown.into_iter().collect();
        return Err(format_error(format!(
            "Unrecognized resource types: [{}]",
            unknown.join(", ")
        )));
    }
    declared
        .into_iter()
        .map(|(logical_id, resource)| declaration(logical_id, &resource))
        .collect()
}

fn declaration(logical_id: String, resource: &Value) -> Result<Declaration, AwsError> {
    if !logical_id.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(format_error(format!(
            "Resource name {logical_id} is non alphanumeric."
        )));
    }
    let members = resource.as_object().cloned().unwrap_or_default();
    if let Some(unknown) = members
        .keys()
        .find(|name| !RESOURCE_MEMBERS.contains(&name.as_str()))
    {
        return Err(invalid(format!("Invalid template resource property '{unknown}'")));
    }
    let kind = members
        .get("Type")
        .and_then(Value::as_str)
        .and_then(Kind::parse)
        .ok_or_else(|| {
            format_error(format!(
                "[/Resources/{logical_id}] Every Resources object must contain a Type member."
            ))
        })?;
    Ok(Declaration {
        properties: section(&members, "Properties"),
        depends_on: list(members.get("DependsOn")),
        condition: text(members.get("Condition")),
        deletion: policy(&members, "DeletionPolicy")?,
        update_replace: policy(&members, "UpdateReplacePolicy")?,
        metadata: members.get("Metadata").cloned(),
        logical_id,
        kind,
    })
}

fn policy(members: &Map<String, Value>, name: &str) -> Result<Policy, AwsError> {
    match members.get(name).map(|said| said.as_str().unwrap_or_default()) {
        None | Some("Delete") => Ok(Policy::Delete),
        Some("Retain") => Ok(Policy::Retain),
        Some("RetainExceptOnCreate") if name == "DeletionPolicy" => Ok(Policy::RetainExceptOnCreate),
        Some(other) => Err(format_error(format!("Unrecognized {name} {other} for resource"))),
    }
}

fn outputs(document: &Map<String, Value>) -> Result<Vec<Output>, AwsError> {
    section(document, "Outputs")
        .into_iter()
        .map(|(name, declared)| {
            let value = declared.get("Value").cloned().ok_or_else(|| {
                format_error(format!(
                    "Every Outputs member must contain a Value object. [/Outputs/{name}]"
                ))
            })?;
            Ok(Output {
                value,
                description: text(declared.get("Description")),
                condition: text(declared.get("Condition")),
                export: declared.get("Export").and_then(|e| e.get("Name")).cloned(),
                name,
            })
        })
        .collect()
}

fn section(members: &Map<String, Value>, name: &str) -> Map<String, Value> {
    members
        .get(name)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

/// One string or a list of them.
fn list(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(scalar).collect(),
        Some(one) => scalar(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// How CloudFormation turns a scalar into text.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

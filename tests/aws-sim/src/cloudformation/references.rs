//! What a template's values refer to: for the first check of a template, the
//! order of its resources, and the causes in a change set.

use std::collections::BTreeSet;

use serde_json::Value;

use super::template::{Declaration, Template, format_error, invalid};
use crate::AwsError;

/// One reference inside a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// `Ref`, or `${Name}` in `Fn::Sub`.
    To(String),
    /// `Fn::GetAtt`, or `${Name.Attribute}`.
    Attribute(String, String),
    /// The condition of `Fn::If`.
    Condition(String),
}

/// Everything that `value` refers to.
pub fn of(value: &Value) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    collect(value, &mut found);
    found
}

/// The resources that must be there before this one.
pub fn dependencies(template: &Template, declaration: &Declaration) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = declaration.depends_on.iter().cloned().collect();
    for value in declaration.properties.values() {
        for reference in of(value) {
            if let Reference::To(name) | Reference::Attribute(name, _) = reference {
                found.insert(name);
            }
        }
    }
    found.retain(|name| template.resource(name).is_some());
    found
}

/// The logical ids so that each comes after what it depends on.
///
/// # Errors
/// `ValidationError` for a circle.
pub fn order(template: &Template) -> Result<Vec<String>, AwsError> {
    let mut ordered: Vec<String> = Vec::new();
    let mut left: Vec<&Declaration> = template.resources.iter().collect();
    while !left.is_empty() {
        let (ready, blocked): (Vec<_>, Vec<_>) = left.into_iter().partition(|declaration| {
            dependencies(template, declaration)
                .iter()
                .all(|name| ordered.contains(name))
        });
        if ready.is_empty() {
            let names: Vec<&str> = blocked.iter().map(|d| d.logical_id.as_str()).collect();
            return Err(invalid(format!(
                "Circular dependency between resources: [{}]",
                names.join(", ")
            )));
        }
        ordered.extend(ready.into_iter().map(|d| d.logical_id.clone()));
        left = blocked;
    }
    Ok(ordered)
}

/// Checks that everything that is referred to exists.
///
/// # Errors
/// `ValidationError` in CloudFormation's words.
pub fn check(template: &Template) -> Result<(), AwsError> {
    for declaration in &template.resources {
        for value in declaration.properties.values() {
            check_value(template, value, "Resources")?;
        }
        let missing: Vec<&String> = declaration
            .depends_on
            .iter()
            .filter(|name| template.resource(name).is_none())
            .collect();
        if let Some(missing) = missing.first() {
            return Err(unresolved(missing, "Resources"));
        }
        check_condition(template, declaration.condition.as_deref())?;
    }
    for output in &template.outputs {
        check_value(template, &output.value, "Outputs")?;
        check_condition(template, output.condition.as_deref())?;
    }
    order(template).map(drop)
}

fn check_value(template: &Template, value: &Value, block: &str) -> Result<(), AwsError> {
    for reference in of(value) {
        match reference {
            Reference::To(name) => {
                let known = name.starts_with("AWS::")
                    || template.parameter(&name).is_some()
                    || template.resource(&name).is_some();
                if !known {
                    return Err(unresolved(&name, block));
                }
            }
            Reference::Attribute(name, attribute) => check_attribute(template, &name, &attribute)?,
            Reference::Condition(name) => check_condition(template, Some(&name))?,
        }
    }
    Ok(())
}

fn check_attribute(template: &Template, name: &str, attribute: &str) -> Result<(), AwsError> {
    let declaration = template.resource(name).ok_or_else(|| {
        invalid(format!(
            "Template error: instance of Fn::GetAtt references undefined resource {name}"
        ))
    })?;
    if declaration.kind.attributes().contains(&attribute) {
        return Ok(());
    }
    Err(invalid(format!(
        "Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt"
    )))
}

fn check_condition(template: &Template, name: Option<&str>) -> Result<(), AwsError> {
    match name {
        Some(name) if !template.conditions.contains_key(name) => Err(format_error(format!(
            "Unresolved condition dependency {name} in the Resources block of the template"
        ))),
        _ => Ok(()),
    }
}

fn unresolved(name: &str, block: &str) -> AwsError {
    format_error(format!(
        "Unresolved resource dependencies [{name}] in the {block} block of the template"
    ))
}

fn collect(value: &Value, found: &mut BTreeSet<Reference>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => match single(value) {
            Some(("Ref", Value::String(name))) => {
                found.insert(Reference::To(name.clone()));
            }
            Some(("Fn::GetAtt", argument)) => {
                if let Some((name, attribute)) = attribute_of(argument) {
                    found.insert(Reference::Attribute(name, attribute));
                }
            }
            Some(("Fn::Sub", argument)) => collect_from_sub(argument, found),
            Some(("Fn::If", Value::Array(arguments))) => {
                if let Some(name) = arguments.first().and_then(Value::as_str) {
                    found.insert(Reference::Condition(name.to_owned()));
                }
                arguments.iter().skip(1).for_each(|item| collect(item, found));
            }
            _ => members.values().for_each(|member| collect(member, found)),
        },
        _ => {}
    }
}

fn collect_from_sub(argument: &Value, found: &mut BTreeSet<Reference>) {
    let (text, own) = match argument {
        Value::String(text) => (text.as_str(), None),
        Value::Array(pair) => (
            pair.first().and_then(Value::as_str).unwrap_or_default(),
            pair.get(1).and_then(Value::as_object),
        ),
        _ => return,
    };
    for piece in pieces(text) {
        let Piece::Name(name) = piece else { continue };
        if own.is_some_and(|own| own.contains_key(name)) {
            continue;
        }
        found.insert(match name.split_once('.') {
            Some((resource, attribute)) => Reference::Attribute(resource.to_owned(), attribute.to_owned()),
            None => Reference::To(name.to_owned()),
        });
    }
    if let Some(own) = own {
        own.values().for_each(|value| collect(value, found));
    }
}

/// The one member of an object that has one.
pub fn single(value: &Value) -> Option<(&str, &Value)> {
    let members = value.as_object()?;
    let mut members = members.iter();
    match (members.next(), members.next()) {
        (Some((name, argument)), None) => Some((name.as_str(), argument)),
        _ => None,
    }
}

/// The argument of `Fn::GetAtt`: a list of two, or `Name.Attribute`.
pub fn attribute_of(argument: &Value) -> Option<(String, String)> {
    match argument {
        Value::String(text) => {
            let (name, attribute) = text.split_once('.')?;
            Some((name.to_owned(), attribute.to_owned()))
        }
        Value::Array(pair) => Some((
            pair.first()?.as_str()?.to_owned(),
            pair.get(1)?.as_str()?.to_owned(),
        )),
        _ => None,
    }
}

/// A piece of `Fn::Sub`'s text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    /// What stands in `${…}`.
    Name(&'a str),
    /// What stands in `${!…}`.
    Literal(&'a str),
}

/// Cuts `Fn::Sub`'s text.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, remaining)) = after.split_once('}') else {
            break;
        };
        found.push(Piece::Text(before));
        found.push(match name.strip_prefix('!') {
            Some(literal) => Piece::Literal(literal),
            None => Piece::Name(name.trim()),
        });
        rest = remaining;
    }
    found.push(Piece::Text(rest));
    found
}

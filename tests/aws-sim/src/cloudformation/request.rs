//! What a client's parameters ask for, checked as CloudFormation checks it.

use std::collections::BTreeMap;

use super::{
    model::{Blueprint, Tags},
    template::{Template, invalid},
};
use crate::{AwsError, iam, s3, wire::query, world::Region};

/// The parameters of an awsQuery action.
pub type Params = BTreeMap<String, String>;

/// The longest TemplateBody, in bytes.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
const LONGEST_TEMPLATE: usize = 51_200;

/// AWS's longest stack name.
const LONGEST_NAME: usize = 128;

/// A parameter that must be there.
///
/// # Errors
/// `ValidationError`.
pub fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, AwsError> {
    optional(params, name).ok_or_else(|| {
        let member = lower_first(name);
        invalid(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: \
             Member must not be null"
        ))
    })
}

pub fn optional<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params
        .get(name)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}

pub fn flag(params: &Params, name: &str) -> bool {
    optional(params, name) == Some("true")
}

/// A name for something new: a letter, then letters, digits and hyphens.
///
/// # Errors
/// `ValidationError`.
pub fn new_name<'a>(params: &'a Params, name: &str) -> Result<&'a str, AwsError> {
    let value = required(params, name)?;
    let member = lower_first(name);
    let begins_well = value.starts_with(|c: char| c.is_ascii_alphabetic());
    if !begins_well || !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(invalid(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )));
    }
    if value.len() > LONGEST_NAME {
        return Err(invalid(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
             Member must have length less than or equal to {LONGEST_NAME}"
        )));
    }
    Ok(value)
}

/// The template that the request holds, or that its URL leads to.
///
/// # Errors
/// `ValidationError` in CloudFormation's words.
pub fn template(
    region: &Region,
    params: &Params,
    previous: Option<&Blueprint>,
) -> Result<Template, AwsError> {
    match (optional(params, "TemplateBody"), previous) {
        (Some(body), _) if body.len() > LONGEST_TEMPLATE => Err(invalid(format!(
            "1 validation error detected: Value '{}...' at 'templateBody' failed to satisfy constraint: \
             Member must have length less than or equal to {LONGEST_TEMPLATE}",
            body.chars().take(40).collect::<String>()
        ))),
        (Some(body), _) => Template::parse(body),
        (None, previous) => match (optional(params, "TemplateURL"), previous) {
            (Some(url), _) => Template::parse(&s3::template(region, url)?),
            (None, Some(previous)) if flag(params, "UsePreviousTemplate") => Ok(previous.template.clone()),
            _ => Err(invalid("Either Template URL or Template Body must be specified.")),
        },
    }
}

/// All that a stack is to be made from. What an update leaves out stays as it was.
///
/// # Errors
/// `ValidationError`, `InsufficientCapabilitiesException`.
pub fn blueprint(
    region: &Region,
    params: &Params,
    previous: Option<&Blueprint>,
) -> Result<Blueprint, AwsError> {
    let template = template(region, params, previous)?;
    let parameters = parameters(params, &template, previous)?;
    let capabilities = query::list(params, "Capabilities");
    check_capabilities(&template, &capabilities)?;
    let tags = match tags(params)? {
        given if given.is_empty() => previous.map(|previous| previous.tags.clone()).unwrap_or_default(),
        given => given,
    };
    let role_arn = match optional(params, "RoleARN") {
        Some(arn) if iam::is_assumable(region, arn, "cloudformation.amazonaws.com") => Some(arn.to_owned()),
        Some(arn) => return Err(invalid(format!("Role {arn} is invalid or cannot be assumed"))),
        None => previous.and_then(|previous| previous.role_arn.clone()),
    };
    Ok(Blueprint {
        template,
        parameters,
        tags,
        capabilities,
        role_arn,
    })
}

fn parameters(
    params: &Params,
    template: &Template,
    previous: Option<&Blueprint>,
) -> Result<BTreeMap<String, String>, AwsError> {
    let mut given = BTreeMap::new();
    for said in query::structures(params, "Parameters") {
        let key = said.get("ParameterKey").cloned().unwrap_or_default();
        let value = if said.get("UsePreviousValue").is_some_and(|said| said == "true") {
            previous
                .and_then(|previous| previous.parameters.get(&key))
                .cloned()
        } else {
            said.get("ParameterValue").cloned()
        };
        given.insert(key, value.unwrap_or_default());
    }
    let unknown: Vec<&str> = given
        .keys()
        .map(String::as_str)
        .filter(|key| template.parameter(key).is_none())
        .collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        return Err(invalid(format!(
            "Parameters: [{unknown}] do not exist in the template"
        )));
    }
    let mut missing = Vec::new();
    for declared in &template.parameters {
        match (given.get(&declared.name), &declared.default) {
            (Some(value), _) if !declared.allowed.is_empty() && !declared.allowed.contains(value) => {
                let name = &declared.name;
                return Err(invalid(format!(
                    "Parameter '{name}' must be one of AllowedValues"
                )));
            }
            (Some(_), _) => {}
            (None, Some(default)) => {
                given.insert(declared.name.clone(), default.clone());
            }
            (None, None) => missing.push(declared.name.as_str()),
        }
    }
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(invalid(format!("Parameters: [{missing}] must have values")));
    }
    Ok(given)
}

fn check_capabilities(template: &Template, given: &[String]) -> Result<(), AwsError> {
    let Some((needed, _)) = template.needed_capability() else {
        return Ok(());
    };
    let has = |capability: &str| given.iter().any(|given| given == capability);
    if has("CAPABILITY_NAMED_IAM") || has(needed) {
        return Ok(());
    }
    Err(AwsError::client(
        "InsufficientCapabilitiesException",
        format!("Requires capabilities : [{needed}]"),
    ))
}

fn tags(params: &Params) -> Result<Tags, AwsError> {
    let given = query::structures(params, "Tags").into_iter();
    let tags = given.enumerate().map(|(at, tag)| {
        let key = tag.get("Key").cloned().unwrap_or_default();
        let value = tag.get("Value").cloned().unwrap_or_default();
        if value.is_empty() {
            return Err(invalid(format!(
                "1 validation error detected: Value '' at 'tags.{}.member.value' failed to satisfy constraint: \
                 Member must have length greater than or equal to 1",
                at + 1
            )));
        }
        if key.starts_with("aws:") {
            return Err(invalid(
                "aws: prefixed tag key names are not allowed for external use.",
            ));
        }
        Ok((key, value))
    });
    tags.collect()
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

//! AWS Secrets Manager and Systems Manager's parameters: which there are, and what is
//! in those that are no secret. What is in the others is nobody's business here.

use serde_json::{Value, json};

use crate::{
    AwsError,
    wire::json::{text, texts},
    world::{CallContext, Region, SimTime},
};

/// One action of Secrets Manager.
pub fn call_secrets_manager(region: &Region, action: &str, input: &Value) -> Result<Value, AwsError> {
    match action {
        "DescribeSecret" => describe_secret(region, input),
        _ => Err(AwsError::unknown_action(action)),
    }
}

/// One action of Systems Manager.
pub fn call_systems_manager(
    region: &Region,
    ctx: &CallContext,
    action: &str,
    input: &Value,
) -> Result<Value, AwsError> {
    match action {
        "DescribeParameters" => describe_parameters(region, ctx, input),
        "GetParameters" => get_parameters(region, ctx, input),
        _ => Err(AwsError::unknown_action(action)),
    }
}

/// The name in a secret's ARN, without the six characters that Secrets Manager adds.
fn name_of(arn: &str) -> &str {
    let name = arn.rsplit(':').next().unwrap_or(arn);
    name.rsplit_once('-').map_or(name, |(name, _)| name)
}

/// A secret goes by its ARN, its ARN without the last six characters, or its name.
fn describe_secret(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let id = text(input, "SecretId").unwrap_or_default();
    let is_it = |arn: &&String| {
        **arn == *id || name_of(arn) == id || arn.rsplit_once('-').is_some_and(|(short, _)| short == id)
    };
    let secrets = region
        .secrets
        .iter()
        .filter(|one| one.contains(":secretsmanager:"));
    let arn = secrets.into_iter().find(is_it).ok_or_else(|| {
        AwsError::client(
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.",
        )
    })?;
    let mut described = json!({ "ARN": arn, "Name": name_of(arn) });
    // AWS leaves its own key out.
    if let Some(key) = region.secret_keys.get(arn) {
        described["KmsKeyId"] = json!(key);
    }
    Ok(described)
}

/// Those that the one filter that is simulated, by name, lets through.
fn describe_parameters(region: &Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let mut chosen = region.parameters.clone();
    let filters = input.get("ParameterFilters").and_then(Value::as_array);
    for filter in filters.into_iter().flatten() {
        if text(filter, "Key") != Some("Name") {
            return Err(AwsError::client(
                "InvalidFilterKey",
                "aws-sim knows the filter Name alone",
            ));
        }
        let values = texts(filter, "Values");
        chosen.retain(|name| values.contains(name));
    }
    let described: Vec<Value> = chosen
        .iter()
        .map(|name| {
            let mut described = json!({
                "Name": name,
                "ARN": region.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/'))),
                "Type": region.plain_parameters.get(name).map_or("SecureString", |plain| plain.kind.as_str()),
                "LastModifiedDate": ctx.now.epoch_seconds(),
                "Version": 1,
                "Tier": "Standard",
                "DataType": "text",
            });
            match region.plain_parameters.get(name) {
                Some(plain) => described["Version"] = json!(plain.version),
                None => {
                    let key = region.secret_keys.get(name);
                    described["KeyId"] = json!(key.map_or("alias/aws/ssm", String::as_str));
                }
            }
            described
        })
        .collect();
    Ok(json!({ "Parameters": described }))
}

/// A parameter whose value is no secret.
#[derive(Clone, Debug)]
pub struct Plain {
    /// String or StringList.
    pub kind: String,
    /// By version, the first one first.
    values: Vec<String>,
    pub version: usize,
    changed: SimTime,
}

impl Plain {
    pub fn new(kind: &str, value: &str, now: SimTime) -> Self {
        Self {
            kind: kind.to_owned(),
            values: vec![value.to_owned()],
            version: 1,
            changed: now,
        }
    }

    /// As PutParameter with Overwrite does.
    pub fn put(&mut self, value: &str, now: SimTime) {
        self.values.push(value.to_owned());
        self.version = self.values.len();
        self.changed = now;
    }
}

/// GetParameters takes at most this many names.
const MOST_NAMES: usize = 10;

/// Values of plain parameters; of secret ones what is kept of them, encrypted.
fn get_parameters(region: &Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let names = texts(input, "Names");
    if names.is_empty() || names.len() > MOST_NAMES {
        return Err(AwsError::client(
            "ValidationException",
            format!(
                "1 validation error detected: Value '{names:?}' at 'names' failed to satisfy constraint: Member must have length less than or equal to 10"
            ),
        ));
    }
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for asked in names {
        match parameter(region, ctx, &asked) {
            Some(parameter) => found.push(parameter),
            None => invalid.push(asked),
        }
    }
    Ok(json!({ "Parameters": found, "InvalidParameters": invalid }))
}

fn parameter(region: &Region, ctx: &CallContext, asked: &str) -> Option<Value> {
    let own = region.arn("ssm", "parameter/");
    let (name, selector) = match asked.strip_prefix(&own) {
        Some(rest) => split_selector(rest),
        None => split_selector(asked),
    };
    // An ARN leaves the first slash of a name out.
    let known = [name.to_owned(), format!("/{name}")];
    let name = region.parameters.iter().find(|one| known.contains(one))?;
    let arn = format!("{own}{}", name.trim_start_matches('/'));
    let mut parameter = json!({"Name": name, "ARN": arn, "DataType": "text"});
    if !selector.is_empty() {
        parameter["Selector"] = json!(format!(":{selector}"));
    }
    let Some(plain) = region.plain_parameters.get(name) else {
        parameter["Type"] = json!("SecureString");
        parameter["Value"] = json!("AQICAHg6aws-sim");
        parameter["Version"] = json!(1);
        parameter["LastModifiedDate"] = ctx.now.epoch_seconds();
        return Some(parameter);
    };
    let version = match selector {
        "" => plain.version,
        version => version.parse().ok()?,
    };
    parameter["Type"] = json!(plain.kind);
    parameter["Value"] = json!(plain.values.get(version.checked_sub(1)?)?);
    parameter["Version"] = json!(version);
    parameter["LastModifiedDate"] = plain.changed.epoch_seconds();
    Some(parameter)
}

fn split_selector(text: &str) -> (&str, &str) {
    text.split_once(':').unwrap_or((text, ""))
}

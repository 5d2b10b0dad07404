//! AWS Secrets Manager and Systems Manager's parameters: which there are. What
//! is in them is nobody's business here.

use serde_json::{Value, json};

use crate::{
    AwsError,
    wire::json::{text, texts},
    world::{CallContext, Region},
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
            json!({
                "Name": name,
                "ARN": region.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/'))),
                "Type": "SecureString",
                "KeyId": region.secret_keys.get(name).map_or("alias/aws/ssm", String::as_str),
                "LastModifiedDate": ctx.now.epoch_seconds(),
                "Version": 1,
                "Tier": "Standard",
                "DataType": "text",
            })
        })
        .collect();
    Ok(json!({ "Parameters": described }))
}

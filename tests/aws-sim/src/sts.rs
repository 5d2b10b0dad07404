//! AWS STS: who a caller is.

use std::collections::BTreeMap;

use crate::{
    AwsError,
    wire::query::{element, wrap},
    world::{CallContext, Region},
};

/// One awsQuery action. The answer is the XML inside `<ActionResult>`.
pub fn call(
    region: &mut Region,
    ctx: &CallContext,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    match action {
        "GetCallerIdentity" => Ok([
            element("Arn", &ctx.caller_arn),
            element("UserId", &format!("AROAAWSSIM{}:aws-sim", region.account)),
            element("Account", &region.account),
        ]
        .concat()),
        "AssumeRole" => assume_role(ctx, params),
        _ => Err(AwsError::client(
            "InvalidAction",
            format!("Could not find operation {action}"),
        )),
    }
}

/// The credentials' access key id is the role's account, as everywhere in this simulator.
fn assume_role(ctx: &CallContext, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let role = params.get("RoleArn").map_or("", String::as_str);
    let mut parts = role.split(':').skip(4);
    let account = parts.next().filter(|account| account.len() == 12);
    let (Some(account), Some(name)) = (account, parts.next()) else {
        return Err(AwsError::client("ValidationError", format!("{role} is invalid")));
    };
    let name = name.trim_start_matches("role/");
    let session = params.get("RoleSessionName").map_or("aws-sim", String::as_str);
    let credentials = [
        element("AccessKeyId", account),
        element("SecretAccessKey", "aws-sim"),
        element("SessionToken", "aws-sim"),
        element("Expiration", &ctx.now.plus_s(3600.0).iso()),
    ]
    .concat();
    let user = [
        element("AssumedRoleId", &format!("AROAAWSSIM{account}:{session}")),
        element(
            "Arn",
            &format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        ),
    ]
    .concat();
    Ok(wrap("Credentials", &credentials) + &wrap("AssumedRoleUser", &user))
}

//! Whether the execution role that the stack makes may use the keys that secrets
//! are encrypted with. A key of AWS's serves whoever may read the secret; one of
//! the account's own asks for leave to use it as well, by the role's policy or by
//! its own. Its own is not read here, so what is missing is a warning.

use super::{Findings, Severity};
use crate::fargate::spec::FargateService;
use crate::observed::surroundings::ObservedSecret;

pub(super) fn judge(service: &FargateService, arn: &str, secret: &ObservedSecret, found: &mut Findings) {
    let Some(key) = secret.key.as_deref().filter(|_| service.execution_role.is_none()) else {
        return;
    };
    if service.kms_keys.iter().any(|listed| names(listed, key)) {
        return;
    }
    let alias = key.contains("alias/");
    if alias && !service.kms_keys.is_empty() {
        found.add(
            Severity::Unknown,
            "secret_key_unknown",
            format!("secret {arn} is encrypted with the key behind {key}, and whether kms_keys has that one is not known"),
            format!("compare: aws kms describe-key --key-id {key}"),
        );
        return;
    }
    let add = match alias {
        true => format!("add the ARN of that key to kms_keys (aws kms describe-key --key-id {key})"),
        false => format!("add {} to kms_keys", arn_of(key, arn)),
    };
    found.warning(
        "secret_key_not_allowed",
        format!(
            "secret {arn} is encrypted with key {key}, which the execution role made in the stack may not use; no task \
             starts unless the key's own policy lets that role decrypt"
        ),
        add,
    );
}

/// Whether an ARN of a key is that of a key by its ARN or id.
fn names(listed: &str, key: &str) -> bool {
    let id = |text: &str| text.rsplit_once(":key/").map(|(_, id)| id.to_owned());
    listed == key || id(listed).as_deref() == Some(key)
}

/// The ARN of a key by its ARN or id; a key lies where the secret lies.
fn arn_of(key: &str, secret: &str) -> String {
    let parts: Vec<&str> = secret.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, _, region, account, ..] if !key.starts_with("arn:") => {
            format!("arn:{partition}:kms:{region}:{account}:key/{key}")
        }
        _ => key.to_owned(),
    }
}

//! Secrets Manager and Systems Manager: whether what a container is given as a
//! secret exists, and the key that it is encrypted with. Only names are asked for;
//! no value is ever read.

use serde_json::json;
use towline_agent_domain::observed::surroundings::ObservedSecret;
use towline_agent_domain::outside::{Answer, CallError};

use crate::Aws;
use crate::call::{absent_as_none, answer};

/// What a container's `valueFrom` names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// A secret's ARN, without what picks a part or a version of it.
    Secret { region: String, arn: String },
    /// A parameter by the names that its ARN can mean.
    Parameter {
        region: String,
        account: Option<String>,
        names: Vec<String>,
    },
}

/// The keys that Secrets Manager and Systems Manager use where nobody chose one.
const KEYS_OF_AWS: [&str; 2] = ["alias/aws/secretsmanager", "alias/aws/ssm"];

impl Aws {
    pub(crate) async fn observed_secret(&self, region: &str, from: &str) -> Answer<Option<ObservedSecret>> {
        match source(region, from) {
            Source::Secret { region, arn } => self.managed_secret(&region, &arn).await,
            Source::Parameter {
                account: Some(account),
                ..
            } if account != self.account_id() => Err(CallError::Refused {
                code: "OtherAccount".to_owned(),
                message: format!("the parameter {from} is in another account"),
            }),
            Source::Parameter { region, names, .. } => self.parameter(&region, &names).await,
        }
    }

    async fn managed_secret(&self, region: &str, arn: &str) -> Answer<Option<ObservedSecret>> {
        let call = self
            .inner
            .clients
            .secrets(region)
            .describe_secret()
            .secret_id(arn);
        let found = absent_as_none(answer(call.send().await, &format!("secret {arn}")))?;
        // One that waits for its deletion can be described, and not be read.
        let found = found.filter(|secret| secret.deleted_date().is_none());
        Ok(found.map(|secret| ObservedSecret {
            key: own_key(secret.kms_key_id()),
        }))
    }

    /// DescribeParameters says that a parameter exists; GetParameters would hand
    /// out its value as well.
    async fn parameter(&self, region: &str, names: &[String]) -> Answer<Option<ObservedSecret>> {
        let filter = json!([{ "Key": "Name", "Option": "Equals", "Values": names }]);
        let ssm = self.inner.clients.ssm(region);
        let mut members = json!({ "ParameterFilters": filter });
        // Systems Manager may answer with an empty page and a token for the next one.
        loop {
            let page = ssm
                .json("AmazonSSM.DescribeParameters", &members, "the parameter")
                .await?;
            let found = page.get("Parameters").and_then(|list| list.as_array());
            if let Some(parameter) = found.and_then(|found| found.first()) {
                let key = parameter.get("KeyId").and_then(|key| key.as_str());
                return Ok(Some(ObservedSecret { key: own_key(key) }));
            }
            match page.get("NextToken").and_then(|token| token.as_str()) {
                Some(next) if !next.is_empty() => members["NextToken"] = json!(next),
                _ => return Ok(None),
            }
        }
    }
}

/// A key of the account's own.
fn own_key(key: Option<&str>) -> Option<String> {
    let of_aws = |key: &str| KEYS_OF_AWS.iter().any(|alias| key.ends_with(alias));
    key.filter(|key| !key.is_empty() && !of_aws(key))
        .map(str::to_owned)
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Secret.html>
fn source(region: &str, from: &str) -> Source {
    let parts: Vec<&str> = from.split(':').collect();
    match parts[..] {
        ["arn", _, "secretsmanager", of, _, "secret", _, ..] => Source::Secret {
            region: of.to_owned(),
            arn: parts[..7].join(":"),
        },
        ["arn", _, "ssm", of, account, path] => Source::Parameter {
            region: of.to_owned(),
            account: Some(account.to_owned()),
            names: names_of(path.strip_prefix("parameter").unwrap_or(path)),
        },
        _ => Source::Parameter {
            region: region.to_owned(),
            account: None,
            names: vec![from.to_owned()],
        },
    }
}

/// `parameter/db` is the parameter `db` or `/db`; `parameter/a/b` is `/a/b`, as a
/// name with levels begins with a slash.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>
fn names_of(path: &str) -> Vec<String> {
    let name = path.trim_start_matches('/');
    if name.contains('/') {
        vec![format!("/{name}")]
    } else {
        vec![name.to_owned(), format!("/{name}")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(from: &str) -> Vec<String> {
        match source("eu-west-1", from) {
            Source::Parameter { names, .. } => names,
            Source::Secret { arn, .. } => vec![arn],
        }
    }

    #[test]
    fn keys_of_aws_are_nobodys_business() {
        let arn = "arn:aws:kms:eu-west-1:111111111111:alias/aws/ssm";
        for key in [None, Some(""), Some("alias/aws/secretsmanager"), Some(arn)] {
            assert_eq!(own_key(key), None, "{key:?}");
        }
        assert_eq!(own_key(Some("alias/shop")).as_deref(), Some("alias/shop"));
    }

    #[test]
    fn a_part_or_version_of_a_secret_is_not_its_name() {
        let arn = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-a1b2c3";
        assert_eq!(names(arn), [arn]);
        assert_eq!(names(&format!("{arn}:password::")), [arn]);
    }

    #[test]
    fn a_parameters_arn_means_its_name() {
        let arn = "arn:aws:ssm:eu-west-1:111111111111:parameter";
        assert_eq!(
            names(&format!("{arn}/shop/web/smtp-host")),
            ["/shop/web/smtp-host"]
        );
        assert_eq!(names(&format!("{arn}/db")), ["db", "/db"]);
        assert_eq!(names("/shop/web"), ["/shop/web"]);
    }
}

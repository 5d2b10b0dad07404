//! Systems Manager's parameters. Nothing is ever decrypted, and what is secret is not
//! kept: of a SecureString only its type is read.

use serde_json::{Value, json};
use towline_agent_domain::observed::values::{Parameter, ParameterValue};
use towline_agent_domain::outside::{Answer, Parameters};

use crate::Aws;

impl Parameters for Aws {
    async fn parameters(&self, region: &str, names: &[String]) -> Answer<Vec<Parameter>> {
        let ssm = self.inner.clients.ssm(region);
        let members = json!({ "Names": names, "WithDecryption": false });
        let answer = ssm
            .json("AmazonSSM.GetParameters", &members, "the parameters")
            .await?;
        let found = answer.get("Parameters").and_then(Value::as_array);
        // One that is asked for by its name and by its ARN need not come back twice.
        let of = |asked: &String| {
            let mut found = found.into_iter().flatten();
            found
                .find(|one| is_answer(one, asked))
                .map(|one| parameter(one, asked))
        };
        Ok(names.iter().filter_map(of).collect())
    }
}

fn text<'a>(found: &'a Value, member: &str) -> &'a str {
    found.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Asked for by an ARN it still goes by its name; a version or label is told apart.
fn is_answer(found: &Value, asked: &str) -> bool {
    let selector = text(found, "Selector");
    ["Name", "ARN"].iter().any(|member| {
        asked
            .strip_prefix(text(found, member))
            .is_some_and(|rest| rest == selector)
    })
}

fn parameter(found: &Value, asked: &str) -> Parameter {
    let value = match text(found, "Type") {
        "String" | "StringList" => ParameterValue::Plain(text(found, "Value").to_owned()),
        _ => ParameterValue::Secret,
    };
    let changed = found.get("LastModifiedDate").and_then(Value::as_f64);
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this century fit")]
    let changed = changed.and_then(|at| jiff::Timestamp::from_millisecond((at * 1000.0) as i64).ok());
    Parameter {
        asked: asked.to_owned(),
        value,
        version: found.get("Version").and_then(Value::as_i64).unwrap_or_default(),
        changed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_the_name_that_it_was_asked_for_by() {
        let arn = "arn:aws:ssm:eu-west-1:111111111111:parameter/shop/db-host";
        let answer = |selector: &str| json!({"Name": "/shop/db-host", "ARN": arn, "Selector": selector});
        assert!(is_answer(&answer(":2"), "/shop/db-host:2"));
        assert!(is_answer(&answer(""), arn) && is_answer(&answer(""), "/shop/db-host"));
        assert!(!is_answer(&answer(":3"), "/shop/db-host:2"));
        assert!(!is_answer(&answer(""), "/shop/db-host-2"));
    }

    #[test]
    fn what_is_secret_is_not_kept() {
        let answer = json!({"Name": "/a", "Type": "SecureString", "Value": "AQICAHg", "Version": 1});
        let parameter = parameter(&answer, "/a");
        assert_eq!(parameter.value, ParameterValue::Secret);
        assert!(!format!("{parameter:?}").contains("AQICAHg"));
    }
}

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
        let found = found.into_iter().flatten();
        Ok(found.filter_map(|one| parameter(one, names)).collect())
    }
}

fn parameter(found: &Value, names: &[String]) -> Option<Parameter> {
    let member = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
    // Asked for by an ARN it still goes by its name; a version or label is told apart.
    let (name, arn, selector) = (member("Name"), member("ARN"), member("Selector"));
    let asked = names.iter().find(|asked| {
        [name, arn]
            .iter()
            .any(|known| asked.strip_prefix(known).is_some_and(|rest| rest == selector))
    })?;
    let value = match member("Type") {
        "String" | "StringList" => ParameterValue::Plain(member("Value").to_owned()),
        _ => ParameterValue::Secret,
    };
    let changed = found.get("LastModifiedDate").and_then(Value::as_f64);
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this century fit")]
    let changed = changed.and_then(|at| jiff::Timestamp::from_millisecond((at * 1000.0) as i64).ok());
    Some(Parameter {
        asked: asked.clone(),
        value,
        version: found.get("Version").and_then(Value::as_i64).unwrap_or_default(),
        changed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_the_name_that_it_was_asked_for_by() {
        let arn = "arn:aws:ssm:eu-west-1:111111111111:parameter/shop/db-host";
        let names = ["/shop/db-host:2".to_owned(), arn.to_owned()];
        let found = |selector: &str| {
            let answer = json!({
                "Name": "/shop/db-host", "ARN": arn, "Selector": selector, "Type": "String", "Value": "db", "Version": 2,
                "LastModifiedDate": 1_764_000_000.5,
            });
            parameter(&answer, &names).map(|parameter| parameter.asked)
        };
        assert_eq!(found(":2").as_deref(), Some("/shop/db-host:2"));
        assert_eq!(found("").as_deref(), Some(arn));
        assert_eq!(found(":3"), None);
    }

    #[test]
    fn what_is_secret_is_not_kept() {
        let answer = json!({"Name": "/a", "Type": "SecureString", "Value": "AQICAHg", "Version": 1});
        let parameter = parameter(&answer, &["/a".to_owned()]).unwrap();
        assert_eq!(parameter.value, ParameterValue::Secret);
        assert!(!format!("{parameter:?}").contains("AQICAHg"));
    }
}

//! IAM: whom a role trusts, and whether it may be passed on.

use serde_json::Value;
use towline_agent_domain::observed::surroundings::{Permission, Role};
use towline_agent_domain::outside::{Answer, CallError};

use crate::Aws;
use crate::call::absent_as_none;
use crate::direct::{child, child_text, xml};

/// Who runs tasks, by IAM's name.
const TASKS: &str = "ecs-tasks.amazonaws.com";

impl Aws {
    /// The role of exactly this ARN, path included.
    pub(crate) async fn observed_role(&self, region: &str, arn: &str) -> Answer<Option<Role>> {
        let (account, name) = account_and_name(arn).ok_or_else(|| CallError::Refused {
            code: "NotARole".to_owned(),
            message: format!("{arn} is no role's ARN"),
        })?;
        if account != self.account_id() {
            return Err(CallError::Refused {
                code: "OtherAccount".to_owned(),
                message: format!("the role {arn} is in another account than the service"),
            });
        }
        let role = self.role_named(region, name).await?;
        Ok(role.filter(|role| role.arn == arn))
    }

    async fn role_named(&self, region: &str, name: &str) -> Answer<Option<Role>> {
        let iam = self.inner.clients.iam(region);
        let members = [("RoleName".to_owned(), name)];
        let found = absent_as_none(iam.query("GetRole", &members, &format!("role {name}")).await)?;
        let Some(found) = found else { return Ok(None) };
        let document = xml(&found)?;
        let role = child(document.root_element(), "GetRoleResult").and_then(|result| child(result, "Role"));
        Ok(role.map(|role| Role {
            arn: child_text(role, "Arn"),
            trusted_services: trusted_services(&child_text(role, "AssumeRolePolicyDocument")),
        }))
    }

    /// What IAM's own simulator says about `iam:PassRole` to ECS tasks. It sees
    /// the passer's policies and boundary, and not every organisation's.
    pub(crate) async fn may_pass(&self, region: &str, passer: Option<&str>, arn: &str) -> Answer<Permission> {
        let source = match passer {
            Some(passer) => passer.to_owned(),
            None => {
                let principal = &self.inner.principal;
                let asked = principal.get_or_try_init(|| self.own_principal(region)).await?;
                asked.clone()
            }
        };
        let members = [
            ("PolicySourceArn".to_owned(), source.as_str()),
            ("ActionNames.member.1".to_owned(), "iam:PassRole"),
            ("ResourceArns.member.1".to_owned(), arn),
            (
                "ContextEntries.member.1.ContextKeyName".to_owned(),
                "iam:PassedToService",
            ),
            ("ContextEntries.member.1.ContextKeyType".to_owned(), "string"),
            (
                "ContextEntries.member.1.ContextKeyValues.member.1".to_owned(),
                TASKS,
            ),
        ];
        let iam = self.inner.clients.iam(region);
        let answered = iam
            .query("SimulatePrincipalPolicy", &members, &format!("role {source}"))
            .await?;
        let document = xml(&answered)?;
        let decision = document
            .descendants()
            .find(|node| node.tag_name().name() == "EvalDecision")
            .and_then(|node| node.text());
        match decision {
            Some("allowed") => Ok(Permission::Allowed),
            Some(_) => Ok(Permission::Refused),
            None => Err(crate::call::incomplete("EvalDecision")),
        }
    }

    /// The role behind the agent's credentials. A session's ARN leaves the role's
    /// path out, so IAM is asked for it.
    async fn own_principal(&self, region: &str) -> Answer<String> {
        let caller = &self.inner.caller;
        let Some(session) = caller.split_once(":assumed-role/").map(|(_, session)| session) else {
            return Ok(caller.clone());
        };
        let name = session.split('/').next().unwrap_or(session);
        let role = self.role_named(region, name).await?;
        role.map(|role| role.arn).ok_or_else(|| CallError::Missing {
            what: format!("role {name}"),
        })
    }
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`
fn account_and_name(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, _, account) = (parts.next()?, parts.next()?, parts.next()?);
    let path = parts.next()?.strip_prefix("role/")?;
    let name = path.rsplit('/').next()?;
    (service == "iam" && !name.is_empty()).then_some((account, name))
}

/// The services that a trust policy (percent-encoded JSON) lets assume its role.
fn trusted_services(policy: &str) -> Vec<String> {
    let Ok(document) = serde_json::from_str::<Value>(&percent_decoded(policy)) else {
        return Vec::new();
    };
    let statements = document.get("Statement").map(as_list).unwrap_or_default();
    let allows = statements.iter().filter(|statement| {
        let actions = statement.get("Action").map(as_list).unwrap_or_default();
        let assumes = |action: &&&Value| matches!(action.as_str(), Some("sts:AssumeRole" | "sts:*" | "*"));
        statement.get("Effect").and_then(Value::as_str) == Some("Allow")
            && actions.iter().any(|one| assumes(&one))
    });
    let mut services: Vec<String> = allows
        .filter_map(|statement| statement.pointer("/Principal/Service"))
        .flat_map(as_list)
        .filter_map(|service| service.as_str().map(str::to_owned))
        .collect();
    services.sort();
    services.dedup();
    services
}

/// Policies write one thing as itself or as a list of one.
fn as_list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = if code.is_some() { &after[2..] } else { after };
        bytes.push(code.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_policy_is_read_in_all_the_ways_it_is_written() {
        let one = r#"{"Statement":{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}}"#;
        assert_eq!(trusted_services(one), ["ecs-tasks.amazonaws.com"]);
        let encoded = "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%5B%22ecs-tasks.amazonaws.com%22%2C%22ec2.amazonaws.com%22%5D%7D%2C%22Action%22%3A%5B%22sts%3ATagSession%22%2C%22sts%3AAssumeRole%22%5D%7D%5D%7D";
        assert_eq!(
            trusted_services(encoded),
            ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]
        );
        let denied = one.replace("Allow", "Deny");
        assert_eq!(trusted_services(&denied), Vec::<String>::new());
        assert_eq!(trusted_services("100%"), Vec::<String>::new());
    }

    #[test]
    fn a_roles_name_follows_its_path() {
        let arn = "arn:aws-cn:iam::111111111111:role/payments/eu/task";
        assert_eq!(account_and_name(arn), Some(("111111111111", "task")));
        assert_eq!(account_and_name("arn:aws:iam::111111111111:user/ann"), None);
        assert_eq!(account_and_name("shop-execution"), None);
    }
}

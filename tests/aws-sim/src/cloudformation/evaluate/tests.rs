//! Templates evaluated without any world around them.

use serde_json::json;

use super::*;

/// Two resources that are there.
struct There;

impl Lookup for There {
    fn reference(&self, logical_id: &str) -> Option<String> {
        (logical_id == "Role").then(|| "role-name".to_owned())
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Option<String> {
        (logical_id == "Role").then(|| format!("the {attribute} of the role"))
    }
}

/// Evaluates `value` as the one property of a resource, with `Stage` set to `stage`.
fn evaluated(value: Value, stage: &str) -> Result<Option<Value>, AwsError> {
    let document = json!({
        "Parameters": {
            "Stage": { "Type": "String" },
            "Subnets": { "Type": "List<AWS::EC2::Subnet::Id>", "Default": "a, b" },
        },
        "Mappings": { "Size": { "prod": { "cpu": 1024 } } },
        "Conditions": {
            "IsProd": { "Fn::Equals": [{ "Ref": "Stage" }, "prod"] },
            "IsDev": { "Fn::Not": [{ "Condition": "IsProd" }] },
            "Never": { "Fn::And": [{ "Condition": "IsProd" }, { "Condition": "IsDev" }] },
            "Always": { "Fn::Or": [{ "Condition": "Never" }, { "Fn::Equals": [1, "1"] }] },
        },
        "Resources": {
            "Role": { "Type": "AWS::IAM::Role", "Properties": { "AssumeRolePolicyDocument": {} } },
            "Service": { "Type": "AWS::ECS::Service", "Properties": { "Value": value } },
        },
    });
    let template = Template::parse(&document.to_string())?;
    let parameters = BTreeMap::from([
        ("Stage".to_owned(), stage.to_owned()),
        ("Subnets".to_owned(), "a, b".to_owned()),
    ]);
    let pseudo = Pseudo {
        account: "111111111111".to_owned(),
        region: "eu-west-1".to_owned(),
        partition: "aws".to_owned(),
        stack_name: "web".to_owned(),
        stack_id: "arn:stack".to_owned(),
    };
    let scope = Scope {
        template: &template,
        parameters: &parameters,
        pseudo: &pseudo,
        resources: &There,
    };
    let properties = &template.resources[1].properties;
    scope
        .members(properties)
        .map(|members| members.get("Value").cloned())
}

fn in_prod(value: Value) -> Value {
    evaluated(value, "prod")
        .expect("a template that evaluates")
        .unwrap_or(Value::Null)
}

#[test]
fn text_is_put_together() {
    let sub = json!({ "Fn::Sub": "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:${Role}/${Role.Arn}/${!As}" });
    let whole = "arn:aws:ecs:eu-west-1:111111111111:role-name/the Arn of the role/${As}";
    assert_eq!(in_prod(sub), json!(whole));
    let own = json!({ "Fn::Sub": ["${Name}-${Stage}", { "Name": { "Ref": "Role" } }] });
    assert_eq!(in_prod(own), json!("role-name-prod"));
    let joined = json!({ "Fn::Join": ["/", [{ "Ref": "Stage" }, 1, { "Ref": "AWS::NoValue" }, "x"]] });
    assert_eq!(in_prod(joined), json!("prod/1/x"));
    let picked = json!({ "Fn::Select": ["1", { "Fn::Split": [",", "a,b,c"] }] });
    assert_eq!(in_prod(picked), json!("b"));
    assert_eq!(in_prod(json!({ "Ref": "Subnets" })), json!(["a", "b"]));
    assert_eq!(
        in_prod(json!({ "Fn::FindInMap": ["Size", { "Ref": "Stage" }, "cpu"] })),
        json!(1024)
    );
}

#[test]
fn conditions_choose_and_no_value_leaves_out() {
    let chosen = |name: &str| json!({ "Fn::If": [name, "yes", { "Ref": "AWS::NoValue" }] });
    for (stage, name, wanted) in [
        ("prod", "IsProd", Some(json!("yes"))),
        ("dev", "IsProd", None),
        ("dev", "IsDev", Some(json!("yes"))),
        ("prod", "Never", None),
        ("dev", "Always", Some(json!("yes"))),
    ] {
        assert_eq!(evaluated(chosen(name), stage), Ok(wanted), "{name} in {stage}");
    }
}

#[test]
fn what_does_not_exist_is_refused_in_cloudformation_s_words() {
    for (value, words) in [
        (
            json!({ "Ref": "Nothing" }),
            "Unresolved resource dependencies [Nothing] in the Resources block",
        ),
        (
            json!({ "Fn::Sub": "${Nothing}" }),
            "Unresolved resource dependencies [Nothing]",
        ),
        (
            json!({ "Fn::GetAtt": ["Nothing", "Arn"] }),
            "references undefined resource Nothing",
        ),
        (
            json!({ "Fn::GetAtt": "Role.Colour" }),
            "does not support attribute type Colour in Fn::GetAtt",
        ),
        (
            json!({ "Ref": "Service" }),
            "Circular dependency between resources: [Service]",
        ),
    ] {
        let error = evaluated(value, "dev").expect_err(words);
        assert!(error.message.contains(words), "{error}");
        assert_eq!(error.code, "ValidationError");
    }
}

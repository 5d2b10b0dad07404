//! What a change set says, what is refused before there is one, and a way back that is stuck.

use serde_json::json;

use super::account::{ACCOUNT, Account, REGION, image, template};

/// The template with a secret that every task needs.
fn with_secret(tag: &str, secret: &str) -> String {
    let mut template: serde_json::Value = serde_json::from_str(&template(tag)).expect("JSON");
    let container = &mut template["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0];
    container["Secrets"] = json!([{ "Name": "DB", "ValueFrom": secret }]);
    template.to_string()
}

#[test]
fn a_secret_that_is_gone_leaves_the_way_back_stuck_until_it_is_there_again() {
    let secret = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-a1b2c3");
    let mut account = Account::new();
    account.0.region(ACCOUNT, REGION).secrets.push(secret.clone());
    assert_eq!(
        account.deploy("first", "CREATE", &with_secret("1", &secret)),
        "CREATE_COMPLETE"
    );
    account.0.region(ACCOUNT, REGION).secrets.clear();
    assert_eq!(
        account.deploy("bad", "UPDATE", &template("crash")),
        "UPDATE_ROLLBACK_FAILED"
    );
    let wrong = [("StackName", "web"), ("ResourcesToSkip.member.1", "Role")];
    let refused = account
        .call("ContinueUpdateRollback", &wrong)
        .expect_err("Role is well");
    assert!(
        refused
            .message
            .contains("[Role] are not in the UPDATE_FAILED state"),
        "{refused}"
    );
    account.did("ContinueUpdateRollback", &[("StackName", "web")]);
    assert_eq!(
        account.ends("web"),
        "UPDATE_ROLLBACK_FAILED",
        "nothing has changed"
    );
    account.0.region(ACCOUNT, REGION).secrets.push(secret);
    account.did("ContinueUpdateRollback", &[("StackName", "web")]);
    assert_eq!(account.ends("web"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(account.running(), (image("1"), "ACTIVE".to_owned()));
}

#[test]
fn a_change_set_says_each_value_that_changes_and_what_is_replaced() {
    let mut account = Account::new();
    account.deploy("first", "CREATE", &template("1"));
    account.change_set("second", "UPDATE", &template("2"));
    let asked = [("StackName", "web"), ("ChangeSetName", "second")];
    let short = account.did("DescribeChangeSet", &asked);
    assert!(
        !short.contains("<BeforeValue>") && !short.contains("<Path>"),
        "{short}"
    );
    let values = [asked[0], asked[1], ("IncludePropertyValues", "true")];
    let long = account.did("DescribeChangeSet", &values);
    for part in [
        "<Path>/Properties/ContainerDefinitions/0/Image</Path>",
        &format!("<BeforeValue>{}</BeforeValue>", image("1")),
        &format!("<AfterValue>{}</AfterValue>", image("2")),
        "<AttributeChangeType>Modify</AttributeChangeType>",
        "<Replacement>True</Replacement>",
        "<PolicyAction>ReplaceAndRetain</PolicyAction>",
        "<CausingEntity>Task</CausingEntity>",
        "<AfterValue>{{changeSet:KNOWN_AFTER_APPLY}}</AfterValue>",
    ] {
        assert!(long.contains(part), "{part} is not in {long}");
    }
    let other = template("2").replace("\"LaunchType\":\"FARGATE\"", "\"LaunchType\":\"EC2\"");
    account.change_set("third", "UPDATE", &other);
    let third = account.did("DescribeChangeSet", &[asked[0], ("ChangeSetName", "third")]);
    assert!(
        third.contains("<RequiresRecreation>Conditionally</RequiresRecreation>"),
        "{third}"
    );
    assert!(
        third.contains("<Replacement>Conditional</Replacement>"),
        "{third}"
    );
}

#[test]
fn a_template_that_is_too_large_and_a_role_that_nobody_may_assume_are_refused() {
    let mut account = Account::new();
    let large = template("1").replace(
        "\"Metadata\":{",
        &format!("\"Metadata\":{{\"X\":\"{}\",", "x".repeat(51_200)),
    );
    let mut request = vec![
        ("StackName", "web"),
        ("ChangeSetName", "first"),
        ("ChangeSetType", "CREATE"),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("TemplateBody", &large),
    ];
    let refused = account.call("CreateChangeSet", &request).expect_err("too large");
    assert!(
        refused.message.ends_with("length less than or equal to 51200"),
        "{refused}"
    );
    let small = template("1");
    request.pop();
    request.extend([
        ("TemplateBody", small.as_str()),
        ("RoleARN", "arn:aws:iam::111111111111:role/none"),
    ]);
    let refused = account
        .call("CreateChangeSet", &request)
        .expect_err("no such role");
    assert!(
        refused.message.contains("is invalid or cannot be assumed"),
        "{refused}"
    );
}

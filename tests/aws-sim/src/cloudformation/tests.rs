//! Stacks against the simulated ECS, as the world's clock moves both.

mod account;
mod changes;
mod everything;

use account::{ACCOUNT, Account, REGION, context, element, image, template, template_with};
use serde_json::json;

#[test]
fn a_stack_is_complete_when_its_service_is_stable() {
    let mut account = Account::new();
    assert_eq!(
        account.deploy("first", "CREATE", &template("1")),
        "CREATE_COMPLETE"
    );
    let service = account.service();
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    assert_eq!(service["runningCount"], 2);
    let described = account.did("DescribeStacks", &[("StackName", "web")]);
    assert_eq!(element(&described, "OutputValue"), "web in eu-west-1");
}

#[test]
fn an_update_keeps_the_revision_that_can_be_gone_back_to() {
    let mut account = Account::new();
    account.deploy("first", "CREATE", &template("1"));
    assert_eq!(
        account.deploy("second", "UPDATE", &template("2")),
        "UPDATE_COMPLETE"
    );
    assert_eq!(account.running(), (image("2"), "ACTIVE".to_owned()));
    assert_eq!(account.revisions(), 2, "UpdateReplacePolicy: Retain");
    let without_retain = template("1").replace("\"UpdateReplacePolicy\":\"Retain\",", "");
    assert_eq!(
        account.deploy("third", "UPDATE", &without_retain),
        "UPDATE_COMPLETE"
    );
    assert_eq!(account.revisions(), 2, "the replaced revision is deregistered");
}

#[test]
fn a_crashing_image_trips_the_breaker_and_the_stack_goes_back() {
    let mut account = Account::new();
    account.deploy("first", "CREATE", &template("1"));
    assert_eq!(
        account.deploy("bad", "UPDATE", &template("crash")),
        "UPDATE_ROLLBACK_COMPLETE"
    );
    assert_eq!(account.running(), (image("1"), "ACTIVE".to_owned()));
    let service = account.service();
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    assert_eq!(account.revisions(), 1, "the revision that failed is deregistered");
    let events = account.events();
    assert!(
        events.contains("Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.")
    );
    assert!(events.contains("The following resource(s) failed to update: [Service]."));
    let summary = account.did("GetTemplateSummary", &[("StackName", "web")]);
    assert_eq!(
        element(&summary, "Metadata"),
        "{&quot;Fingerprint&quot;:&quot;1&quot;}"
    );
}

#[test]
fn without_a_breaker_the_stack_waits_three_hours() {
    let mut account = Account::new();
    account.deploy("first", "CREATE", &template_with("1", false));
    assert_eq!(
        account.change_set("bad", "UPDATE", &template_with("crash", false)),
        "CREATE_COMPLETE"
    );
    account.did(
        "ExecuteChangeSet",
        &[("StackName", "web"), ("ChangeSetName", "bad")],
    );
    account.pass(2 * 3600 + 3500);
    assert_eq!(account.status("web"), "UPDATE_IN_PROGRESS");
    assert_eq!(account.ends("web"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(account.running().0, image("1"));
}

#[test]
fn a_failed_first_create_leaves_nothing_but_the_stack() {
    let mut account = Account::new();
    assert_eq!(
        account.deploy("first", "CREATE", &template("crash")),
        "ROLLBACK_COMPLETE"
    );
    assert_eq!(account.service()["status"], "INACTIVE");
    assert_eq!(account.revisions(), 0, "RetainExceptOnCreate");
    let refused = account.call(
        "CreateChangeSet",
        &[
            ("StackName", "web"),
            ("ChangeSetName", "again"),
            ("TemplateBody", &template("1")),
            ("Capabilities.member.1", "CAPABILITY_IAM"),
        ],
    );
    let refused = refused.expect_err("only to be deleted");
    assert!(
        refused
            .message
            .contains("is in ROLLBACK_COMPLETE state and can not be updated."),
        "{refused}"
    );
    account.did("DeleteStack", &[("StackName", "web")]);
    account.pass(60);
    let gone = account
        .call("DescribeStacks", &[("StackName", "web")])
        .expect_err("gone");
    assert_eq!(gone.message, "Stack with id web does not exist");
}

#[test]
fn a_change_set_that_changes_nothing_fails_and_says_so() {
    let mut account = Account::new();
    account.deploy("first", "CREATE", &template("1"));
    let only_metadata = template("1").replace("\"Fingerprint\":\"1\"", "\"Fingerprint\":\"another\"");
    assert_eq!(account.change_set("same", "UPDATE", &only_metadata), "FAILED");
    let described = account.did(
        "DescribeChangeSet",
        &[("StackName", "web"), ("ChangeSetName", "same")],
    );
    assert_eq!(
        element(&described, "StatusReason"),
        super::change_set::NO_CHANGES
            .replace('\'', "&apos;")
            .replace("&apos;", "'")
    );
    assert_eq!(element(&described, "ExecutionStatus"), "UNAVAILABLE");
    let refused = account.call(
        "UpdateStack",
        &[
            ("StackName", "web"),
            ("TemplateBody", &only_metadata),
            ("Capabilities.member.1", "CAPABILITY_IAM"),
        ],
    );
    assert_eq!(
        refused.expect_err("nothing to do").message,
        "No updates are to be performed."
    );
}

#[test]
fn every_event_of_a_run_carries_its_token_and_a_repeat_does_nothing() {
    let mut account = Account::new();
    account.deploy("first", "CREATE", &template("1"));
    let events = account.events();
    let in_all = events.matches("<EventId>").count();
    let ours = events
        .matches("<ClientRequestToken>token-first</ClientRequestToken>")
        .count();
    assert_eq!(ours + 1, in_all, "all but REVIEW_IN_PROGRESS");
    let again = [
        ("StackName", "web"),
        ("ChangeSetName", "first"),
        ("ClientRequestToken", "token-first"),
    ];
    account.did("ExecuteChangeSet", &again);
    assert!(account.0.region(ACCOUNT, REGION).take_deduplicated());
    assert_eq!(account.status("web"), "CREATE_COMPLETE");
    assert_eq!(account.events().matches("<EventId>").count(), in_all);
    let other = [("StackName", "web"), ("ChangeSetName", "first")];
    assert_eq!(
        account.call("ExecuteChangeSet", &other).expect_err("done").code,
        "InvalidChangeSetStatus"
    );
}

#[test]
fn a_running_stack_refuses_another_run_in_aws_s_words() {
    let mut account = Account::new();
    account.deploy("first", "CREATE", &template("1"));
    account.change_set("second", "UPDATE", &template("2"));
    account.did(
        "ExecuteChangeSet",
        &[("StackName", "web"), ("ChangeSetName", "second")],
    );
    let request = [
        ("StackName", "web"),
        ("ChangeSetName", "third"),
        ("TemplateBody", &template("1")),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
    ];
    let refused = account.call("CreateChangeSet", &request).expect_err("busy");
    assert!(
        refused
            .message
            .ends_with("is in UPDATE_IN_PROGRESS state and can not be updated."),
        "{refused}"
    );
    let refused = account
        .call("DeleteStack", &[("StackName", "web")])
        .expect_err("busy");
    assert!(
        refused
            .message
            .ends_with("cannot be deleted while in status UPDATE_IN_PROGRESS"),
        "{refused}"
    );
    account.did("CancelUpdateStack", &[("StackName", "web")]);
    assert_eq!(account.ends("web"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(account.running().0, image("1"));
}

#[test]
fn a_log_group_that_exists_fails_the_create() {
    let mut account = Account::new();
    let now = account.0.advance();
    let region = account.0.region(ACCOUNT, REGION);
    let taken = json!({ "logGroupName": "/web" });
    crate::logs::call(region, &context(now), "CreateLogGroup", &taken).expect("a log group");
    assert_eq!(
        account.deploy("first", "CREATE", &template("1")),
        "ROLLBACK_COMPLETE"
    );
    assert!(account.events().contains("already exists.&quot; (RequestToken:"));
    let kept = crate::logs::call(
        account.0.region(ACCOUNT, REGION),
        &context(now),
        "DeleteLogGroup",
        &taken,
    );
    assert!(kept.is_ok(), "somebody else's log group stays");
}

#[test]
fn a_revision_that_is_gone_leaves_the_way_back_stuck_until_it_is_skipped() {
    let mut account = Account::new();
    account.deploy("first", "CREATE", &template("1"));
    let first = account.service()["taskDefinition"].clone();
    account.change_set("bad", "UPDATE", &template("crash"));
    account.did(
        "ExecuteChangeSet",
        &[("StackName", "web"), ("ChangeSetName", "bad")],
    );
    account.pass(10);
    account.ecs("DeregisterTaskDefinition", &json!({ "taskDefinition": first }));
    assert_eq!(account.ends("web"), "UPDATE_ROLLBACK_FAILED");
    let skip = [("StackName", "web"), ("ResourcesToSkip.member.1", "Service")];
    account.did("ContinueUpdateRollback", &skip);
    assert_eq!(account.ends("web"), "UPDATE_ROLLBACK_COMPLETE");
}

#[test]
fn a_new_stack_tag_changes_every_taggable_resource_and_starts_no_rollout() {
    let mut account = Account::new();
    account.deploy("first", "CREATE", &template("1"));
    let deployment = account.service()["deployments"][0]["id"].clone();
    let request = [
        ("StackName", "web"),
        ("TemplateBody", &template("1")),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "shop"),
    ];
    account.did("UpdateStack", &request);
    assert_eq!(account.ends("web"), "UPDATE_COMPLETE");
    assert_eq!(account.service()["deployments"][0]["id"], deployment);
    let arn = account.service()["serviceArn"].clone();
    let tags = account.ecs("ListTagsForResource", &json!({ "resourceArn": arn }));
    let keys: Vec<&str> = tags["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|t| t["key"].as_str())
        .collect();
    assert!(
        keys.contains(&"team") && keys.contains(&"aws:cloudformation:stack-name"),
        "{keys:?}"
    );
}

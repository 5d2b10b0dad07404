//! Stacks against the simulated ECS, as the world's clock moves both.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::{
    AwsError,
    world::{CallContext, SimTime, World, seed},
};

const ACCOUNT: &str = "111111111111";
const REGION: &str = "eu-west-1";
const SEED: &str = r#"
[[regions]]
account = "111111111111"
name = "eu-west-1"
contents = ["here"]

[[images]]
repository = "web"
tag = "1"

[[images]]
repository = "web"
tag = "2"

[[images]]
repository = "web"
tag = "crash"
behaviour = "crash"
exit_code = 1

[[contents.here.vpcs]]
id = "vpc-1"
cidr = "10.0.0.0/16"

[[contents.here.subnets]]
id = "subnet-1"
vpc = "vpc-1"
cidr = "10.0.1.0/24"
zone = "eu-west-1a"
free_addresses = 100

[[contents.here.security_groups]]
id = "sg-1"
name = "web"
vpc = "vpc-1"

[[contents.here.clusters]]
name = "main"
"#;

/// A world whose clock only the test moves.
struct Account(World);

impl Account {
    fn new() -> Self {
        let seed = seed::Seed::read(SEED).expect("a seed");
        Self(seed::build(&seed, 0.0).expect("a world"))
    }

    fn call(&mut self, action: &str, params: &[(&str, &str)]) -> Result<String, AwsError> {
        let now = self.0.advance();
        let ctx = context(now);
        let params: BTreeMap<String, String> = params
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        super::call(self.0.region(ACCOUNT, REGION), &ctx, action, &params)
    }

    fn did(&mut self, action: &str, params: &[(&str, &str)]) -> String {
        self.call(action, params)
            .unwrap_or_else(|error| panic!("{action}: {error}"))
    }

    fn ecs(&mut self, action: &str, input: &Value) -> Value {
        let now = self.0.advance();
        crate::ecs::call(self.0.region(ACCOUNT, REGION), &context(now), action, input).expect(action)
    }

    fn pass(&mut self, seconds: u64) {
        self.0.clock.advance(Duration::from_secs(seconds));
        self.0.advance();
    }

    fn status(&mut self, stack: &str) -> String {
        element(
            &self.did("DescribeStacks", &[("StackName", stack)]),
            "StackStatus",
        )
    }

    /// Lets time pass until the stack's status is no longer `…_IN_PROGRESS`.
    fn ends(&mut self, stack: &str) -> String {
        for _ in 0..3_000 {
            let status = self.status(stack);
            if !status.ends_with("_IN_PROGRESS") {
                return status;
            }
            self.pass(5);
        }
        panic!("{stack} does not end");
    }

    /// Makes a change set and lets it be worked out; its status.
    fn change_set(&mut self, name: &str, kind: &str, body: &str) -> String {
        let (stack, capability) = (("StackName", "web"), ("Capabilities.member.1", "CAPABILITY_IAM"));
        let token = format!("token-{name}");
        let request = [
            stack,
            capability,
            ("ChangeSetName", name),
            ("ChangeSetType", kind),
            ("TemplateBody", body),
            ("ClientToken", &token),
        ];
        self.did("CreateChangeSet", &request);
        self.pass(5);
        let described = self.did("DescribeChangeSet", &[stack, ("ChangeSetName", name)]);
        element(&described, "Status")
    }

    /// Makes a change set, executes it, and waits for the stack's end.
    fn deploy(&mut self, name: &str, kind: &str, body: &str) -> String {
        assert_eq!(self.change_set(name, kind, body), "CREATE_COMPLETE");
        let token = format!("token-{name}");
        let request = [
            ("StackName", "web"),
            ("ChangeSetName", name),
            ("ClientRequestToken", token.as_str()),
        ];
        self.did("ExecuteChangeSet", &request);
        self.ends("web")
    }

    fn service(&mut self) -> Value {
        let found = self.ecs(
            "DescribeServices",
            &json!({ "cluster": "main", "services": ["web"] }),
        );
        found["services"][0].clone()
    }

    /// The image and the status of the revision that the service is set to.
    fn running(&mut self) -> (String, String) {
        let service = self.service();
        let asked = json!({ "taskDefinition": service["taskDefinition"] });
        let found = self.ecs("DescribeTaskDefinition", &asked);
        let definition = &found["taskDefinition"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&definition["containerDefinitions"][0]["image"]),
            text(&definition["status"]),
        )
    }

    fn revisions(&mut self) -> usize {
        let found = self.ecs(
            "ListTaskDefinitions",
            &json!({ "familyPrefix": "web", "status": "ACTIVE" }),
        );
        found["taskDefinitionArns"].as_array().map_or(0, Vec::len)
    }

    fn events(&mut self) -> String {
        let mut whole = String::new();
        let mut token = String::new();
        loop {
            let page = self.did(
                "DescribeStackEvents",
                &[("StackName", "web"), ("NextToken", &token)],
            );
            whole.push_str(&page);
            token = element(&page, "NextToken");
            if token.is_empty() {
                return whole;
            }
        }
    }
}

fn context(now: SimTime) -> CallContext {
    CallContext {
        now,
        caller_arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/test/test"),
        operation: None,
    }
}

/// The text of the first element of this name; empty when there is none.
fn element(xml: &str, name: &str) -> String {
    let inner = xml
        .split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once("</"));
    inner.map(|(text, _)| text.to_owned()).unwrap_or_default()
}

fn image(tag: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/web:{tag}")
}

/// A service with a role, a log group and a circuit breaker, and revisions that are kept.
fn template(tag: &str) -> String {
    template_with(tag, true)
}

fn template_with(tag: &str, has_breaker: bool) -> String {
    let breaker = json!({ "Enable": has_breaker, "Rollback": false });
    json!({
        "Metadata": { "Fingerprint": tag },
        "Resources": {
            "Service": { "Type": "AWS::ECS::Service", "Properties": {
                "Cluster": "main", "ServiceName": "web", "LaunchType": "FARGATE", "DesiredCount": 2,
                "TaskDefinition": { "Ref": "Task" },
                "DeploymentConfiguration": { "DeploymentCircuitBreaker": breaker },
                "NetworkConfiguration": { "AwsvpcConfiguration": { "Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"] } },
            }},
            "Task": { "Type": "AWS::ECS::TaskDefinition",
                "DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain",
                "Properties": {
                    "Family": "web", "Cpu": 256, "Memory": 512, "NetworkMode": "awsvpc",
                    "RequiresCompatibilities": ["FARGATE"],
                    "ExecutionRoleArn": { "Fn::GetAtt": ["Role", "Arn"] },
                    "ContainerDefinitions": [{ "Name": "web", "Image": image(tag),
                        "LogConfiguration": { "LogDriver": "awslogs", "Options": {
                            "awslogs-group": { "Ref": "Logs" }, "awslogs-region": { "Ref": "AWS::Region" },
                            "awslogs-stream-prefix": "web" } } }],
                } },
            "Logs": { "Type": "AWS::Logs::LogGroup", "Properties": { "LogGroupName": "/web" } },
            "Role": { "Type": "AWS::IAM::Role", "Properties": { "AssumeRolePolicyDocument": {} } },
        },
        "Outputs": { "Name": { "Value": { "Fn::Sub": "${Service.Name} in ${AWS::Region}" } } },
    })
    .to_string()
}

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

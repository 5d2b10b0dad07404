//! An account whose clock only the test moves, and the templates that it deploys.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::{
    AwsError,
    world::{CallContext, SimTime, World, seed},
};

pub const ACCOUNT: &str = "111111111111";
pub const REGION: &str = "eu-west-1";
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
capacity_providers = ["FARGATE"]
"#;

/// A world whose clock only the test moves.
pub struct Account(pub World);

impl Account {
    pub fn new() -> Self {
        let seed = seed::Seed::read(SEED).expect("a seed");
        Self(seed::build(&seed, 0.0).expect("a world"))
    }

    pub fn call(&mut self, action: &str, params: &[(&str, &str)]) -> Result<String, AwsError> {
        let now = self.0.advance();
        let ctx = context(now);
        let params: BTreeMap<String, String> = params
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        crate::cloudformation::call(self.0.region(ACCOUNT, REGION), &ctx, action, &params)
    }

    pub fn did(&mut self, action: &str, params: &[(&str, &str)]) -> String {
        self.call(action, params)
            .unwrap_or_else(|error| panic!("{action}: {error}"))
    }

    pub fn ecs(&mut self, action: &str, input: &Value) -> Value {
        let now = self.0.advance();
        crate::ecs::call(self.0.region(ACCOUNT, REGION), &context(now), action, input).expect(action)
    }

    pub fn pass(&mut self, seconds: u64) {
        self.0.clock.advance(Duration::from_secs(seconds));
        self.0.advance();
    }

    pub fn status(&mut self, stack: &str) -> String {
        element(
            &self.did("DescribeStacks", &[("StackName", stack)]),
            "StackStatus",
        )
    }

    /// Lets time pass until the stack's status is no longer `…_IN_PROGRESS`.
    pub fn ends(&mut self, stack: &str) -> String {
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
    pub fn change_set(&mut self, name: &str, kind: &str, body: &str) -> String {
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
    pub fn deploy(&mut self, name: &str, kind: &str, body: &str) -> String {
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

    pub fn service(&mut self) -> Value {
        let found = self.ecs(
            "DescribeServices",
            &json!({ "cluster": "main", "services": ["web"] }),
        );
        found["services"][0].clone()
    }

    /// The image and the status of the revision that the service is set to.
    pub fn running(&mut self) -> (String, String) {
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

    pub fn revisions(&mut self) -> usize {
        let found = self.ecs(
            "ListTaskDefinitions",
            &json!({ "familyPrefix": "web", "status": "ACTIVE" }),
        );
        found["taskDefinitionArns"].as_array().map_or(0, Vec::len)
    }

    pub fn events(&mut self) -> String {
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

pub fn context(now: SimTime) -> CallContext {
    CallContext {
        now,
        caller_arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/test/test"),
        operation: None,
        raw: None,
    }
}

/// The text of the first element of this name; empty when there is none.
pub fn element(xml: &str, name: &str) -> String {
    let inner = xml
        .split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once("</"));
    inner.map(|(text, _)| text.to_owned()).unwrap_or_default()
}

pub fn image(tag: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/web:{tag}")
}

/// A service with a role, a log group and a circuit breaker, and revisions that are kept.
pub fn template(tag: &str) -> String {
    template_with(tag, true)
}

pub fn template_with(tag: &str, has_breaker: bool) -> String {
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
            "Role": { "Type": "AWS::IAM::Role", "Properties": { "AssumeRolePolicyDocument": { "Statement": {
                "Effect": "Allow", "Principal": { "Service": "ecs-tasks.amazonaws.com" }, "Action": "sts:AssumeRole",
            } } } },
        },
        "Outputs": { "Name": { "Value": { "Fn::Sub": "${Service.Name} in ${AWS::Region}" } } },
    })
    .to_string()
}

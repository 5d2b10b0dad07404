//! MiniStack as a process of its own, on loopback and without containers, and
//! what a service needs to be there before it is deployed.

use std::{path::Path, process::Command, time::Duration};

use serde_json::Value;
use towline_tests::{
    program::Program,
    wait_for,
    world::{World, free_port},
};

/// The account of the agent `staging`: MiniStack takes the access key for it.
pub const ACCOUNT: &str = "222222222222";
pub const REGION: &str = "eu-west-1";
pub const CLUSTER: &str = "main";

/// All that the agent speaks to.
const SERVICES: &str = "ecs,cloudformation,logs,iam,sts,ec2,elasticloadbalancing,ecr,secretsmanager,ssm";

/// A running MiniStack.
pub struct Emulator {
    program: Program,
    url: String,
    pub subnet: String,
    pub security_group: String,
}

impl Emulator {
    /// Starts the program of this path, with a cluster and a network in it.
    pub fn start(program: &str, directory: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new(program);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("SERVICES", SERVICES)
            .env("TMPDIR", directory)
            // Tasks run nowhere, and are RUNNING at once.
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .env_remove("AWS_ACCESS_KEY_ID")
            .current_dir(directory);
        let mut program = Program::start("MiniStack", command, &directory.join("ministack.log"));
        program.wait_for_line("Running on", 0);
        let mut emulator = Self {
            program,
            url: format!("http://127.0.0.1:{port}"),
            subnet: String::new(),
            security_group: String::new(),
        };
        emulator.furnish();
        emulator
    }

    /// A cluster; the network is the one that every account begins with.
    fn furnish(&mut self) {
        let cluster = serde_json::json!({ "clusterName": CLUSTER });
        self.json("ecs", "CreateCluster", &cluster);
        let found = self.query("ec2", "2016-11-15", &[("Action", "DescribeSubnets")]);
        self.subnet = element(&found, "subnetId").expect("a subnet");
        let found = self.query("ec2", "2016-11-15", &[("Action", "DescribeSecurityGroups")]);
        self.security_group = element(&found, "groupId").expect("a security group");
    }

    /// Makes a VPC beside the first; a subnet and a security group in it.
    pub fn another_network(&self) -> (String, String) {
        let vpc = self.ec2(&[("Action", "CreateVpc"), ("CidrBlock", "10.9.0.0/16")], "vpcId");
        let subnet = [
            ("Action", "CreateSubnet"),
            ("VpcId", &vpc),
            ("CidrBlock", "10.9.1.0/24"),
        ];
        let group = [
            ("Action", "CreateSecurityGroup"),
            ("VpcId", &vpc),
            ("GroupName", "web"),
            ("GroupDescription", "web"),
        ];
        (self.ec2(&subnet, "subnetId"), self.ec2(&group, "groupId"))
    }

    /// The version that it says it is.
    pub fn version(&self) -> String {
        let url = format!("{}/_ministack/health", self.url);
        let mut answer = ureq::get(&url).call().expect("MiniStack's health");
        let health: Value = answer.body_mut().read_json().expect("JSON");
        health["version"].as_str().unwrap_or_default().to_owned()
    }

    /// Starts the agent that has joined as `name` anew, with MiniStack for its AWS.
    pub fn adopt_agent(&self, world: &mut World, name: &str) -> Program {
        world.kill_agent(name);
        // Time enough for a person's cancel between two steps.
        let file = world.agent_directory(name).join("agent.toml");
        let text = std::fs::read_to_string(&file).expect("agent.toml");
        std::fs::write(&file, text.replace("poll = \"100ms\"", "poll = \"300ms\"")).expect("agent.toml");
        let mut command = world.towline_agent(ACCOUNT);
        command
            .args(["serve", "--dir"])
            .arg(world.agent_directory(name))
            .env("AWS_ENDPOINT_URL", &self.url);
        let log = world.path().join("agent-at-ministack.log");
        let agent = Program::start("the agent at MiniStack", command, &log);
        let address = world.agent(name).listen.clone().expect("an agent that listens");
        wait_for("the agent listens", Duration::from_secs(20), || {
            std::net::TcpStream::connect(&address).ok()
        });
        agent
    }

    fn ec2(&self, parameters: &[(&str, &str)], wanted: &str) -> String {
        let answer = self.query("ec2", "2016-11-15", parameters);
        element(&answer, wanted).unwrap_or_else(|| panic!("no {wanted} in {answer}"))
    }

    /// An awsJson action.
    pub fn json(&self, service: &str, action: &str, input: &Value) -> Value {
        let prefix = match service {
            "ecs" => "AmazonEC2ContainerServiceV20141113",
            "ssm" => "AmazonSSM",
            other => panic!("no target prefix for {other}"),
        };
        let mut answer = ureq::post(&self.url)
            .header("authorization", authorization(service))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("{prefix}.{action}"))
            .send(input.to_string())
            .unwrap_or_else(|error| panic!("{action}: {error}\n{}", self.program.said()));
        answer.body_mut().read_json().expect("JSON")
    }

    /// An awsQuery action of CloudFormation.
    pub fn cloudformation(&self, parameters: &[(&str, &str)]) -> String {
        self.query("cloudformation", "2010-05-15", parameters)
    }

    fn query(&self, service: &str, version: &str, parameters: &[(&str, &str)]) -> String {
        let form = parameters.iter().copied().chain([("Version", version)]);
        let mut answer = ureq::post(&self.url)
            .header("authorization", authorization(service))
            .config()
            .http_status_as_error(false)
            .build()
            .send_form(form)
            .unwrap_or_else(|error| panic!("{parameters:?}: {error}\n{}", self.program.said()));
        answer.body_mut().read_to_string().expect("text")
    }

    /// The stack's status; `None` when there is none.
    pub fn stack_status(&self, stack: &str) -> Option<String> {
        let answer = self.cloudformation(&[("Action", "DescribeStacks"), ("StackName", stack)]);
        element(&answer, "StackStatus")
    }

    /// Whether there was a stack of this name, that is deleted now.
    pub fn is_deleted(&self, stack: &str) -> bool {
        let answer = self.cloudformation(&[("Action", "ListStacks")]);
        let summaries = answer.split("<StackName>").skip(1);
        summaries
            .filter(|rest| rest.split('<').next() == Some(stack))
            .any(|rest| element(rest, "StackStatus").as_deref() == Some("DELETE_COMPLETE"))
    }

    /// How many events the stack has had.
    pub fn stack_events(&self, stack: &str) -> usize {
        let answer = self.cloudformation(&[("Action", "DescribeStackEvents"), ("StackName", stack)]);
        answer.matches("<EventId>").count()
    }

    /// The service, as ECS describes it.
    pub fn service(&self, name: &str) -> Value {
        let input = serde_json::json!({ "cluster": CLUSTER, "services": [name] });
        self.json("ecs", "DescribeServices", &input)["services"][0].clone()
    }

    /// The task definition that the service is set to.
    pub fn task_definition(&self, service: &str) -> Value {
        let input = serde_json::json!({ "taskDefinition": self.service(service)["taskDefinition"] });
        self.json("ecs", "DescribeTaskDefinition", &input)["taskDefinition"].clone()
    }

    /// Removes every stack, as their owner would; those that do not go.
    pub fn remove_stacks(&self) -> Vec<String> {
        for name in self.stacks() {
            self.cloudformation(&[("Action", "DeleteStack"), ("StackName", &name)]);
        }
        let is_gone = || self.stacks().is_empty().then_some(());
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while is_gone().is_none() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.stacks()
    }

    fn stacks(&self) -> Vec<String> {
        let answer = self.cloudformation(&[("Action", "DescribeStacks")]);
        let names = answer.split("<StackName>").skip(1);
        names
            .filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()))
            .collect()
    }
}

/// MiniStack reads the account, the region and the service, and checks no signature.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(text, _)| text.to_owned())
}

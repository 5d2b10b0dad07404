//! Independent emulators of AWS, each a process of its own on loopback:
//! MiniStack, which does CloudFormation and completes rollouts at once, and
//! moto, which does the ECS API alone.

use std::{path::Path, process::Command, time::Duration};

use serde_json::Value;

use crate::{
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

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    program: Program,
    url: String,
}

impl Emulator {
    /// MiniStack, from the program of this path.
    pub fn ministack(program: &str, directory: &Path) -> Self {
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
        Self::at(program, port)
    }

    /// moto's server, from the program of this path. Its services have this many
    /// tasks running as soon as they are made.
    pub fn moto(program: &str, directory: &Path, running: u32) -> Self {
        let port = free_port();
        let mut command = Command::new(program);
        command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_ACCOUNT_ID", ACCOUNT)
            .env("MOTO_ECS_SERVICE_RUNNING", running.to_string())
            .current_dir(directory);
        let mut program = Program::start("moto", command, &directory.join("moto.log"));
        program.wait_for_line("Running on", 0);
        Self::at(program, port)
    }

    fn at(program: Program, port: u16) -> Self {
        Self {
            program,
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts the agent that has joined as `name` anew, with the emulator for its
    /// AWS, and this pause between two looks at a rollout.
    pub fn adopt_agent(&self, world: &mut World, name: &str, poll: &str) -> Program {
        world.kill_agent(name);
        let file = world.agent_directory(name).join("agent.toml");
        let text = std::fs::read_to_string(&file).expect("agent.toml");
        let text = text.replace("poll = \"100ms\"", &format!("poll = {poll:?}"));
        std::fs::write(&file, text).expect("agent.toml");
        let mut command = world.towline_agent(ACCOUNT);
        command
            .args(["serve", "--dir"])
            .arg(world.agent_directory(name))
            .env("AWS_ENDPOINT_URL", &self.url);
        let log = world.path().join("agent-at-emulator.log");
        let agent = Program::start("the agent at the emulator", command, &log);
        let address = world.agent(name).listen.clone().expect("an agent that listens");
        wait_for("the agent listens", Duration::from_secs(20), || {
            std::net::TcpStream::connect(&address).ok()
        });
        agent
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

    /// An awsQuery action.
    pub fn query(&self, service: &str, version: &str, parameters: &[(&str, &str)]) -> String {
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

    /// The service, as ECS describes it.
    pub fn service(&self, name: &str) -> Value {
        let input = serde_json::json!({ "cluster": CLUSTER, "services": [name] });
        self.json("ecs", "DescribeServices", &input)["services"][0].clone()
    }

    /// The task definition that the service is set to, and its tags.
    pub fn task_definition(&self, service: &str) -> (Value, Value) {
        let input = serde_json::json!({
            "taskDefinition": self.service(service)["taskDefinition"],
            "include": ["TAGS"],
        });
        let mut answer = self.json("ecs", "DescribeTaskDefinition", &input);
        (answer["taskDefinition"].take(), answer["tags"].take())
    }
}

/// An emulator reads the account, the region and the service, and checks no signature.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

/// The text of the first element of this name.
pub fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(text, _)| text.to_owned())
}

//! A simulated AWS in this process, an agent as a program of its own, and the
//! orchestrator's end of the wire.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use aws_sim::{Handle as Sim, Simulator, world::seed::Seed};
use futures_util::{Stream, StreamExt as _};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;
use tonic::{Response, Status};
use towline_link::{
    ca::{Ca, certificate_request},
    channel::LinkChannel,
    credentials::Credentials,
    dial::{Destination, Protocol, dial},
    identity::Identity,
    io::LinkTiming,
    seams::Seams,
};
use towline_proto::agent::v1::{
    DescribeServiceRequest, DescribeServiceResponse, Finished, OperationContext, OperationEvent,
    UpdateServiceRequest, UpdateServiceResponse, agent_service_client::AgentServiceClient,
    operation_event::Event,
};

pub const ACCOUNT: &str = "111111111111";
pub const REGION: &str = "eu-west-1";
pub const CLUSTER: &str = "main";

const VALIDITY: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(60);

pub type Client = AgentServiceClient<LinkChannel>;

/// One account with its agent.
pub struct World {
    pub sim: Sim,
    pub seams: Seams,
    directory: TempDir,
    agent: Option<Child>,
    address: String,
    tasks: TaskTracker,
}

impl World {
    /// The shop's account, `speed` times as fast as the machine; the agent listens.
    pub async fn start(speed: f64) -> Self {
        Self::start_with(speed, "").await
    }

    /// The same with more lines in the agent's file.
    pub async fn start_with(speed: f64, extra: &str) -> Self {
        Self::start_in_region_with(speed, "", extra).await
    }

    /// The same with more lines of the region in it, too.
    pub async fn start_in_region_with(speed: f64, region: &str, extra: &str) -> Self {
        let text = include_str!("../../../tests/aws-sim/seeds/shop.toml");
        let seed = Seed::read(text).expect("the shop's seed");
        let timing = format!("[timing]\npoll = \"50ms\"\nsettle = \"500ms\"\n{extra}");
        Self::of(seed, speed, region, &timing).await
    }

    /// The world of a seed; `rest` is what follows the region in the agent's file.
    pub async fn of(seed: Seed, speed: f64, region: &str, rest: &str) -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sim = Simulator::start(seed, loopback, speed)
            .await
            .expect("the simulator starts");
        let recorded = Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/wire"));
        sim.record_wire(Some(recorded)).expect("the wire is recorded");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = format!("127.0.0.1:{}", free_port());
        let seams = Seams::system();
        identities(directory.path(), &seams);
        let config = format!(
            "name = \"dev\"\naccount = \"{ACCOUNT}\"\n\
             [listen]\naddress = \"{address}\"\nnames = [\"127.0.0.1\"]\n\
             [aws]\nendpoint_url = \"{}\"\n[[aws.regions]]\nname = \"{REGION}\"\nclusters = [\"{CLUSTER}\"]\n{region}\n\
             {rest}",
            sim.url()
        );
        fs::write(directory.path().join("agent.toml"), config).expect("agent.toml");
        let mut world = Self {
            sim,
            seams,
            directory,
            agent: None,
            address,
            tasks: TaskTracker::new(),
        };
        world.start_agent();
        world
    }

    /// Starts the agent's program; after a kill it is a new incarnation.
    pub fn start_agent(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join("agent.log"))
            .expect("a log file");
        self.agent = Some(self.serve(self.directory.path(), log));
    }

    /// Another process of an agent, with the files of another directory.
    #[allow(dead_code, reason = "for the verdict matrix, which shares this file")]
    pub fn serve_in(&self, directory: &Path) -> Child {
        let log = fs::File::create(directory.join("agent.log")).expect("a log file");
        self.serve(directory, log)
    }

    fn serve(&self, directory: &Path, log: fs::File) -> Child {
        self.program(ACCOUNT)
            .arg("serve")
            .arg("--dir")
            .arg(directory)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the agent starts")
    }

    /// Where the agent listens.
    #[allow(dead_code, reason = "for the verdict matrix, which shares this file")]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `kill -9`.
    pub fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().expect("the agent is killed");
            agent.wait().expect("the agent is gone");
        }
    }

    /// SIGTERM; says whether it ended well.
    pub fn stop_agent(&mut self) -> bool {
        let Some(mut agent) = self.agent.take() else {
            return true;
        };
        let pid = rustix::process::Pid::from_child(&agent);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("SIGTERM");
        agent.wait().expect("the agent is gone").success()
    }

    /// The agent's directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs the program to its end with the credentials of an account: exit code
    /// and all that it said.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>, account: &str) -> (i32, String) {
        let output = self
            .program(account)
            .args(arguments)
            .arg("--dir")
            .arg(self.path())
            .output();
        let output = output.expect("the program runs");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    fn program(&self, account: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towline-agent"));
        command
            .env("AWS_ACCESS_KEY_ID", account)
            .env("AWS_SECRET_ACCESS_KEY", "simulated")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null());
        command
    }

    /// What the agent has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("agent.log")).unwrap_or_default()
    }

    /// The orchestrator's client, once the agent listens.
    pub async fn orchestrator(&self) -> Client {
        self.client_of("orchestrator").await
    }

    /// The client of `orchestrator` or `ann`, an operator.
    pub async fn client_of(&self, caller: &str) -> Client {
        self.client_at(&self.address, caller).await
    }

    /// The same of an agent that listens somewhere else.
    pub async fn client_at(&self, address: &str, caller: &str) -> Client {
        let now = self.seams.clock.now();
        let credentials = Credentials::load(&self.directory.path().join(caller), now).expect("credentials");
        let destination = Destination {
            address: address.to_owned(),
            protocol: Protocol::Api,
            expected: Identity::Agent("dev".parse().expect("a name")),
            proxy: None,
        };
        let end = self.seams.clock.instant() + PATIENCE;
        loop {
            match dial(&self.seams, &credentials, &destination).await {
                Ok(stream) => {
                    let channel = LinkChannel::open(stream, LinkTiming::default(), &self.tasks).await;
                    return AgentServiceClient::new(channel.expect("HTTP/2"));
                }
                Err(error) if self.seams.clock.instant() > end => panic!("{error}\n{}", self.log()),
                Err(_) => self.seams.clock.sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Writes that were applied and carry an operation's id, as `service:Action`.
    pub async fn writes(&self, operation: &str) -> Vec<String> {
        let effects = self.sim_get("effects").await;
        let of_operation = effects.as_array().expect("a list").iter().filter(|effect| {
            effect["kind"] == "write"
                && effect["disposition"] == "applied"
                && effect["operation"] == operation
        });
        of_operation
            .map(|effect| effect["action"].as_str().expect("an action").to_owned())
            .collect()
    }

    /// Writes that were applied, whoever made them.
    pub async fn all_writes(&self) -> Vec<String> {
        let effects = self.sim_get("effects").await;
        let writes = effects
            .as_array()
            .expect("a list")
            .iter()
            .filter(|effect| effect["kind"] == "write" && effect["disposition"] == "applied");
        writes
            .map(|effect| effect["action"].as_str().expect("an action").to_owned())
            .collect()
    }

    /// Every call that carries an operation's id, in order.
    pub async fn calls(&self, operation: &str) -> Vec<String> {
        let effects = self.sim_get("effects").await;
        let of_operation = effects
            .as_array()
            .expect("a list")
            .iter()
            .filter(|effect| effect["operation"] == operation);
        of_operation
            .map(|effect| effect["action"].as_str().expect("an action").to_owned())
            .collect()
    }

    /// Everything that stands in an account and region.
    pub async fn state(&self, account: &str, region: &str) -> serde_json::Value {
        let path = format!("state?account={account}&region={region}");
        self.sim_get(&path).await["regions"][0].clone()
    }

    /// Asks the simulator's control interface.
    pub async fn sim_get(&self, path: &str) -> serde_json::Value {
        let text = http(&self.sim.address(), "GET", path, "").await;
        serde_json::from_str(&text).expect("JSON from the simulator")
    }

    /// Posts to the simulator's control interface.
    pub async fn sim_post(&self, path: &str, body: serde_json::Value) -> serde_json::Value {
        let text = http(&self.sim.address(), "POST", path, &body.to_string()).await;
        serde_json::from_str(&text).unwrap_or(serde_json::Value::Null)
    }

    /// Somebody else deploys what runs once more.
    pub async fn force_deployment(&self, service: &str) {
        let body = serde_json::json!({ "cluster": CLUSTER, "service": service, "forceNewDeployment": true });
        let answer = self.ecs("UpdateService", &body).await;
        assert!(answer.contains("ecs-svc/"), "{answer}");
    }

    /// Somebody else calls ECS; the answer.
    pub async fn ecs(&self, action: &str, body: &serde_json::Value) -> String {
        call_ecs(self.sim.address(), action, body).await
    }

    /// Somebody else calls CloudFormation; the answer.
    pub async fn cloudformation(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let pairs = [("Action", action), ("Version", "2010-05-15")];
        let pairs = pairs.iter().chain(parameters);
        let body: Vec<String> = pairs
            .map(|(key, value)| format!("{key}={}", percent(value)))
            .collect();
        let head = format!(
            "content-type: application/x-www-form-urlencoded\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261124/{REGION}/cloudformation/aws4_request, \
             SignedHeaders=host, Signature=none\r\n"
        );
        request(&self.sim.address(), "POST /", &head, &body.join("&")).await
    }

    /// Waits until a stack has a status.
    pub async fn stack_is(&self, stack: &str, status: &str) {
        let end = self.seams.clock.instant() + PATIENCE;
        loop {
            let answer = self
                .cloudformation("DescribeStacks", &[("StackName", stack)])
                .await;
            if answer.contains(&format!("<StackStatus>{status}</StackStatus>")) {
                return;
            }
            assert!(self.seams.clock.instant() < end, "{answer}");
            self.seams.clock.sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a breakpoint holds an arrival.
    pub async fn wait_hit(&self, breakpoint: &serde_json::Value) {
        let id = id_of(breakpoint);
        let end = self.seams.clock.instant() + PATIENCE;
        while self.sim_get(&format!("breakpoints/{id}")).await["state"] != "hit" {
            assert!(
                self.seams.clock.instant() < end,
                "breakpoint {id} is not hit\n{}",
                self.log()
            );
            self.seams.clock.sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets a held arrival go on, or drops it.
    pub async fn release(&self, breakpoint: &serde_json::Value, then: &str) {
        let path = format!("breakpoints/{}/release", id_of(breakpoint));
        self.sim_post(&path, serde_json::json!({ "then": then })).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_agent();
    }
}

fn percent(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

fn id_of(breakpoint: &serde_json::Value) -> String {
    match &breakpoint["id"] {
        serde_json::Value::String(id) => id.clone(),
        other => other.to_string(),
    }
}

/// A call of ECS by somebody else than the agent.
pub async fn call_ecs(address: SocketAddr, action: &str, body: &serde_json::Value) -> String {
    let head = format!(
        "x-amz-target: AmazonEC2ContainerServiceV20141113.{action}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261124/{REGION}/ecs/aws4_request, \
         SignedHeaders=host, Signature=none\r\n"
    );
    request(&address, "POST /", &head, &body.to_string()).await
}

/// One request to the simulator's control interface.
async fn http(address: &SocketAddr, method: &str, path: &str, body: &str) -> String {
    let line = format!("{method} /_sim/{path}");
    request(address, &line, "content-type: application/json\r\n", body).await
}

/// One request to the simulator, without an HTTP client of our own.
async fn request(address: &SocketAddr, line: &str, headers: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let network = towline_link::seams::Network::Tcp;
    let mut stream = network
        .connect(&address.to_string())
        .await
        .expect("the simulator listens");
    let request = format!(
        "{line} HTTP/1.0\r\nhost: sim\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// A port that nobody listens on. Not one of those that the kernel gives to outgoing
/// connections: these could take it before the agent does.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = std::process::id()
            .wrapping_mul(101)
            .wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(20_000 + next % 10_000).expect("below 30,000");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn identities(directory: &Path, seams: &Seams) {
    let now = seams.clock.now();
    let ca = Ca::create("test".parse().expect("a trust domain"), now).expect("a CA");
    let callers = [
        ("identity", Identity::Agent("dev".parse().expect("a name"))),
        ("orchestrator", Identity::Orchestrator),
        ("ann", Identity::Operator("ann".parse().expect("a name"))),
    ];
    for (place, identity) in callers {
        write_identity(&ca, &directory.join(place), &identity, now);
    }
}

/// An identity of a CA of its own, made at `then` and good for an hour.
pub fn identity_of(directory: &Path, identity: &Identity, then: jiff::Timestamp) {
    let ca = Ca::create("test".parse().expect("a trust domain"), then).expect("a CA");
    write_identity(&ca, directory, identity, then);
}

fn write_identity(ca: &Ca, directory: &Path, identity: &Identity, now: jiff::Timestamp) {
    let request = certificate_request().expect("a key");
    let names = ["127.0.0.1".to_owned()];
    let chain = ca
        .issue(&request.request_pem, identity, &names, now, VALIDITY)
        .expect("issued");
    let credentials = Credentials::from_pem("test", &request.key_pem, &chain, ca.certificate_pem(), now);
    credentials.expect("they fit").save(directory).expect("saved");
}

/// An update of `orders` to a tag.
pub fn update_orders(id: &str, tag: &str) -> UpdateServiceRequest {
    UpdateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: "orders".into(),
        containers: vec![towline_proto::agent::v1::ContainerUpdate {
            name: "app".into(),
            tag: Some(tag.into()),
            ..Default::default()
        }],
        context: Some(OperationContext {
            operation_id: id.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What an operation on `orders` would start from.
pub async fn describe(client: &mut Client, service: &str) -> DescribeServiceResponse {
    let request = DescribeServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: service.into(),
        stack: "default".into(),
        ..Default::default()
    };
    client
        .describe_service(request)
        .await
        .expect("described")
        .into_inner()
}

/// An event of a response, whichever it is.
pub trait HasEvent {
    fn event(self) -> OperationEvent;
}

impl HasEvent for UpdateServiceResponse {
    fn event(self) -> OperationEvent {
        self.event.expect("an event")
    }
}

impl HasEvent for towline_proto::agent::v1::DeployFargateServiceResponse {
    fn event(self) -> OperationEvent {
        self.event.expect("an event")
    }
}

impl HasEvent for towline_proto::agent::v1::WatchOperationResponse {
    fn event(self) -> OperationEvent {
        self.event.expect("an event")
    }
}

/// All events of an operation, to its end.
pub async fn to_the_end<R: HasEvent>(
    answer: Result<Response<impl Stream<Item = Result<R, Status>> + Unpin>, Status>,
) -> Vec<OperationEvent> {
    let mut stream = answer.expect("accepted").into_inner();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.expect("no error in the stream").event());
    }
    events
}

/// The end of an operation.
pub fn finished(events: &[OperationEvent]) -> &Finished {
    println!("{:#?}", told(events));
    match events.last().and_then(|event| event.event.as_ref()) {
        Some(Event::Finished(finished)) => finished,
        other => panic!("the last event is no end: {other:?}"),
    }
}

/// The kinds of the events in short words, for assertions.
pub fn told(events: &[OperationEvent]) -> Vec<String> {
    let word = |event: &OperationEvent| match event.event.as_ref().expect("a kind") {
        Event::Started(started) => format!("started reattached={}", started.reattached),
        Event::StepChanged(step) => format!(
            "{} {}: {}",
            step.step().as_str_name(),
            step.state().as_str_name(),
            step.detail
        ),
        Event::Finding(finding) => format!("finding {}: {}", finding.reason, finding.message),
        Event::StackResource(resource) => format!("resource {} {}", resource.logical_id, resource.status),
        Event::Rollout(rollout) => format!(
            "rollout {}",
            rollout
                .deployments
                .iter()
                .map(|d| format!(
                    "{} {} {}/{} failed={} {}",
                    d.status, d.task_definition, d.running, d.desired, d.failed, d.rollout_state
                ))
                .collect::<Vec<_>>()
                .join("; ")
        ),
        Event::ServiceEvent(event) => format!("service event {}", event.message),
        Event::TaskStopped(task) => format!("task stopped {} {}", task.stop_code, task.stopped_reason),
        Event::LogLine(line) => format!("log {}", line.message),
        Event::Finished(finished) => format!(
            "finished {} {}: {}",
            finished.verdict().as_str_name(),
            finished.reason,
            finished.summary
        ),
    };
    events.iter().map(word).collect()
}

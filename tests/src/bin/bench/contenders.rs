//! Who races: each updates the services that it is given at once, and says for
//! each whether it calls that a success, and when.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use towline_proto::agent::v1::{
    ContainerUpdate, Finished, UpdateServiceRequest, Verdict, agent_service_client::AgentServiceClient,
    operation_event::Event,
};
use towline_tests::{direct::Direct, world::World};

use crate::updates::{ACCOUNT, CLUSTER, REGION, definition};

/// A program that updates services.
pub enum Contender {
    Agent,
    /// The program of this path.
    EcsDeploy(String),
    AwsCli(String),
}

/// One service of a race.
#[derive(Clone, Debug)]
pub struct Entry {
    pub service: String,
    pub image: String,
    /// The image crashes.
    pub is_bad: bool,
    /// How long anybody waits for a verdict.
    pub patience: Duration,
}

/// What a contender says of one service.
pub struct Said {
    pub succeeded: bool,
    /// What it says where it is no success.
    pub words: Option<String>,
    pub at: Instant,
}

/// What came of a race.
pub struct Outcome {
    /// One for each entry, in their order.
    pub verdicts: Vec<Said>,
    /// The most that all of its processes held at one time.
    pub memory_mb: f64,
}

impl Contender {
    /// Those that are installed.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Agent];
        match std::env::var("ECS_DEPLOY") {
            Ok(program) => all.push(Self::EcsDeploy(program)),
            Err(_) => println!("ECS_DEPLOY names no ecs-deploy: `scripts/tools ecs-deploy` installs one"),
        }
        match std::env::var("AWSCLI") {
            Ok(program) => all.push(Self::AwsCli(program)),
            Err(_) => println!("AWSCLI names no AWS CLI: `scripts/tools awscli` installs one"),
        }
        all
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Agent => "towline-agent",
            Self::EcsDeploy(_) => "ecs-deploy",
            Self::AwsCli(_) => "aws-cli",
        }
    }

    pub fn is_agent(&self) -> bool {
        matches!(self, Self::Agent)
    }

    /// Updates all of them at once, and waits for every verdict.
    pub fn run(&self, world: &World, agent: &str, url: &str, entries: &[Entry]) -> Outcome {
        match self {
            Self::Agent => agents(world, agent, entries),
            Self::EcsDeploy(program) => processes(entries, |entry| {
                let mut command = aws(program, url);
                command
                    .args(["deploy", CLUSTER, &entry.service, "--image", "app", &entry.image])
                    .args(["--timeout", &entry.patience.as_secs().to_string()]);
                vec![command]
            }),
            Self::AwsCli(program) => processes(entries, |entry| aws_cli(program, url, entry)),
        }
    }
}

fn aws(program: &str, url: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("AWS_ACCESS_KEY_ID", ACCOUNT)
        .env("AWS_SECRET_ACCESS_KEY", "simulated")
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_CONFIG_FILE", "/dev/null");
    command
}

/// Register, update, wait: as AWS's documentation has it.
fn aws_cli(program: &str, url: &str, entry: &Entry) -> Vec<Command> {
    let input = definition(&entry.service, &entry.image).to_string();
    let steps: [&[&str]; 3] = [
        &["register-task-definition", "--cli-input-json", &input],
        &[
            "update-service",
            "--cluster",
            CLUSTER,
            "--service",
            &entry.service,
            "--task-definition",
            &entry.service,
        ],
        &[
            "wait",
            "services-stable",
            "--cluster",
            CLUSTER,
            "--services",
            &entry.service,
        ],
    ];
    steps
        .into_iter()
        .map(|arguments| {
            let mut command = aws(program, url);
            command.arg("ecs").args(arguments);
            command
        })
        .collect()
}

/// For each entry its commands one after the other, all entries at once.
fn processes(entries: &[Entry], commands: impl Fn(&Entry) -> Vec<Command> + Sync) -> Outcome {
    let watch = MemoryWatch::start(std::process::id(), true);
    let verdicts = thread::scope(|scope| {
        let commands = &commands;
        let started: Vec<_> = entries
            .iter()
            .map(|entry| scope.spawn(move || in_turn(commands(entry))))
            .collect();
        let ended = started
            .into_iter()
            .map(|thread| thread.join().expect("a contender"));
        ended.collect()
    });
    Outcome {
        verdicts,
        memory_mb: watch.stop(),
    }
}

fn in_turn(commands: Vec<Command>) -> Said {
    let mut words = None;
    for mut command in commands {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child: Child = command.spawn().expect("the program starts");
        let output = child.wait_with_output().expect("the program ends");
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            let told = said.lines().find(|line| line.contains("ERROR"));
            let last = || said.lines().rfind(|line| !line.trim().is_empty());
            words = Some(told.or_else(last).unwrap_or("(nothing)").to_owned());
            break;
        }
    }
    Said {
        succeeded: words.is_none(),
        words,
        at: Instant::now(),
    }
}

fn agents(world: &World, agent: &str, entries: &[Entry]) -> Outcome {
    let pid = world
        .agent(agent)
        .program
        .as_ref()
        .map(towline_tests::program::Program::pid);
    let watch = MemoryWatch::start(pid.unwrap_or_else(std::process::id), false);
    let direct = Direct::dial(world, agent);
    let verdicts = direct.call(async |client| {
        let started: Vec<_> = entries
            .iter()
            .map(|entry| {
                let (mut client, request) = (client.clone(), request(entry));
                tokio::spawn(async move { follow(&mut client, request).await })
            })
            .collect();
        let mut verdicts = Vec::new();
        for operation in started {
            verdicts.push(operation.await.expect("an operation"));
        }
        verdicts
    });
    Outcome {
        verdicts,
        memory_mb: watch.stop(),
    }
}

async fn follow(
    client: &mut AgentServiceClient<towline_link::channel::LinkChannel>,
    request: UpdateServiceRequest,
) -> Said {
    let mut finished = None;
    let mut stream = client
        .update_service(request)
        .await
        .expect("the agent takes it")
        .into_inner();
    while let Some(message) = stream.message().await.expect("an event") {
        if let Some(Event::Finished(end)) = message.event.and_then(|event| event.event) {
            finished = Some(end);
        }
    }
    let finished: Finished = finished.expect("a verdict");
    let succeeded = finished.verdict() == Verdict::Succeeded;
    Said {
        succeeded,
        words: (!succeeded).then(|| {
            let diagnosis = finished.diagnosis.unwrap_or_default();
            format!(
                "{}: {} {}",
                finished.reason, finished.summary, diagnosis.root_cause
            )
        }),
        at: Instant::now(),
    }
}

fn request(entry: &Entry) -> UpdateServiceRequest {
    UpdateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: entry.service.clone(),
        containers: vec![ContainerUpdate {
            name: "app".into(),
            image: Some(entry.image.clone()),
            ..Default::default()
        }],
        timeout: entry.patience.try_into().ok(),
        ..Default::default()
    }
}

/// The most that a process, or all the Python processes below it, held at one time.
struct MemoryWatch {
    ends: Arc<AtomicBool>,
    watching: thread::JoinHandle<u64>,
}

impl MemoryWatch {
    fn start(pid: u32, of_children: bool) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ends);
        let watching = thread::spawn(move || {
            let mut most = 0;
            while !seen.load(Ordering::Relaxed) {
                let now = if of_children {
                    children(pid)
                } else {
                    resident_kb(pid)
                };
                most = most.max(now);
                thread::sleep(Duration::from_millis(200));
            }
            most
        });
        Self { ends, watching }
    }

    fn stop(self) -> f64 {
        self.ends.store(true, Ordering::Relaxed);
        let kilobytes = self.watching.join().expect("the watch");
        #[expect(clippy::cast_precision_loss, reason = "memory of a machine")]
        let megabytes = kilobytes as f64 / 1024.0;
        megabytes
    }
}

fn resident_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Of the Python processes that this one has started.
fn children(parent: u32) -> u64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| is_python_below(*pid, parent))
        .map(resident_kb)
        .sum()
}

fn is_python_below(pid: u32, parent: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
    let Some((head, rest)) = stat.rsplit_once(')') else {
        return false;
    };
    let is_python = ["(python", "(aws", "(ecs"].iter().any(|name| head.contains(name));
    is_python && rest.split_whitespace().nth(1) == Some(&parent.to_string())
}

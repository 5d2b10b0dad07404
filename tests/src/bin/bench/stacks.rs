//! The agent beside `aws cloudformation deploy`, on the same simulator in the
//! same run, with the same templates: AWS calls, and the seconds from the
//! moment that the API shows the stack's end to the verdict (for the AWS CLI:
//! to the end of its process). Simulated time runs as fast as the machine's,
//! and the agent polls as it does by default.

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use towline_proto::agent::v1::{
    ContainerSpec, DeployFargateServiceRequest, FargateServiceSpec, LoadBalancerSpec, NetworkSpec, PortSpec,
    Verdict,
};
use towline_tests::{
    direct::{Direct, MAY_DEPLOY},
    sim::Effect,
    world::{Options, World},
};

use crate::report::{Run, breakdown, head, line};

/// Services of each side, deployed side by side.
const SERVICES: usize = 5;

/// Between two starts, so that the polls of one side do not fall together.
const STAGGER: Duration = Duration::from_millis(1300);

const ACCOUNT: &str = "222222222222";
const REGION: &str = "eu-west-1";
const CLUSTER: &str = "main";
const AGENT: &str = "staging";
const STEPS: [(&str, &str); 3] = [("create", "1.0.0"), ("update", "1.2.0"), ("no-op", "1.2.0")];

/// The simulated account, seen from outside.
struct Account {
    url: String,
    /// A moment of the machine, and simulated time at it in milliseconds.
    anchor: (Instant, i64),
}

/// Runs it, and prints what was measured.
pub fn run() {
    let mut world = World::start(Options {
        agents: vec![AGENT],
        speed: 1,
        agent_extra: MAY_DEPLOY.to_owned(),
        ..Options::default()
    });
    poll_by_default(&mut world);
    let account = Account::look(world.sim.url());
    let cli = std::env::var("AWSCLI").ok();
    if cli.is_none() {
        println!("AWSCLI names no AWS CLI: nothing to compare with; `scripts/tools awscli` installs one");
    }
    println!("a Fargate service behind a load balancer, {SERVICES} of each side by side, simulated time x 1");
    println!("{}", head());
    for (step, tag) in STEPS {
        let runs = agents(&world, &account, step, tag);
        println!("{}\n{}", line(step, "towline-agent", &runs), breakdown(&runs));
        if let Some(cli) = &cli {
            let runs = clis(&world, &account, cli, step);
            let line = line(step, "aws cloudformation deploy", &runs);
            println!("{line}\n{}", breakdown(&runs));
        }
    }
    world.stop();
}

/// Takes the tests' own pace out of the agent's file.
pub fn poll_by_default(world: &mut World) {
    let file = world.agent_directory(AGENT).join("agent.toml");
    let text = fs::read_to_string(&file).expect("agent.toml");
    let fast = "\n[timing]\npoll = \"100ms\"\nsettle = \"500ms\"\n";
    assert!(text.contains(fast), "the tests' pace stands in agent.toml");
    fs::write(&file, text.replace(fast, "\n")).expect("agent.toml");
    world.kill_agent(AGENT);
    world.start_agent(AGENT);
    world.wait_for_agents();
}

/// The stack that is asked for.
fn stack(service: &str) -> String {
    format!("towline-{CLUSTER}-{service}")
}

fn side_by_side(run: impl Fn(usize) -> Run + Sync) -> Vec<Run> {
    thread::scope(|scope| {
        let run = &run;
        let started: Vec<_> = (0..SERVICES)
            .map(|number| {
                scope.spawn(move || {
                    thread::sleep(STAGGER * u32::try_from(number).unwrap_or(0));
                    run(number)
                })
            })
            .collect();
        let ended = started.into_iter().map(|thread| thread.join().expect("a run"));
        ended.collect()
    })
}

fn agents(world: &World, account: &Account, step: &str, tag: &str) -> Vec<Run> {
    side_by_side(|number| {
        let service = format!("bench-agent-{number}");
        let direct = Direct::dial(world, AGENT);
        let before = Instant::now();
        let outcome = direct.deploy(request(&service, tag)).expect("a verdict");
        let wanted = if step == "no-op" {
            Verdict::Unchanged
        } else {
            Verdict::Succeeded
        };
        assert_eq!(outcome.finished.verdict(), wanted, "{}", outcome.words());
        let id = outcome.events.first().map(|event| event.operation_id.clone());
        let calls = world
            .sim
            .effects(0)
            .into_iter()
            .filter(|effect| effect.operation == id);
        Run {
            calls: counted(calls),
            whole_s: outcome.at.duration_since(before).as_secs_f64(),
            late_s: (step != "no-op").then(|| account.late(&stack(&service), outcome.at)),
        }
    })
}

fn clis(world: &World, account: &Account, cli: &str, step: &str) -> Vec<Run> {
    let seen = world.sim.last();
    side_by_side(|number| {
        let (name, like) = (
            format!("bench-cli-{number}"),
            stack(&format!("bench-agent-{number}")),
        );
        let template = account
            .template(&like)
            .replace(&format!("bench-agent-{number}"), &name);
        let file = world.path().join(format!("{name}.json"));
        fs::write(&file, template).expect("a template");
        let mut command = Command::new(cli);
        command
            .args([
                "cloudformation",
                "deploy",
                "--stack-name",
                &name,
                "--template-file",
            ])
            .arg(&file)
            .args(["--capabilities", "CAPABILITY_NAMED_IAM"])
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "simulated")
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ENDPOINT_URL", &account.url)
            .env("AWS_CONFIG_FILE", "/dev/null");
        let parameters = account.parameters(&like);
        if !parameters.is_empty() {
            command.arg("--parameter-overrides").args(parameters);
        }
        let before = Instant::now();
        let output = command.output().expect("the AWS CLI runs");
        let at = Instant::now();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() || said.contains("No changes to deploy"),
            "{said}"
        );
        let calls = world.sim.effects(seen).into_iter().filter(|effect| {
            // `bench-cli-1`, or `bench-cli-1/CHANGE-SET`.
            effect.subject.split('/').any(|part| part == name)
        });
        Run {
            calls: counted(calls),
            whole_s: at.duration_since(before).as_secs_f64(),
            late_s: (step != "no-op").then(|| account.late(&name, at)),
        }
    })
}

fn counted(calls: impl Iterator<Item = Effect>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.action).or_default() += 1;
    }
    counts
}

fn request(service: &str, tag: &str) -> DeployFargateServiceRequest {
    let group = format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/web/73e2d6bc24d8a067");
    DeployFargateServiceRequest {
        region: REGION.into(),
        cluster: CLUSTER.into(),
        service: Some(FargateServiceSpec {
            name: service.into(),
            stack_name: stack(service),
            cpu: 256,
            memory: 512,
            containers: vec![ContainerSpec {
                name: "web".into(),
                image: format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web:{tag}"),
                ports: vec![PortSpec {
                    container_port: 8080,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            load_balancers: vec![LoadBalancerSpec {
                container: "web".into(),
                port: 8080,
                target_group: group,
                ..Default::default()
            }],
            network: Some(NetworkSpec {
                subnets: vec!["subnet-0510000000000000a".into()],
                security_groups: vec!["sg-0510000000000000c".into()],
                ..Default::default()
            }),
            desired_count: Some(2),
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl Account {
    fn look(url: String) -> Self {
        let mut answer = ureq::get(format!("{url}/_sim/clock")).call().expect("the clock");
        let clock: Value = answer.body_mut().read_json().expect("JSON");
        let now = clock["now_ms"].as_i64().expect("milliseconds");
        Self {
            url,
            anchor: (Instant::now(), now),
        }
    }

    /// Seconds from the stack's last event to a moment of the machine.
    fn late(&self, stack: &str, at: Instant) -> f64 {
        let events = self.ask(&[("Action", "DescribeStackEvents"), ("StackName", stack)]);
        let ended: jiff::Timestamp = element(&events, "Timestamp").parse().expect("RFC 3339");
        let (machine, simulated) = self.anchor;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run")]
        let ended_s = (ended.as_millisecond() - simulated) as f64 / 1000.0;
        at.duration_since(machine).as_secs_f64() - ended_s
    }

    fn template(&self, stack: &str) -> String {
        let answer = self.ask(&[("Action", "GetTemplate"), ("StackName", stack)]);
        unescape(&element(&answer, "TemplateBody"))
    }

    /// `Key=Value` of every parameter of a stack.
    fn parameters(&self, stack: &str) -> Vec<String> {
        let answer = self.ask(&[("Action", "DescribeStacks"), ("StackName", stack)]);
        let given = answer.split("<ParameterKey>").skip(1);
        given
            .map(|rest| {
                let key = rest.split('<').next().unwrap_or_default();
                format!("{key}={}", unescape(&element(rest, "ParameterValue")))
            })
            .collect()
    }

    fn ask(&self, parameters: &[(&str, &str)]) -> String {
        let scope = format!("{ACCOUNT}/20260101/{REGION}/cloudformation/aws4_request");
        let form = parameters.iter().copied().chain([("Version", "2010-05-15")]);
        let mut answer = ureq::post(&self.url)
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            )
            .config()
            .http_status_as_error(false)
            .build()
            .send_form(form)
            .expect("CloudFormation answers");
        let text = answer.body_mut().read_to_string().expect("text");
        assert!(answer.status().is_success(), "{parameters:?}: {text}");
        text
    }
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).expect(name);
    rest.split('<').next().unwrap_or_default().to_owned()
}

fn unescape(text: &str) -> String {
    let pairs = [
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    pairs.iter().fold(text.to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    })
}

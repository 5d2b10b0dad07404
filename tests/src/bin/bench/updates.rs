//! The race of updates: 1, 20 and 100 existing services of one account get a
//! new image at once, from this agent, from `ecs deploy` (ecs-deploy) and from
//! the AWS CLI (register, update, wait). One simulator, ECS's request rates in
//! force, rollouts of the same length; every fifth service of the larger races
//! gets an image that crashes, and its circuit breaker rolls it back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use towline_tests::{
    direct::MAY_DEPLOY,
    emulator::Emulator,
    world::{Options, World, repository},
};

use crate::{
    contenders::{Contender, Entry, Outcome},
    percentile,
};

const SIZES: [usize; 3] = [1, 20, 100];

/// Every fifth service gets the bad image.
const BAD: usize = 5;

pub const ACCOUNT: &str = "222222222222";
pub const REGION: &str = "eu-west-1";
pub const CLUSTER: &str = "main";
const AGENT: &str = "staging";
const GOOD_TAG: &str = "1.2.0";
const BAD_TAG: &str = "1.3.0";

/// Runs it for these numbers of services, or for all, and prints what was measured.
pub fn run(sizes: &[usize]) {
    println!("updates of existing services, simulated time x 1; bad images in every race of more than one");
    println!(
        "{:>8} {:<14} {:>6} {:>10} {:>9} {:>10}   {:<28} {:>9} {:>7}",
        "services", "", "calls", "throttles", "wall", "rollout", "end shown -> verdict", "memory", "wrong"
    );
    let sizes = if sizes.is_empty() { &SIZES } else { sizes };
    for size in sizes {
        race(*size);
    }
    println!();
    at_moto();
}

fn race(size: usize) {
    let contenders = Contender::all();
    let mut world = World::start(Options {
        agents: vec![AGENT],
        speed: 1,
        agent_extra: MAY_DEPLOY.to_owned(),
        seed: Some(seed(size, &contenders)),
        ..Options::default()
    });
    crate::stacks::poll_by_default(&mut world);
    let mut measured = Vec::new();
    for contender in &contenders {
        let aws = Aws::look(world.sim.url());
        let entries: Vec<Entry> = (0..size).map(|number| entry(contender, size, number)).collect();
        let seen = world.sim.last();
        let began = Instant::now();
        let outcomes = contender.run(&world, AGENT, &aws.url, &entries);
        let wall = began.elapsed();
        let effects = world.sim.effects(seen);
        let mut calls: BTreeMap<String, usize> = BTreeMap::new();
        let mut throttles = 0;
        for effect in &effects {
            *calls.entry(effect.action.clone()).or_default() += 1;
            if effect
                .code
                .as_deref()
                .is_some_and(|code| code.contains("Throttl"))
            {
                throttles += 1;
            }
        }
        let line = print_line(
            size, contender, &calls, throttles, wall, &outcomes, &aws, &entries,
        );
        measured.push(line);
    }
    print_aims(size, &measured);
    world.stop();
}

#[expect(clippy::too_many_arguments, reason = "one line of a table")]
fn print_line(
    size: usize,
    contender: &Contender,
    calls: &BTreeMap<String, usize>,
    throttles: usize,
    wall: Duration,
    outcomes: &Outcome,
    aws: &Aws,
    entries: &[Entry],
) -> Measured {
    let mut late = Vec::new();
    let mut longest = 0.0_f64;
    for (entry, verdict) in entries.iter().zip(&outcomes.verdicts) {
        let rollout = aws.rollout(&entry.service);
        let happened = rollout.ended_s > aws.anchor.1;
        if happened {
            longest = longest.max(rollout.length_s);
        }
        if happened && !entry.is_bad {
            late.push(aws.seconds(verdict.at) - rollout.ended_s);
        }
    }
    if late.is_empty() {
        late.push(f64::NAN);
    }
    late.sort_by(f64::total_cmp);
    let wrong = entries
        .iter()
        .zip(&outcomes.verdicts)
        .filter(|(entry, verdict)| verdict.succeeded == entry.is_bad)
        .count();
    println!(
        "{size:>8} {:<14} {:>6} {throttles:>10} {:>7.1} s {longest:>8.1} s   {:<28} {:>6.1} MB {wrong:>3}/{size}",
        contender.name(),
        calls.values().sum::<usize>(),
        wall.as_secs_f64(),
        format!(
            "{:.2} s (p90 {:.2}, worst {:.2})",
            percentile(&late, 50),
            percentile(&late, 90),
            percentile(&late, 100)
        ),
        outcomes.memory_mb,
    );
    let mut actions: Vec<_> = calls.iter().collect();
    actions.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words: Vec<String> = actions
        .iter()
        .map(|(action, count)| format!("{action} {count}"))
        .collect();
    println!("{:>8} {}", "", words.join(", "));
    for words in outcomes
        .verdicts
        .iter()
        .filter_map(|verdict| verdict.words.as_ref())
        .take(3)
    {
        println!("{:>8} {words}", "");
    }
    Measured {
        name: contender.name(),
        calls: calls.values().sum(),
        throttles,
        late_s: percentile(&late, 50),
    }
}

/// What the aims are about, of one contender.
struct Measured {
    name: &'static str,
    calls: usize,
    throttles: usize,
    late_s: f64,
}

/// Says of each aim whether it was met; a loss is told as one.
fn print_aims(size: usize, measured: &[Measured]) {
    let Some(agent) = measured.first() else { return };
    let word = |met: bool| if met { "met" } else { "NOT met" };
    println!(
        "{:>8} aims: verdict within 1 s at the median: {}; no throttle: {}",
        "",
        word(agent.late_s <= 1.0),
        word(agent.throttles == 0)
    );
    if let Some(other) = measured
        .iter()
        .find(|other| other.name == "ecs-deploy" && size >= 20)
    {
        #[expect(clippy::cast_precision_loss, reason = "some thousand calls")]
        let share = agent.calls as f64 / other.calls as f64;
        println!(
            "{:>8} aim: at most a tenth of ecs-deploy's calls: {share:.2} of them: {}",
            "",
            word(share <= 0.1)
        );
    }
}

fn entry(contender: &Contender, size: usize, number: usize) -> Entry {
    let is_bad = size > 1 && number % BAD == BAD - 1;
    let tag = if is_bad { BAD_TAG } else { GOOD_TAG };
    Entry {
        service: service(contender, number),
        image: format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/orders:{tag}"),
        is_bad,
        patience: Duration::from_secs(900),
    }
}

fn service(contender: &Contender, number: usize) -> String {
    format!("{}-{number}", contender.name())
}

/// The task definition of a service, before.
pub fn definition(family: &str, image: &str) -> Value {
    json!({
        "family": family,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/orders-execution"),
        "containerDefinitions": [{ "name": "app", "image": image, "essential": true }],
    })
}

/// The shop's seed with as many services for each contender, and rollouts of
/// about a minute.
fn seed(size: usize, contenders: &[Contender]) -> PathBuf {
    let shop = repository().join("tests/aws-sim/seeds/shop.toml");
    let mut seed: toml::Table = fs::read_to_string(shop)
        .expect("the shop's seed")
        .replace("free_addresses = 200", "free_addresses = 2000")
        .parse()
        .expect("TOML");
    let timing = toml::toml! {
        provision_s = 15
        pull_s = 15
        start_s = 5
        stop_s = 5
        reschedule_s = 1
        steady_s = 10
    };
    seed.insert("timing".into(), timing.into());
    let old = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/orders:0.9.0");
    let names: Vec<String> = contenders
        .iter()
        .flat_map(|contender| (0..size).map(|number| service(contender, number)))
        .collect();
    let definitions: Vec<Value> = names.iter().map(|name| definition(name, &old)).collect();
    let services: Vec<Value> = names.iter().map(|name| described(name)).collect();
    let race = json!({ "task_definitions": definitions, "services": services });
    let contents = seed["contents"].as_table_mut().expect("contents");
    contents.insert("race".into(), toml::Value::try_from(race).expect("TOML"));
    for region in seed["regions"].as_array_mut().expect("regions") {
        if region["account"].as_str() == Some(ACCOUNT) {
            region["contents"]
                .as_array_mut()
                .expect("contents")
                .push("race".into());
        }
    }
    let path = std::env::temp_dir().join(format!("towline-race-{}-{size}.toml", std::process::id()));
    fs::write(&path, seed.to_string()).expect("the seed is written");
    path
}

fn described(name: &str) -> Value {
    json!({
        "cluster": CLUSTER,
        "serviceName": name,
        "taskDefinition": name,
        "desiredCount": 1,
        "launchType": "FARGATE",
        "networkConfiguration": { "awsvpcConfiguration": {
            "subnets": ["subnet-0510000000000000a"],
            "securityGroups": ["sg-0510000000000000c"],
        } },
        "deploymentConfiguration": {
            "minimumHealthyPercent": 100,
            "maximumPercent": 200,
            "deploymentCircuitBreaker": { "enable": true, "rollback": true },
        },
    })
}

/// The simulated account, seen from outside.
struct Aws {
    url: String,
    /// A moment of the machine, and simulated time at it in seconds.
    anchor: (Instant, f64),
}

struct Rollout {
    length_s: f64,
    ended_s: f64,
}

impl Aws {
    fn look(url: String) -> Self {
        let mut answer = ureq::get(format!("{url}/_sim/clock")).call().expect("the clock");
        let clock: Value = answer.body_mut().read_json().expect("JSON");
        let now = clock["now_ms"].as_f64().expect("milliseconds");
        Self {
            url,
            anchor: (Instant::now(), now / 1000.0),
        }
    }

    /// A moment of the machine in simulated seconds.
    fn seconds(&self, at: Instant) -> f64 {
        self.anchor.1 + at.duration_since(self.anchor.0).as_secs_f64()
    }

    /// The service's newest rollout as ECS records it, once it has ended.
    fn rollout(&self, service: &str) -> Rollout {
        // The requests of this look are paced: the account's request rates are in force.
        loop {
            let scope = format!("{ACCOUNT}/20260101/{REGION}/ecs/aws4_request");
            let mut answer = ureq::post(&self.url)
                .header(
                    "authorization",
                    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
                )
                .header("content-type", "application/x-amz-json-1.1")
                .header(
                    "x-amz-target",
                    "AmazonEC2ContainerServiceV20141113.ListServiceDeployments",
                )
                .config()
                .http_status_as_error(false)
                .build()
                .send(json!({ "cluster": CLUSTER, "service": service }).to_string())
                .expect("ECS answers");
            let listed: Value = answer.body_mut().read_json().expect("JSON");
            if answer.status().is_success() {
                let newest = &listed["serviceDeployments"][0];
                let second = |member: &str| newest[member].as_f64();
                if let (Some(created), Some(finished)) = (second("createdAt"), second("finishedAt")) {
                    return Rollout {
                        length_s: finished - created,
                        ended_s: finished,
                    };
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// One stable service at moto, whole process included: what peers were measured
/// with. moto shows no new deployment, which the agent does not take for done.
fn at_moto() {
    let Ok(moto) = std::env::var("MOTO") else {
        println!("MOTO names no moto: `scripts/tools moto` installs one");
        return;
    };
    println!("one service at moto, which has no rollouts: its service is stable at once");
    for contender in Contender::all() {
        let mut world = World::start(Options {
            agents: vec![AGENT],
            agent_extra: MAY_DEPLOY.to_owned(),
            ..Options::default()
        });
        let emulator = Emulator::moto(&moto, world.path(), 1);
        furnish(&emulator);
        let before = requests(world.path());
        let agent = contender
            .is_agent()
            .then(|| emulator.adopt_agent(&mut world, AGENT, "100ms"));
        let entries = [Entry {
            service: "orders".into(),
            image: "shop/orders:1.2.0".into(),
            is_bad: false,
            patience: Duration::from_secs(20),
        }];
        let began = Instant::now();
        let outcome = contender.run(&world, AGENT, emulator.url(), &entries);
        println!(
            "         {:<14} {:>3} calls {:>6.2} s {:>6.1} MB   {}",
            contender.name(),
            requests(world.path()) - before,
            began.elapsed().as_secs_f64(),
            outcome.memory_mb,
            outcome.verdicts[0].words.as_deref().unwrap_or("succeeded"),
        );
        drop(agent);
        world.stop();
    }
}

fn furnish(emulator: &Emulator) {
    emulator.json("ecs", "CreateCluster", &json!({ "clusterName": CLUSTER }));
    let definition = json!({
        "family": "orders",
        "containerDefinitions": [{ "name": "app", "image": "shop/orders:0.9.0", "memory": 128 }],
    });
    emulator.json("ecs", "RegisterTaskDefinition", &definition);
    let service = json!({
        "cluster": CLUSTER, "serviceName": "orders", "taskDefinition": "orders", "desiredCount": 1,
        "launchType": "EC2",
    });
    emulator.json("ecs", "CreateService", &service);
}

/// Requests that moto has logged.
fn requests(directory: &Path) -> usize {
    let log = fs::read_to_string(directory.join("moto.log")).unwrap_or_default();
    log.matches("POST / HTTP").count()
}

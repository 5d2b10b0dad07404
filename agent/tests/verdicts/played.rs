//! Playing one row: the world is made, the order sent, and the row's interventions done
//! at their conditions. Nothing here waits for a time; everything waits for something
//! that the agent tells or the account shows.

mod acts;
pub mod kill;
mod request;
mod told;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use towline_link::status::Details;
use towline_proto::agent::v1::{
    DescribeServiceRequest, Finished, UpdateServiceRequest, Verdict, operation_event::Event,
};

use kill::Kill;

use crate::{
    row::{At, Intervention, Row, Then},
    seeded,
    world::{ACCOUNT, CLUSTER, Client, REGION, World},
};

/// The agent's usual `settle`, in simulated seconds.
const SETTLE_S: f64 = 15.0;
/// Between two looks at a condition.
const GLANCE: Duration = Duration::from_millis(5);

/// What a row brought.
#[derive(Debug)]
pub struct Played {
    pub finished: Finished,
    /// Of every send of the order that came to its end.
    pub ends: Vec<Finished>,
    /// Every arrival of the operation, in order.
    pub calls: Vec<Value>,
    /// The service as DescribeServices shows it afterwards.
    pub service: Value,
    pub deployment_before: String,
    /// The first revision, and the one that runs.
    pub definitions: [Value; 2],
    /// What the agent told.
    pub lines: Vec<String>,
    /// How often the order was sent, after a new start of the agent too.
    pub sends: usize,
    /// Conditions that had not come when the operation ended.
    pub missed: Vec<String>,
    log: String,
}

impl Played {
    /// The last that was told, for who looks for the fault.
    pub fn story(&self) -> String {
        let from = self.lines.len().saturating_sub(60);
        let calls: Vec<String> = self
            .calls
            .iter()
            .map(|call| format!("{} {}", call["action"], call["disposition"]).replace('"', ""))
            .collect();
        format!(
            "told:\n      {}\n    calls: {}\n    log: {}",
            self.lines[from..].join("\n      "),
            calls.join(", "),
            self.log.lines().rev().take(5).collect::<Vec<_>>().join(" | ")
        )
    }
}

/// Plays a row to its end; with a kill, the agent dies at one of its calls and is asked again.
pub async fn play(row: Arc<Row>, kill: Option<Kill>) -> Played {
    let mut play = Play::begin(row).await;
    let row = play.row.clone();
    for act in &row.before {
        play.act(act).await;
    }
    play.look_first().await;
    for act in &row.meanwhile {
        play.act(act).await;
    }
    let held = play.arm(&row.during).await;
    let deadly = match kill {
        Some(kill) => Some(play.arm_kill(kill).await),
        None => None,
    };
    for _ in 0..row.order.sends.unwrap_or(1) {
        play.send().await;
    }
    let (first, last) = match deadly {
        Some(deadly) if deadly.kill.after_cancel => (None, Some(deadly)),
        deadly => (deadly, None),
    };
    if let Some(deadly) = first {
        play.kill(deadly).await;
    }
    for (intervention, held) in row.during.iter().zip(held) {
        play.intervene(intervention, held.as_ref()).await;
    }
    if let Some(deadly) = last {
        play.kill(deadly).await;
    }
    play.end().await
}

struct Play {
    row: Arc<Row>,
    world: World,
    client: Option<Client>,
    request: UpdateServiceRequest,
    deployment_before: String,
    lines: Arc<Mutex<Vec<String>>>,
    readers: JoinSet<Option<Finished>>,
    /// Somebody else's registration that takes its time, and what holds it.
    registration: Option<(JoinSet<String>, Value)>,
    sends: usize,
    missed: Vec<String>,
}

impl Play {
    async fn begin(row: Arc<Row>) -> Self {
        let planted = match row.planted {
            true => "[planted]\nrolled_back_is_success = true\n",
            false => "",
        };
        let timing = format!(
            "[timing]\npoll = \"{}ms\"\nsettle = \"{}ms\"\nstuck = \"{}ms\"\n{planted}",
            1000.0 / row.speed,
            SETTLE_S * 1000.0 / row.speed,
            (row.stuck_s * 1000.0 / row.speed).max(1000.0)
        );
        let world = World::of(seeded::seed(&row), row.speed, "", &timing).await;
        if [&row.definition, &row.container]
            .iter()
            .any(|over| over.to_string().contains("invented"))
        {
            // What nobody has invented yet is in none of AWS's models, against which the wire is checked.
            world.sim.record_wire(None).expect("no record");
        }
        let client = world.orchestrator().await;
        Self {
            request: request::request(&row, &world.seams.random.uuid().to_string()),
            row,
            world,
            client: Some(client),
            deployment_before: String::new(),
            lines: Arc::default(),
            readers: JoinSet::new(),
            registration: None,
            sends: 0,
            missed: Vec::new(),
        }
    }

    fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("the agent runs")
    }

    fn settle(&self) -> Duration {
        Duration::from_secs_f64(SETTLE_S / self.row.speed)
    }

    fn id(&self) -> &str {
        &self.request.context.as_ref().expect("a context").operation_id
    }

    /// As the orchestrator does: what is seen now is what the order expects to find.
    async fn look_first(&mut self) {
        let request = DescribeServiceRequest {
            region: REGION.into(),
            cluster: CLUSTER.into(),
            service: self.request.service.clone(),
            ..Default::default()
        };
        // With retries: faults of the row are for the operation.
        for _ in 0..20 {
            match self.client().describe_service(request.clone()).await {
                Ok(answer) => {
                    let expected = answer.into_inner().expected;
                    self.deployment_before = expected
                        .as_ref()
                        .map(|e| e.deployment_id.clone())
                        .unwrap_or_default();
                    self.request.expected = expected;
                    return;
                }
                Err(status) if status.code() == tonic::Code::NotFound => return,
                Err(_) => self.world.seams.clock.sleep(GLANCE).await,
            }
        }
    }

    /// Sends the order, and reads what is told of it.
    async fn send(&mut self) {
        self.sends += 1;
        let request = self.request.clone();
        let sent = self.client().update_service(request).await;
        let lines = self.lines.clone();
        match sent {
            Ok(answer) => {
                let mut stream = answer.into_inner();
                self.readers.spawn(async move {
                    let mut end = None;
                    while let Some(Ok(answer)) = stream.next().await {
                        let Some(event) = answer.event.and_then(|event| event.event) else {
                            continue;
                        };
                        keep(&lines, told::line(&event));
                        if let Event::Finished(finished) = event {
                            end = Some(finished);
                        }
                    }
                    end
                });
            }
            // The request itself is refused: no operation, and nothing written.
            Err(status) => {
                let details = Details::of(&status);
                let refused = Finished {
                    verdict: Verdict::Unspecified.into(),
                    reason: format!("{:?}", status.code()),
                    summary: format!("{} {:?}", status.message(), details.violations),
                    ..Default::default()
                };
                self.readers.spawn(async move { Some(refused) });
            }
        }
    }

    /// Arms what holds calls before any can arrive.
    async fn arm(&self, during: &[Intervention]) -> Vec<Option<Value>> {
        let mut held = Vec::new();
        for intervention in during {
            held.push(match &intervention.call {
                Some(action) => {
                    let when = match intervention.at.expect("`call` says `at`") {
                        At::Before => "before",
                        At::After => "after",
                    };
                    let spec = json!({"account": ACCOUNT, "region": REGION, "action": action, "when": when});
                    Some(self.world.sim_post("breakpoints", spec).await)
                }
                None => None,
            });
        }
        held
    }

    async fn intervene(&mut self, intervention: &Intervention, held: Option<&Value>) {
        if let Some(held) = held {
            self.world.wait_hit(held).await;
        }
        if let Some(words) = &intervention.told {
            self.until_told(words).await;
        }
        if let Some(action) = &intervention.refused {
            self.until_refused(action).await;
        }
        if let Some(words) = &intervention.shows {
            self.until_shown(words).await;
        }
        for act in &intervention.acts {
            self.act(act).await;
        }
        if let Some(held) = held {
            let then = match intervention.then {
                Some(Then::Drop) => "drop",
                Some(Then::Continue) | None => "continue",
            };
            self.world.release(held, then).await;
        }
        for act in &intervention.and {
            self.act(act).await;
        }
    }

    async fn until_told(&mut self, words: &str) {
        while !kept(&self.lines).iter().any(|line| line.contains(words)) {
            if self.is_over(words).await {
                return;
            }
        }
    }

    async fn until_refused(&mut self, action: &str) {
        let is_refused = |call: &Value| call["action"] == action && call["disposition"] == "refused";
        while !self.calls().await.iter().any(is_refused) {
            if self.is_over(action).await {
                return;
            }
        }
    }

    async fn until_shown(&mut self, words: &str) {
        loop {
            let service = self.service().await;
            let none = Vec::new();
            let deployments = service["deployments"].as_array().unwrap_or(&none);
            let shown = deployments
                .iter()
                .filter(|one| one["status"] == "PRIMARY")
                .any(|one| {
                    let revision = one["taskDefinition"].as_str().unwrap_or_default();
                    let state = one["rolloutState"].as_str().unwrap_or_default();
                    format!("{revision} {state}").ends_with(words)
                });
            if shown || self.is_over(words).await {
                return;
            }
        }
    }

    /// Waits a glance; true, and noted, when the operation has ended without the condition.
    async fn is_over(&mut self, words: &str) -> bool {
        let ended = kept(&self.lines).iter().any(|line| line.starts_with("finished"));
        match ended {
            true => self.missed.push(words.to_owned()),
            false => self.world.seams.clock.sleep(GLANCE).await,
        }
        ended
    }

    /// Every arrival that carries the operation's id.
    async fn calls(&self) -> Vec<Value> {
        let effects = self.world.sim_get("effects").await;
        let effects = effects.as_array().expect("a list");
        let ours = effects.iter().filter(|effect| effect["operation"] == self.id());
        ours.cloned().collect()
    }

    async fn service(&self) -> Value {
        let state = self.world.state(ACCOUNT, REGION).await;
        let services = state["services"].as_array().expect("a list");
        let ours = services.iter().find(|service| service["serviceName"] == "orders");
        ours.cloned().unwrap_or(Value::Null)
    }

    async fn definition(&self, revision: &str) -> Value {
        let body = json!({ "taskDefinition": revision });
        let answer = self.world.ecs("DescribeTaskDefinition", &body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        answer["taskDefinition"].clone()
    }

    async fn end(mut self) -> Played {
        let mut ends = Vec::new();
        while let Some(end) = self.readers.join_next().await {
            ends.extend(end.expect("a reader"));
        }
        let Some(finished) = ends.first().cloned() else {
            panic!(
                "it ended without an end: {:#?}\n{}",
                kept(&self.lines),
                self.world.log()
            );
        };
        if let Some(seconds) = self.row.expect.later_s {
            self.pass(seconds).await;
        }
        let service = self.service().await;
        let runs = service["taskDefinition"]
            .as_str()
            .unwrap_or("orders:1")
            .to_owned();
        Played {
            finished,
            ends,
            service,
            definitions: [self.definition("orders:1").await, self.definition(&runs).await],
            calls: self.calls().await,
            deployment_before: self.deployment_before,
            lines: kept(&self.lines).clone(),
            sends: self.sends,
            missed: self.missed,
            log: self.world.log(),
        }
    }
}

fn keep(lines: &Mutex<Vec<String>>, line: String) {
    lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

fn kept(lines: &Mutex<Vec<String>>) -> Vec<String> {
    lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

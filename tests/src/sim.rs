//! The simulated AWS as a process, and its control interface.

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    program::{Program, binary},
    wait_for,
};

/// A running simulator.
#[derive(Debug)]
pub struct Sim {
    program: Program,
    address: String,
}

/// One line of the effect log: an arrival at the simulated AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub seq: u64,
    pub account: String,
    pub region: String,
    pub action: String,
    pub write: bool,
    pub applied: bool,
    pub subject: String,
    pub operation: Option<String>,
    /// AWS's word for a refusal.
    pub code: Option<String>,
    /// RFC 3339, wall clock of the simulator's machine.
    pub at: String,
}

/// When a breakpoint holds an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Arrived, and not applied.
    Before,
    /// Applied, and not answered.
    After,
}

impl Sim {
    /// Starts it on a free port with the seed of this repository.
    pub fn start(seed: &Path, speed: u32, log: &Path) -> Self {
        let mut command = Command::new(binary("aws-sim"));
        command
            .arg("--seed")
            .arg(seed)
            .args(["--listen", "127.0.0.1:0", "--speed", &speed.to_string()]);
        let mut program = Program::start("aws-sim", command, log);
        let line = program.wait_for_line("listening on http://", 0);
        let (_, address) = line.split_once("http://").expect("an address in the line");
        Self {
            program,
            address: address.trim().trim_end_matches('/').to_owned(),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("{}/_sim/{path}", self.url());
        let mut answer = ureq::get(&url)
            .call()
            .unwrap_or_else(|error| panic!("GET {url}: {error}"));
        answer.body_mut().read_json().expect("JSON from the simulator")
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/_sim/{path}", self.url());
        let mut answer = ureq::post(&url)
            .send_json(body)
            .unwrap_or_else(|error| panic!("POST {url}: {error}"));
        answer.body_mut().read_json().unwrap_or(Value::Null)
    }

    /// The arrivals after number `after`.
    pub fn effects(&self, after: u64) -> Vec<Effect> {
        let list = self.get(&format!("effects?after={after}"));
        list.as_array()
            .expect("a list of effects")
            .iter()
            .map(effect)
            .collect()
    }

    /// The number of the newest arrival.
    pub fn last(&self) -> u64 {
        self.effects(0).last().map_or(0, |effect| effect.seq)
    }

    /// Writes that were applied after number `after`, as `account region action subject`.
    pub fn applied_writes(&self, after: u64) -> Vec<Effect> {
        self.effects(after)
            .into_iter()
            .filter(|effect| effect.write && effect.applied)
            .collect()
    }

    /// Holds the arrival that matches after `skip` others of its kind.
    pub fn hold(&self, account: &str, region: &str, action: &str, skip: usize, when: Hold) -> Breakpoint<'_> {
        let when = match when {
            Hold::Before => "before",
            Hold::After => "after",
        };
        let body =
            json!({"account": account, "region": region, "action": action, "skip": skip, "when": when});
        let answer = self.post("breakpoints", &body);
        let id = match &answer["id"] {
            Value::String(id) => id.clone(),
            other => other.to_string(),
        };
        Breakpoint { sim: self, id }
    }

    /// Somebody puts a plain parameter of Systems Manager.
    pub fn put_parameter(&self, account: &str, region: &str, name: &str, value: &str) {
        let body = json!({"account": account, "region": region, "put": {name: value}});
        self.post("parameters", &body);
    }

    /// The stacks that are there, as `name STATUS`.
    pub fn stacks(&self, account: &str, region: &str) -> Vec<String> {
        let state = self.get(&format!("state?account={account}&region={region}"));
        let stacks = state["regions"][0]["stacks"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lines = stacks.iter().filter(|stack| stack["status"] != "DELETE_COMPLETE");
        lines
            .map(|stack| format!("{} {}", text(&stack["name"]), text(&stack["status"])))
            .collect()
    }

    /// The names of the ECS services that are there.
    pub fn services(&self, account: &str, region: &str) -> Vec<String> {
        let state = self.get(&format!("state?account={account}&region={region}"));
        let services = state["regions"][0]["services"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let active = services.iter().filter(|service| service["status"] != "INACTIVE");
        active
            .filter_map(|service| service["serviceName"].as_str().map(str::to_owned))
            .collect()
    }

    /// A breakpoint that was armed before.
    pub fn breakpoint(&self, id: &str) -> Breakpoint<'_> {
        Breakpoint {
            sim: self,
            id: id.to_owned(),
        }
    }

    /// Empties everything and reads the seed again.
    pub fn reset(&self) {
        self.post("reset", &json!({}));
    }

    /// Makes simulated time run `speed` times as fast as the wall clock.
    pub fn set_speed(&self, speed: u32) {
        self.post("clock", &json!({"speed": speed}));
    }

    /// The simulator's own process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }
}

fn effect(value: &Value) -> Effect {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    Effect {
        seq: value["seq"].as_u64().expect("seq"),
        account: text("account"),
        region: text("region"),
        action: text("action"),
        write: value["kind"] == "write",
        applied: value["disposition"] == "applied",
        subject: text("subject"),
        operation: value["operation"].as_str().map(str::to_owned),
        code: value["code"].as_str().map(str::to_owned),
        at: text("at"),
    }
}

/// An armed breakpoint.
#[derive(Debug)]
pub struct Breakpoint<'a> {
    sim: &'a Sim,
    id: String,
}

impl Breakpoint<'_> {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether an arrival is being held.
    pub fn is_hit(&self) -> bool {
        self.sim.get(&format!("breakpoints/{}", self.id))["state"] == "hit"
    }

    /// Waits until an arrival is held.
    pub fn wait(&self, within: Duration) {
        wait_for(&format!("breakpoint {} is hit", self.id), within, || {
            self.is_hit().then_some(())
        });
    }

    /// Drops the held arrival: before it is applied, or its answer afterwards.
    pub fn release_dropped(&self) {
        self.sim.post(
            &format!("breakpoints/{}/release", self.id),
            &json!({"then": "drop"}),
        );
    }

    /// Lets the held arrival go on.
    pub fn release(&self) {
        self.sim.post(
            &format!("breakpoints/{}/release", self.id),
            &json!({"then": "continue"}),
        );
    }
}

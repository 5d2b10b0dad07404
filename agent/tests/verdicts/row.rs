//! One row of the table, as it is written. Every time in a row is of the simulated
//! clock; the rig divides those that the agent measures by the row's speed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A situation and what must come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub name: String,
    /// Lines of the list of what users of such tools suffer from.
    #[serde(default)]
    pub pain: Vec<u32>,
    pub launch: Launch,
    pub breaker: Breaker,
    /// The service stands behind a target group.
    #[serde(default)]
    pub balanced: bool,
    /// Over the image that is ordered, shop/orders:2.0.0.
    #[serde(default)]
    pub image: Value,
    /// Over the image that runs, shop/orders:1.0.0.
    #[serde(default)]
    pub old_image: Value,
    /// Over the service as CreateService takes it.
    #[serde(default)]
    pub service: Value,
    /// Members that the service does without.
    #[serde(default)]
    pub without: Vec<String>,
    /// Over the task definition.
    #[serde(default)]
    pub definition: Value,
    /// Over the one container of the task definition.
    #[serde(default)]
    pub container: Value,
    /// Over what else stands in the region.
    #[serde(default)]
    pub place: Value,
    /// Done before the service is looked at.
    #[serde(default)]
    pub before: Vec<Act>,
    /// Done between that look and the order, whose expected state it is.
    #[serde(default)]
    pub meanwhile: Vec<Act>,
    #[serde(default)]
    pub order: Order,
    /// Done while the order is carried out, one after the other.
    #[serde(default)]
    pub during: Vec<Intervention>,
    /// Simulated seconds in one of the machine's.
    #[serde(default = "Row::usual_speed")]
    pub speed: f64,
    /// The agent's `stuck`.
    #[serde(default = "Row::usual_stuck")]
    pub stuck_s: f64,
    pub expect: Expect,
    /// The agent calls what was rolled back a success: a fault that a test plants.
    #[serde(skip)]
    pub planted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Launch {
    #[serde(rename = "FARGATE")]
    Fargate,
    #[serde(rename = "EC2")]
    Ec2,
}

/// The service's circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breaker {
    RollsBack,
    Stops,
    Off,
    /// Not even mentioned: other controllers have none.
    None,
}

/// What is asked of the agent: by default another tag of container `app` in `orders`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    pub service: Option<String>,
    pub container: Option<String>,
    pub tag: Option<String>,
    /// Instead of a tag.
    pub image: Option<String>,
    pub environment: BTreeMap<String, String>,
    pub base: Option<Base>,
    pub force: bool,
    pub on_failure: Option<OnFailure>,
    pub wait_for: Option<WaitFor>,
    pub timeout_s: Option<f64>,
    pub bake_s: Option<f64>,
    pub alarms: Vec<String>,
    pub plan_hash: String,
    /// The same request so many times at once.
    pub sends: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    Running,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    RollBack,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    Started,
}

/// What happens in the world, or is done to it. Exactly one member is there, `with` aside.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Act {
    /// A call of ECS by somebody else.
    pub ecs: Option<String>,
    /// A call of the simulator's control interface; account and region are filled in.
    pub sim: Option<String>,
    /// The body of either.
    pub with: Value,
    /// Somebody registers a revision of the family with this tag.
    pub register: Option<String>,
    /// Somebody begins the same, and it takes until `release_registration`.
    pub hold_registration: Option<String>,
    pub release_registration: bool,
    /// Somebody updates the service to a revision.
    pub deploy: Option<String>,
    /// Somebody forces a new deployment of what runs.
    pub force: bool,
    /// Somebody stops the newest service deployment.
    pub stop: bool,
    /// The tasks that run are protected from being scaled in.
    pub protect_min: Option<u32>,
    /// Simulated seconds pass.
    pub pass_s: Option<f64>,
    pub cancel: Option<Cancel>,
    pub agent: Option<Agent>,
    /// Waits until the agent has told this.
    pub told: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancel {
    RollBack,
    Detach,
}

/// `kill -9`; and a new start, with the same order sent as a repeated one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agent {
    Killed,
    Started,
}

/// Acts at a condition.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intervention {
    /// The agent has told an event with these words.
    pub told: Option<String>,
    /// A call of this action arrives; it is held while the acts are done.
    pub call: Option<String>,
    pub at: Option<At>,
    /// What becomes of the held call; by default it goes on.
    pub then: Option<Then>,
    /// Done when it has gone on.
    pub and: Vec<Act>,
    /// A call of this action by the operation was refused.
    pub refused: Option<String>,
    /// The PRIMARY deployment is this: "orders:1 IN_PROGRESS".
    pub shows: Option<String>,
    #[serde(rename = "do")]
    pub acts: Vec<Act>,
}

/// Held before it is applied, or before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    Before,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    Continue,
    Drop,
}

/// How it must end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub verdict: String,
    pub reason: String,
    /// The stable word for why, among the outputs.
    #[serde(default)]
    pub cause: Option<String>,
    /// RegisterTaskDefinition, UpdateService and StopServiceDeployment that this operation applied.
    pub writes: [usize; 3],
    /// What the PRIMARY deployment runs afterwards; empty: there is none.
    pub runs: String,
    /// One deployment, complete, with all of its tasks.
    #[serde(default)]
    pub stable: Option<bool>,
    /// The account is looked at so much later.
    #[serde(default)]
    pub later_s: Option<f64>,
    #[serde(default)]
    pub desired: Option<i64>,
    /// PRIMARY is another deployment than before.
    #[serde(default)]
    pub new_deployment: bool,
    /// Words in the diagnosis.
    #[serde(default)]
    pub diagnosis: Option<String>,
    /// Words of the next step.
    #[serde(default)]
    pub hint: Option<String>,
    /// Words among what was told.
    #[serde(default)]
    pub tells: Option<String>,
    /// Members of the running revision, as JSON pointers, that are as they were in the first.
    #[serde(default)]
    pub carries: Vec<String>,
    /// All calls of the operation, reads included.
    #[serde(default)]
    pub most_calls: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    rows: Vec<Row>,
}

impl Row {
    /// Whether a person says stop.
    pub fn cancels(&self) -> bool {
        let acts = self.during.iter().flat_map(|intervention| &intervention.acts);
        acts.into_iter().any(|act| act.cancel.is_some())
    }

    /// Forty times as fast as the machine, the agent's usual times of a second, fifteen
    /// seconds and an hour are 25 ms, 375 ms and a minute and a half.
    fn usual_speed() -> f64 {
        40.0
    }

    fn usual_stuck() -> f64 {
        240.0
    }

    /// The table.
    pub fn all() -> Vec<Self> {
        let files = [
            include_str!("rows/succeeded.toml"),
            include_str!("rows/unchanged.toml"),
            include_str!("rows/failed.toml"),
            include_str!("rows/errored.toml"),
            include_str!("rows/cancelled.toml"),
        ];
        let rows = files.iter().flat_map(|text| {
            let read: Rows = toml::from_str(text).expect("a file of rows");
            read.rows
        });
        rows.collect()
    }
}

/// A row whose code is not there yet.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotYet {
    pub name: String,
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    rows: Vec<NotYet>,
}

impl NotYet {
    pub fn all() -> Vec<Self> {
        let listed: Listed = toml::from_str(include_str!("not_yet.toml")).expect("a list of rows");
        listed.rows
    }
}

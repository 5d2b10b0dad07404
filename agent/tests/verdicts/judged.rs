//! What came of a row, compared with what must.

use std::time::Duration;

use serde_json::Value;
use towline_proto::agent::v1::Verdict;

use crate::{played::Played, row::Row};

/// A row's end.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub name: String,
    pub expected: String,
    pub got: String,
    /// All that is not as expected; empty: the row passes.
    pub faults: Vec<String>,
    /// The worst error: called good, and was not.
    pub false_success: bool,
    /// Called bad, and was good.
    pub false_failure: bool,
    pub took: Duration,
}

impl Outcome {
    /// A row that brought no verdict.
    pub fn broken(row: &Row, why: String) -> Self {
        Self {
            name: row.name.clone(),
            expected: format!("{}: {}", row.expect.verdict, row.expect.reason),
            got: String::new(),
            faults: vec![why],
            false_success: false,
            false_failure: false,
            took: Duration::ZERO,
        }
    }
}

/// Whether a verdict says that the order is carried out.
fn is_good(verdict: &str) -> bool {
    matches!(verdict, "succeeded" | "unchanged")
}

/// Compares.
pub fn judge(row: &Row, played: &Played) -> Outcome {
    let (expect, end) = (&row.expect, &played.finished);
    let verdict = end
        .verdict()
        .as_str_name()
        .trim_start_matches("VERDICT_")
        .to_lowercase();
    let account = Account::of(&played.service);
    let mut faults = Vec::new();
    let mut compare = |what: &str, expected: String, got: String| {
        if expected != got {
            faults.push(format!("{what}: expected {expected}, got {got}"));
        }
    };
    compare("verdict", expect.verdict.clone(), verdict.clone());
    compare("reason", expect.reason.clone(), end.reason.clone());
    if let Some(cause) = &expect.cause {
        compare(
            "cause",
            cause.clone(),
            end.outputs.get("cause").cloned().unwrap_or_default(),
        );
    }
    compare(
        "writes",
        format!("{:?}", expect.writes),
        format!("{:?}", writes(played)),
    );
    compare("runs", expect.runs.clone(), account.runs.clone());
    if let Some(stable) = expect.stable {
        compare("stable", stable.to_string(), account.stable.to_string());
    }
    if let Some(desired) = expect.desired {
        compare("desired count", desired.to_string(), account.desired.to_string());
    }
    if expect.new_deployment {
        let is_new = account.deployment != played.deployment_before;
        compare("new deployment", "true".to_owned(), is_new.to_string());
    }
    if let Some(words) = &expect.hint
        && !end.hint.contains(words)
    {
        faults.push(format!("the hint does not say {words:?}: {:?}", end.hint));
    }
    if let Some(words) = &expect.diagnosis
        && !format!("{:?}", end.diagnosis).contains(words)
    {
        faults.push(format!(
            "the diagnosis does not say {words:?}: {:?}",
            end.diagnosis
        ));
    }
    if let Some(words) = &expect.tells
        && !played.lines.iter().any(|line| line.contains(words))
    {
        faults.push(format!("nobody told {words:?}"));
    }
    for member in &expect.carries {
        let [first, now] = played
            .definitions
            .each_ref()
            .map(|definition| definition.pointer(member));
        if first.is_none() || first != now {
            faults.push(format!("{member} was {first:?}, and is {now:?}"));
        }
    }
    if let Some(most) = expect.most_calls
        && played.calls.len() > most
    {
        faults.push(format!("more than {most} calls: {}", words_of(&played.calls)));
    }
    faults.extend(told_well(played));
    // "completed" is a claim about the account; it is checked there, whatever the row expects.
    let claims_too_much = end.reason == "completed" && expect.later_s.is_none() && !account.stable;
    Outcome {
        name: row.name.clone(),
        expected: format!("{}: {}", expect.verdict, expect.reason),
        got: format!("{verdict}: {}", end.reason),
        false_success: is_good(&verdict) && !is_good(&expect.verdict) || claims_too_much,
        false_failure: !is_good(&verdict) && is_good(&expect.verdict),
        faults: match faults.is_empty() {
            true => faults,
            false => [faults, vec![format!("said: {}", end.summary), played.story()]].concat(),
        },
        took: Duration::ZERO,
    }
}

/// What must hold of every operation, whatever it came to.
fn told_well(played: &Played) -> Vec<String> {
    let mut faults = Vec::new();
    let end = &played.finished;
    if end.summary.is_empty() {
        faults.push("an end without a summary".to_owned());
    }
    faults.extend(
        played
            .missed
            .iter()
            .map(|words| format!("it ended before {words:?} came")),
    );
    let needs_hint = matches!(end.verdict(), Verdict::Failed | Verdict::Errored);
    if needs_hint && end.hint.is_empty() {
        faults.push(format!("{} without a hint", end.reason));
    }
    if let Some(other) = played.ends.iter().find(|other| *other != end) {
        faults.push(format!(
            "two ends of one operation: {} and {}",
            end.summary, other.summary
        ));
    }
    const OURS: [&str; 3] = ["RegisterTaskDefinition", "UpdateService", "StopServiceDeployment"];
    let strange = applied(played).find(|action| !OURS.contains(action));
    if let Some(action) = strange {
        faults.push(format!("a write that nobody asked for: {action}"));
    }
    let mut told: Vec<&String> = played
        .lines
        .iter()
        .filter(|line| line.starts_with("service event"))
        .collect();
    let all = told.len();
    told.sort();
    told.dedup();
    if played.sends == 1 && told.len() != all {
        faults.push("a service event was told twice".to_owned());
    }
    faults
}

fn applied(played: &Played) -> impl Iterator<Item = &str> {
    let writes = played
        .calls
        .iter()
        .filter(|call| call["kind"] == "write" && call["disposition"] == "applied");
    writes.filter_map(|call| call["action"].as_str())
}

/// RegisterTaskDefinition, UpdateService and StopServiceDeployment that were applied.
pub fn writes(played: &Played) -> [usize; 3] {
    let count = |wanted: &str| applied(played).filter(|action| *action == wanted).count();
    [
        count("RegisterTaskDefinition"),
        count("UpdateService"),
        count("StopServiceDeployment"),
    ]
}

fn words_of(calls: &[Value]) -> String {
    let actions: Vec<&str> = calls.iter().filter_map(|call| call["action"].as_str()).collect();
    actions.join(", ")
}

/// The revision that runs at the end: "orders:2".
pub fn runs(played: &Played) -> String {
    Account::of(&played.service).runs
}

/// What the account shows of the service.
struct Account {
    /// "orders:2"
    runs: String,
    deployment: String,
    stable: bool,
    desired: i64,
}

impl Account {
    fn of(service: &Value) -> Self {
        let none = Vec::new();
        let deployments = service["deployments"].as_array().unwrap_or(&none);
        let primary = deployments.iter().find(|one| one["status"] == "PRIMARY");
        // A service that CodeDeploy drives has task sets instead.
        let runs = primary.unwrap_or(&service["taskSets"][0]);
        let arn = runs["taskDefinition"].as_str().unwrap_or_default();
        let is_done = |one: &Value| {
            !matches!(one["rolloutState"].as_str(), Some("IN_PROGRESS" | "FAILED"))
                && one["runningCount"] == one["desiredCount"]
                && one["pendingCount"] == 0
        };
        Self {
            runs: arn.rsplit('/').next().unwrap_or_default().to_owned(),
            deployment: primary
                .and_then(|one| one["id"].as_str())
                .unwrap_or_default()
                .to_owned(),
            stable: service["status"] == "ACTIVE" && deployments.len() == 1 && primary.is_some_and(is_done),
            desired: service["desiredCount"].as_i64().unwrap_or_default(),
        }
    }
}

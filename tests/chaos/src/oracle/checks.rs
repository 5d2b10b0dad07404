//! The checks, each by its name. A check answers what is wrong, in words.

use std::collections::{BTreeMap, BTreeSet};

use aws_sim::server::{Disposition, Effect, Kind};
use serde_json::Value;

use super::{Evidence, Line};
use crate::{
    operator::{Command, OPERATORS},
    world::World,
};

type Check = fn(&World, &Evidence) -> Vec<String>;

/// Every check.
pub const ALL: &[(&str, Check)] = &[
    ("log_explains_state", log_explains_state),
    ("one_update", one_update),
    ("one_execution", one_execution),
    ("one_task_run", one_task_run),
    ("known_operations_only", known_operations_only),
    ("intent_before_send", intent_before_send),
    ("intent_before_effect", intent_before_effect),
    ("repeats_are_told", repeats_are_told),
    ("approved_before_start", approved_before_start),
    ("started_before_effect", started_before_effect),
    ("phases_in_order", phases_in_order),
    ("one_at_a_time", one_at_a_time),
    ("terminal_stays", terminal_stays),
    ("success_is_true", success_is_true),
    ("nothing_told_twice", nothing_told_twice),
    ("acknowledged_is_kept", acknowledged_is_kept),
];

fn log_explains_state(_: &World, evidence: &Evidence) -> Vec<String> {
    evidence.unfolded.clone()
}

fn applied<'a>(evidence: &'a Evidence, action: &'a str) -> impl Iterator<Item = &'a Effect> {
    evidence
        .effects
        .iter()
        .filter(move |effect| effect.action == action && effect.disposition == Disposition::Applied)
}

fn per_operation(evidence: &Evidence, action: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for effect in applied(evidence, action) {
        if let Some(operation) = &effect.operation {
            *counts.entry(operation.clone()).or_default() += 1;
        }
    }
    counts
}

/// At most one UpdateService of an operation takes effect, and one that rolls it back.
fn one_update(_: &World, evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (operation, count) in per_operation(evidence, "UpdateService") {
        let verdict = evidence.verdict(&operation);
        let good = matches!(&verdict, Some((verdict, _)) if verdict == "succeeded" || verdict == "unchanged");
        let most = if good { 1 } else { 2 };
        if count > most {
            let label = evidence.label(&operation);
            wrong.push(format!(
                "{label} ({operation}, {verdict:?}): UpdateService took effect {count} times"
            ));
        }
    }
    wrong
}

fn one_execution(_: &World, evidence: &Evidence) -> Vec<String> {
    let counts = per_operation(evidence, "ExecuteChangeSet");
    let many = counts.into_iter().filter(|(_, count)| *count > 1);
    many.map(|(operation, count)| {
        format!(
            "{}: a change set was executed {count} times",
            evidence.label(&operation)
        )
    })
    .collect()
}

/// A one-off task of an operation runs once.
fn one_task_run(_: &World, evidence: &Evidence) -> Vec<String> {
    let counts = per_operation(evidence, "RunTask");
    let many = counts.into_iter().filter(|(_, count)| *count > 1);
    many.map(|(operation, count)| {
        format!(
            "{}: RunTask took effect {count} times",
            evidence.label(&operation)
        )
    })
    .collect()
}

fn writes(evidence: &Evidence) -> impl Iterator<Item = (&Effect, &str)> {
    let writes = evidence
        .effects
        .iter()
        .filter(|effect| effect.kind == Kind::Write);
    writes.filter_map(|effect| Some((effect, effect.operation.as_deref()?)))
}

/// Nothing is written for an operation that the orchestrator does not know.
fn known_operations_only(_: &World, evidence: &Evidence) -> Vec<String> {
    let unknown = writes(evidence).filter(|(_, operation)| !evidence.operations.contains_key(*operation));
    let unknown: BTreeSet<String> = unknown
        .map(|(effect, operation)| {
            format!("{} for operation {operation}, which nobody stored", effect.action)
        })
        .collect();
    unknown.into_iter().collect()
}

fn first_intent<'a>(evidence: &'a Evidence, operation: &'a str) -> Option<&'a Line> {
    evidence
        .of_operation(operation)
        .find(|line| line.kind == "operation_intended")
}

fn intent_before_send(world: &World, evidence: &Evidence) -> Vec<String> {
    let start = world.schedule.start();
    let sent = world.state().sent.clone();
    let mut wrong = Vec::new();
    for (at, call, operation, _) in sent {
        let at = start + jiff::SignedDuration::try_from(at).expect("short");
        match first_intent(evidence, &operation) {
            Some(line) if line.at <= at + SLACK => {}
            Some(line) => wrong.push(format!(
                "{call} of {} at {at}, intent stored at {}",
                evidence.label(&operation),
                line.at
            )),
            None => wrong.push(format!("{call} of {operation} without a stored intent")),
        }
    }
    wrong
}

/// One step of the simulation: within it times are told by different clocks.
const SLACK: jiff::SignedDuration = jiff::SignedDuration::from_millis(10);

fn intent_before_effect(_: &World, evidence: &Evidence) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for (effect, operation) in writes(evidence) {
        let Ok(at) = effect.sim_at.parse::<jiff::Timestamp>() else {
            continue;
        };
        let intended = first_intent(evidence, operation).is_some_and(|line| line.at <= at + SLACK);
        if !intended {
            wrong.insert(format!(
                "{} of {} before its intent was stored",
                effect.action,
                evidence.label(operation)
            ));
        }
    }
    wrong.into_iter().collect()
}

/// Every send of an operation after the first says that it is a repeat.
fn repeats_are_told(world: &World, evidence: &Evidence) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (_, call, operation, repeated) in world.state().sent.clone() {
        if !seen.insert(operation.clone()) && !repeated {
            wrong.push(format!(
                "{call} of {}: sent again as if for the first time",
                evidence.label(&operation)
            ));
        }
    }
    wrong
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn may_approve(role: &str, operator: &str) -> bool {
    use towline::engine::Role;
    let known = OPERATORS
        .iter()
        .find(|(name, _)| *name == operator)
        .map(|(_, role)| *role);
    let known = known.or((operator == "ann").then_some(Role::Admin));
    match role {
        "admin" => known == Some(Role::Admin),
        _ => matches!(known, Some(Role::Approver | Role::Admin)),
    }
}

fn approved_before_start(_: &World, evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for id in evidence.deployments.keys() {
        let lines: Vec<&Line> = evidence.of_deployment(id).collect();
        let Some(created) = lines.first() else { continue };
        let rule = created.payload.get("approval_rule").cloned().unwrap_or_default();
        let Some(count) = rule.get("count").and_then(Value::as_u64) else {
            continue;
        };
        let Some(started) = lines.iter().position(|line| line.kind == "deployment_started") else {
            continue;
        };
        let mut by = BTreeSet::new();
        for line in &lines[..started] {
            let operator = text(&line.payload, "operator");
            match line.kind.as_str() {
                "approved" if may_approve(text(&rule, "role"), operator) => drop(by.insert(operator)),
                "approval_voided" => drop(by.remove(operator)),
                _ => {}
            }
        }
        if (by.len() as u64) < count {
            wrong.push(format!(
                "{} {id} started with {} of {count} approvals",
                evidence.environment(Some(id)),
                by.len()
            ));
        }
    }
    wrong
}

fn started_before_effect(_: &World, evidence: &Evidence) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for (effect, operation) in writes(evidence) {
        let Some(row) = evidence.operations.get(operation) else {
            continue;
        };
        let Ok(at) = effect.sim_at.parse::<jiff::Timestamp>() else {
            continue;
        };
        let mut lines = evidence.of_deployment(&row.deployment);
        let started = lines.find(|line| line.kind == "deployment_started");
        if started.is_none_or(|line| line.at > at + SLACK) {
            wrong.insert(format!(
                "{} of {} before its deployment started",
                effect.action,
                evidence.label(operation)
            ));
        }
    }
    wrong.into_iter().collect()
}

/// A deployment is made only when the phase before has succeeded with this release.
fn phases_in_order(_: &World, evidence: &Evidence) -> Vec<String> {
    let order = ["dev", "staging", "prod"];
    let mut succeeded: BTreeSet<(i64, &str)> = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in &evidence.lines {
        let Some(row) = line
            .deployment
            .as_deref()
            .and_then(|id| evidence.deployments.get(id))
        else {
            continue;
        };
        let place = order
            .iter()
            .position(|name| *name == row.environment)
            .unwrap_or(0);
        match line.kind.as_str() {
            "deployment_created" if place > 0 && !succeeded.contains(&(row.release, order[place - 1])) => {
                wrong.push(format!(
                    "release {:?} went into {} before it had succeeded in {}",
                    evidence.releases.get(&row.release),
                    row.environment,
                    order[place - 1]
                ));
            }
            "deployment_finished" if text(&line.payload, "state") == "succeeded" => {
                succeeded.insert((row.release, order[place]));
            }
            _ => {}
        }
    }
    wrong
}

fn one_at_a_time(_: &World, evidence: &Evidence) -> Vec<String> {
    let mut running: BTreeMap<&str, &str> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in &evidence.lines {
        let Some(id) = line.deployment.as_deref() else {
            continue;
        };
        let environment = evidence.environment(Some(id));
        match line.kind.as_str() {
            "deployment_started" => {
                if let Some(other) = running.insert(environment, id) {
                    wrong.push(format!("{environment}: {id} started while {other} was running"));
                }
            }
            "deployment_finished" if running.get(environment) == Some(&id) => {
                running.remove(environment);
            }
            _ => {}
        }
    }
    wrong
}

fn terminal_stays(_: &World, evidence: &Evidence) -> Vec<String> {
    let mut ended: BTreeSet<&str> = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in &evidence.lines {
        let Some(id) = line.deployment.as_deref() else {
            continue;
        };
        let harmless = matches!(line.kind.as_str(), "late_truth" | "cancel_confirmed");
        if ended.contains(id) && !harmless {
            wrong.push(format!(
                "{} {id}: {} after its end",
                evidence.environment(Some(id)),
                line.kind
            ));
        }
        if line.kind == "deployment_finished" {
            ended.insert(id);
        }
    }
    let finished = ["succeeded", "failed", "errored", "cancelled"];
    for row in evidence.deployments.values() {
        if ended.contains(row.id.as_str()) != finished.contains(&row.state.as_str()) {
            wrong.push(format!(
                "{} {} is stored as {}",
                row.environment, row.id, row.state
            ));
        }
    }
    wrong
}

/// What is said to run, runs: for each service the newest operation that ended.
fn success_is_true(_: &World, evidence: &Evidence) -> Vec<String> {
    let mut newest: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for line in &evidence.lines {
        let touched = matches!(
            line.kind.as_str(),
            "operation_intended" | "operation_finished" | "late_truth"
        );
        let Some(row) = line
            .operation
            .as_deref()
            .and_then(|id| evidence.operations.get(id))
        else {
            continue;
        };
        if touched {
            newest.insert((&row.target, &row.service), &row.id);
        }
    }
    let mut wrong = Vec::new();
    for ((target, service), operation) in newest {
        let Some((verdict, reason)) = evidence.verdict(operation) else {
            continue;
        };
        if verdict != "succeeded" && verdict != "unchanged" {
            continue;
        }
        let wanted = digests_of(&evidence.operations[operation].payload);
        let Some(running) = running_images(evidence, target, service) else {
            continue;
        };
        let runs = running
            .iter()
            .any(|image| wanted.iter().any(|digest| image.ends_with(digest)));
        if !wanted.is_empty() && !runs {
            wrong.push(format!(
                "{service} on {target} is {verdict} ({reason}) with {wanted:?}, and AWS runs {running:?}"
            ));
        }
    }
    wrong
}

/// Every digest in what is sent for an operation.
fn digests_of(payload: &str) -> Vec<String> {
    let parts = payload.split("sha256:").skip(1);
    parts
        .filter_map(|part| Some(format!("sha256:{}", part.get(..64)?)))
        .collect()
}

/// Images of the service's PRIMARY deployment; `None` when there is no such service.
fn running_images(evidence: &Evidence, target: &str, service: &str) -> Option<Vec<String>> {
    let mut parts = target.split('/');
    let (account, region) = (parts.next()?, parts.next()?);
    let place = (account.to_owned(), region.to_owned());
    let state = evidence.accounts.get(&place)?;
    let list = |name: &str| state["regions"][0][name].as_array().cloned().unwrap_or_default();
    let services = list("services");
    let found = services.iter().find(|it| text(it, "serviceName") == service)?;
    let revision = text(found, "taskDefinition");
    let tasks = list("tasks");
    let of_revision = tasks
        .iter()
        .filter(|task| text(task, "taskDefinitionArn") == revision && text(task, "lastStatus") == "RUNNING");
    let containers = of_revision.flat_map(|task| task["containers"].as_array().cloned().unwrap_or_default());
    let images = containers.map(|container| text(&container, "image").to_owned());
    Some(images.collect())
}

/// One agent's word stands in the log once.
fn nothing_told_twice(_: &World, evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, row) in &evidence.operations {
        let finished = evidence
            .of_operation(id)
            .filter(|line| line.kind == "operation_finished")
            .count();
        if finished > 1 {
            wrong.push(format!(
                "{} on {} ended {finished} times",
                row.service, row.target
            ));
        }
    }
    wrong
}

/// What a person was told is done is still there.
fn acknowledged_is_kept(world: &World, evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let acknowledged = world.state().acknowledged.clone();
    for command in acknowledged {
        if let Command::Create { version, .. } = &command
            && !evidence.releases.values().any(|known| known == version)
        {
            wrong.push(format!("release {version} was acknowledged and is lost"));
        }
    }
    wrong
}

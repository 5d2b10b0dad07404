//! How the events of a release are written: one line each, and what is in
//! motion redrawn in place. Pure: messages in, lines out.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use towline_proto::orchestrator::v1::{Deployment, DeploymentEvent, DeploymentState, Operation};

use super::show::{self, Tone};

/// The kind of event that says how far a rollout is; the newest replaces the
/// one before on a terminal.
const PROGRESS: &str = "operation_progress";

/// One line of an event: time, environment, service@target, message.
pub fn line(event: &DeploymentEvent, zone: &TimeZone) -> String {
    let environment = show::or_dash(&event.environment);
    let subject = subject(event);
    let time = show::clock(event.time.as_ref(), zone);
    let message = show::paint(&event.message, tone(event));
    let separator = if subject.is_empty() { "" } else { "  " };
    format!("{time}  {environment:<10}  {subject}{separator}{message}")
}

fn subject(event: &DeploymentEvent) -> String {
    match (event.service.as_str(), event.target.as_str()) {
        ("", _) => String::new(),
        (service, "") => service.to_owned(),
        (service, target) => format!("{service}@{target}"),
    }
}

fn tone(event: &DeploymentEvent) -> Tone {
    match event.verdict.as_str() {
        "" => show::state(event.state()).1,
        verdict => show::verdict(verdict),
    }
}

/// What is in motion: the newest progress of each operation that runs.
#[derive(Debug, Default)]
pub struct InMotion {
    lines: BTreeMap<(String, String), String>,
}

impl InMotion {
    /// Takes an event; answers whether it is shown in place only.
    pub fn take(&mut self, event: &DeploymentEvent, zone: &TimeZone) -> bool {
        let key = (event.deployment.clone(), subject(event));
        if event.kind == PROGRESS {
            self.lines.insert(key, line(event, zone));
            return true;
        }
        if !event.verdict.is_empty() {
            self.lines.remove(&key);
        }
        if has_ended(event.state()) {
            self.lines
                .retain(|(deployment, _), _| *deployment != event.deployment);
        }
        false
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.values().cloned().collect()
    }
}

pub fn has_ended(state: DeploymentState) -> bool {
    matches!(
        state,
        DeploymentState::Succeeded
            | DeploymentState::Failed
            | DeploymentState::Errored
            | DeploymentState::Cancelled
    )
}

/// Why an operation ended badly: root cause first, then what supports it
/// (exit codes, last log lines), then the next step.
pub fn why(operation: &Operation) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |text: &str| {
        for line in text.lines() {
            lines.push(format!("          {line}"));
        }
    };
    match operation.diagnosis.split_first() {
        Some((root, details)) => {
            say(&show::paint(root, Tone::Bad));
            for detail in details {
                say(&format!("  {}", detail.replace('\n', "\n  ")));
            }
        }
        None if !operation.summary.is_empty() => say(&operation.summary),
        None => {}
    }
    if !operation.hint.is_empty() {
        say(&format!("hint: {}", operation.hint));
    }
    lines
}

/// The operation of a deployment that an event speaks of.
pub fn operation_of<'a>(deployment: &'a Deployment, event: &DeploymentEvent) -> Option<&'a Operation> {
    deployment
        .operations
        .iter()
        .find(|operation| operation.service == event.service && operation.target == event.target)
}

/// Whether an event is the bad end of one operation.
pub fn is_bad_end(event: &DeploymentEvent) -> bool {
    !event.service.is_empty() && matches!(event.verdict.as_str(), "failed" | "errored" | "cancelled")
}

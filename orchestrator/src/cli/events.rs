//! How the events of a release are written: one line each, and what is in
//! motion redrawn in place. Pure: messages in, lines out.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use towline_proto::orchestrator::v1::{
    Deployment, DeploymentEvent, DeploymentState, GetReleaseResponse, Operation,
};

use super::show::{self, Tone};

/// The kind of event that says how far an operation is.
const PROGRESS: &str = "operation_progress";

/// Writes events as lines in columns as wide as what was seen so far.
#[derive(Debug)]
pub struct Lines {
    zone: TimeZone,
    environment: usize,
    subject: usize,
}

impl Lines {
    pub fn in_zone(zone: TimeZone) -> Self {
        Self {
            zone,
            environment: 0,
            subject: 0,
        }
    }

    /// One line of an event: time, environment, service@target, message.
    pub fn line(&mut self, event: &DeploymentEvent) -> String {
        let time = show::clock(event.time.as_ref(), &self.zone);
        let environment = show::or_dash(&event.environment);
        self.environment = self.environment.max(environment.len());
        let message = show::paint(&event.message, tone(event));
        let subject = subject(event);
        let start = format!("{time}  {environment:<width$}", width = self.environment);
        if subject.is_empty() {
            return format!("{start}  {message}");
        }
        self.subject = self.subject.max(subject.len());
        format!("{start}  {subject:<width$}  {message}", width = self.subject)
    }
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

/// What is in motion on a terminal: the newest progress of each operation. A
/// line that differs from the one before it in its numbers only takes its
/// place; any other leaves the one before to stay.
#[derive(Debug, Default)]
pub struct InMotion {
    newest: BTreeMap<(String, String), Progress>,
}

#[derive(Debug)]
struct Progress {
    line: String,
    shape: String,
}

impl InMotion {
    /// Takes an event and its line; answers the lines that stay from now on.
    pub fn take(&mut self, event: &DeploymentEvent, line: String) -> Vec<String> {
        let key = (event.deployment.clone(), subject(event));
        if event.kind == PROGRESS {
            let shape = shape(&event.message);
            let before = self.newest.insert(
                key,
                Progress {
                    line,
                    shape: shape.clone(),
                },
            );
            return before
                .filter(|before| before.shape != shape)
                .map(|before| before.line)
                .into_iter()
                .collect();
        }
        let mut lines = match has_ended(event.state()) {
            true => self.settle(|(deployment, _)| *deployment == event.deployment),
            false => self.settle(|other| *other == key),
        };
        lines.push(line);
        lines
    }

    /// Takes out what stays as it is.
    fn settle(&mut self, which: impl Fn(&(String, String)) -> bool) -> Vec<String> {
        self.newest
            .extract_if(.., |key, _| which(key))
            .map(|(_, progress)| progress.line)
            .collect()
    }

    /// What is left when the watch ends.
    pub fn rest(&mut self) -> Vec<String> {
        self.settle(|_| true)
    }

    /// What is shown in place.
    pub fn lines(&self) -> Vec<String> {
        self.newest
            .values()
            .map(|progress| progress.line.clone())
            .collect()
    }
}

/// A message without its numbers.
fn shape(message: &str) -> String {
    message.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Whether a deployment in this state moves no more.
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
    if let Some((root, details)) = operation.diagnosis.split_first() {
        say(&show::paint(root, Tone::Bad));
        for detail in details {
            say(&format!("  {}", detail.replace('\n', "\n  ")));
        }
    }
    if !operation.hint.is_empty() {
        say(&format!("hint: {}", operation.hint));
    }
    lines
}

/// The operation of a deployment that an event speaks of: of several attempts and
/// roll-backs the newest, of those that ended so where it is about an end.
pub fn operation_of<'a>(deployment: &'a Deployment, event: &DeploymentEvent) -> Option<&'a Operation> {
    let same = |it: &&Operation| it.service == event.service && it.target == event.target;
    let newest = || deployment.operations.iter().rev().filter(same);
    let ended_so = newest().find(|it| !event.verdict.is_empty() && it.verdict == event.verdict);
    ended_so.or_else(|| newest().next())
}

/// Whether an event is the bad end of one operation.
pub fn is_bad_end(event: &DeploymentEvent) -> bool {
    !event.service.is_empty() && matches!(event.verdict.as_str(), "failed" | "errored" | "cancelled")
}

/// Why a release does not move, of its deployments that have not ended.
pub fn waiting_on(release: &GetReleaseResponse) -> String {
    let active = release
        .deployments
        .iter()
        .filter(|deployment| !has_ended(deployment.state()));
    let reasons = active.flat_map(|deployment| {
        let operations = deployment
            .operations
            .iter()
            .map(|operation| &operation.waiting_on);
        std::iter::once(&deployment.waiting_on).chain(operations)
    });
    std::iter::once(&release.waiting_on)
        .chain(reasons)
        .find(|reason| !reason.is_empty())
        .cloned()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(message: &str) -> DeploymentEvent {
        DeploymentEvent {
            environment: "dev".to_owned(),
            kind: PROGRESS.to_owned(),
            service: "web".to_owned(),
            target: "dev/eu-west-1/main".to_owned(),
            message: message.to_owned(),
            time: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 0,
            }),
            ..DeploymentEvent::default()
        }
    }

    #[test]
    fn an_event_is_one_line() {
        let mut lines = Lines::in_zone(TimeZone::UTC);
        assert_eq!(
            lines.line(&progress("stack: started")),
            "22:13:20  dev  web@dev/eu-west-1/main  stack: started"
        );
    }

    #[test]
    fn counts_replace_each_other_and_nothing_else_is_lost() {
        let mut motion = InMotion::default();
        let mut lines = Lines::in_zone(TimeZone::UTC);
        let mut take = |event: &DeploymentEvent| motion.take(event, lines.line(event)).join("|");
        assert_eq!(take(&progress("rollout: started")), "");
        assert!(take(&progress("PRIMARY web:7: 0/2 running")).ends_with("rollout: started"));
        assert_eq!(take(&progress("PRIMARY web:7: 1/2 running")), "");
        assert_eq!(take(&progress("PRIMARY web:7: 2/2 running")), "");
        let finished = DeploymentEvent {
            kind: "operation_finished".to_owned(),
            verdict: "succeeded".to_owned(),
            ..progress("succeeded")
        };
        let lines = take(&finished);
        assert!(
            lines.contains("2/2 running|") && lines.contains("succeeded"),
            "{lines}"
        );
        assert!(!lines.contains("1/2"), "{lines}");
        assert!(motion.lines().is_empty());
    }
}

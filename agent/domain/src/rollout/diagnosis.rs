//! Why a rollout failed, root cause first: what stopped tasks, dead containers'
//! last lines, service events and failed stack resources say, in the order in
//! which one causes the other. Compares AWS's times only with AWS's times.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::Value;

use crate::observed::{LoggedLine, ServiceEvent, StackEvent, StoppedTask, TaskDefinition, TaskDefinitionArn};
use crate::rollout::cause::{self, Cause, Kind};
use crate::verdict::Reason;

/// How many service events a diagnosis quotes.
const MOST_EVENTS: usize = 5;

/// The last lines of one dead container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerLog {
    /// The task's id, the last part of its ARN.
    pub task: String,
    pub container: String,
    /// Oldest first.
    pub lines: Vec<LoggedLine>,
}

/// Where a container's lines go (the log driver awslogs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSource {
    pub region: String,
    pub group: String,
    pub stream: String,
}

/// What there is to learn from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Findings<'a> {
    /// The revision whose tasks matter; others died for other reasons. `None`:
    /// not known (a stack that failed before it made one).
    pub task_definition: Option<&'a TaskDefinitionArn>,
    /// AWS's time of the deployment's (or stack change's) start; what is older is left out.
    pub since: Option<Timestamp>,
    pub stopped: &'a [StoppedTask],
    pub logs: &'a [ContainerLog],
    pub service_events: &'a [ServiceEvent],
    /// The stack's events of this operation, newest first.
    pub stack_events: &'a [StackEvent],
}

/// Why, root cause first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// One sentence; empty when nothing is known.
    pub root_cause: String,
    /// What supports it, most telling first.
    pub details: Vec<String>,
    /// What to do about it; empty when there is no telling.
    pub hint: String,
    /// The stable word for what tasks died of, or what keeps them from starting.
    pub cause: Option<Reason>,
    /// The tasks of our revision that died by themselves, newest first.
    pub stopped_tasks: Vec<StoppedTask>,
    pub logs: Vec<ContainerLog>,
    /// The stack's resources that failed, the first failure first.
    pub failed_resources: Vec<StackEvent>,
}

/// Where the lines of a task's container are; `None` when it logs elsewhere.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html>
pub fn log_source(definition: &TaskDefinition, container: &str, task: &str) -> Option<LogSource> {
    let containers = definition.definition.get("containerDefinitions")?.as_array()?;
    let named = |c: &&Value| c.get("name").and_then(Value::as_str) == Some(container);
    let log = containers.iter().find(named)?.get("logConfiguration")?;
    let option = |key: &str| Some(log.get("options")?.get(key)?.as_str()?.to_owned());
    if log.get("logDriver")?.as_str()? != "awslogs" {
        return None;
    }
    Some(LogSource {
        region: option("awslogs-region")?,
        group: option("awslogs-group")?,
        stream: format!("{}/{container}/{task}", option("awslogs-stream-prefix")?),
    })
}

/// The containers of a stopped task whose last lines are worth reading, the one
/// that ended the task first.
pub fn telling_containers(task: &StoppedTask) -> Vec<&str> {
    let culprit = cause::culprit(task).map(|container| container.name.as_str());
    let failed = task
        .containers
        .iter()
        .filter(|c| c.exit_code.is_some_and(|code| !matches!(code, 0 | 143)));
    let mut names: Vec<&str> = culprit
        .into_iter()
        .chain(failed.map(|c| c.name.as_str()))
        .collect();
    let mut seen = Vec::new();
    names.retain(|name| {
        let new = !seen.contains(name);
        seen.push(*name);
        new
    });
    names
}

/// Whether a stopped task says something about our rollout: it is of our
/// revision, stopped since the start, and nobody stopped it on purpose.
pub fn is_telling(task: &StoppedTask, findings: &Findings<'_>) -> bool {
    let ours = findings
        .task_definition
        .is_none_or(|revision| *revision == task.task_definition);
    let since = match (findings.since, task.stopped) {
        (Some(since), Some(stopped)) => stopped >= since,
        _ => true,
    };
    let on_purpose = match task.stop_code.as_str() {
        "UserInitiated" => true,
        "ServiceSchedulerInitiated" => !task.reason.contains("failed"),
        _ => false,
    };
    ours && since && !on_purpose
}

/// Puts the root cause first.
pub fn diagnose(findings: &Findings<'_>) -> Diagnosis {
    let mut stopped: Vec<StoppedTask> = findings
        .stopped
        .iter()
        .filter(|task| is_telling(task, findings))
        .cloned()
        .collect();
    stopped.sort_by_key(|task| std::cmp::Reverse(task.stopped));
    let failed_resources = failed_resources(findings);
    let events = telling_events(findings);
    let causes = causes(&stopped, findings.logs);

    // The first failure is the cause, what fails after it follows. A service fails
    // because of its tasks; any other resource fails by itself.
    let resource = failed_resources
        .first()
        .filter(|event| event.resource_type != "AWS::ECS::Service");
    let of_event = events.iter().find_map(cause::of_event);
    let (root_cause, hint) = if let Some(event) = resource {
        (resource_sentence(event), "")
    } else if let Some((cause, count)) = causes.first() {
        (counted(cause, *count), cause.hint)
    } else if let Some(cause) = &of_event {
        (cause.sentence.clone(), cause.hint)
    } else if let Some(event) = events.first() {
        (event_sentence(event), "")
    } else if let Some(event) = failed_resources.first() {
        (resource_sentence(event), "")
    } else {
        (String::new(), "")
    };
    let cause = causes.first().map(|(cause, _)| cause).or(of_event.as_ref());
    let cause = cause
        .filter(|_| resource.is_none())
        .map(|cause| cause.kind.reason());
    let mut details: Vec<String> = causes
        .iter()
        .map(|(cause, count)| counted(cause, *count))
        .collect();
    details.extend(failed_resources.iter().map(resource_sentence));
    details.extend(events.iter().map(event_sentence));
    details.retain(|detail| *detail != root_cause);
    Diagnosis {
        root_cause,
        details,
        hint: hint.to_owned(),
        cause,
        logs: logs_of(&stopped, findings.logs),
        stopped_tasks: stopped,
        failed_resources,
    }
}

fn event_sentence(event: &ServiceEvent) -> String {
    format!("ECS says: {}", event.message)
}

/// The causes with how many tasks died of each: the most frequent first, and of
/// equally frequent ones the more basic.
fn causes(stopped: &[StoppedTask], logs: &[ContainerLog]) -> Vec<(Cause, usize)> {
    let mut causes: Vec<(Cause, usize)> = Vec::new();
    for task in stopped {
        let cause = cause::of(task, logs);
        match causes
            .iter_mut()
            .find(|(known, _)| known.kind == cause.kind && cause.kind != Kind::Other)
        {
            Some((_, count)) => *count += 1,
            None => causes.push((cause, 1)),
        }
    }
    causes.sort_by_key(|(cause, count)| (std::cmp::Reverse(*count), cause.kind));
    causes
}

fn counted(cause: &Cause, count: usize) -> String {
    if count == 1 {
        cause.sentence.clone()
    } else {
        format!("{} ({count} tasks)", cause.sentence)
    }
}

/// The failures, oldest first, without those that only follow from another one.
fn failed_resources(findings: &Findings<'_>) -> Vec<StackEvent> {
    let follows = |event: &StackEvent| {
        event.reason.contains("cancelled") || event.resource_type == "AWS::CloudFormation::Stack"
    };
    let failed = findings
        .stack_events
        .iter()
        .rev()
        .filter(|event| event.status.ends_with("_FAILED"));
    failed.filter(|event| !follows(event)).cloned().collect()
}

fn resource_sentence(event: &StackEvent) -> String {
    format!(
        "{} ({}) is {}: {}",
        event.logical_id, event.resource_type, event.status, event.reason
    )
}

/// ECS's complaints since the start, newest first.
fn telling_events(findings: &Findings<'_>) -> Vec<ServiceEvent> {
    let complains = |event: &&ServiceEvent| {
        let says = |words: &str| event.message.contains(words);
        says("unable to")
            || says("failed")
            || says("unhealthy")
            || says("rolling back")
            || says("Unable")
            || says("unavailable")
    };
    let since = |event: &&ServiceEvent| findings.since.is_none_or(|since| event.at >= since);
    let events = findings.service_events.iter().filter(since).filter(complains);
    events.take(MOST_EVENTS).cloned().collect()
}

fn logs_of(stopped: &[StoppedTask], logs: &[ContainerLog]) -> Vec<ContainerLog> {
    let of_telling = |log: &&ContainerLog| stopped.iter().any(|task| task.id == log.task);
    logs.iter().filter(of_telling).cloned().collect()
}

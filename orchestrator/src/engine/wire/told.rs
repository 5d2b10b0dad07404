//! What an agent tells, in the domain's words and in lines for a person.

use towline_link::status::Details;
use towline_proto::agent::v1::{self as agent, operation_event::Event as AgentEvent};

use crate::domain::deployment::{Outcome, Verdict};

/// How an agent says that an operation ended.
pub fn outcome(finished: agent::Finished) -> Outcome {
    let verdict = match finished.verdict() {
        agent::Verdict::Succeeded => Verdict::Succeeded,
        agent::Verdict::Unchanged => Verdict::Unchanged,
        agent::Verdict::Failed => Verdict::Failed,
        agent::Verdict::Cancelled => Verdict::Cancelled,
        // A word that this program does not know is no success.
        agent::Verdict::Errored | agent::Verdict::Unspecified => Verdict::Errored,
    };
    Outcome {
        verdict,
        reason: finished.reason,
        summary: finished.summary,
        hint: finished.hint,
        diagnosis: finished.diagnosis.map(diagnosis).unwrap_or_default(),
        outputs: finished.outputs.into_iter().collect(),
    }
}

/// How an operation ends whose request the agent refused.
pub fn refusal(status: &tonic::Status) -> Outcome {
    let details = Details::of(status);
    let reason = details
        .reason
        .unwrap_or_else(|| status.code().to_string())
        .to_lowercase()
        .replace(' ', "_");
    let faults = details
        .violations
        .into_iter()
        .map(|(field, fault)| format!("{field}: {fault}"));
    Outcome {
        verdict: Verdict::Errored,
        reason,
        summary: format!("the agent refused: {}", status.message()),
        hint: details.hint.unwrap_or_default(),
        diagnosis: faults.collect(),
        outputs: Default::default(),
    }
}

/// Root cause first, one line each.
fn diagnosis(found: agent::Diagnosis) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |line: String| {
        if !line.is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    };
    say(found.root_cause);
    found.details.into_iter().for_each(&mut say);
    found.failed_resources.iter().map(resource).for_each(&mut say);
    found.stopped_tasks.iter().map(stopped_task).for_each(&mut say);
    found.log_lines.iter().map(log_line).for_each(&mut say);
    lines
}

/// One line for a person about an event; `None` for what other events tell.
pub fn progress(event: &AgentEvent) -> Option<String> {
    let line = match event {
        AgentEvent::Started(_) | AgentEvent::Finished(_) => return None,
        AgentEvent::StepChanged(step) => step_line(step),
        AgentEvent::Finding(finding) => match finding.hint.is_empty() {
            true => finding.message.clone(),
            false => format!("{} (hint: {})", finding.message, finding.hint),
        },
        AgentEvent::StackResource(changed) => resource(changed),
        AgentEvent::Rollout(rollout) => rollout_line(rollout),
        AgentEvent::ServiceEvent(event) => event.message.clone(),
        AgentEvent::TaskStopped(task) => stopped_task(task),
        AgentEvent::LogLine(line) => log_line(line),
    };
    Some(line)
}

fn step_line(step: &agent::StepChanged) -> String {
    let name = match step.step() {
        agent::Step::Unspecified => "step",
        agent::Step::Preflight => "pre-flight",
        agent::Step::ChangeSet => "change set",
        agent::Step::Stack => "stack",
        agent::Step::Revision => "revision",
        agent::Step::ServiceUpdate => "service update",
        agent::Step::Rollout => "rollout",
        agent::Step::Rollback => "rollback",
        agent::Step::Bake => "bake time",
        agent::Step::Task => "task",
    };
    let state = match step.state() {
        agent::StepState::Unspecified => "changed",
        agent::StepState::Started => "started",
        agent::StepState::Done => "done",
        agent::StepState::Failed => "failed",
        agent::StepState::Skipped => "nothing to do",
    };
    match step.detail.is_empty() {
        true => format!("{name}: {state}"),
        false => format!("{name}: {state}: {}", step.detail),
    }
}

fn rollout_line(rollout: &agent::Rollout) -> String {
    let each: Vec<String> = rollout
        .deployments
        .iter()
        .map(|d| {
            let failed = match d.failed {
                0 => String::new(),
                failed => format!(", {failed} failed"),
            };
            format!(
                "{} {}: {}/{} running, {} pending{failed}",
                d.status, d.task_definition, d.running, d.desired, d.pending
            )
        })
        .collect();
    each.join("; ")
}

fn resource(changed: &agent::StackResource) -> String {
    match changed.status_reason.is_empty() {
        true => format!("{} {}", changed.logical_id, changed.status),
        false => format!(
            "{} {}: {}",
            changed.logical_id, changed.status, changed.status_reason
        ),
    }
}

fn stopped_task(task: &agent::TaskStopped) -> String {
    let mut line = format!("task {} stopped: {}", task.task, task.stopped_reason);
    for container in &task.containers {
        let code = container
            .exit_code
            .map(|code| format!(" with exit code {code}"))
            .unwrap_or_default();
        let reason = match container.reason.is_empty() {
            true => String::new(),
            false => format!(": {}", container.reason),
        };
        if !code.is_empty() || !reason.is_empty() {
            line.push_str(&format!("; container {} ended{code}{reason}", container.name));
        }
    }
    line
}

fn log_line(line: &agent::LogLine) -> String {
    format!("{} | {}", line.container, line.message)
}

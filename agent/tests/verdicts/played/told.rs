//! Events in short words, for conditions and for people who look for a fault.

use towline_proto::agent::v1::operation_event::Event;

/// One event.
pub fn line(event: &Event) -> String {
    match event {
        Event::Started(started) => format!("started, reattached: {}", started.reattached),
        Event::StepChanged(step) => {
            let name = step
                .step()
                .as_str_name()
                .trim_start_matches("STEP_")
                .to_lowercase();
            let state = step.state().as_str_name();
            let state = state.trim_start_matches("STEP_STATE_").to_lowercase();
            format!("{name} {state}: {}", step.detail)
        }
        Event::Finding(finding) => format!("finding {}: {}", finding.reason, finding.message),
        Event::StackResource(resource) => format!("resource {} {}", resource.logical_id, resource.status),
        Event::Rollout(rollout) => {
            let deployments = rollout.deployments.iter().map(|one| {
                let revision = one.task_definition.rsplit('/').next().unwrap_or_default();
                format!(
                    "{} {revision} {}/{} pending {} failed {} {}",
                    one.status, one.running, one.desired, one.pending, one.failed, one.rollout_state
                )
            });
            format!("counts {}", deployments.collect::<Vec<_>>().join("; "))
        }
        Event::ServiceEvent(event) => format!("service event {} {}", event.id, event.message),
        Event::TaskStopped(task) => format!("task stopped {} {}", task.stop_code, task.stopped_reason),
        Event::LogLine(line) => format!("log {}", line.message),
        Event::Finished(end) => format!("finished {}: {}", end.reason, end.summary),
    }
}

//! The service's own settings, what it can go back to, its target groups and alarms.

use serde_json::Value;

use super::{Facts, UpdateView};
use crate::fargate::preflight::{Findings, said, slow};
use crate::observed::{AlarmState, CircuitBreaker, ObservedAlarm};

pub(super) fn judge(view: &UpdateView<'_>, facts: &Facts, found: &mut Findings) {
    breaker(view.service.circuit_breaker, found);
    roll_back_target(view, found);
    if view.service.desired == 0 {
        found.note(
            "no_tasks",
            format!(
                "service {} is to have no tasks: its rollout proves nothing about the new revision",
                view.service.name
            ),
            "raise its desired count to see the new revision run",
        );
    }
    for (arn, group) in &facts.target_groups {
        match said(group, &format!("target group {arn}"), found) {
            Some(Some(group)) => slow(group, found),
            Some(None) => found.error(
                "target_group_missing",
                format!("target group {arn} does not exist any more, and ECS starts no task without it"),
                "make it again, or take it from the service",
            ),
            None => {}
        }
    }
    if let (Some(bake), Some(answer)) = (&view.spec.bake, &facts.alarms)
        && let Some(alarms) = said(answer, "the state of the alarms", found)
    {
        for name in &bake.alarms {
            alarm(name, alarms.iter().find(|alarm| alarm.name == *name), found);
        }
    }
}

fn breaker(breaker: CircuitBreaker, found: &mut Findings) {
    if !breaker.enabled {
        found.warning(
            "circuit_breaker_off",
            "the service's deployment circuit breaker is off: ECS never gives a bad rollout up, and starts new tasks of \
             it for ever"
                .to_owned(),
            "enable deploymentCircuitBreaker, with rollback",
        );
    } else if breaker.resets_on_healthy {
        found.note(
            "circuit_breaker_blind",
            "the service's circuit breaker forgets failed tasks whenever one becomes healthy: it does not see tasks that \
             start well and then die"
                .to_owned(),
            "set resetOnHealthyTask to false; Towline counts such tasks by itself while it follows the rollout",
        );
    }
}

fn roll_back_target(view: &UpdateView<'_>, found: &mut Findings) {
    let Some(running) = view.running else {
        found.warning(
            "rollback_target_gone",
            format!(
                "{}, which the service runs, was deleted: nothing could be put back",
                view.service.task_definition
            ),
            "keep revisions that run; a deleted one cannot be registered again",
        );
        return;
    };
    if running.definition.get("status").and_then(Value::as_str) == Some("INACTIVE") {
        found.note(
            "rollback_target_inactive",
            format!(
                "{}, which the service runs, is INACTIVE: to roll back, its content is registered again",
                view.service.task_definition
            ),
            "whoever deregisters old revisions (Terraform without skip_destroy, say) should keep the one that runs",
        );
    }
}

fn alarm(name: &str, alarm: Option<&ObservedAlarm>, found: &mut Findings) {
    match alarm.map(|alarm| (alarm.state, alarm.reason.as_str())) {
        Some((AlarmState::Ok, _)) => {}
        Some((AlarmState::Alarm, reason)) => found.error(
            "alarm_not_ok",
            format!("alarm {name} is in ALARM already: {reason}"),
            "see to it first, or leave it out of bake_alarms",
        ),
        Some((AlarmState::InsufficientData, _)) => found.note(
            "alarm_without_data",
            format!("alarm {name} has too little data to say anything"),
            "an alarm that never says OK proves nothing about a release",
        ),
        None => found.error(
            "alarm_not_ok",
            format!("there is no alarm {name} in this region"),
            "compare its name, which is exact",
        ),
    }
}

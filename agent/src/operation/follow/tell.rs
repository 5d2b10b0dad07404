//! What a person hears of a rollout: counts when they change, ECS's events and dead
//! tasks once each, and what is to be expected before it happens.

use std::collections::HashSet;

use towline_agent_domain::{
    observed::ObservedService,
    outside::Account,
    rollout::{
        crash_loop,
        follow::{self, Phase, RolloutJudgement},
        stuck, targets,
    },
};
use towline_proto::agent::v1::{self as proto, Severity, operation_event::Event};

use super::{Follower, reads::Targeted};
use crate::wire;

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Told {
    tasks: HashSet<String>,
    events: HashSet<String>,
    findings: HashSet<&'static str>,
    rollout: Option<proto::Rollout>,
    targets: Vec<proto::RolloutTargets>,
    phase: Option<Phase>,
    /// Events that the first look shows are of earlier rollouts.
    skips_the_past: bool,
}

impl Told {
    pub(super) fn skip_the_past(&mut self) {
        self.skips_the_past = true;
    }

    /// What was told of the service, whosever deployment it is about.
    pub(super) fn known(&self) -> Self {
        Self {
            tasks: self.tasks.clone(),
            events: self.events.clone(),
            ..Self::default()
        }
    }

    /// The last look did not show our deployment, and nothing says why.
    pub(super) fn waits_to_see_ours(&self) -> bool {
        self.phase == Some(Phase::NotSeenYet)
    }

    /// Each task is new once.
    pub(super) fn is_new_task(&mut self, id: &str) -> bool {
        self.tasks.insert(id.to_owned())
    }
}

impl<A: Account> Follower<'_, A> {
    /// Tells what is new of the service.
    pub(super) fn tell(&mut self, service: &ObservedService, targets: Option<&Targeted>) {
        if let Some((ours, groups)) = targets {
            self.told.targets = wire::targets(&targets::counts(ours, groups));
        }
        let rollout = wire::rollout(service, self.ours.id.as_deref(), &self.told.targets);
        if self.told.rollout.as_ref() != Some(&rollout) {
            self.handle.emit(Event::Rollout(rollout.clone()));
            self.told.rollout = Some(rollout);
        }
        let Some(since) = self.since else { return };
        if std::mem::take(&mut self.told.skips_the_past) {
            let past = service.events.iter().map(|event| event.id.clone());
            self.told.events.extend(past);
        }
        for event in service.events.iter().rev().filter(|event| event.at >= since) {
            if self.told.events.insert(event.id.clone()) {
                self.handle.emit(Event::ServiceEvent(wire::service_event(event)));
            }
        }
    }

    pub(super) fn tell_targets(&mut self, service: Option<&ObservedService>, targets: &Targeted) {
        if let Some(service) = service {
            self.tell(service, Some(targets));
        }
    }

    /// What will happen if this goes on, once for each kind of trouble.
    pub(super) fn tell_outlook(&mut self, service: &ObservedService) {
        let primary = service.primary().filter(|d| follow::is_ours(d, &self.ours));
        let Some(ours) = primary else { return };
        if let Some(words) = crash_loop::outlook(service, ours, &self.stopped) {
            let hint = "the tasks' reasons and last log lines follow as they are found";
            self.find_once(Severity::Warning, "tasks_die", words, hint);
        }
        if let Some((reason, words)) = stuck::early_word(service, ours) {
            let hint = "ECS tries again; this operation waits some minutes for it";
            self.find_once(Severity::Warning, reason.as_str(), words, hint);
        }
    }

    fn find_once(&mut self, severity: Severity, reason: &'static str, words: String, hint: &str) {
        if self.told.findings.insert(reason) {
            self.handle.finding(severity, reason, words, hint);
        }
    }

    pub(super) fn tell_phase(&mut self, judgement: &RolloutJudgement) {
        let RolloutJudgement::InProgress(progress) = judgement else {
            return;
        };
        if self.told.phase.as_ref() == Some(&progress.phase) {
            return;
        }
        match &progress.phase {
            Phase::Targets { unhealthy } => self.handle.finding(
                Severity::Info,
                "waiting_for_targets",
                format!(
                    "all tasks run; the load balancer waits for {}",
                    unhealthy.join(", ")
                ),
                "",
            ),
            Phase::RollingBack => self.handle.finding(
                Severity::Warning,
                "rolling_back",
                format!("ECS puts back what ran before {}", self.ours.task_definition),
                "",
            ),
            Phase::Settling => self.handle.finding(
                Severity::Info,
                "tasks_died",
                "ECS calls the rollout complete, and tasks of it died a moment ago: is it to last?",
                "",
            ),
            Phase::NotSeenYet | Phase::Replacing => {}
        }
        self.told.phase = Some(progress.phase.clone());
    }
}

//! Observing until there is something to do, and reading what the decision asks for.

use std::time::Duration;

use towline_agent_domain::{
    observed::{ServiceDeployment, StoppedTask, TaskDefinition, TaskDefinitionArn},
    outside::Account,
    update::{
        revision::same_content,
        start::{StartDecision, StartView, back, start},
    },
};
use towline_proto::agent::v1::{Step, StepState};

use super::{
    super::{Ending, Interruption, interruption, undo},
    Update, UpdateOrder,
    observe::Observation,
};
use crate::config::Timing;

/// What was read because the decision asked for it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub records: Option<Vec<ServiceDeployment>>,
    pub stopped: Option<Vec<StoppedTask>>,
    /// Other revisions that hold the content of what a roll-back puts back.
    expected_again: Vec<TaskDefinitionArn>,
}

/// For how long the account was observed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// As long as AWS may lag.
    pub settled: bool,
    /// As long as a request may be under way that was sent before.
    pub landed: bool,
}

impl Watched {
    pub(super) const LONG: Self = Self {
        settled: true,
        landed: true,
    };

    fn new(watched: Duration, timing: Timing) -> Self {
        Self {
            settled: watched >= timing.settle,
            landed: watched >= timing.landing(),
        }
    }
}

/// So many of the newest rollouts may be this operation's or its roll-back's.
const NEWEST: usize = 2;

impl<A: Account> Update<'_, A> {
    /// Observes until there is something to do.
    pub(super) async fn decide(&mut self) -> Result<(Observation, StartDecision), Ending> {
        let clock = self.handle.clock();
        let start_of_watch = clock.instant();
        let mut waiting = false;
        loop {
            let watched = Watched::new(
                clock.instant().duration_since(start_of_watch),
                self.surroundings.timing,
            );
            let mut observation = self.observe().await?;
            let decision = self.decide_on(&mut observation, watched).await?;
            let StartDecision::KeepObserving { why } = decision else {
                self.unless_stopped(&decision)?;
                self.announce(&decision);
                return Ok((observation, decision));
            };
            if !waiting {
                self.handle.started(false);
                self.handle.step(
                    Step::Preflight,
                    StepState::Started,
                    format!("{why}; looking again"),
                );
                waiting = true;
            }
            self.pause_between_looks().await?;
        }
    }

    /// Until the next look. A person who says stop is heeded at once where nothing can
    /// have been sent; else when it shows what an earlier send has done.
    async fn pause_between_looks(&self) -> Result<(), Ending> {
        let timing = self.surroundings.timing;
        match self.handle.pause(timing.poll).await {
            None => Ok(()),
            Some(Interruption::Cancel(_)) if self.order.repeated_send => {
                self.handle.clock().sleep(timing.poll).await;
                Ok(())
            }
            Some(by) => Err(interruption::before_the_write(by, self.so_far())),
        }
    }

    /// Nothing is begun any more when a person has said stop, nor is somebody else's
    /// rollout taken back.
    fn unless_stopped(&self, decision: &StartDecision) -> Result<(), Ending> {
        let is_not_ours = matches!(decision, StartDecision::Reattach { .. }) && !self.order.repeated_send;
        match self.handle.interruption() {
            Some(by @ Interruption::Cancel(_)) if decision.writes() || is_not_ours => {
                self.handle.started(false);
                Err(interruption::before_the_write(by, self.so_far()))
            }
            _ => Ok(()),
        }
    }

    fn so_far(&self) -> &'static str {
        match self.order.repeated_send {
            true => "nothing shows that an earlier send has changed it",
            false => "nothing was written",
        }
    }

    /// The decision on one observation; what it asks for is read, each once.
    pub(super) async fn decide_on(
        &mut self,
        observation: &mut Observation,
        watched: Watched,
    ) -> Result<StartDecision, Ending> {
        let mut asked = Asked::default();
        loop {
            let decision = self.start(observation, &asked, watched);
            match decision {
                StartDecision::ReadServiceDeployments if asked.records.is_none() => {
                    let records = self.read_records().await?;
                    self.recognise(observation, &mut asked, &records).await?;
                    asked.records = Some(records);
                }
                StartDecision::ReadStoppedTasks if asked.stopped.is_none() => {
                    asked.stopped = Some(self.read_stopped().await?);
                }
                decision => return Ok(decision),
            }
        }
    }

    /// Which of the newest rollouts' revisions hold the wanted content, and which that
    /// of what a roll-back puts back. Neither must be the family's latest: a roll-back
    /// may have registered one more.
    async fn recognise(
        &mut self,
        observation: &mut Observation,
        asked: &mut Asked,
        records: &[ServiceDeployment],
    ) -> Result<(), Ending> {
        let expected = self.expected_revision();
        let newest = records
            .iter()
            .take(NEWEST)
            .filter_map(|r| r.task_definition.clone());
        let mut others = Vec::new();
        for revision in newest.collect::<Vec<_>>() {
            if observation.with_wanted_content.contains(&revision) || expected.as_ref() == Some(&revision) {
                continue;
            }
            let Some(definition) = self.running_definition(&revision).await? else {
                continue;
            };
            let next = observation.next.as_ref();
            match next.is_some_and(|next| same_content(&definition, next)) {
                true => observation.with_wanted_content.push(revision),
                false => others.push((revision, definition)),
            }
        }
        for (revision, definition) in others {
            if self.is_copy_of_back(&definition, observation, records).await? {
                asked.expected_again.push(revision);
            }
        }
        Ok(())
    }

    /// Whether a definition was registered again from what a roll-back puts back.
    async fn is_copy_of_back(
        &mut self,
        definition: &TaskDefinition,
        observation: &Observation,
        records: &[ServiceDeployment],
    ) -> Result<bool, Ending> {
        let expected = self.expected_revision();
        let is_ours = |revision: &TaskDefinitionArn| observation.with_wanted_content.contains(revision);
        let Some(old) = back::on_record(records, is_ours, expected.as_ref()) else {
            return Ok(false);
        };
        let Some(before) = self.running_definition(old).await? else {
            return Ok(false);
        };
        Ok(undo::copy_of(&before, old).is_ok_and(|copy| same_content(definition, &copy)))
    }

    fn announce(&self, decision: &StartDecision) {
        let found = matches!(
            decision,
            StartDecision::Reattach { .. }
                | StartDecision::RolledBack { .. }
                | StartDecision::PutBack { .. }
                | StartDecision::Superseded { .. }
        );
        self.handle.started(found);
        if !matches!(decision, StartDecision::Refuse(_)) {
            let detail = format!("service {} can be updated", self.order.service);
            self.handle.step(Step::Preflight, StepState::Done, detail);
        }
    }

    pub(super) fn start(&self, observation: &Observation, asked: &Asked, watched: Watched) -> StartDecision {
        start(&StartView {
            name: &self.order.service,
            service: observation.service.as_ref(),
            expected: self.order.expected.as_ref(),
            with_wanted_content: &observation.with_wanted_content,
            with_expected_content: &asked.expected_again,
            service_deployments: asked.records.as_deref(),
            stopped: asked.stopped.as_deref(),
            force: self.order.spec.force,
            repeated_send: self.order.repeated_send,
            settled: watched.settled,
            landed: watched.landed,
        })
    }

    async fn read_stopped(&self) -> Result<Vec<StoppedTask>, Ending> {
        let UpdateOrder { at, service, .. } = self.order;
        let what = format!("list the stopped tasks of service {service}");
        let aws = &self.surroundings.aws;
        self.handle.read(&what, || aws.stopped(at, service)).await
    }
}

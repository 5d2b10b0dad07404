//! Observing until there is something to do, and reading what the decision asks for.

use towline_agent_domain::{
    observed::{ServiceDeployment, StoppedTask, TaskDefinitionArn},
    outside::Account,
    update::{
        revision::same_content,
        start::{StartDecision, StartView, start},
    },
};
use towline_proto::agent::v1::{Step, StepState};

use super::{
    super::{Ending, interruption, undo},
    Update, UpdateOrder,
    observe::Observation,
};

/// What was read because the decision asked for it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub records: Option<Vec<ServiceDeployment>>,
    pub stopped: Option<Vec<StoppedTask>>,
    /// Revisions beside the expected one that hold its content.
    expected_again: Vec<TaskDefinitionArn>,
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
            let settled = clock.instant().duration_since(start_of_watch) >= self.surroundings.timing.settle;
            let mut observation = self.observe().await?;
            let decision = self.decide_on(&mut observation, settled).await?;
            let StartDecision::KeepObserving { why } = decision else {
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
            if let Some(by) = self.handle.pause(self.surroundings.timing.poll).await {
                return Err(interruption::before_the_write(by, "nothing was written"));
            }
        }
    }

    /// The decision on one observation; what it asks for is read, each once.
    pub(super) async fn decide_on(
        &mut self,
        observation: &mut Observation,
        settled: bool,
    ) -> Result<StartDecision, Ending> {
        let mut asked = Asked::default();
        loop {
            let decision = self.start(observation, &asked, settled);
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
    /// of what was expected. Neither must be the family's latest: a roll-back may have
    /// registered one more.
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
        for revision in newest.collect::<Vec<_>>() {
            if observation.with_wanted_content.contains(&revision) || expected.as_ref() == Some(&revision) {
                continue;
            }
            let Some(definition) = self.running_definition(&revision).await? else {
                continue;
            };
            let next = observation.next.as_ref();
            if next.is_some_and(|next| same_content(&definition, next)) {
                observation.with_wanted_content.push(revision);
                continue;
            }
            let Some(expected) = &expected else { continue };
            let Some(before) = self.running_definition(expected).await? else {
                continue;
            };
            if undo::copy_of(&before, expected).is_ok_and(|copy| same_content(&definition, &copy)) {
                asked.expected_again.push(revision);
            }
        }
        Ok(())
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

    pub(super) fn start(&self, observation: &Observation, asked: &Asked, settled: bool) -> StartDecision {
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
            settled,
        })
    }

    async fn read_stopped(&self) -> Result<Vec<StoppedTask>, Ending> {
        let UpdateOrder { at, service, .. } = self.order;
        let what = format!("list the stopped tasks of service {service}");
        let aws = &self.surroundings.aws;
        self.handle.read(&what, || aws.stopped(at, service)).await
    }
}

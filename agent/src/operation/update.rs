//! The driver of `UpdateService`: observe, decide ([`towline_agent_domain::update::start`]),
//! act once, follow to a verdict. At most one UpdateService is sent; a roll-back
//! that only another one can do is announced as its own step (see [`super::undo`]).

use std::collections::HashMap;

use towline_agent_domain::{
    observed::{ClusterRef, ObservedService, ServiceDeployment, TaskDefinition, TaskDefinitionArn},
    outside::{Account, CallError},
    rollout::follow::OurDeployment,
    update::{
        revision::{ContainerChange, NextRevision, RevisionError, next_revision, same_content},
        start::{ExpectedService, StartDecision, StartView, start},
    },
    verdict::Reason,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{
    Ending, Handle, Interruption, Surroundings, conclude, follow::Follower, interruption,
    registration::register,
};

/// New images for one service, checked.
#[derive(Clone, Debug)]
pub(crate) struct UpdateOrder {
    pub at: ClusterRef,
    /// The ECS service's name.
    pub service: String,
    /// By default that of the service.
    pub family: Option<String>,
    pub changes: Vec<ContainerChange>,
    /// `None`: what is observed is where it starts from.
    pub expected: Option<ExpectedService>,
    /// The operation was sent before.
    pub repeated_send: bool,
}

/// Carries an update out, to its verdict.
pub(crate) async fn update<A: Account>(
    surroundings: &Surroundings<A>,
    handle: &Handle,
    order: &UpdateOrder,
) -> Ending {
    let mut driver = Update {
        surroundings,
        handle,
        order,
        known: HashMap::new(),
        told_latest: false,
    };
    driver.run().await.unwrap_or_else(|ending| ending)
}

struct Update<'a, A> {
    surroundings: &'a Surroundings<A>,
    handle: &'a Handle,
    order: &'a UpdateOrder,
    /// Task definitions by ARN: their content never changes.
    known: HashMap<TaskDefinitionArn, TaskDefinition>,
    told_latest: bool,
}

/// What one observation brought.
struct Observation {
    service: Option<ObservedService>,
    next: Option<NextRevision>,
    with_wanted_content: Vec<TaskDefinitionArn>,
}

impl Observation {
    fn running(&self) -> Option<TaskDefinitionArn> {
        self.service
            .as_ref()?
            .primary()
            .map(|primary| primary.task_definition.clone())
    }
}

impl<A: Account> Update<'_, A> {
    async fn run(&mut self) -> Result<Ending, Ending> {
        let (observation, decision) = self.decide().await?;
        let before = observation.running();
        match decision {
            StartDecision::Unchanged {
                deployment_id,
                task_definition,
            } => Ok(self.unchanged(&deployment_id, &task_definition)),
            StartDecision::Register => {
                let next = observation.next.ok_or_else(|| self.nothing_to_register())?;
                let revision = register(self.surroundings, self.handle, &self.order.at.region, &next).await?;
                self.send(before, revision).await
            }
            StartDecision::Update { task_definition } => {
                let detail = format!("{task_definition} has this content already");
                self.handle.step(Step::Revision, StepState::Skipped, detail);
                self.send(before, task_definition).await
            }
            StartDecision::Reattach {
                deployment_id,
                task_definition,
            } => {
                let detail = format!("deployment {deployment_id} of {task_definition} is under way already");
                self.handle.step(Step::ServiceUpdate, StepState::Skipped, detail);
                let previous = self.expected_revision();
                self.follow(Some(deployment_id), task_definition, previous).await
            }
            StartDecision::RolledBack { task_definition, .. } => {
                // The record is judged, and its evidence gathered, where every rollout is.
                let mut follower = self.follower(None, task_definition);
                follower.presume_gone();
                conclude::rollout(&mut follower, self.expected_revision()).await
            }
            StartDecision::Superseded { task_definition, by } => {
                let summary = format!("{task_definition} was replaced by {by}");
                let mut follower = self.follower(None, task_definition);
                follower.read_stopped().await?;
                Ok(conclude::ended(&mut follower, Reason::Superseded, &summary).await)
            }
            StartDecision::Refuse(refusal) => {
                self.handle
                    .step(Step::Preflight, StepState::Failed, refusal.message.clone());
                Err(refusal.into())
            }
            StartDecision::ReadServiceDeployments | StartDecision::KeepObserving { .. } => {
                Err(self.undecided())
            }
        }
    }

    /// Observes until there is something to do.
    async fn decide(&mut self) -> Result<(Observation, StartDecision), Ending> {
        let clock = self.handle.clock();
        let start_of_watch = clock.instant();
        let mut waiting = false;
        loop {
            let settled = clock.instant().duration_since(start_of_watch) >= self.surroundings.timing.settle;
            let observation = self.observe().await?;
            let mut decision = self.start(&observation, None, settled);
            if decision == StartDecision::ReadServiceDeployments {
                let records = self.read_records().await?;
                decision = self.start(&observation, Some(&records), settled);
            }
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

    fn announce(&self, decision: &StartDecision) {
        let found = matches!(
            decision,
            StartDecision::Reattach { .. }
                | StartDecision::RolledBack { .. }
                | StartDecision::Superseded { .. }
        );
        self.handle.started(found);
        if !matches!(decision, StartDecision::Refuse(_)) {
            let detail = format!("service {} can be updated", self.order.service);
            self.handle.step(Step::Preflight, StepState::Done, detail);
        }
    }

    fn start(
        &self,
        observation: &Observation,
        records: Option<&[ServiceDeployment]>,
        settled: bool,
    ) -> StartDecision {
        start(&StartView {
            name: &self.order.service,
            service: observation.service.as_ref(),
            expected: self.order.expected.as_ref(),
            with_wanted_content: &observation.with_wanted_content,
            service_deployments: records,
            repeated_send: self.order.repeated_send,
            settled,
        })
    }

    async fn observe(&mut self) -> Result<Observation, Ending> {
        let UpdateOrder {
            at, service: name, ..
        } = self.order;
        let aws = &self.surroundings.aws;
        let service = self
            .handle
            .read(&format!("describe service {name}"), || aws.service(at, name))
            .await?;
        let Some(found) = &service else {
            return Ok(Observation {
                service,
                next: None,
                with_wanted_content: Vec::new(),
            });
        };
        let running = found
            .primary()
            .map_or(&found.task_definition, |primary| &primary.task_definition)
            .clone();
        let family = self
            .order
            .family
            .as_deref()
            .unwrap_or(running.family())
            .to_owned();
        let latest = self.read_definition(&family).await?;
        let next = next_revision(&latest, &self.order.changes).map_err(|error| unusable(&error))?;
        let latest_arn = latest.arn();
        self.warn_of_latest(latest_arn.as_ref(), &running);
        let mut with_wanted_content: Vec<_> = latest_arn
            .filter(|_| same_content(&latest, &next))
            .into_iter()
            .collect();
        if !with_wanted_content.contains(&running)
            && same_content(&self.running_definition(&running).await?, &next)
        {
            with_wanted_content.push(running);
        }
        Ok(Observation {
            service,
            next: Some(next),
            with_wanted_content,
        })
    }

    async fn running_definition(&mut self, arn: &TaskDefinitionArn) -> Result<TaskDefinition, Ending> {
        if let Some(known) = self.known.get(arn) {
            return Ok(known.clone());
        }
        let read = self.read_definition(&arn.0).await?;
        self.known.insert(arn.clone(), read.clone());
        Ok(read)
    }

    async fn read_definition(&self, reference: &str) -> Result<TaskDefinition, Ending> {
        let region = &self.order.at.region;
        let what = format!("describe task definition {reference}");
        let aws = &self.surroundings.aws;
        self.handle
            .read(&what, || aws.task_definition(region, reference))
            .await
    }

    async fn read_records(&self) -> Result<Vec<ServiceDeployment>, Ending> {
        let UpdateOrder { at, service, .. } = self.order;
        let what = format!("list the deployments of service {service}");
        let aws = &self.surroundings.aws;
        self.handle
            .read(&what, || aws.service_deployments(at, service))
            .await
    }

    /// The next revision is made from the family's latest, which may hold more than what runs.
    fn warn_of_latest(&mut self, latest: Option<&TaskDefinitionArn>, running: &TaskDefinitionArn) {
        let Some(latest) = latest.filter(|latest| *latest != running) else {
            return;
        };
        if std::mem::replace(&mut self.told_latest, true) || self.order.repeated_send {
            return;
        }
        self.handle.finding(
            Severity::Warning,
            "latest_is_not_running",
            format!(
                "the service runs {running}; the new revision starts from {latest}, the latest of its family"
            ),
            "compare the two when something else than the images changes",
        );
    }

    /// The one UpdateService.
    async fn send(
        &mut self,
        before: Option<TaskDefinitionArn>,
        revision: TaskDefinitionArn,
    ) -> Result<Ending, Ending> {
        let UpdateOrder { at, service, .. } = self.order;
        if let Some(by) = self.handle.interruption() {
            return Err(interruption::before_the_write(by, "the service runs what it ran"));
        }
        let detail = format!("service {service} to {revision}");
        self.handle
            .step(Step::ServiceUpdate, StepState::Started, detail.clone());
        let what = format!("update service {service} to {revision}");
        let sent = loop {
            match self.surroundings.aws.update_service(at, service, &revision).await {
                Err(CallError::Throttled { message }) => {
                    tracing::info!(operation = %self.handle.id(), "cannot {what} yet: {message}");
                    if let Some(by) = self.handle.pause(self.surroundings.timing.poll).await {
                        return Err(interruption::before_the_write(by, "the service runs what it ran"));
                    }
                }
                sent => break sent,
            }
        };
        let deployment = match sent {
            Ok(service) => deployment_of(&service, &revision),
            Err(CallError::Unknown { message }) => {
                tracing::warn!(operation = %self.handle.id(), "the answer to {what} was lost: {message}");
                Some(self.look_for_deployment(&revision, &what).await?)
            }
            Err(error) => {
                self.handle
                    .step(Step::ServiceUpdate, StepState::Failed, error.to_string());
                return Err(
                    Ending::call(&what, &error).hint("the service runs what it ran; nothing was changed")
                );
            }
        };
        self.handle.step(Step::ServiceUpdate, StepState::Done, detail);
        self.follow(deployment, revision, before).await
    }

    /// An UpdateService whose answer was lost: it is never sent again.
    async fn look_for_deployment(&self, revision: &TaskDefinitionArn, what: &str) -> Result<String, Ending> {
        let UpdateOrder { at, service, .. } = self.order;
        let clock = self.handle.clock();
        let start = clock.instant();
        loop {
            let aws = &self.surroundings.aws;
            let seen = self
                .handle
                .read(&format!("describe service {service}"), || {
                    aws.service(at, service)
                })
                .await?;
            if let Some(id) = seen.as_ref().and_then(|service| deployment_of(service, revision)) {
                return Ok(id);
            }
            if clock.instant().duration_since(start) >= self.surroundings.timing.settle
                || self.handle.interruption() == Some(Interruption::Deadline)
            {
                self.handle.step(
                    Step::ServiceUpdate,
                    StepState::Failed,
                    "no answer, and no deployment to see",
                );
                return Err(Ending::unknown(
                    what,
                    format!("look whether {revision} runs in service {service}, then deploy again"),
                ));
            }
            clock.sleep(self.surroundings.timing.poll).await;
        }
    }

    fn follower(&self, id: Option<String>, task_definition: TaskDefinitionArn) -> Follower<'_, A> {
        let UpdateOrder { at, service, .. } = self.order;
        let ours = OurDeployment { id, task_definition };
        Follower::new(self.surroundings, self.handle, at, service, ours)
    }

    async fn follow(
        &self,
        id: Option<String>,
        revision: TaskDefinitionArn,
        previous: Option<TaskDefinitionArn>,
    ) -> Result<Ending, Ending> {
        let detail = format!("{revision} in service {}", self.order.service);
        self.handle.step(Step::Rollout, StepState::Started, detail);
        let mut follower = self.follower(id, revision);
        conclude::rollout(&mut follower, previous).await
    }

    fn expected_revision(&self) -> Option<TaskDefinitionArn> {
        self.order.expected.as_ref()?.task_definition.clone()
    }

    fn unchanged(&self, deployment_id: &str, revision: &TaskDefinitionArn) -> Ending {
        let summary = format!(
            "service {} runs {revision} already; nothing was changed",
            self.order.service
        );
        Ending::new(Reason::Unchanged, summary)
            .output("task_definition", revision.0.clone())
            .output("deployment_id", deployment_id)
    }

    fn nothing_to_register(&self) -> Ending {
        let summary = format!(
            "service {} has no task definition to start from",
            self.order.service
        );
        Ending::new(Reason::TaskDefinitionUnusable, summary)
    }

    fn undecided(&self) -> Ending {
        let summary = format!(
            "what to do with service {} could not be decided",
            self.order.service
        );
        Ending::new(Reason::UnexpectedState, summary)
            .hint("nothing was written; look at the service's deployments")
    }
}

fn unusable(error: &RevisionError) -> Ending {
    Ending::new(Reason::TaskDefinitionUnusable, error.to_string()).hint(error.hint())
}

/// The id of the PRIMARY deployment, when it runs this revision.
fn deployment_of(service: &ObservedService, revision: &TaskDefinitionArn) -> Option<String> {
    service
        .primary()
        .filter(|primary| primary.task_definition == *revision)
        .map(|primary| primary.id.clone())
}

//! The driver of `UpdateService`: observe, decide ([`towline_agent_domain::update::start`]),
//! act once, follow to a verdict. At most one UpdateService is sent; a roll-back
//! that only another one can do is announced as its own step (see [`super::undo`]).

mod observe;

use std::collections::HashMap;

use tokio::time::Instant;
use towline_agent_domain::{
    observed::{
        ClusterRef, Deployment, ObservedService, ServiceDeployment, TaskDefinition, TaskDefinitionArn,
    },
    outside::Account,
    rollout::follow::OurDeployment,
    update::{
        spec::UpdateSpec,
        start::{ExpectedService, StartDecision, StartView, start},
    },
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{
    Ending, Handle, Surroundings, conclude,
    follow::Follower,
    interruption,
    one_update::{Kind, OneUpdate},
    registration::register,
};
use observe::Observation;

/// A change of one service, checked.
#[derive(Clone, Debug)]
pub(crate) struct UpdateOrder {
    pub at: ClusterRef,
    /// The ECS service's name.
    pub service: String,
    pub spec: UpdateSpec,
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
    let mut driver = Update::new(surroundings, handle, order);
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

/// What the decision to write rests on.
struct Before {
    primary: Option<Deployment>,
    seen: Instant,
}

impl Before {
    fn of(observation: &Observation, seen: Instant) -> Self {
        let service = observation.service.as_ref();
        let primary = service.and_then(ObservedService::primary).cloned();
        Self { primary, seen }
    }
}

impl<'a, A: Account> Update<'a, A> {
    fn new(surroundings: &'a Surroundings<A>, handle: &'a Handle, order: &'a UpdateOrder) -> Self {
        Self {
            surroundings,
            handle,
            order,
            known: HashMap::new(),
            told_latest: false,
        }
    }
}

impl<A: Account> Update<'_, A> {
    async fn run(&mut self) -> Result<Ending, Ending> {
        let (observation, decision) = self.decide().await?;
        let before = Before::of(&observation, self.handle.clock().instant());
        match decision {
            StartDecision::Unchanged {
                deployment_id,
                task_definition,
            } => Ok(self.unchanged(&deployment_id, &task_definition)),
            StartDecision::Register => {
                let next = observation.next.ok_or_else(|| self.nothing_to_register())?;
                let revision = register(self.surroundings, self.handle, &self.order.at.region, &next).await?;
                self.unless_changed(&before).await?;
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

    fn follower(&self, id: Option<String>, task_definition: TaskDefinitionArn) -> Follower<'_, A> {
        let UpdateOrder { at, service, .. } = self.order;
        let ours = OurDeployment { id, task_definition };
        Follower::new(self.surroundings, self.handle, at, service, ours)
    }

    /// An UpdateService happens only from the state that was decided on. When
    /// registering took its time, that is looked at again.
    async fn unless_changed(&self, before: &Before) -> Result<(), Ending> {
        let waited = self.handle.clock().instant().duration_since(before.seen);
        if waited < self.surroundings.timing.poll {
            return Ok(());
        }
        let UpdateOrder { at, service, .. } = self.order;
        let aws = &self.surroundings.aws;
        let what = format!("describe service {service}");
        let now = self.handle.read(&what, || aws.service(at, service)).await?;
        let primary = now.as_ref().and_then(ObservedService::primary);
        if primary.map(|primary| &primary.id) == before.primary.as_ref().map(|primary| &primary.id) {
            return Ok(());
        }
        let runs = primary.map_or("nothing", |primary| &primary.task_definition.0);
        let summary = format!(
            "somebody else changed service {service} while its next revision was registered: it runs {runs}"
        );
        self.handle
            .step(Step::ServiceUpdate, StepState::Skipped, summary.clone());
        Err(Ending::new(Reason::UnexpectedState, summary).hint(
            "the service was not changed; look at its deployments, then deploy again from what runs now",
        ))
    }

    /// The one UpdateService, and what comes of it.
    async fn send(&self, before: Before, revision: TaskDefinitionArn) -> Result<Ending, Ending> {
        let update = OneUpdate {
            surroundings: self.surroundings,
            handle: self.handle,
            at: &self.order.at,
            service: &self.order.service,
            revision: &revision,
            kind: Kind::Change,
            replaces: before.primary.as_ref().map(|primary| primary.id.as_str()),
        };
        let deployment = update.send().await?;
        let previous = before.primary.map(|primary| primary.task_definition);
        self.follow(deployment, revision, previous).await
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

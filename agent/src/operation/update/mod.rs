//! The driver of `UpdateService`: observe, decide ([`towline_agent_domain::update::start`]),
//! act once, follow to a verdict. At most one UpdateService is sent; a roll-back
//! that only another one can do is announced as its own step (see [`super::undo`]).

mod again;
mod decide;
mod observe;
mod planned;
mod preflight;

use std::collections::HashMap;

use tokio::time::Instant;
use towline_agent_domain::{
    observed::{ClusterRef, Deployment, ObservedService, TaskDefinition, TaskDefinitionArn},
    outside::Account,
    rollout::follow::OurDeployment,
    update::{
        spec::{UpdateSpec, WaitFor},
        start::{
            ExpectedService, StartDecision,
            back::{self, Back, BackView},
        },
    },
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{
    Ending, Handle, Surroundings, bake,
    conclude::{self, Afterwards},
    follow::Follower,
    one_update::{Kind, OneUpdate},
    registration::register,
};
pub(crate) use planned::plan_update;

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
    service: Option<ObservedService>,
    seen: Instant,
}

impl Before {
    fn primary(&self) -> Option<&Deployment> {
        self.service.as_ref().and_then(ObservedService::primary)
    }

    /// What the rollout starts from.
    fn expected(&self) -> Option<ExpectedService> {
        self.primary().map(|primary| ExpectedService {
            task_definition: Some(primary.task_definition.clone()),
            deployment_id: Some(primary.id.clone()),
        })
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
        let before = Before {
            service: observation.service.clone(),
            seen: self.handle.clock().instant(),
        };
        self.check_alarms(&decision).await?;
        self.before_writing(&observation, &decision).await?;
        match decision {
            StartDecision::Unchanged {
                deployment_id,
                task_definition,
            } => Ok(self.unchanged(&deployment_id, &task_definition)),
            StartDecision::Register => {
                let next = observation.next.ok_or_else(|| self.nothing_to_register())?;
                let (surroundings, region) = (self.surroundings, &self.order.at.region);
                let revision = register(surroundings, self.handle, region, &next, observation.looked).await?;
                self.send(before, Kind::Change, revision, true).await
            }
            StartDecision::Update { task_definition } => {
                let detail = format!("{task_definition} has this content already");
                self.handle.step(Step::Revision, StepState::Skipped, detail);
                self.send(before, Kind::Change, task_definition, false).await
            }
            StartDecision::Force { task_definition } => {
                let detail = format!("{task_definition} is what runs");
                self.handle.step(Step::Revision, StepState::Skipped, detail);
                self.send(before, Kind::Force, task_definition, false).await
            }
            StartDecision::Reattach {
                deployment_id,
                task_definition,
            } => self.reattach(deployment_id, task_definition, &before).await,
            StartDecision::RolledBack {
                task_definition,
                by,
                record,
                ..
            } => self.rolled_back(self.follower(record, task_definition), by).await,
            StartDecision::PutBack {
                task_definition,
                deployment_id,
                by,
            } => self.put_back(task_definition, deployment_id, by).await,
            StartDecision::Superseded { task_definition, by } => self.superseded(task_definition, &by).await,
            StartDecision::Refuse(refusal) => {
                self.handle
                    .step(Step::Preflight, StepState::Failed, refusal.message.clone());
                Err(refusal.into())
            }
            StartDecision::ReadServiceDeployments
            | StartDecision::ReadStoppedTasks
            | StartDecision::KeepObserving { .. } => Err(self.undecided()),
        }
    }

    /// An alarm that is in ALARM already would fail every rollout: refused before any write.
    async fn check_alarms(&self, decision: &StartDecision) -> Result<(), Ending> {
        match &self.order.spec.bake {
            Some(bake) if decision.writes() => {
                bake::check(self.surroundings, self.handle, &self.order.at.region, bake).await
            }
            _ => Ok(()),
        }
    }

    fn follower(&self, id: Option<String>, task_definition: TaskDefinitionArn) -> Follower<'_, A> {
        let UpdateOrder { at, service, .. } = self.order;
        let ours = OurDeployment { id, task_definition };
        Follower::new(self.surroundings, self.handle, at, service, ours)
    }

    /// The one UpdateService, and what comes of it. `registered`: its revision was
    /// made for it, and stays also when nothing comes of it.
    async fn send(
        &self,
        before: Before,
        kind: Kind,
        revision: TaskDefinitionArn,
        registered: bool,
    ) -> Result<Ending, Ending> {
        let so_far = match registered {
            true => format!("the service runs what it ran; revision {revision} was registered and stays"),
            false => "the service runs what it ran".to_owned(),
        };
        let update = OneUpdate {
            surroundings: self.surroundings,
            handle: self.handle,
            at: &self.order.at,
            service: &self.order.service,
            revision: &revision,
            kind,
            replaces: before.primary().map(|primary| primary.id.as_str()),
            seen: before.seen,
            so_far: &so_far,
        };
        let sent = update.send().await;
        let deployment = match registered {
            true => sent.map_err(|ending| ending.output("registered_task_definition", revision.0.clone()))?,
            false => sent?,
        };
        if self.order.spec.wait_for == WaitFor::Started {
            return Ok(self.started(deployment, &revision));
        }
        let expected = before.expected();
        let previous = self
            .back(before.service.as_ref(), &revision, expected.as_ref())
            .await;
        self.follow(self.follower(deployment, revision), previous).await
    }

    async fn follow(
        &self,
        mut follower: Follower<'_, A>,
        previous: Option<TaskDefinitionArn>,
    ) -> Result<Ending, Ending> {
        let detail = format!(
            "{} in service {}",
            follower.ours.task_definition, self.order.service
        );
        self.handle.step(Step::Rollout, StepState::Started, detail);
        let afterwards = Afterwards {
            previous,
            on_failure: self.order.spec.on_failure,
            bake: self.order.spec.bake.as_ref(),
            by_ecs_alone: false,
        };
        conclude::rollout_and(&mut follower, &afterwards).await
    }

    /// What a roll-back puts back in the place of `ours`.
    async fn back(
        &self,
        service: Option<&ObservedService>,
        ours: &TaskDefinitionArn,
        expected: Option<&ExpectedService>,
    ) -> Option<TaskDefinitionArn> {
        let from = expected.and_then(|expected| expected.task_definition.clone());
        // A forced deployment has nothing else to go back to.
        if self.order.spec.force && from.as_ref() == Some(ours) {
            return from;
        }
        let view = BackView {
            service,
            ours,
            expected,
            records: None,
        };
        let decided = match back::back(&view) {
            Back::ReadServiceDeployments => {
                // The rollout goes on: it is followed also where ECS does not say.
                let settle = self.surroundings.timing.settle;
                let read = self.handle.clock().timeout(settle, self.read_records()).await;
                let records = read.and_then(Result::ok).unwrap_or_default();
                let records = Some(records.as_slice());
                back::back(&BackView { records, ..view })
            }
            decided => decided,
        };
        match decided {
            Back::To(revision) => Some(revision),
            Back::Unknown | Back::ReadServiceDeployments => from,
        }
    }

    /// Only the start was asked for.
    fn started(&self, deployment: Option<String>, revision: &TaskDefinitionArn) -> Ending {
        let summary = format!(
            "the rollout of {revision} began in service {}; it is not followed, as asked",
            self.order.service
        );
        let ending = Ending::new(Reason::Started, summary)
            .hint("DescribeService shows how it goes on")
            .output("task_definition", revision.0.clone());
        match deployment {
            Some(id) => ending.output("deployment_id", id),
            None => ending,
        }
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

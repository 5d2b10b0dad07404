//! The stack has nothing to change; is its service as the stack says? What is
//! missing is put right by one UpdateService to the stack's own revision
//! ([`towline_agent_domain::fargate::repair`]), the one write outside
//! CloudFormation: announced, sent only from the expected state, followed to its verdict.

use towline_agent_domain::{
    fargate::{
        plan::ServiceAction,
        repair::{RepairDecision, RepairView, decide},
    },
    observed::{ObservedService, ServiceDeployment, TaskDefinitionArn},
    outside::Account,
    rollout::follow::OurDeployment,
    update::start::ExpectedService,
    verdict::Reason,
};
use towline_proto::agent::v1::{Severity, Step, StepState};

use super::{Deploy, Ending, observe::Observation};
use crate::operation::{
    conclude,
    follow::{Followed, Follower},
    interruption,
    one_update::{Kind, OneUpdate},
};

/// What the decision rests on, kept until it is carried out.
pub(super) struct Checked {
    pub decision: RepairDecision,
    pub service: Option<ObservedService>,
    expected: Option<ExpectedService>,
}

impl<A: Account> Deploy<'_, A> {
    /// Puts the service on the stack's own revision, to a verdict. `seen`: the service
    /// as it was just read.
    pub(super) async fn put_right(
        &mut self,
        observation: &Observation,
        revision: TaskDefinitionArn,
        seen: Option<ObservedService>,
    ) -> Result<Ending, Ending> {
        let checked = self.check_service(&revision, seen).await?;
        match &checked.decision {
            RepairDecision::Unchanged { deployment_id } => {
                Ok(self.as_wanted(&revision).output("deployment_id", deployment_id))
            }
            RepairDecision::Follow { deployment_id } if self.is_ours(&checked, deployment_id) => {
                let detail = format!("deployment {deployment_id} of {revision} is under way already");
                self.handle.step(Step::ServiceUpdate, StepState::Skipped, detail);
                let mut follower = self.eyes_on(Some(deployment_id.clone()), revision);
                conclude::rollout_of_stack(&mut follower).await
            }
            RepairDecision::Follow { deployment_id } => {
                self.await_stable(deployment_id.clone(), revision).await
            }
            RepairDecision::Repair => self.redeploy(observation, Kind::Change, revision, &checked).await,
            RepairDecision::Force => self.redeploy(observation, Kind::Force, revision, &checked).await,
            RepairDecision::RolledBack { record, .. } => {
                let mut follower = self.eyes_on(record.clone(), revision);
                follower.presume_gone();
                conclude::rollout_of_stack(&mut follower).await
            }
            RepairDecision::Superseded { by } => {
                let summary = format!("{revision} was replaced by {by}");
                let mut follower = self.eyes_on(None, revision);
                follower.read_stopped().await?;
                Ok(conclude::ended(&mut follower, Reason::Superseded, &summary).await)
            }
            RepairDecision::Refuse(refusal) => {
                self.handle
                    .step(Step::Preflight, StepState::Failed, refusal.message.clone());
                Err(refusal.clone().into())
            }
            RepairDecision::ReadServiceDeployments | RepairDecision::KeepObserving { .. } => {
                Err(self.undecided())
            }
        }
    }

    /// Observes until there is something to do.
    pub(super) async fn check_service(
        &mut self,
        revision: &TaskDefinitionArn,
        mut seen: Option<ObservedService>,
    ) -> Result<Checked, Ending> {
        let clock = self.handle.clock();
        let began = clock.instant();
        let mut expected = self.order.expected_service.clone();
        loop {
            let settled = clock.instant().duration_since(began) >= self.surroundings.timing.settle;
            let service = match seen.take() {
                Some(service) => Some(service),
                None => self.read_service().await?,
            };
            if expected.is_none() && !self.order.repeated_send {
                expected = service.as_ref().and_then(as_observed);
            }
            let mut view = RepairView {
                name: self.order.service_name(),
                service: service.as_ref(),
                revision,
                force: self.order.force,
                expected: expected.as_ref(),
                service_deployments: None,
                repeated_send: self.order.repeated_send,
                settled,
            };
            let mut decision = decide(&view);
            if decision == RepairDecision::ReadServiceDeployments {
                let records = self.read_service_deployments().await?;
                view.service_deployments = Some(&records);
                decision = decide(&view);
            }
            let RepairDecision::KeepObserving { why } = &decision else {
                return Ok(Checked {
                    decision,
                    service,
                    expected,
                });
            };
            self.say_waiting(why);
            if let Some(by) = self.handle.pause(self.surroundings.timing.poll).await {
                return Err(interruption::before_the_write(by, "the service runs what it ran"));
            }
        }
    }

    /// Whether a deployment of the stack's revision is what an earlier send made.
    fn is_ours(&self, checked: &Checked, deployment_id: &str) -> bool {
        let expected = checked.expected.as_ref();
        match expected.and_then(|expected| expected.deployment_id.as_deref()) {
            Some(expected) => expected != deployment_id,
            None => self.order.repeated_send,
        }
    }

    /// Nothing was written, and nothing is to be: the service only has to come to rest.
    async fn await_stable(
        &mut self,
        deployment_id: String,
        revision: TaskDefinitionArn,
    ) -> Result<Ending, Ending> {
        let mut follower = self.eyes_on(Some(deployment_id.clone()), revision.clone());
        follower.skip_the_past();
        match follower.run().await? {
            Followed::Succeeded { .. } => {
                Ok(self.as_wanted(&revision).output("deployment_id", deployment_id))
            }
            Followed::Ended { reason, summary } => {
                self.handle
                    .step(Step::Rollout, StepState::Failed, summary.clone());
                Ok(conclude::ended(&mut follower, reason, &summary).await)
            }
            Followed::Interrupted { by, .. } => Err(interruption::before_the_write(
                by,
                "a deployment of the wanted revision was under way already",
            )),
        }
    }

    /// The one UpdateService, and what comes of it.
    async fn redeploy(
        &mut self,
        observation: &Observation,
        kind: Kind,
        revision: TaskDefinitionArn,
        checked: &Checked,
    ) -> Result<Ending, Ending> {
        let seen = self.handle.clock().instant();
        let action = match kind {
            Kind::Change => ServiceAction::Repair,
            Kind::Force => ServiceAction::Force,
        };
        let runs = checked.service.as_ref();
        let plan = self.plan_of_service(observation, action, &revision, runs).await?;
        self.approve(&plan)?;
        self.preflight(observation).await?;
        let name = self.order.service_name();
        let primary = checked.service.as_ref().and_then(ObservedService::primary);
        let runs = primary.map_or_else(|| "nothing".to_owned(), |p| p.task_definition.to_string());
        match kind {
            Kind::Change => self.handle.finding(
                Severity::Warning,
                "drift",
                format!(
                    "service {name} runs {runs}, and its stack says {revision}: one UpdateService puts it back"
                ),
                "somebody updated the service outside its stack; deploy through Towline alone",
            ),
            Kind::Force => self.handle.finding(
                Severity::Info,
                "forced",
                format!("nothing changed; one UpdateService starts a new deployment of {revision}"),
                "",
            ),
        }
        let update = OneUpdate {
            surroundings: self.surroundings,
            handle: self.handle,
            at: &self.order.at,
            service: name,
            revision: &revision,
            kind,
            replaces: primary.map(|primary| primary.id.as_str()),
            seen,
            so_far: "the service runs what it ran",
        };
        let deployment = update.send().await?;
        let detail = format!("{revision} in service {name}");
        self.handle.step(Step::Rollout, StepState::Started, detail);
        let mut follower = self.eyes_on(deployment, revision);
        let ending = conclude::rollout_of_stack(&mut follower).await?;
        let taken_back = ending.reason() == Reason::Cancelled.as_str();
        Ok(match kind {
            Kind::Change if taken_back => ending
                .hint("the service runs something else than its stack says; deploy again to put it right"),
            Kind::Change | Kind::Force => ending,
        })
    }

    fn eyes_on(&self, id: Option<String>, task_definition: TaskDefinitionArn) -> Follower<'_, A> {
        let ours = OurDeployment { id, task_definition };
        let service = self.order.service_name();
        Follower::new(self.surroundings, self.handle, &self.order.at, service, ours)
    }

    async fn read_service_deployments(&self) -> Result<Vec<ServiceDeployment>, Ending> {
        let name = self.order.service_name();
        let what = format!("list the deployments of service {name}");
        let aws = &self.surroundings.aws;
        let read = || aws.service_deployments(&self.order.at, name);
        self.handle.read(&what, read).await
    }

    pub(super) fn as_wanted(&self, revision: &TaskDefinitionArn) -> Ending {
        let name = self.order.service_name();
        let summary = format!("service {name} runs {revision} as wanted already; nothing was changed");
        Ending::new(Reason::Unchanged, summary).output("task_definition", revision.0.clone())
    }

    pub(super) fn undecided(&self) -> Ending {
        let name = self.order.service_name();
        let summary = format!("what to do with service {name} could not be decided");
        Ending::new(Reason::UnexpectedState, summary)
            .hint("nothing was written; look at the service's deployments")
    }
}

/// The service as it is, as the state to start from.
fn as_observed(service: &ObservedService) -> Option<ExpectedService> {
    service.primary().map(|primary| ExpectedService {
        task_definition: Some(primary.task_definition.clone()),
        deployment_id: Some(primary.id.clone()),
    })
}

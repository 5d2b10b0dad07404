//! The one UpdateService of an operation, and what to do when its answer is lost, or
//! shows no deployment of ours: that is looked for, and the call never sent again.

use tokio::time::Instant;
use towline_agent_domain::{
    observed::{ClusterRef, ObservedService, ServiceDeployment, TaskDefinitionArn},
    outside::{Account, Answer, CallError, Write},
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{Ending, Handle, Interruption, Surroundings, interruption};

/// What an UpdateService is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The service gets another revision.
    Change,
    /// The service gets a new deployment, also of the revision that it runs.
    Force,
}

/// Whether AWS took a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// It said so, and showed no deployment that the call made.
    Yes,
    /// The answer was lost.
    Unknown,
}

/// One UpdateService, not yet sent.
pub(super) struct OneUpdate<'a, A> {
    pub surroundings: &'a Surroundings<A>,
    pub handle: &'a Handle,
    pub at: &'a ClusterRef,
    pub service: &'a str,
    pub revision: &'a TaskDefinitionArn,
    pub kind: Kind,
    /// The id of the PRIMARY deployment that it is to replace; another one on our
    /// revision is then ours.
    pub replaces: Option<&'a str>,
    /// When that deployment was last seen to be PRIMARY.
    pub seen: Instant,
    /// What a person who stops it now is told of the state of things.
    pub so_far: &'a str,
}

impl<A: Account> OneUpdate<'_, A> {
    /// Sends it. The id of the deployment that it made; `None`: it took effect, and
    /// its deployment is gone from the service already.
    pub(super) async fn send(&self) -> Result<Option<String>, Ending> {
        if let Some(by) = self.handle.interruption() {
            return Err(interruption::before_the_write(by, self.so_far));
        }
        let (service, revision) = (self.service, self.revision);
        let detail = match self.kind {
            Kind::Change => format!("service {service} to {revision}"),
            Kind::Force => format!("service {service} to a new deployment of {revision}"),
        };
        self.handle
            .step(Step::ServiceUpdate, StepState::Started, detail.clone());
        let what = format!("update service {service} to {revision}");
        let deployment = match self.until_answered(&what).await? {
            Ok(service) => match self.deployment_of(&service) {
                Some(id) => Some(id),
                None => self.look_for_deployment(&what, Heard::Yes).await?,
            },
            Err(CallError::Unknown { message }) => {
                tracing::warn!(operation = %self.handle.id(), "the answer to {what} was lost: {message}");
                self.look_for_deployment(&what, Heard::Unknown).await?
            }
            Err(error) => {
                self.handle
                    .step(Step::ServiceUpdate, StepState::Failed, error.to_string());
                let ending = Ending::call(&what, &error);
                let hint = format!("{}; {}", ending.next_step(), self.so_far);
                return Err(ending.hint(hint));
            }
        };
        self.handle.step(Step::ServiceUpdate, StepState::Done, detail);
        Ok(deployment)
    }

    /// The answer to the one send that ECS took; being asked for patience is none.
    async fn until_answered(&self, what: &str) -> Result<Answer<ObservedService>, Ending> {
        let aws = &self.surroundings.aws;
        let mut throttled = None;
        let mut seen = self.seen;
        loop {
            let turn = aws.turn_to_write(&self.at.region, Write::UpdateService);
            let turn = self.handle.unless_interrupted(turn).await;
            turn.map_err(|by| self.given_up(what, by, throttled.take()))?;
            self.unless_changed(&mut seen).await?;
            let answer = match self.kind {
                Kind::Change => aws.update_service(self.at, self.service, self.revision).await,
                Kind::Force => aws.force_deployment(self.at, self.service, self.revision).await,
            };
            let Err(CallError::Throttled { message }) = answer else {
                return Ok(answer);
            };
            tracing::info!(operation = %self.handle.id(), "cannot {what} yet: {message}");
            throttled = Some(message);
            if let Some(by) = self.handle.pause(self.surroundings.timing.poll).await {
                return Err(self.given_up(what, by, throttled.take()));
            }
        }
    }

    /// An UpdateService happens only from the state that was decided on. When looking
    /// ahead, registering or waiting for its turn took their time, that is looked at again.
    async fn unless_changed(&self, seen: &mut Instant) -> Result<(), Ending> {
        let now = self.handle.clock().instant();
        if now.duration_since(*seen) < self.surroundings.timing.poll {
            return Ok(());
        }
        let (at, service, aws) = (self.at, self.service, &self.surroundings.aws);
        let what = format!("describe service {service}");
        let found = self.handle.read(&what, || aws.service(at, service)).await?;
        let primary = found.as_ref().and_then(ObservedService::primary);
        if primary.map(|primary| primary.id.as_str()) == self.replaces {
            *seen = now;
            return Ok(());
        }
        let runs = primary.map_or("nothing", |primary| &primary.task_definition.0);
        let summary =
            format!("somebody else changed service {service} while its update was prepared: it runs {runs}");
        self.handle
            .step(Step::ServiceUpdate, StepState::Skipped, summary.clone());
        Err(Ending::new(Reason::UnexpectedState, summary).hint(
            "the service was not changed; look at its deployments, then deploy again from what runs now",
        ))
    }

    /// The end of one that ECS never took.
    fn given_up(&self, what: &str, by: Interruption, throttled: Option<String>) -> Ending {
        match (by, throttled) {
            (Interruption::Deadline, Some(message)) => {
                let ending = Ending::call(what, &CallError::Throttled { message });
                ending.hint(format!(
                    "{}; something else in this account calls ECS very often",
                    self.so_far
                ))
            }
            (by, _) => interruption::before_the_write(by, self.so_far),
        }
    }

    /// Looks for the deployment that the call made, for as long as AWS may lag.
    async fn look_for_deployment(&self, what: &str, heard: Heard) -> Result<Option<String>, Ending> {
        let (at, service) = (self.at, self.service);
        let clock = self.handle.clock();
        let start = clock.instant();
        let aws = &self.surroundings.aws;
        let seen = loop {
            let read = || aws.service(at, service);
            let seen = self
                .handle
                .read(&format!("describe service {service}"), read)
                .await?;
            if let Some(id) = seen.as_ref().and_then(|service| self.deployment_of(service)) {
                return Ok(Some(id));
            }
            if clock.instant().duration_since(start) >= self.surroundings.timing.settle
                || self.handle.interruption() == Some(Interruption::Deadline)
            {
                break seen;
            }
            clock.sleep(self.surroundings.timing.poll).await;
        };
        // A forced deployment leaves the same revision as the one before it: that shows nothing.
        if self.kind == Kind::Change && self.made(self.newest_record().await.as_ref(), seen.as_ref()) {
            return Ok(None);
        }
        Err(self.not_to_be_seen(what, heard, seen.as_ref()))
    }

    /// The newest rollout on record, where ECS says so within the time that it may lag.
    async fn newest_record(&self) -> Option<ServiceDeployment> {
        let (at, service, aws) = (self.at, self.service, &self.surroundings.aws);
        let what = format!("list the deployments of service {service}");
        let records = self.handle.read(&what, || aws.service_deployments(at, service));
        let clock = self.handle.clock();
        let records = clock.timeout(self.surroundings.timing.settle, records).await;
        match records {
            Some(Ok(records)) => records.into_iter().next(),
            Some(Err(ending)) => {
                tracing::warn!(operation = %self.handle.id(), "{}", ending.summary());
                None
            }
            None => None,
        }
    }

    /// The end of a call that may have taken effect, and of which nothing shows.
    fn not_to_be_seen(&self, what: &str, heard: Heard, seen: Option<&ObservedService>) -> Ending {
        let (service, revision) = (self.service, self.revision);
        let detail = match heard {
            Heard::Yes => "taken by ECS, and no deployment to see",
            Heard::Unknown => "no answer, and no deployment to see",
        };
        self.handle.step(Step::ServiceUpdate, StepState::Failed, detail);
        let look_at = match self.kind {
            Kind::Change => {
                format!("look whether {revision} runs in service {service}, then deploy again")
            }
            Kind::Force => format!(
                "look whether service {service} has a deployment that is newer than {}, then deploy again",
                self.replaces.unwrap_or("this operation")
            ),
        };
        match heard {
            Heard::Unknown => Ending::unknown(what, look_at),
            Heard::Yes => {
                let primary = seen.and_then(ObservedService::primary);
                let shows = primary.map_or("none".to_owned(), |primary| {
                    format!("{} of {}", primary.id, primary.task_definition)
                });
                let summary = format!(
                    "ECS took the call to {what}, and shows no deployment that it made; PRIMARY is {shows}"
                );
                Ending::new(Reason::Unknown, summary).hint(look_at)
            }
        }
    }

    /// Whether the newest rollout on record is the one that this call made. One that
    /// began before the deployment that is still to be replaced is of an earlier operation.
    fn made(&self, newest: Option<&ServiceDeployment>, seen: Option<&ObservedService>) -> bool {
        let deployments = seen.map(|service| service.deployments.as_slice());
        let replaced = deployments
            .unwrap_or_default()
            .iter()
            .find(|deployment| self.replaces == Some(deployment.id.as_str()));
        newest.is_some_and(|newest| {
            newest.task_definition.as_ref() == Some(self.revision)
                && replaced.is_none_or(|replaced| newest.created > replaced.created)
        })
    }

    /// The id of the PRIMARY deployment, when it is the one that this call made.
    fn deployment_of(&self, service: &ObservedService) -> Option<String> {
        service
            .primary()
            .filter(|primary| primary.task_definition == *self.revision)
            .filter(|primary| self.replaces != Some(primary.id.as_str()))
            .map(|primary| primary.id.clone())
    }
}

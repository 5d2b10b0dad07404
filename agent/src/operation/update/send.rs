//! The one UpdateService of an operation, and what to do when its answer is lost.

use towline_agent_domain::{
    observed::{ObservedService, TaskDefinitionArn},
    outside::{Account, CallError},
};
use towline_proto::agent::v1::{Step, StepState};

use super::{Ending, Interruption, Update, UpdateOrder, interruption};

impl<A: Account> Update<'_, A> {
    /// The one UpdateService.
    pub(super) async fn send(
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
                self.look_for_deployment(&revision, &what).await?
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

    /// An UpdateService whose answer was lost is never sent again. `None`: it took
    /// effect, and its deployment is gone from the service already.
    async fn look_for_deployment(
        &self,
        revision: &TaskDefinitionArn,
        what: &str,
    ) -> Result<Option<String>, Ending> {
        let UpdateOrder { at, service, .. } = self.order;
        let clock = self.handle.clock();
        let start = clock.instant();
        loop {
            let aws = &self.surroundings.aws;
            let read = || aws.service(at, service);
            let seen = self
                .handle
                .read(&format!("describe service {service}"), read)
                .await?;
            if let Some(id) = seen.as_ref().and_then(|service| deployment_of(service, revision)) {
                return Ok(Some(id));
            }
            if clock.instant().duration_since(start) >= self.surroundings.timing.settle
                || self.handle.interruption() == Some(Interruption::Deadline)
            {
                break;
            }
            clock.sleep(self.surroundings.timing.poll).await;
        }
        let records = self.read_records().await?;
        let newest = records.first().and_then(|record| record.task_definition.as_ref());
        if newest == Some(revision) {
            return Ok(None);
        }
        let detail = "no answer, and no deployment to see";
        self.handle.step(Step::ServiceUpdate, StepState::Failed, detail);
        let look_at = format!("look whether {revision} runs in service {service}, then deploy again");
        Err(Ending::unknown(what, look_at))
    }
}

/// The id of the PRIMARY deployment, when it runs this revision.
fn deployment_of(service: &ObservedService, revision: &TaskDefinitionArn) -> Option<String> {
    service
        .primary()
        .filter(|primary| primary.task_definition == *revision)
        .map(|primary| primary.id.clone())
}

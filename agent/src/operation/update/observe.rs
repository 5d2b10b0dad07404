//! Reading the service and its task definitions, and making the next revision of them.

use towline_agent_domain::{
    observed::{ObservedService, ServiceDeployment, TaskDefinition, TaskDefinitionArn},
    outside::Account,
    update::revision::{NextRevision, RevisionError, next_revision, same_content},
    verdict::Reason,
};
use towline_proto::agent::v1::Severity;

use super::{Ending, Update, UpdateOrder};

/// What one observation brought.
pub(super) struct Observation {
    pub service: Option<ObservedService>,
    pub next: Option<NextRevision>,
    pub with_wanted_content: Vec<TaskDefinitionArn>,
}

impl<A: Account> Update<'_, A> {
    pub(super) async fn observe(&mut self) -> Result<Observation, Ending> {
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
            .spec
            .family
            .as_deref()
            .unwrap_or(running.family())
            .to_owned();
        let latest = self.read_definition(&family).await?;
        let next = next_revision(&latest, &family, &self.order.spec).map_err(|error| unusable(&error))?;
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

    pub(super) async fn read_records(&self) -> Result<Vec<ServiceDeployment>, Ending> {
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
}

fn unusable(error: &RevisionError) -> Ending {
    Ending::new(Reason::TaskDefinitionUnusable, error.to_string()).hint(error.hint())
}

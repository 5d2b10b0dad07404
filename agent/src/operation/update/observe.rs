//! Reading the service and its task definitions, and making the next revision of
//! them. At most three reads where there is nothing to do: the service, what the
//! next revision is made from, and what runs.

use tokio::time::Instant;
use towline_agent_domain::{
    observed::{
        Controller, ObservedService, ServiceDeployment, ServiceStatus, TaskDefinition, TaskDefinitionArn,
    },
    outside::{Account, CallError},
    update::{
        revision::{NextRevision, RevisionError, next_revision, same_content},
        spec::Base,
    },
    verdict::Reason,
};
use towline_proto::agent::v1::Severity;

use super::{Ending, Update, UpdateOrder};

/// What one observation brought.
#[derive(Debug, Default)]
pub(super) struct Observation {
    /// When it began.
    pub looked: Option<Instant>,
    pub service: Option<ObservedService>,
    pub next: Option<NextRevision>,
    pub with_wanted_content: Vec<TaskDefinitionArn>,
    /// What `next` is made from.
    pub base: Option<TaskDefinition>,
    /// What the PRIMARY deployment runs; `None` where it was deleted.
    pub running: Option<TaskDefinition>,
}

impl<A: Account> Update<'_, A> {
    pub(super) async fn observe(&mut self) -> Result<Observation, Ending> {
        let UpdateOrder {
            at, service: name, ..
        } = self.order;
        let aws = &self.surroundings.aws;
        let looked = Some(self.handle.clock().instant());
        let service = self
            .handle
            .read(&format!("describe service {name}"), || aws.service(at, name))
            .await?;
        match &service {
            // Nothing else is read of a service that is left alone anyway.
            Some(found)
                if found.status == ServiceStatus::Active && found.controller == Controller::Rolling =>
            {
                self.observe_revisions(found)
                    .await
                    .map(|observation| Observation {
                        looked,
                        service,
                        ..observation
                    })
            }
            _ => Ok(Observation {
                looked,
                service,
                ..Observation::default()
            }),
        }
    }

    /// All but the service itself.
    async fn observe_revisions(&mut self, service: &ObservedService) -> Result<Observation, Ending> {
        let spec = &self.order.spec;
        let runs = service
            .primary()
            .map_or(&service.task_definition, |primary| &primary.task_definition);
        let family = match &spec.base {
            Base::Revision(revision) => revision.family(),
            _ => spec.family.as_deref().unwrap_or(runs.family()),
        };
        let base = self.base(runs, family).await?;
        let base_arn = base.arn();
        let running = if base_arn.as_ref() == Some(runs) {
            Some(base.clone())
        } else {
            self.running_definition(runs).await?
        };
        if spec.base == Base::Latest {
            self.warn_of_latest(base_arn.as_ref(), runs);
        }
        let next = next_revision(&base, family, spec).map_err(|error| unusable(&error))?;
        // ECS starts no new deployment of a revision that is INACTIVE.
        let starts_one = |it: &TaskDefinition| spec.force || it.arn().is_some_and(|arn| arn != *runs);
        let holds_it = |definition: &&TaskDefinition| {
            same_content(definition, &next) && !(is_inactive(definition) && starts_one(definition))
        };
        let mut with_wanted_content: Vec<TaskDefinitionArn> = Vec::new();
        for holder in [Some(&base), running.as_ref()]
            .into_iter()
            .flatten()
            .filter(holds_it)
        {
            with_wanted_content.extend(holder.arn().filter(|arn| !with_wanted_content.contains(arn)));
        }
        if with_wanted_content.is_empty() && spec.base != Base::Latest {
            let latest = self.latest_of(family).await?;
            let found = latest.filter(|latest| same_content(latest, &next));
            with_wanted_content.extend(found.and_then(|latest| latest.arn()));
        }
        Ok(Observation {
            looked: None,
            service: None,
            next: Some(next),
            with_wanted_content,
            base: Some(base),
            running,
        })
    }

    /// What the next revision is made from.
    async fn base(&mut self, runs: &TaskDefinitionArn, family: &str) -> Result<TaskDefinition, Ending> {
        let order = self.order;
        match &order.spec.base {
            Base::Latest => self
                .read_definition(family)
                .await?
                .ok_or_else(|| match &order.spec.family {
                    Some(family) => no_family("family", family),
                    None => no_active_revision(family),
                }),
            Base::Running => self.running_definition(runs).await?.ok_or_else(|| {
                let summary = format!(
                    "{runs}, which service {} runs, does not exist any more",
                    order.service
                );
                Ending::new(Reason::TaskDefinitionUnusable, summary)
                    .hint("start from base LATEST or from a template family")
            }),
            Base::Revision(revision) => self.running_definition(revision).await?.ok_or_else(|| {
                let summary = format!("{revision} does not exist any more");
                Ending::new(Reason::TaskDefinitionUnusable, summary)
                    .hint("deploy a release that is known to work, in place of this revision")
            }),
            Base::TemplateFamily(template) => self
                .read_definition(template)
                .await?
                .ok_or_else(|| no_family("template_family", template)),
        }
    }

    /// The latest revision of the family that the next one joins. A family that was
    /// named and is not there is a mistake: ECS would make it.
    async fn latest_of(&self, family: &str) -> Result<Option<TaskDefinition>, Ending> {
        let latest = self.read_definition(family).await?;
        match (&latest, &self.order.spec.family) {
            (None, Some(named)) => Err(no_family("family", named)),
            _ => Ok(latest),
        }
    }

    pub(super) async fn running_definition(
        &mut self,
        arn: &TaskDefinitionArn,
    ) -> Result<Option<TaskDefinition>, Ending> {
        if let Some(known) = self.known.get(arn) {
            return Ok(Some(known.clone()));
        }
        let read = self.read_definition(&arn.0).await?;
        if let Some(read) = &read {
            self.known.insert(arn.clone(), read.clone());
        }
        Ok(read)
    }

    /// `None`: there is none, or its family has no ACTIVE revision.
    async fn read_definition(&self, reference: &str) -> Result<Option<TaskDefinition>, Ending> {
        let region = &self.order.at.region;
        let what = format!("describe task definition {reference}");
        let aws = &self.surroundings.aws;
        let read = || async {
            match aws.task_definition(region, reference).await {
                Ok(definition) => Ok(Some(definition)),
                Err(CallError::Missing { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.handle.read(&what, read).await
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

fn is_inactive(definition: &TaskDefinition) -> bool {
    definition
        .definition
        .get("status")
        .is_some_and(|status| status == "INACTIVE")
}

fn no_family(member: &str, family: &str) -> Ending {
    let summary = format!("{member} {family} has no ACTIVE task definition in this region");
    Ending::new(Reason::TaskDefinitionUnusable, summary)
        .hint("compare its name; a family that does not exist is not made here")
}

fn no_active_revision(family: &str) -> Ending {
    let summary = format!("family {family} has no ACTIVE revision any more");
    Ending::new(Reason::TaskDefinitionUnusable, summary)
        .hint("start from base RUNNING, or register a revision of it")
}

fn unusable(error: &RevisionError) -> Ending {
    Ending::new(Reason::TaskDefinitionUnusable, error.to_string()).hint(error.hint())
}

//! The template that is wanted: a function of the specification and of what the
//! account has to say about it once (a log group that was there before, the free
//! priority of a listener rule). What was decided stands in the stack's template,
//! so that later releases decide the same.

use futures_util::future::join_all;
use serde_json::Value;
use towline_agent_domain::{
    fargate::{
        Choices, Template, adopt,
        choices::OpenChoices,
        preflight::{Finding, OwnResources, judge, questions},
        stack::{StackStatus, StatusKind},
        template,
        template::{FoundTemplate, TemplateError},
    },
    observed::{Stack, surroundings::Listener},
    outside::{Account, CallError, TemplateSource, TemplateUpload},
    verdict::Reason,
};
use towline_proto::agent::v1::{Step, StepState};

use super::{
    Deploy, Ending,
    observe::{Observation, is_towlines},
    preflight::{ask, own_rights, soon},
};
use crate::config::TemplateBucket;

/// The template with what it rests on.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub template: Template,
    /// Where CloudFormation finds it, once it was stored.
    stored: Option<String>,
}

impl<A: Account> Deploy<'_, A> {
    /// Makes the template for a stack as it is. `metadata` is that of its template.
    pub(super) async fn want(
        &mut self,
        stack: Option<&Stack>,
        metadata: Option<&Value>,
    ) -> Result<&Wanted, Ending> {
        let order = self.order;
        let cluster = &order.at.cluster;
        let mut choices = match stack.filter(|stack| self.takes_over(stack)) {
            Some(foreign) => self.choices_of_foreign(foreign).await?,
            None => Choices::found(metadata),
        };
        let open = choices.open(&order.service, cluster);
        if !open.is_empty() {
            let (log_group_exists, listeners) = self.read_for(&open).await;
            choices = choices
                .decided(&order.service, cluster, log_group_exists, &listeners)
                .map_err(|error| {
                    Ending::new(Reason::PreflightFailed, format!("nothing was written: {error}"))
                        .hint("give the rule a priority, or correct the listener's ARN")
                })?;
        }
        let template =
            template(&order.service, &order.facts, &choices).map_err(|error| cannot_make(&error))?;
        if !template.fits_inline() && self.template_bucket().is_none() {
            let too_large = template.too_large_inline(&order.at.region);
            return Err(Ending::new(Reason::TemplateTooLarge, too_large).hint(
                "set template_bucket, or put long environments into environment_files in S3, and large labels into the image",
            ));
        }
        Ok(self.wanted.insert(Wanted {
            template,
            stored: None,
        }))
    }

    fn template_bucket(&self) -> Option<&TemplateBucket> {
        self.surroundings.template_buckets.get(&self.order.at.region)
    }

    /// Where CloudFormation takes the template from: one that is too large for a
    /// request is stored first, under a name that is its content's. `None`: nobody
    /// knows whether it is stored, and storing it again is safe.
    pub(super) async fn template_source(
        &mut self,
        wanted: &Wanted,
    ) -> Result<Option<TemplateSource>, Ending> {
        let Some(bucket) = self.template_bucket().filter(|_| !wanted.template.fits_inline()) else {
            return Ok(Some(TemplateSource::Inline(wanted.template.text().to_owned())));
        };
        if let Some(url) = &wanted.stored {
            return Ok(Some(TemplateSource::Stored(url.clone())));
        }
        let stack = &self.order.stack_name;
        let upload = TemplateUpload {
            region: self.order.at.region.clone(),
            bucket: bucket.name.clone(),
            key: wanted.template.key(&bucket.prefix, stack),
            text: wanted.template.text().to_owned(),
        };
        let what = format!("store the template of stack {stack} in bucket {}", upload.bucket);
        match self.surroundings.aws.store_template(&upload).await {
            Ok(url) => {
                if let Some(wanted) = &mut self.wanted {
                    wanted.stored = Some(url.clone());
                }
                Ok(Some(TemplateSource::Stored(url)))
            }
            Err(error @ (CallError::Unknown { .. } | CallError::Throttled { .. })) => {
                tracing::warn!(operation = %self.handle.id(), "{what}: {error}; trying again");
                Ok(None)
            }
            Err(error) => {
                let ending = not_stored(&what, &upload, &error);
                self.handle
                    .step(Step::ChangeSet, StepState::Failed, ending.summary());
                Err(ending)
            }
        }
    }

    /// Whether this operation takes a stack over that Towline did not make.
    pub(super) fn takes_over(&self, stack: &Stack) -> bool {
        let empty = StackStatus::parse(&stack.status).kind() == StatusKind::Empty;
        self.order.adopt && !is_towlines(stack) && !empty
    }

    /// What a stack that is taken over keeps.
    async fn choices_of_foreign(&self, stack: &Stack) -> Result<Choices, Ending> {
        let (region, name) = (&self.order.at.region, &stack.name);
        let aws = &self.surroundings.aws;
        let what = format!("read the template of stack {name}");
        let body = self
            .handle
            .read(&what, || aws.template_body(region, name))
            .await?
            .unwrap_or_default();
        let resources = self.read_resources(name).await?;
        let foreign = adopt::Foreign {
            template: &body,
            parameters: &stack.parameters,
            resources: &resources,
        };
        adopt::choices(&foreign, &self.order.service, &self.order.at.cluster).map_err(Ending::from)
    }

    /// Best effort: what cannot be read is told by the pre-flight.
    async fn read_for(&self, open: &OpenChoices) -> (bool, Vec<Listener>) {
        let region = self.order.at.region.as_str();
        let aws = &self.surroundings.aws;
        let clock = self.handle.clock();
        let log_group = async {
            match &open.log_group {
                Some(name) => soon(clock, aws.log_group(region, name)).await.ok().flatten(),
                None => None,
            }
        };
        let listeners = join_all(
            open.listeners
                .iter()
                .map(|arn| soon(clock, aws.listener(region, arn))),
        );
        let (log_group, listeners) = tokio::join!(log_group, listeners);
        let listeners = listeners.into_iter().filter_map(|read| read.ok().flatten());
        (log_group.is_some(), listeners.collect())
    }

    /// The template, made now when it was not needed before.
    pub(super) async fn wanted_for(&mut self, observation: &Observation) -> Result<Wanted, Ending> {
        if let Some(wanted) = &self.wanted {
            return Ok(wanted.clone());
        }
        let stack = observation.stack.as_ref().filter(|_| !observation.is_gone());
        let found = match stack {
            // Nothing was executed yet of an empty stack.
            Some(stack) if StackStatus::parse(&stack.status).kind() != StatusKind::Empty => {
                self.read_template(&stack.name).await?
            }
            _ => FoundTemplate::default(),
        };
        self.want(stack, found.metadata()).await.cloned()
    }

    /// Looks before anything is written, once. Errors end the operation.
    pub(super) async fn preflight(&mut self, observation: &Observation) -> Result<(), Ending> {
        if std::mem::replace(&mut self.progress.preflighted, true) {
            return Ok(());
        }
        let findings = self.findings(observation).await?;
        self.heed(&findings)
    }

    /// What the pre-flight has to say.
    pub(super) async fn findings(&mut self, observation: &Observation) -> Result<Vec<Finding>, Ending> {
        let order = self.order;
        let questions = questions(&order.service, &order.facts);
        let own = self.own_resources(observation).await?;
        let surroundings = self.surroundings;
        let passer = surroundings.cloudformation_role.as_deref();
        let clock = self.handle.clock();
        let facts = ask(&surroundings.aws, clock, &order.at, passer, &questions, own).await;
        let mut findings = judge(&order.service, &facts);
        // Gravest first.
        findings.extend(passer.is_none().then(own_rights));
        Ok(findings)
    }

    /// What the service's own stack has made already.
    async fn own_resources(&self, observation: &Observation) -> Result<OwnResources, Ending> {
        let Some(stack) = observation.stack.as_ref().filter(|_| !observation.is_gone()) else {
            return Ok(OwnResources::default());
        };
        let resources = self.read_resources(&stack.name).await?;
        let of = |kind: &'static str| {
            resources
                .iter()
                .filter(move |resource| resource.resource_type == kind && !resource.physical_id.is_empty())
        };
        Ok(OwnResources {
            log_group: of("AWS::Logs::LogGroup").next().is_some(),
            listener_rules: of("AWS::ElasticLoadBalancingV2::ListenerRule")
                .map(|resource| resource.physical_id.clone())
                .collect(),
            desired: observation.service.as_ref().map(|service| service.desired),
        })
    }
}

/// The bucket does not take the template; the stack is as it was.
fn not_stored(what: &str, upload: &TemplateUpload, error: &CallError) -> Ending {
    let TemplateUpload { region, bucket, .. } = upload;
    let (reason, hint) = match error {
        CallError::Denied { .. } => (
            Reason::AccessDenied,
            format!(
                "the bucket must be of the agent's own account, and the agent's role needs s3:PutObject and s3:GetObject \
                 on {bucket}"
            ),
        ),
        CallError::Missing { .. } => (
            Reason::TemplateNotStored,
            format!("make the bucket in {region}, or correct template_bucket in agent.toml"),
        ),
        _ => (
            Reason::TemplateNotStored,
            format!("template_bucket in agent.toml must be a bucket of {region}"),
        ),
    };
    Ending::new(
        reason,
        format!("cannot {what}: {error}; the stack was not changed"),
    )
    .hint(hint)
}

fn cannot_make(error: &TemplateError) -> Ending {
    match error {
        TemplateError::TooLarge { .. } | TemplateError::TaskDefinitionTooLarge { .. } => {
            Ending::new(Reason::TemplateTooLarge, error.to_string())
                .hint("put long environments into environment_files in S3, and large labels into the image")
        }
        TemplateError::TooManyTags { .. } => {
            Ending::new(Reason::PreflightFailed, format!("nothing was written: {error}"))
                .hint("take tags from the service, or from the agent's configuration")
        }
        TemplateError::PriorityOpen { .. } => {
            Ending::new(Reason::PreflightFailed, format!("nothing was written: {error}"))
                .hint("give the rule a priority")
        }
    }
}

//! Amazon ECS: services, task definitions, deployments.

use aws_sdk_ecs::types::{StopServiceDeploymentStopType, TaskDefinitionField};
use serde_json::Value;
use towline_agent_domain::observed::{
    ClusterRef, ObservedService, ServiceDeployment, TaskDefinition, TaskDefinitionArn,
};
use towline_agent_domain::outside::{Answer, CallError, Ecs, Write};
use towline_agent_domain::rollout::budget::{Group, Purpose};
use towline_agent_domain::rollout::pace::Outlook;

use crate::Aws;
use crate::call::{self, answer};
use crate::observe;
use crate::poller::When;
use crate::wire::{KeepBody, replace_body};

/// DescribeServices takes ten services a call.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html>
pub(crate) const SERVICES_A_CALL: usize = 10;

impl Aws {
    fn ecs(&self, region: &str) -> aws_sdk_ecs::Client {
        self.inner.clients.ecs(region)
    }

    async fn update(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
        force: Option<bool>,
    ) -> Answer<ObservedService> {
        let call = self
            .ecs(&at.region)
            .update_service()
            .cluster(&at.cluster)
            .service(service)
            .task_definition(&task_definition.0)
            .set_force_new_deployment(force);
        let sent = self
            .budgets()
            .write(&at.region, Group::ServiceWrites, call.send());
        let updated = answer(sent.await, &format!("service {service}"))?;
        updated
            .service()
            .map(observe::service)
            .ok_or(call::incomplete("service"))
    }

    /// DescribeServices for at most [`SERVICES_A_CALL`] names.
    pub(crate) async fn describe_services(
        &self,
        at: &ClusterRef,
        names: &[String],
        purpose: Purpose,
    ) -> Answer<Described> {
        let call = self
            .ecs(&at.region)
            .describe_services()
            .cluster(&at.cluster)
            .set_services(Some(names.to_vec()));
        let sent = self
            .budgets()
            .read(&at.region, Group::ServiceReads, purpose, || call.clone().send());
        let described = answer(sent.await, &format!("cluster {}", at.cluster))?;
        let failures = described
            .failures()
            .iter()
            .filter(|failure| failure.reason() != Some("MISSING"));
        Ok(Described {
            services: described.services().iter().map(observe::service).collect(),
            failures: failures.map(failed).collect(),
        })
    }

    async fn service_names(&self, at: &ClusterRef) -> Answer<Vec<String>> {
        let call = self
            .ecs(&at.region)
            .list_services()
            .cluster(&at.cluster)
            .max_results(100);
        let mut names = Vec::new();
        let mut next = None;
        loop {
            let page = self
                .budgets()
                .read(&at.region, Group::ServiceReads, Purpose::Watching, || {
                    call.clone().set_next_token(next.clone()).send()
                });
            let page = answer(page.await, &format!("cluster {}", at.cluster))?;
            let arns = page.service_arns().iter();
            names.extend(arns.map(|arn| observe::last_part(arn).to_owned()));
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                names.sort();
                return Ok(names);
            }
        }
    }
}

/// What one DescribeServices brought.
#[derive(Debug)]
pub(crate) struct Described {
    services: Vec<ObservedService>,
    failures: Vec<(String, CallError)>,
}

impl Described {
    /// One of the services that were asked for; `None` when ECS reported it MISSING.
    pub(crate) fn of(&self, name: &str) -> Answer<Option<ObservedService>> {
        if let Some((_, error)) = self.failures.iter().find(|(failed, _)| failed == name) {
            return Err(error.clone());
        }
        Ok(self.services.iter().find(|service| service.name == name).cloned())
    }
}

/// The name of a service that ECS did not describe, and why.
fn failed(failure: &aws_sdk_ecs::types::Failure) -> (String, CallError) {
    let arn = observe::text(failure.arn());
    let error = CallError::Refused {
        code: observe::text(failure.reason()),
        message: format!("{arn} {}", observe::text(failure.detail())),
    };
    (observe::last_part(&arn).to_owned(), error)
}

impl Ecs for Aws {
    async fn service(&self, at: &ClusterRef, name: &str) -> Answer<Option<ObservedService>> {
        self.inner.poller.look(self, at, name, When::Now).await
    }

    async fn next_service(&self, at: &ClusterRef, name: &str) -> Answer<Option<ObservedService>> {
        self.next_look(at, name, Outlook::AsItStands).await
    }

    async fn next_look(
        &self,
        at: &ClusterRef,
        name: &str,
        outlook: Outlook,
    ) -> Answer<Option<ObservedService>> {
        self.inner.poller.look(self, at, name, When::Paced(outlook)).await
    }

    async fn turn_to_write(&self, region: &str, write: Write) {
        let group = match write {
            Write::RegisterTaskDefinition => Group::TaskDefinitionWrites,
            Write::UpdateService => Group::ServiceWrites,
        };
        self.budgets().turn_to_write(region, group).await;
    }

    async fn services(&self, at: &ClusterRef) -> Answer<Vec<ObservedService>> {
        let mut services = Vec::new();
        for names in self.service_names(at).await?.chunks(SERVICES_A_CALL) {
            let described = self.describe_services(at, names, Purpose::Watching).await?;
            if let Some((_, error)) = described.failures.into_iter().next() {
                return Err(error);
            }
            services.extend(described.services);
        }
        services.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(services)
    }

    async fn task_definition(&self, region: &str, reference: &str) -> Answer<TaskDefinition> {
        let kept = KeepBody::default();
        let call = self
            .ecs(region)
            .describe_task_definition()
            .task_definition(reference)
            .include(TaskDefinitionField::Tags);
        let sent = self
            .budgets()
            .read(region, Group::TaskDefinitionReads, Purpose::Acting, || {
                call.clone().customize().interceptor(kept.clone()).send()
            });
        let result = sent.await;
        let Some(mut body) = kept.json(&result) else {
            answer(result, &format!("task definition {reference}"))?;
            return Err(call::incomplete("readable body"));
        };
        let Some(Value::Object(definition)) = body.get_mut("taskDefinition").map(Value::take) else {
            return Err(call::incomplete("taskDefinition"));
        };
        let tags = match body.get_mut("tags").map(Value::take) {
            Some(Value::Array(tags)) => tags,
            _ => Vec::new(),
        };
        Ok(TaskDefinition { definition, tags })
    }

    async fn register_task_definition(&self, region: &str, request: &Value) -> Answer<TaskDefinitionArn> {
        let body = request.clone();
        let kept = KeepBody::default();
        let call = self
            .ecs(region)
            .register_task_definition()
            .customize()
            .mutate_request(move |http| replace_body(http, &body))
            .interceptor(kept.clone());
        let sent = self
            .budgets()
            .write(region, Group::TaskDefinitionWrites, call.send());
        let result = sent.await;
        // The SDK may fail to read the echo of a member that it does not know.
        if let Some(body) = kept.json(&result) {
            let arn = body
                .pointer("/taskDefinition/taskDefinitionArn")
                .and_then(Value::as_str);
            return arn
                .map(|arn| TaskDefinitionArn(arn.to_owned()))
                .ok_or(call::incomplete("taskDefinitionArn"));
        }
        answer(result, "the task definition")?;
        Err(call::incomplete("readable body"))
    }

    async fn update_service(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
    ) -> Answer<ObservedService> {
        self.update(at, service, task_definition, None).await
    }

    async fn force_deployment(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
    ) -> Answer<ObservedService> {
        self.update(at, service, task_definition, Some(true)).await
    }

    async fn service_deployments(&self, at: &ClusterRef, service: &str) -> Answer<Vec<ServiceDeployment>> {
        self.listed_deployments(at, service).await
    }

    async fn next_service_deployments(
        &self,
        at: &ClusterRef,
        service: &str,
        of: &TaskDefinitionArn,
    ) -> Answer<Vec<ServiceDeployment>> {
        self.followed_deployments(at, service, of).await
    }

    async fn stop_service_deployment(&self, region: &str, service_deployment_arn: &str) -> Answer<()> {
        let call = self
            .ecs(region)
            .stop_service_deployment()
            .service_deployment_arn(service_deployment_arn)
            .stop_type(StopServiceDeploymentStopType::Rollback);
        let sent = self
            .budgets()
            .write(region, Group::ServiceDeployments, call.send());
        answer(
            sent.await,
            &format!("service deployment {service_deployment_arn}"),
        )
        .map(drop)
    }
}

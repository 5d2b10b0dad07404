//! Amazon ECS: services, task definitions, deployments.

use std::collections::HashMap;

use aws_sdk_ecs::types::{StopServiceDeploymentStopType, TaskDefinitionField};
use serde_json::Value;
use towline_agent_domain::observed::{
    ClusterRef, ObservedService, ServiceDeployment, TaskDefinition, TaskDefinitionArn,
};
use towline_agent_domain::outside::{Answer, CallError, Ecs};

use crate::Aws;
use crate::call::{self, answer};
use crate::clients::sent_once;
use crate::observe;
use crate::wire::{KeepBody, replace_body};

/// DescribeServices takes ten services a call.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html>
pub(crate) const SERVICES_A_CALL: usize = 10;

/// DescribeServiceRevisions takes 20 a call; older deployments than that many decide nothing.
const NEWEST_DEPLOYMENTS: i32 = 20;

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
            .set_force_new_deployment(force)
            .customize()
            .config_override(sent_once());
        let updated = answer(call.send().await, &format!("service {service}"))?;
        updated
            .service()
            .map(observe::service)
            .ok_or(call::incomplete("service"))
    }

    /// DescribeServices for at most [`SERVICES_A_CALL`] names; who is MISSING is not in the answer.
    pub(crate) async fn describe_services(
        &self,
        at: &ClusterRef,
        names: &[String],
    ) -> Answer<Vec<ObservedService>> {
        let call = self
            .ecs(&at.region)
            .describe_services()
            .cluster(&at.cluster)
            .set_services(Some(names.to_vec()));
        let described = answer(call.send().await, &format!("cluster {}", at.cluster))?;
        let failed = described
            .failures()
            .iter()
            .find(|failure| failure.reason() != Some("MISSING"));
        if let Some(failure) = failed {
            return Err(CallError::Refused {
                code: observe::text(failure.reason()),
                message: format!(
                    "{} {}",
                    observe::text(failure.arn()),
                    observe::text(failure.detail())
                ),
            });
        }
        Ok(described.services().iter().map(observe::service).collect())
    }

    async fn service_names(&self, at: &ClusterRef) -> Answer<Vec<String>> {
        let mut pages = self
            .ecs(&at.region)
            .list_services()
            .cluster(&at.cluster)
            .max_results(100)
            .into_paginator()
            .send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = answer(page, &format!("cluster {}", at.cluster))?;
            names.extend(
                page.service_arns()
                    .iter()
                    .map(|arn| observe::last_part(arn).to_owned()),
            );
        }
        names.sort();
        Ok(names)
    }

    async fn revisions_of(
        &self,
        region: &str,
        arns: Vec<String>,
    ) -> Answer<HashMap<String, TaskDefinitionArn>> {
        if arns.is_empty() {
            return Ok(HashMap::new());
        }
        let call = self
            .ecs(region)
            .describe_service_revisions()
            .set_service_revision_arns(Some(arns));
        let described = answer(call.send().await, "the service's revisions")?;
        let pair = |revision: &aws_sdk_ecs::types::ServiceRevision| {
            let arn = revision.service_revision_arn()?.to_owned();
            Some((arn, TaskDefinitionArn(revision.task_definition()?.to_owned())))
        };
        Ok(described.service_revisions().iter().filter_map(pair).collect())
    }
}

impl Ecs for Aws {
    async fn service(&self, at: &ClusterRef, name: &str) -> Answer<Option<ObservedService>> {
        let found = self.describe_services(at, &[name.to_owned()]).await?;
        Ok(found.into_iter().find(|service| service.name == name))
    }

    async fn next_service(&self, at: &ClusterRef, name: &str) -> Answer<Option<ObservedService>> {
        self.inner.poller.next(self, at, name).await
    }

    async fn services(&self, at: &ClusterRef) -> Answer<Vec<ObservedService>> {
        let mut services = Vec::new();
        for names in self.service_names(at).await?.chunks(SERVICES_A_CALL) {
            services.extend(self.describe_services(at, names).await?);
        }
        services.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(services)
    }

    async fn task_definition(&self, region: &str, reference: &str) -> Answer<TaskDefinition> {
        let kept = KeepBody::default();
        let result = self
            .ecs(region)
            .describe_task_definition()
            .task_definition(reference)
            .include(TaskDefinitionField::Tags)
            .customize()
            .interceptor(kept.clone())
            .send()
            .await;
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
        let result = self
            .ecs(region)
            .register_task_definition()
            .customize()
            .config_override(sent_once())
            .mutate_request(move |http| replace_body(http, &body))
            .interceptor(kept.clone())
            .send()
            .await;
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
        let call = self
            .ecs(&at.region)
            .list_service_deployments()
            .cluster(&at.cluster)
            .service(service)
            .max_results(NEWEST_DEPLOYMENTS);
        let listed = answer(call.send().await, &format!("service {service}"))?;
        let briefs = listed.service_deployments();
        let mut arns: Vec<String> = briefs
            .iter()
            .filter_map(|b| b.target_service_revision_arn().map(str::to_owned))
            .collect();
        arns.sort();
        arns.dedup();
        let revisions = self.revisions_of(&at.region, arns).await?;
        let mut deployments: Vec<ServiceDeployment> = briefs
            .iter()
            .map(|brief| ServiceDeployment {
                arn: observe::text(brief.service_deployment_arn()),
                status: observe::service_deployment_status(
                    brief.status().map_or("", |status| status.as_str()),
                ),
                status_reason: observe::text(brief.status_reason()),
                task_definition: brief
                    .target_service_revision_arn()
                    .and_then(|arn| revisions.get(arn).cloned()),
                created: observe::time(brief.created_at()),
            })
            .collect();
        deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.created));
        Ok(deployments)
    }

    async fn stop_service_deployment(&self, region: &str, service_deployment_arn: &str) -> Answer<()> {
        let call = self
            .ecs(region)
            .stop_service_deployment()
            .service_deployment_arn(service_deployment_arn)
            .stop_type(StopServiceDeploymentStopType::Rollback)
            .customize()
            .config_override(sent_once());
        answer(
            call.send().await,
            &format!("service deployment {service_deployment_arn}"),
        )
        .map(drop)
    }
}

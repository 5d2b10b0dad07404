//! The records that ECS keeps of a service's deployments.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_ecs::types;
use jiff::SignedDuration;
use towline_agent_domain::observed::{
    ClusterRef, ServiceDeployment, ServiceDeploymentStatus, TaskDefinitionArn,
};
use towline_agent_domain::outside::Answer;
use towline_agent_domain::rollout::budget::{Group, Purpose};

use crate::Aws;
use crate::call::answer;
use crate::observe;
use crate::wire::KeepDate;

/// DescribeServiceDeployments takes 20 a call.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServiceDeployments.html>
pub(crate) const RECORDS_A_CALL: usize = 20;

/// DescribeServiceRevisions takes 20 a call.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServiceRevisions.html>
pub(crate) const REVISIONS_A_CALL: usize = 20;

/// Older deployments than that many decide nothing.
const NEWEST_DEPLOYMENTS: i32 = 20;

impl Aws {
    /// The records of a service, as ECS lists them now.
    pub(crate) async fn listed_deployments(
        &self,
        at: &ClusterRef,
        service: &str,
    ) -> Answer<Vec<ServiceDeployment>> {
        let call = self
            .inner
            .clients
            .ecs(&at.region)
            .list_service_deployments()
            .cluster(&at.cluster)
            .service(service)
            .max_results(NEWEST_DEPLOYMENTS);
        let answered = KeepDate::default();
        let sent = self
            .budgets()
            .read(&at.region, Group::ServiceDeployments, Purpose::Acting, || {
                call.clone().customize().interceptor(answered.clone()).send()
            });
        let listed = answer(sent.await, &format!("service {service}"))?;
        let answered = answered.date();
        let briefs = listed.service_deployments();
        let mut arns: Vec<String> = briefs
            .iter()
            .filter_map(|b| b.target_service_revision_arn().map(str::to_owned))
            .collect();
        arns.sort();
        arns.dedup();
        let revisions = self.revisions_of(&at.region, &arns).await?;
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
                finished_ago: brief.finished_at().zip(answered).map(|(finished, answered)| {
                    let ago = answered.duration_since(observe::time(Some(finished)));
                    ago.max(SignedDuration::ZERO)
                }),
            })
            .collect();
        deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.created));
        self.inner.records.keep(at, service, &deployments);
        Ok(deployments)
    }

    /// The records of a service, for whoever follows the deployment of a revision: while
    /// that is under way it is asked for together with those of other services. All of
    /// them are listed again when it has come to an end, or is not known yet.
    pub(crate) async fn followed_deployments(
        &self,
        at: &ClusterRef,
        service: &str,
        of: &TaskDefinitionArn,
    ) -> Answer<Vec<ServiceDeployment>> {
        let mut records = self.inner.records.of(at, service);
        let ours = records
            .iter_mut()
            .find(|record| record.task_definition.as_ref() == Some(of) && is_under_way(&record.status));
        let Some(ours) = ours else {
            return self.listed_deployments(at, service).await;
        };
        let (aws, region) = (self.clone(), at.region.clone());
        let fetch = move |arns| {
            let (aws, region) = (aws.clone(), region.clone());
            async move { aws.described_deployments(&region, arns).await }
        };
        let shared = &self.inner.followed_records;
        let arn = ours.arn.clone();
        let mut found = shared.ask(at.region.clone(), vec![arn.clone()], fetch).await?;
        match found.remove(&arn) {
            Some((status, reason)) if is_under_way(&status) => {
                ours.status = status;
                ours.status_reason = reason;
                Ok(records)
            }
            _ => self.listed_deployments(at, service).await,
        }
    }

    /// ARN → status and its reason.
    async fn described_deployments(
        &self,
        region: &str,
        arns: Vec<String>,
    ) -> Answer<Vec<(String, (ServiceDeploymentStatus, String))>> {
        let call = self
            .inner
            .clients
            .ecs(region)
            .describe_service_deployments()
            .set_service_deployment_arns(Some(arns));
        let group = Group::ServiceDeployments;
        let sent = self
            .budgets()
            .read(region, group, Purpose::Watching, || call.clone().send());
        let described = answer(sent.await, "the service deployments")?;
        let entry = |record: &types::ServiceDeployment| {
            let arn = record.service_deployment_arn()?.to_owned();
            let status = observe::service_deployment_status(record.status().map_or("", |s| s.as_str()));
            Some((arn, (status, observe::text(record.status_reason()))))
        };
        Ok(described.service_deployments().iter().filter_map(entry).collect())
    }

    /// The task definitions of service revisions. A service revision never changes:
    /// what was read of one is kept.
    async fn revisions_of(
        &self,
        region: &str,
        arns: &[String],
    ) -> Answer<HashMap<String, TaskDefinitionArn>> {
        let mut found = self.inner.revisions.of(arns);
        let unknown: Vec<String> = arns
            .iter()
            .filter(|arn| !found.contains_key(*arn))
            .cloned()
            .collect();
        let (aws, place) = (self.clone(), region.to_owned());
        let fetch = move |arns| {
            let (aws, region) = (aws.clone(), place.clone());
            async move { aws.described_revisions(&region, arns).await }
        };
        let shared = &self.inner.described_revisions;
        let described = shared.ask(region.to_owned(), unknown, fetch).await?;
        self.inner.revisions.keep(&described);
        found.extend(described);
        Ok(found)
    }

    /// ARN of a service revision → its task definition.
    async fn described_revisions(
        &self,
        region: &str,
        arns: Vec<String>,
    ) -> Answer<Vec<(String, TaskDefinitionArn)>> {
        let call = self
            .inner
            .clients
            .ecs(region)
            .describe_service_revisions()
            .set_service_revision_arns(Some(arns));
        let sent = self
            .budgets()
            .read(region, Group::ServiceRevisions, Purpose::Acting, || {
                call.clone().send()
            });
        let described = answer(sent.await, "the service's revisions")?;
        let pair = |revision: &types::ServiceRevision| {
            let arn = revision.service_revision_arn()?.to_owned();
            Some((arn, TaskDefinitionArn(revision.task_definition()?.to_owned())))
        };
        Ok(described.service_revisions().iter().filter_map(pair).collect())
    }
}

fn is_under_way(status: &ServiceDeploymentStatus) -> bool {
    matches!(
        status,
        ServiceDeploymentStatus::Pending
            | ServiceDeploymentStatus::InProgress
            | ServiceDeploymentStatus::StopRequested
            | ServiceDeploymentStatus::RollbackRequested
            | ServiceDeploymentStatus::RollbackInProgress
    )
}

/// The records of services as they were last listed.
#[derive(Debug, Default)]
pub(crate) struct Records(Mutex<HashMap<(ClusterRef, String), Vec<ServiceDeployment>>>);

impl Records {
    /// Of so many services they are kept.
    const MOST: usize = 1_000;

    fn of(&self, at: &ClusterRef, service: &str) -> Vec<ServiceDeployment> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let records = known.get(&(at.clone(), service.to_owned()));
        records.cloned().unwrap_or_default()
    }

    fn keep(&self, at: &ClusterRef, service: &str, records: &[ServiceDeployment]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert((at.clone(), service.to_owned()), records.to_vec());
    }
}

/// The task definitions of service revisions that were read.
#[derive(Debug, Default)]
pub(crate) struct Revisions(Mutex<HashMap<String, TaskDefinitionArn>>);

impl Revisions {
    /// So many are kept: a few hundred bytes each.
    const MOST: usize = 10_000;

    fn of(&self, arns: &[String]) -> HashMap<String, TaskDefinitionArn> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = |arn: &String| Some((arn.clone(), known.get(arn)?.clone()));
        arns.iter().filter_map(pair).collect()
    }

    fn keep(&self, found: &HashMap<String, TaskDefinitionArn>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + found.len() > Self::MOST {
            known.clear();
        }
        known.extend(
            found
                .iter()
                .map(|(arn, revision)| (arn.clone(), revision.clone())),
        );
    }
}

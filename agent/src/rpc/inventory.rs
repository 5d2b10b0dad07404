//! What the agent is, and what runs in its account.

use futures_util::{StreamExt as _, TryStreamExt as _};
use tonic::Status;
use towline_agent_domain::{
    fargate,
    observed::{ClusterRef, ObservedService, Stack},
    outside::Account,
    policy::Permission,
};
use towline_proto::agent::v1 as proto;

use super::{
    Agent, failure,
    orders::{DEFAULT_STACK, cluster_ref},
    page,
    violations::Violations,
};
use crate::{time::to_proto, wire};

/// What this version can do, in stable words.
const CAPABILITIES: [&str; 9] = [
    "fargate",
    "fargate_plan",
    "fargate_template",
    "update",
    "update_plan",
    "run_task",
    "resolve_image",
    "list_image_tags",
    "read_values",
];

/// How many task definitions of a list are read at once.
const READS_AT_ONCE: usize = 8;

impl<A: Account> Agent<A> {
    /// The agent itself.
    pub(super) fn describe(&self) -> proto::GetAgentResponse {
        let regions = self.config.aws.regions.iter().map(|region| proto::AgentRegion {
            region: region.name.clone(),
            clusters: region.clusters.clone(),
        });
        let rules = self.config.operators.rules().iter().map(|rule| {
            let permissions = rule.permissions.iter().map(|permission| match permission {
                Permission::Read => proto::OperatorPermission::Read.into(),
                Permission::Deploy => proto::OperatorPermission::Deploy.into(),
            });
            proto::OperatorRule {
                operator: rule.operator.clone(),
                permissions: permissions.collect(),
            }
        });
        proto::GetAgentResponse {
            name: self.config.name.to_string(),
            account: self.surroundings.account_id.clone(),
            partition: self.surroundings.partition.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: self.operations.incarnation().to_owned(),
            start_time: Some(to_proto(self.started)),
            regions: regions.collect(),
            capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
            operator_rules: rules.collect(),
        }
    }

    /// One service, its stack when asked for, and what an operation would start from.
    pub(super) async fn describe_service(
        &self,
        request: proto::DescribeServiceRequest,
    ) -> Result<proto::DescribeServiceResponse, Status> {
        let mut violations = Violations::default();
        self.check_place(&request.region, &request.cluster, &mut violations);
        violations.demand("service", &request.service, "\"orders\"");
        violations.check()?;
        self.check_account(&request.account)?;
        let at = cluster_ref(&request.region, &request.cluster);
        let (service, stack) = futures_util::try_join!(
            self.read_service(&at, &request.service),
            self.read_stack(&at, &request.service, &request.stack),
        )?;
        let expected = proto::ExpectedState {
            task_definition: service.as_ref().map(runs).unwrap_or_default(),
            deployment_id: service
                .as_ref()
                .and_then(ObservedService::primary)
                .map(|primary| primary.id.clone())
                .unwrap_or_default(),
            stack_id: stack.as_ref().map(|stack| stack.id.clone()).unwrap_or_default(),
            absent: if request.stack.is_empty() {
                service.is_none()
            } else {
                stack.is_none()
            },
        };
        let service = match &service {
            Some(service) => Some(self.described(&at, service).await?),
            None => None,
        };
        Ok(proto::DescribeServiceResponse {
            service,
            stack: stack.as_ref().map(wire::stack),
            expected: Some(expected),
        })
    }

    async fn read_service(&self, at: &ClusterRef, name: &str) -> Result<Option<ObservedService>, Status> {
        let service = self.surroundings.aws.service(at, name).await;
        service.map_err(|error| failure::status(&format!("describe service {name}"), &error))
    }

    /// The stack that was asked for; one that was deleted is as good as none.
    async fn read_stack(&self, at: &ClusterRef, service: &str, asked: &str) -> Result<Option<Stack>, Status> {
        let name = match asked {
            "" => return Ok(None),
            DEFAULT_STACK => fargate::stack_name(&at.cluster, service),
            other => other.to_owned(),
        };
        match self.surroundings.aws.stack(&at.region, &name).await {
            Ok(stack) => Ok(stack.filter(|stack| stack.status != "DELETE_COMPLETE")),
            Err(error) => Err(failure::status(&format!("describe stack {name}"), &error)),
        }
    }

    /// The services of one cluster, by name.
    pub(super) async fn list_services(
        &self,
        request: proto::ListServicesRequest,
    ) -> Result<proto::ListServicesResponse, Status> {
        let mut violations = Violations::default();
        self.check_place(&request.region, &request.cluster, &mut violations);
        violations.check()?;
        self.check_account(&request.account)?;
        let at = cluster_ref(&request.region, &request.cluster);
        let mut services = self
            .surroundings
            .aws
            .services(&at)
            .await
            .map_err(|error| failure::status(&format!("list the services of {}", at.cluster), &error))?;
        services.sort_by(|a, b| a.name.cmp(&b.name));
        let names = services.iter().map(|service| service.name.clone());
        let page = page(names, &request.page_token, request.page_size)?;
        // One read for each: some at once, in ECS's own bounds (`budget` of the AWS edge).
        let shown = services.get(page.range).unwrap_or_default().iter();
        let reads: Vec<_> = shown.map(|service| self.described(&at, service)).collect();
        let shown = futures_util::stream::iter(reads);
        Ok(proto::ListServicesResponse {
            services: shown.buffered(READS_AT_ONCE).try_collect().await?,
            next_page_token: page.next_token,
        })
    }

    async fn described(
        &self,
        at: &ClusterRef,
        service: &ObservedService,
    ) -> Result<proto::ServiceDescription, Status> {
        let reference = runs(service);
        let definition = self
            .surroundings
            .aws
            .task_definition(&at.region, &reference)
            .await
            .map_err(|error| failure::status(&format!("describe task definition {reference}"), &error))?;
        Ok(wire::service(&at.cluster, service, Some(&definition)))
    }
}

/// What the PRIMARY deployment runs.
fn runs(service: &ObservedService) -> String {
    let primary = service.primary().map(|primary| &primary.task_definition);
    primary.unwrap_or(&service.task_definition).0.clone()
}

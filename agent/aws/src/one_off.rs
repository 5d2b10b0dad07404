//! Tasks that run once: found, started, stopped, and their log lines as they come.

use aws_config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::config;
use aws_sdk_ecs::operation::run_task::RunTaskError;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, DesiredStatus, LaunchType,
    NetworkConfiguration, Service, Tag, Task,
};
use towline_agent_domain::observed::one_off::{
    Capacity, CapacityProvider, LogPage, ObservedTask, Ran, RunTask, ServicePlacement, TaskNetwork, Unplaced,
};
use towline_agent_domain::observed::{ClusterRef, TaskDefinitionArn};
use towline_agent_domain::outside::{Answer, CallError, OneOffTasks};
use towline_agent_domain::rollout::budget::{Group, Purpose};

use crate::Aws;
use crate::call::{self, answer};
use crate::observe::{self, text};
use crate::tasks::logged_line;

/// Log lines of one look.
const LINES_A_LOOK: i32 = 200;

impl OneOffTasks for Aws {
    async fn placement(&self, at: &ClusterRef, service: &str) -> Answer<Option<ServicePlacement>> {
        let ecs = self.inner.clients.ecs(&at.region);
        let call = ecs.describe_services().cluster(&at.cluster).services(service);
        let sent = self
            .budgets()
            .read(&at.region, Group::ServiceReads, Purpose::Acting, || {
                call.clone().send()
            });
        let described = answer(sent.await, &format!("cluster {}", at.cluster))?;
        let active = described.services().iter();
        let active = active.filter(|service| service.status() != Some("INACTIVE"));
        Ok(active.map(placement).next())
    }

    async fn tasks_of_family(&self, at: &ClusterRef, family: &str) -> Answer<Vec<ObservedTask>> {
        let ecs = self.inner.clients.ecs(&at.region);
        let mut arns = Vec::new();
        for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let list = ecs
                .list_tasks()
                .cluster(&at.cluster)
                .family(family)
                .desired_status(status);
            let list = list.max_results(100);
            let mut next = None;
            loop {
                let page =
                    self.budgets()
                        .read(&at.region, Group::ClusterResourceReads, Purpose::Acting, || {
                            list.clone().set_next_token(next.clone()).send()
                        });
                let page = answer(page.await, &format!("family {family}"))?;
                arns.extend(page.task_arns().to_vec());
                next = page.next_token().map(str::to_owned);
                if next.is_none() {
                    break;
                }
            }
        }
        let tasks = self.tasks_by_arn(at, arns).await?;
        Ok(tasks.iter().map(observed).collect())
    }

    async fn task(&self, at: &ClusterRef, arn: &str) -> Answer<Option<ObservedTask>> {
        let tasks = self.tasks_by_arn(at, vec![arn.to_owned()]).await?;
        Ok(tasks.first().map(observed))
    }

    async fn run_task(&self, at: &ClusterRef, run: &RunTask) -> Answer<Ran> {
        let ecs = self.inner.clients.ecs(&at.region);
        let (launch_type, providers) = capacity(&run.capacity);
        let call = ecs
            .run_task()
            .cluster(&at.cluster)
            .task_definition(&run.task_definition.0)
            .count(1)
            .client_token(&run.client_token)
            .started_by(&run.started_by)
            .set_launch_type(launch_type)
            .set_capacity_provider_strategy(providers)
            .set_platform_version(run.platform_version.clone())
            .set_network_configuration(run.network.as_ref().and_then(network))
            .set_tags(Some(run.tags.iter().map(tag).collect()))
            .enable_ecs_managed_tags(true);
        let sent = self.budgets().write(&at.region, Group::TaskWrites, call.send());
        let sent = sent.await;
        if let Err(error) = &sent
            && let Some(RunTaskError::ConflictException(conflict)) = error.as_service_error()
        {
            return Ok(Ran::TokenTaken(conflict.resource_ids().to_vec()));
        }
        let ran = answer(sent, &format!("cluster {}", at.cluster))?;
        if let Some(task) = ran.tasks().first() {
            return Ok(Ran::Started(observed(task)));
        }
        let failures = ran.failures().iter().map(|failure| Unplaced {
            reason: text(failure.reason()),
            detail: text(failure.detail()),
        });
        let failures: Vec<Unplaced> = failures.collect();
        if failures.is_empty() {
            return Err(call::incomplete("task, and no failure"));
        }
        Ok(Ran::NotPlaced(failures))
    }

    async fn stop_task(&self, at: &ClusterRef, arn: &str, reason: &str) -> Answer<()> {
        let ecs = self.inner.clients.ecs(&at.region);
        let call = ecs.stop_task().cluster(&at.cluster).task(arn).reason(reason);
        let sent = self.budgets().write(&at.region, Group::TaskWrites, call.send());
        answer(sent.await, &format!("task {arn}")).map(drop)
    }

    async fn log_lines(
        &self,
        region: &str,
        group: &str,
        stream: &str,
        after: Option<&str>,
    ) -> Answer<LogPage> {
        let logs = self.inner.clients.logs(region);
        let call = logs
            .get_log_events()
            .log_group_name(group)
            .log_stream_name(stream)
            .limit(LINES_A_LOOK)
            .start_from_head(true)
            .set_next_token(after.map(str::to_owned));
        let sent = self
            .budgets()
            .read(region, Group::LogReads, Purpose::Watching, || {
                let once = config::Config::builder().retry_config(RetryConfig::disabled());
                call.clone().customize().config_override(once).send()
            });
        match answer(sent.await, &format!("log stream {stream}")) {
            Ok(page) => Ok(LogPage {
                lines: page.events().iter().map(logged_line).collect(),
                next: page.next_forward_token().map(str::to_owned),
            }),
            // Made with the first line.
            Err(CallError::Missing { .. }) => Ok(LogPage::default()),
            Err(error) => Err(error),
        }
    }
}

fn observed(task: &Task) -> ObservedTask {
    let stopped = observe::stopped_task(task);
    ObservedTask {
        arn: text(task.task_arn()),
        task_definition: stopped.task_definition,
        started_by: text(task.started_by()),
        last_status: text(task.last_status()),
        created: task.created_at().map(|at| observe::time(Some(at))),
        stop_code: stopped.stop_code,
        stopped_reason: stopped.reason,
        containers: stopped.containers,
        stopped: stopped.stopped,
    }
}

fn placement(service: &Service) -> ServicePlacement {
    let primary = service
        .deployments()
        .iter()
        .find(|one| one.status() == Some("PRIMARY"));
    let runs = primary.and_then(|one| one.task_definition());
    let strategy = service.capacity_provider_strategy();
    let capacity = match service.launch_type() {
        _ if !strategy.is_empty() => Capacity::Providers(strategy.iter().map(provider).collect()),
        Some(launch_type) => Capacity::LaunchType(launch_type.as_str().to_owned()),
        None => Capacity::ClustersDefault,
    };
    let vpc = service.network_configuration();
    let vpc = vpc.and_then(|network| network.awsvpc_configuration());
    ServicePlacement {
        task_definition: runs
            .or(service.task_definition())
            .map(|arn| TaskDefinitionArn(arn.to_owned())),
        network: vpc.map(|vpc| TaskNetwork {
            subnets: vpc.subnets().to_vec(),
            security_groups: vpc.security_groups().to_vec(),
            assign_public_ip: vpc.assign_public_ip() == Some(&AssignPublicIp::Enabled),
        }),
        capacity,
        platform_version: service.platform_version().map(str::to_owned),
    }
}

fn provider(item: &CapacityProviderStrategyItem) -> CapacityProvider {
    let count = |number: i32| u32::try_from(number).unwrap_or_default();
    CapacityProvider {
        name: item.capacity_provider().to_owned(),
        base: count(item.base()),
        weight: count(item.weight()),
    }
}

fn capacity(wanted: &Capacity) -> (Option<LaunchType>, Option<Vec<CapacityProviderStrategyItem>>) {
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    match wanted {
        Capacity::ClustersDefault => (None, None),
        Capacity::LaunchType(word) => (Some(LaunchType::from(word.as_str())), None),
        Capacity::Providers(providers) => {
            let items = providers.iter().filter_map(|provider| {
                let item = CapacityProviderStrategyItem::builder()
                    .capacity_provider(&provider.name)
                    .base(count(provider.base))
                    .weight(count(provider.weight));
                item.build().ok()
            });
            (None, Some(items.collect()))
        }
    }
}

fn network(wanted: &TaskNetwork) -> Option<NetworkConfiguration> {
    let public = match wanted.assign_public_ip {
        true => AssignPublicIp::Enabled,
        false => AssignPublicIp::Disabled,
    };
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(wanted.subnets.clone()))
        .set_security_groups(Some(wanted.security_groups.clone()))
        .assign_public_ip(public)
        .build()
        .ok()?;
    Some(NetworkConfiguration::builder().awsvpc_configuration(vpc).build())
}

fn tag((key, value): &(String, String)) -> Tag {
    Tag::builder().key(key).value(value).build()
}

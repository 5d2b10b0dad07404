//! Tasks and what they left behind.

use std::collections::HashMap;

use aws_config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::config;
use aws_sdk_ecs::types::{DesiredStatus, Task};
use towline_agent_domain::observed::{ClusterRef, LoggedLine, StoppedTask, TaskDefinitionArn};
use towline_agent_domain::outside::{Answer, CallError, Tasks};
use towline_agent_domain::rollout::budget::{Group, Purpose};

use crate::Aws;
use crate::call::answer;
use crate::observe;

/// DescribeTasks takes 100 a call.
pub(crate) const TASKS_A_CALL: usize = 100;
/// DescribeContainerInstances takes 100 a call.
const INSTANCES_A_CALL: usize = 100;

impl Aws {
    async fn tasks(&self, at: &ClusterRef, service: &str, status: DesiredStatus) -> Answer<Vec<Task>> {
        let ecs = self.inner.clients.ecs(&at.region);
        let list = ecs
            .list_tasks()
            .cluster(&at.cluster)
            .service_name(service)
            .desired_status(status);
        let list = list.max_results(100);
        let group = Group::ClusterResourceReads;
        let mut arns = Vec::new();
        let mut next = None;
        loop {
            let page = self.budgets().read(&at.region, group, Purpose::Acting, || {
                list.clone().set_next_token(next.clone()).send()
            });
            let page = answer(page.await, &format!("service {service}"))?;
            arns.extend(page.task_arns().to_vec());
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        self.tasks_by_arn(at, arns).await
    }

    /// Those of them that ECS shows, in this order.
    pub(crate) async fn tasks_by_arn(&self, at: &ClusterRef, arns: Vec<String>) -> Answer<Vec<Task>> {
        let (aws, place) = (self.clone(), at.clone());
        let fetch = move |arns| {
            let (aws, at) = (aws.clone(), place.clone());
            async move { aws.described_tasks(&at, arns).await }
        };
        let shared = &self.inner.described_tasks;
        let mut tasks = shared.ask(at.clone(), arns.clone(), fetch).await?;
        Ok(arns.iter().filter_map(|arn| tasks.remove(arn)).collect())
    }

    /// ARN → task.
    async fn described_tasks(&self, at: &ClusterRef, arns: Vec<String>) -> Answer<Vec<(String, Task)>> {
        let ecs = self.inner.clients.ecs(&at.region);
        let call = ecs.describe_tasks().cluster(&at.cluster).set_tasks(Some(arns));
        let group = Group::ClusterResourceReads;
        let sent = self
            .budgets()
            .read(&at.region, group, Purpose::Acting, || call.clone().send());
        let described = answer(sent.await, &format!("cluster {}", at.cluster))?;
        let pair = |task: &Task| Some((task.task_arn()?.to_owned(), task.clone()));
        Ok(described.tasks().iter().filter_map(pair).collect())
    }

    /// Container instance ARN → EC2 instance id.
    async fn instance_ids(&self, at: &ClusterRef, tasks: &[Task]) -> Answer<HashMap<String, String>> {
        let without_address = tasks
            .iter()
            .filter(|task| observe::private_address(task).is_none());
        let mut arns: Vec<String> = without_address
            .filter_map(|task| task.container_instance_arn().map(str::to_owned))
            .collect();
        arns.sort();
        arns.dedup();
        let ecs = self.inner.clients.ecs(&at.region);
        let mut ids = HashMap::new();
        for arns in arns.chunks(INSTANCES_A_CALL) {
            let call = ecs.describe_container_instances().cluster(&at.cluster);
            let call = call.set_container_instances(Some(arns.to_vec()));
            let group = Group::ClusterResourceReads;
            let sent = self
                .budgets()
                .read(&at.region, group, Purpose::Acting, || call.clone().send());
            for instance in answer(sent.await, &format!("cluster {}", at.cluster))?.container_instances() {
                let id = instance.ec2_instance_id().map(str::to_owned);
                ids.extend(instance.container_instance_arn().map(str::to_owned).zip(id));
            }
        }
        Ok(ids)
    }
}

impl Tasks for Aws {
    async fn stopped(&self, at: &ClusterRef, service: &str) -> Answer<Vec<StoppedTask>> {
        let tasks = self.tasks(at, service, DesiredStatus::Stopped).await?;
        let mut stopped: Vec<StoppedTask> = tasks.iter().map(observe::stopped_task).collect();
        stopped.sort_by_key(|task| std::cmp::Reverse(task.stopped));
        Ok(stopped)
    }

    async fn running_target_ids(
        &self,
        at: &ClusterRef,
        service: &str,
        task_definition: &TaskDefinitionArn,
    ) -> Answer<Vec<String>> {
        let mut tasks = self.tasks(at, service, DesiredStatus::Running).await?;
        tasks.retain(|task| {
            task.task_definition_arn() == Some(&task_definition.0) && task.last_status() == Some("RUNNING")
        });
        let instances = self.instance_ids(at, &tasks).await?;
        let target = |task: &Task| {
            let instance = || {
                task.container_instance_arn()
                    .and_then(|arn| instances.get(arn).cloned())
            };
            observe::private_address(task).or_else(instance)
        };
        Ok(tasks.iter().filter_map(target).collect())
    }

    async fn last_log_lines(
        &self,
        region: &str,
        group: &str,
        stream: &str,
        count: u32,
    ) -> Answer<Vec<LoggedLine>> {
        let call = self
            .inner
            .clients
            .logs(region)
            .get_log_events()
            .log_group_name(group)
            .log_stream_name(stream)
            .limit(i32::try_from(count).unwrap_or(i32::MAX).clamp(1, 10_000))
            .start_from_head(false);
        let sent = self.budgets().read(region, Group::LogReads, Purpose::Acting, || {
            let once = config::Config::builder().retry_config(RetryConfig::disabled());
            call.clone().customize().config_override(once).send()
        });
        match answer(sent.await, &format!("log stream {stream}")) {
            Ok(events) => Ok(events.events().iter().map(logged_line).collect()),
            // A container that never started has no stream.
            Err(CallError::Missing { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn delete_log_group(&self, region: &str, group: &str) -> Answer<()> {
        let logs = self.inner.clients.logs(region);
        let call = logs.delete_log_group().log_group_name(group);
        answer(call.send().await, &format!("log group {group}")).map(|_| ())
    }
}

pub(crate) fn logged_line(event: &aws_sdk_cloudwatchlogs::types::OutputLogEvent) -> LoggedLine {
    let at = jiff::Timestamp::from_millisecond(event.timestamp().unwrap_or_default()).unwrap_or_default();
    LoggedLine {
        at,
        message: observe::text(event.message()).trim_end().to_owned(),
    }
}

//! Container instances: what is left on them.

use aws_sdk_ecs::types::{self, ContainerInstanceStatus};
use towline_agent_domain::observed::{ClusterRef, surroundings::ContainerInstance};
use towline_agent_domain::outside::Answer;
use towline_agent_domain::rollout::budget::{Group, Purpose};

use crate::Aws;
use crate::call::answer;
use crate::observe::last_part;

/// DescribeContainerInstances takes 100 a call; a larger cluster is judged by its first.
const MOST: i32 = 100;

impl Aws {
    pub(crate) async fn instances_of(&self, at: &ClusterRef) -> Answer<Vec<ContainerInstance>> {
        let ecs = self.inner.clients.ecs(&at.region);
        let what = format!("cluster {}", at.cluster);
        let list = ecs
            .list_container_instances()
            .cluster(&at.cluster)
            .status(ContainerInstanceStatus::Active)
            .max_results(MOST);
        let group = Group::ClusterResourceReads;
        let sent = self
            .budgets()
            .read(&at.region, group, Purpose::Acting, || list.clone().send());
        let arns = answer(sent.await, &what)?.container_instance_arns().to_vec();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let describe = ecs
            .describe_container_instances()
            .cluster(&at.cluster)
            .set_container_instances(Some(arns));
        let sent = self
            .budgets()
            .read(&at.region, group, Purpose::Acting, || describe.clone().send());
        let described = answer(sent.await, &what)?;
        Ok(described.container_instances().iter().map(instance).collect())
    }
}

fn instance(instance: &types::ContainerInstance) -> ContainerInstance {
    let left = |name: &str| {
        instance
            .remaining_resources()
            .iter()
            .find(move |resource| resource.name() == Some(name))
    };
    let number = |name: &str| {
        let value = left(name).map(types::Resource::integer_value);
        value
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or_default()
    };
    let ports = left("PORTS")
        .map(types::Resource::string_set_value)
        .unwrap_or_default();
    let architecture = instance
        .attributes()
        .iter()
        .find(|attribute| attribute.name() == "ecs.cpu-architecture");
    ContainerInstance {
        id: last_part(instance.container_instance_arn().unwrap_or_default()).to_owned(),
        takes_tasks: instance.agent_connected() && instance.status() == Some("ACTIVE"),
        cpu: number("CPU"),
        memory: number("MEMORY"),
        ports: ports.iter().filter_map(|port| port.parse().ok()).collect(),
        architecture: architecture
            .and_then(|attribute| attribute.value())
            .map(str::to_owned),
    }
}

//! Container instances that come and go: those that managed scaling launches
//! for tasks that wait, and those that are lost or drained.

use super::lifecycle;
use crate::{
    ecs::{
        model::{ContainerInstance, Provider},
        task::{Place, StopCode},
    },
    world::{Region, SimTime},
};

/// Launches an instance for each provider that has tasks waiting and may grow,
/// and registers those that are ready.
pub fn step(region: &mut Region, now: SimTime) {
    let names: Vec<String> = region.ecs.clusters.keys().cloned().collect();
    for name in names {
        let Some(mut cluster) = region.ecs.clusters.remove(&name) else {
            continue;
        };
        let mut ready = Vec::new();
        for provider in &mut cluster.providers {
            let of_it = |one: &&ContainerInstance| one.capacity_provider.as_ref() == Some(&provider.name);
            let size = cluster.instances.iter().filter(of_it).count() + provider.launching.len();
            let is_wanted = provider.launching.is_empty() && waits(region, &name, &provider.name);
            if provider.has_managed_scaling && is_wanted && size < provider.most {
                provider.launching.push(now.plus_s(provider.warmup_s));
            }
            let due = provider.launching.iter().filter(|at| now >= **at).count();
            provider.launching.retain(|at| now < *at);
            for _ in 0..due {
                provider.launched += 1;
                ready.push(launched(region, &name, provider, now));
            }
        }
        cluster.instances.extend(ready);
        region.ecs.clusters.insert(name, cluster);
    }
}

fn waits(region: &Region, cluster: &str, provider: &str) -> bool {
    let mut tasks = region.ecs.tasks.values();
    tasks.any(|task| {
        task.cluster == cluster
            && !task.stopping
            && matches!(&task.place, Place::Waiting { provider: name } if name == provider)
    })
}

fn launched(region: &mut Region, cluster: &str, provider: &Provider, now: SimTime) -> ContainerInstance {
    let id = region.ids.hex("container-instance", 32);
    ContainerInstance {
        arn: region.arn("ecs", &format!("container-instance/{cluster}/{id}")),
        ec2_id: format!("i-0{}", region.ids.hex("instance", 16)),
        ip: format!("10.90.0.{}", provider.launched % 250 + 4),
        zone: provider.zone.clone(),
        cpu: provider.cpu,
        memory: provider.memory,
        architecture: provider.architecture.clone(),
        capacity_provider: Some(provider.name.clone()),
        taken_ports: Vec::new(),
        is_draining: false,
        registered: now,
    }
}

/// Instances, by EC2 id, that are terminated with all that runs on them.
pub fn lose_instances(region: &mut Region, cluster: &str, ids: &[String], now: SimTime) {
    for id in ids {
        let Some(cluster) = region.ecs.clusters.get_mut(cluster) else {
            return;
        };
        let Some(index) = cluster.instances.iter().position(|one| one.ec2_id == *id) else {
            continue;
        };
        let instance = cluster.instances.remove(index);
        let tasks = region.ecs.tasks.values();
        let on_it = tasks.filter(|task| task.host() == Some(instance.arn.as_str()));
        let lost: Vec<String> = on_it.map(|task| task.id.clone()).collect();
        for task in lost {
            let reason = format!("Host EC2 (instance {id}) terminated.");
            lifecycle::stop(region, &task, now, StopCode::TerminationNotice, &reason);
        }
    }
}

/// Instances, by EC2 id, that take no new tasks.
pub fn drain_instances(region: &mut Region, cluster: &str, ids: &[String]) {
    let cluster = region.ecs.clusters.get_mut(cluster);
    for instance in cluster.into_iter().flat_map(|one| &mut one.instances) {
        instance.is_draining |= ids.contains(&instance.ec2_id);
    }
}

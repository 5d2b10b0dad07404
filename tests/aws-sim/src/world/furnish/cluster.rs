//! A seed's clusters: their instances, and the Auto Scaling groups behind them.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ecs::{Cluster, ContainerInstance, Provider},
    world::{Region, SimTime},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedCluster {
    name: String,
    #[serde(default)]
    capacity_providers: Vec<String>,
    /// ECS's defaultCapacityProviderStrategy.
    #[serde(default)]
    default_strategy: Vec<Value>,
    #[serde(default)]
    instances: Vec<SeedInstance>,
    #[serde(default)]
    auto_scaling: Vec<SeedAutoScaling>,
}

/// An EC2 instance that is registered in a cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedInstance {
    id: String,
    ip: String,
    zone: String,
    cpu: i64,
    memory: i64,
    /// `x86_64` or `arm64`.
    #[serde(default = "x86_64")]
    architecture: String,
    #[serde(default)]
    capacity_provider: Option<String>,
    /// Host ports that something other than ECS uses.
    #[serde(default)]
    taken_ports: Vec<i64>,
}

/// An Auto Scaling group as a capacity provider of a cluster.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedAutoScaling {
    name: String,
    #[serde(default = "SeedAutoScaling::default_managed")]
    managed_scaling: bool,
    /// Instances that it may have.
    most: usize,
    /// Seconds until a new instance is registered.
    #[serde(default = "SeedAutoScaling::default_warmup_s")]
    warmup_s: f64,
    zone: String,
    cpu: i64,
    memory: i64,
    #[serde(default = "x86_64")]
    architecture: String,
}

impl SeedAutoScaling {
    fn default_managed() -> bool {
        true
    }

    fn default_warmup_s() -> f64 {
        30.0
    }
}

fn x86_64() -> String {
    "x86_64".to_owned()
}

/// Registers instances in a cluster.
pub fn furnish_instances(region: &mut Region, cluster: &str, seeds: Vec<SeedInstance>, now: SimTime) {
    for seed in seeds {
        let id = region.ids.hex("container-instance", 32);
        let instance = ContainerInstance {
            arn: region.arn("ecs", &format!("container-instance/{cluster}/{id}")),
            ec2_id: seed.id,
            ip: seed.ip,
            zone: seed.zone,
            cpu: seed.cpu,
            memory: seed.memory,
            architecture: seed.architecture,
            capacity_provider: seed.capacity_provider,
            taken_ports: seed.taken_ports,
            is_draining: false,
            registered: now,
        };
        if let Some(cluster) = region.ecs.clusters.get_mut(cluster) {
            cluster.instances.push(instance);
        }
    }
}

pub(super) fn furnish(region: &mut Region, seed: SeedCluster, now: SimTime) {
    let scaling = seed.auto_scaling.iter();
    let attached: Vec<&String> = seed
        .capacity_providers
        .iter()
        .chain(scaling.clone().map(|one| &one.name))
        .collect();
    let mut settings = serde_json::Map::new();
    settings.insert("capacityProviders".into(), json!(attached));
    settings.insert(
        "defaultCapacityProviderStrategy".into(),
        json!(seed.default_strategy),
    );
    let providers = scaling.map(|one| provider(region, one)).collect();
    let made = Cluster {
        name: seed.name.clone(),
        arn: region.arn("ecs", &format!("cluster/{}", seed.name)),
        settings,
        instances: Vec::new(),
        providers,
    };
    region.ecs.clusters.insert(seed.name.clone(), made);
    furnish_instances(region, &seed.name, seed.instances, now);
}

fn provider(region: &Region, seed: &SeedAutoScaling) -> Provider {
    Provider {
        name: seed.name.clone(),
        arn: region.arn("ecs", &format!("capacity-provider/{}", seed.name)),
        has_managed_scaling: seed.managed_scaling,
        most: seed.most,
        warmup_s: seed.warmup_s,
        zone: seed.zone.clone(),
        cpu: seed.cpu,
        memory: seed.memory,
        architecture: seed.architecture.clone(),
        launching: Vec::new(),
        launched: 0,
    }
}

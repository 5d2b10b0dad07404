//! What a seed writes down of one region, and how it comes to stand there.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CallContext, Region, SimTime};
use crate::{
    ec2::{SecurityGroup, Subnet, Vpc},
    ecs::{self, Cluster, ContainerInstance},
    elb::{LoadBalancer, TargetGroup},
    iam,
};

/// Services come to rest within this many simulated seconds.
const REST_S: f64 = 1_800.0;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contents {
    vpcs: Vec<SeedVpc>,
    subnets: Vec<SeedSubnet>,
    security_groups: Vec<SeedSecurityGroup>,
    load_balancers: Vec<SeedLoadBalancer>,
    target_groups: Vec<SeedTargetGroup>,
    secrets: Vec<SeedSecret>,
    roles: Vec<SeedRole>,
    log_groups: Vec<SeedLogGroup>,
    clusters: Vec<SeedCluster>,
    task_definitions: Vec<Value>,
    services: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct SeedVpc {
    id: String,
    cidr: String,
}

#[derive(Debug, Deserialize)]
struct SeedSubnet {
    id: String,
    vpc: String,
    cidr: String,
    zone: String,
    free_addresses: i64,
}

#[derive(Debug, Deserialize)]
struct SeedSecurityGroup {
    id: String,
    name: String,
    vpc: String,
}

#[derive(Debug, Deserialize)]
struct SeedLoadBalancer {
    name: String,
    id: String,
    port: i64,
    /// The name of its listener's target group.
    target_group: String,
    subnets: Vec<String>,
    security_groups: Vec<String>,
}

fn health_path() -> String {
    "/".to_owned()
}

fn interval_s() -> f64 {
    30.0
}

fn healthy() -> u32 {
    5
}

fn unhealthy() -> u32 {
    2
}

fn deregistration_delay_s() -> f64 {
    300.0
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedTargetGroup {
    name: String,
    id: String,
    vpc: String,
    port: i64,
    target_type: String,
    #[serde(default = "health_path")]
    path: String,
    #[serde(default = "interval_s")]
    interval_s: f64,
    #[serde(default = "healthy")]
    healthy: u32,
    #[serde(default = "unhealthy")]
    unhealthy: u32,
    #[serde(default = "deregistration_delay_s")]
    deregistration_delay_s: f64,
}

#[derive(Debug, Deserialize)]
struct SeedSecret {
    arn: String,
}

#[derive(Debug, Deserialize)]
struct SeedRole {
    name: String,
}

#[derive(Debug, Deserialize)]
struct SeedLogGroup {
    name: String,
    #[serde(default)]
    retention_days: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct SeedCluster {
    name: String,
    #[serde(default)]
    capacity_providers: Vec<String>,
    #[serde(default)]
    instances: Vec<SeedInstance>,
}

#[derive(Debug, Deserialize)]
struct SeedInstance {
    id: String,
    ip: String,
    zone: String,
    cpu: i64,
    memory: i64,
}

/// Puts what the seed says into a region.
///
/// # Errors
/// For a task definition or service that ECS refuses, and for names that lead nowhere.
pub fn furnish(region: &mut Region, contents: Contents) -> Result<()> {
    furnish_network(region, &contents);
    furnish_load_balancing(region, &contents)?;
    region
        .secrets
        .extend(contents.secrets.iter().map(|secret| secret.arn.clone()));
    let now = region.stepped;
    let caller = format!("arn:aws:sts::{}:assumed-role/terraform/terraform", region.account);
    let ctx = CallContext {
        now,
        caller_arn: caller,
        operation: None,
    };
    for role in contents.roles {
        // IAM is global: another region of the account has made it.
        let _exists = iam::create_role(region, &ctx, &role.name, "/", serde_json::Map::new());
    }
    for group in contents.log_groups {
        region.logs.ensure_group(&group.name, now).retention_days = group.retention_days;
    }
    for cluster in contents.clusters {
        furnish_cluster(region, cluster, now);
    }
    for definition in contents.task_definitions {
        ecs::call(region, &ctx, "RegisterTaskDefinition", &definition)?;
    }
    for service in contents.services {
        ecs::call(region, &ctx, "CreateService", &service)?;
    }
    let deadline = now.plus_s(REST_S);
    while region.stepped < deadline && !region.ecs.services.values().all(|service| service.steady) {
        region.advance(region.stepped.plus_s(5.0));
    }
    Ok(())
}

fn furnish_network(region: &mut Region, contents: &Contents) {
    let network = &mut region.network;
    network.vpcs.extend(contents.vpcs.iter().map(|vpc| Vpc {
        id: vpc.id.clone(),
        cidr: vpc.cidr.clone(),
    }));
    network.subnets.extend(contents.subnets.iter().map(|subnet| {
        let text = |text: &String| text.clone();
        Subnet::new(
            text(&subnet.id),
            text(&subnet.vpc),
            text(&subnet.cidr),
            text(&subnet.zone),
            subnet.free_addresses,
        )
    }));
    network
        .security_groups
        .extend(contents.security_groups.iter().map(|group| SecurityGroup {
            id: group.id.clone(),
            name: group.name.clone(),
            vpc: group.vpc.clone(),
        }));
}

fn furnish_load_balancing(region: &mut Region, contents: &Contents) -> Result<()> {
    for group in &contents.target_groups {
        let arn = region.arn(
            "elasticloadbalancing",
            &format!("targetgroup/{}/{}", group.name, group.id),
        );
        region.elb.target_groups.insert(
            arn.clone(),
            TargetGroup {
                name: group.name.clone(),
                arn,
                vpc: group.vpc.clone(),
                port: group.port,
                target_type: group.target_type.clone(),
                path: group.path.clone(),
                interval_s: group.interval_s,
                healthy: group.healthy,
                unhealthy: group.unhealthy,
                deregistration_delay_s: group.deregistration_delay_s,
                load_balancer: None,
                targets: BTreeMap::new(),
            },
        );
    }
    for balancer in &contents.load_balancers {
        furnish_load_balancer(region, balancer)?;
    }
    Ok(())
}

fn furnish_load_balancer(region: &mut Region, balancer: &SeedLoadBalancer) -> Result<()> {
    let arn = region.arn(
        "elasticloadbalancing",
        &format!("loadbalancer/app/{}/{}", balancer.name, balancer.id),
    );
    let group = region
        .elb
        .target_groups
        .values_mut()
        .find(|group| group.name == balancer.target_group)
        .ok_or_else(|| anyhow!("load balancer {}: no such target group", balancer.name))?;
    group.load_balancer = Some(arn.clone());
    let (target_group, vpc) = (group.arn.clone(), group.vpc.clone());
    let zone = |id: &String| {
        let subnet = region.network.subnets.iter().find(|subnet| subnet.id == *id);
        (
            id.clone(),
            subnet.map(|subnet| subnet.zone.clone()).unwrap_or_default(),
        )
    };
    region.elb.load_balancers.push(LoadBalancer {
        name: balancer.name.clone(),
        arn,
        vpc,
        port: balancer.port,
        target_group,
        subnets: balancer.subnets.iter().map(zone).collect(),
        security_groups: balancer.security_groups.clone(),
        created: region.stepped,
    });
    Ok(())
}

fn furnish_cluster(region: &mut Region, cluster: SeedCluster, now: SimTime) {
    let mut instances = Vec::new();
    for instance in cluster.instances {
        let id = region.ids.hex("container-instance", 32);
        instances.push(ContainerInstance {
            arn: region.arn("ecs", &format!("container-instance/{}/{id}", cluster.name)),
            ec2_id: instance.id,
            ip: instance.ip,
            zone: instance.zone,
            cpu: instance.cpu,
            memory: instance.memory,
            registered: now,
        });
    }
    let mut settings = serde_json::Map::new();
    settings.insert("capacityProviders".into(), json!(cluster.capacity_providers));
    let made = Cluster {
        name: cluster.name.clone(),
        arn: region.arn("ecs", &format!("cluster/{}", cluster.name)),
        settings,
        instances,
    };
    region.ecs.clusters.insert(cluster.name, made);
}

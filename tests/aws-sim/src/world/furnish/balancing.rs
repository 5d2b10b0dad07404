//! A seed's load balancers, their listeners and target groups.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;

use super::Contents;
use crate::{
    elb::{Condition, Listener, LoadBalancer, Rule, TargetGroup},
    world::Region,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedLoadBalancer {
    name: String,
    id: String,
    /// `application` or `network`.
    #[serde(rename = "type", default = "application")]
    kind: String,
    listeners: Vec<SeedListener>,
    subnets: Vec<String>,
    security_groups: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedListener {
    id: String,
    port: i64,
    protocol: String,
    /// The name of the group of its default action; 404 when absent.
    #[serde(default)]
    target_group: Option<String>,
    #[serde(default)]
    rules: Vec<SeedRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedRule {
    id: String,
    priority: i64,
    /// Field → values.
    conditions: BTreeMap<String, Vec<String>>,
    /// The name of the group that it forwards to.
    target_group: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedTargetGroup {
    name: String,
    id: String,
    vpc: String,
    #[serde(default = "http")]
    protocol: String,
    #[serde(default = "http1")]
    protocol_version: String,
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
    #[serde(default)]
    slow_start_s: u32,
}

fn application() -> String {
    "application".to_owned()
}

fn http() -> String {
    "HTTP".to_owned()
}

fn http1() -> String {
    "HTTP1".to_owned()
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

pub(super) fn furnish(region: &mut Region, contents: &Contents) -> Result<()> {
    for seed in &contents.target_groups {
        let arn = region.arn(
            "elasticloadbalancing",
            &format!("targetgroup/{}/{}", seed.name, seed.id),
        );
        let group = target_group(seed, arn.clone());
        region.elb.target_groups.insert(arn, group);
    }
    for balancer in &contents.load_balancers {
        furnish_load_balancer(region, balancer)
            .with_context(|| format!("load balancer {}", balancer.name))?;
    }
    Ok(())
}

fn target_group(seed: &SeedTargetGroup, arn: String) -> TargetGroup {
    TargetGroup {
        name: seed.name.clone(),
        arn,
        vpc: seed.vpc.clone(),
        protocol: seed.protocol.clone(),
        protocol_version: seed.protocol_version.clone(),
        port: seed.port,
        target_type: seed.target_type.clone(),
        path: seed.path.clone(),
        interval_s: seed.interval_s,
        healthy: seed.healthy,
        unhealthy: seed.unhealthy,
        deregistration_delay_s: seed.deregistration_delay_s,
        slow_start_s: seed.slow_start_s,
        load_balancer: None,
        targets: BTreeMap::new(),
    }
}

fn furnish_load_balancer(region: &mut Region, seed: &SeedLoadBalancer) -> Result<()> {
    let short = if seed.kind == "network" { "net" } else { "app" };
    let path = format!("{short}/{}/{}", seed.name, seed.id);
    let arn = region.arn("elasticloadbalancing", &format!("loadbalancer/{path}"));
    let subnets = &region.network.subnets;
    let found: Vec<_> = subnets
        .iter()
        .filter(|one| seed.subnets.contains(&one.id))
        .collect();
    let vpc = found
        .first()
        .map(|subnet| subnet.vpc.clone())
        .ok_or_else(|| anyhow!("none of its subnets exists"))?;
    let made = LoadBalancer {
        name: seed.name.clone(),
        arn: arn.clone(),
        kind: seed.kind.clone(),
        vpc,
        subnets: found
            .iter()
            .map(|one| (one.id.clone(), one.zone.clone()))
            .collect(),
        security_groups: seed.security_groups.clone(),
        created: region.stepped,
    };
    region.elb.load_balancers.push(made);
    for listener in &seed.listeners {
        let own = region.arn(
            "elasticloadbalancing",
            &format!("listener/{path}/{}", listener.id),
        );
        furnish_listener(region, listener, &own, &arn)?;
    }
    Ok(())
}

fn furnish_listener(region: &mut Region, seed: &SeedListener, arn: &str, balancer: &str) -> Result<()> {
    let named = |name: &String| {
        let mut groups = region.elb.target_groups.values();
        let group = groups.find(|group| group.name == *name);
        group
            .map(|group| group.arn.clone())
            .ok_or_else(|| anyhow!("there is no target group {name}"))
    };
    let listener = Listener {
        arn: arn.to_owned(),
        load_balancer: balancer.to_owned(),
        port: seed.port,
        protocol: seed.protocol.clone(),
        target_group: seed.target_group.as_ref().map(named).transpose()?,
        rules: Vec::new(),
    };
    let mut rules = Vec::new();
    for rule in &seed.rules {
        let condition = |(field, values): (&String, &Vec<String>)| Condition {
            field: field.clone(),
            values: values.clone(),
        };
        rules.push(Rule {
            arn: listener.rule_arn(&rule.id),
            priority: rule.priority,
            conditions: rule.conditions.iter().map(condition).collect(),
            target_groups: vec![named(&rule.target_group)?],
        });
    }
    region.elb.listeners.insert(arn.to_owned(), listener);
    region.elb.attach();
    for rule in rules {
        region.elb.put_rule(arn, rule)?;
    }
    Ok(())
}

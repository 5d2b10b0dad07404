//! What a seed writes down of one region, and how it comes to stand there.

mod balancing;
mod network;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CallContext, Region, SimTime};
use crate::{
    ecs::{self, Cluster, ContainerInstance},
    iam,
};

/// Services come to rest within this many simulated seconds.
const REST_S: f64 = 1_800.0;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contents {
    vpcs: Vec<network::SeedVpc>,
    subnets: Vec<network::SeedSubnet>,
    security_groups: Vec<network::SeedSecurityGroup>,
    load_balancers: Vec<balancing::SeedLoadBalancer>,
    target_groups: Vec<balancing::SeedTargetGroup>,
    secrets: Vec<SeedSecret>,
    parameters: Vec<SeedParameter>,
    buckets: Vec<SeedBucket>,
    roles: Vec<SeedRole>,
    log_groups: Vec<SeedLogGroup>,
    clusters: Vec<SeedCluster>,
    task_definitions: Vec<Value>,
    services: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct SeedSecret {
    arn: String,
}

#[derive(Debug, Deserialize)]
struct SeedParameter {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedBucket {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedRole {
    name: String,
    #[serde(default = "SeedRole::default_path")]
    path: String,
    /// The services that may assume it.
    #[serde(default)]
    trusts: Vec<String>,
    /// Statements of its inline policy.
    #[serde(default)]
    statements: Vec<Value>,
}

impl SeedRole {
    fn default_path() -> String {
        "/".to_owned()
    }

    /// As CloudFormation would give them.
    fn properties(&self) -> serde_json::Map<String, Value> {
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": self.trusts},
                "Action": "sts:AssumeRole",
            }],
        });
        let mut properties = serde_json::Map::new();
        properties.insert("AssumeRolePolicyDocument".into(), trust);
        if !self.statements.is_empty() {
            let document = json!({"Version": "2012-10-17", "Statement": self.statements});
            let policy = json!({"PolicyName": "inline", "PolicyDocument": document});
            properties.insert("Policies".into(), json!([policy]));
        }
        properties
    }
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
    /// ECS's defaultCapacityProviderStrategy.
    #[serde(default)]
    default_strategy: Vec<Value>,
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
    network::furnish(region, &contents);
    balancing::furnish(region, &contents)?;
    region
        .secrets
        .extend(contents.secrets.iter().map(|secret| secret.arn.clone()));
    // What tasks ask for by ARN or by name.
    for parameter in &contents.parameters {
        let arn = region.arn(
            "ssm",
            &format!("parameter/{}", parameter.name.trim_start_matches('/')),
        );
        region.secrets.extend([arn, parameter.name.clone()]);
        region.parameters.push(parameter.name.clone());
    }
    for bucket in &contents.buckets {
        region.buckets.make(&bucket.name, &region.account, &region.name);
    }
    let now = region.stepped;
    let caller = format!("arn:aws:sts::{}:assumed-role/terraform/terraform", region.account);
    let ctx = CallContext {
        now,
        caller_arn: caller,
        operation: None,
    };
    for role in contents.roles {
        // IAM is global: another region of the account has made it.
        let _exists = iam::create_role(region, &ctx, &role.name, &role.path, role.properties());
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
    settings.insert(
        "defaultCapacityProviderStrategy".into(),
        json!(cluster.default_strategy),
    );
    let made = Cluster {
        name: cluster.name.clone(),
        arn: region.arn("ecs", &format!("cluster/{}", cluster.name)),
        settings,
        instances,
    };
    region.ecs.clusters.insert(cluster.name, made);
}

//! What a seed writes down of one region, and how it comes to stand there.

mod balancing;
mod cluster;
mod network;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::cluster::{SeedInstance, furnish_instances};
use super::{CallContext, Region};
use crate::{cloudwatch::Alarm, ecs, iam, secrets};

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
    alarms: Vec<SeedAlarm>,
    clusters: Vec<cluster::SeedCluster>,
    task_definitions: Vec<Value>,
    services: Vec<Value>,
    /// How many tasks Fargate has room for, by zone.
    fargate_room: std::collections::BTreeMap<String, usize>,
}

#[derive(Debug, Deserialize)]
struct SeedSecret {
    arn: String,
    /// The ARN of a key of the account's own.
    #[serde(default)]
    kms_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedParameter {
    name: String,
    #[serde(default)]
    kms_key: Option<String>,
    /// Of one that is no secret.
    #[serde(default)]
    value: Option<String>,
    /// String or StringList, of one with a value.
    #[serde(default = "SeedParameter::default_kind")]
    r#type: String,
}

impl SeedParameter {
    fn default_kind() -> String {
        "String".to_owned()
    }
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

/// An alarm of CloudWatch. Its state follows from what raises its metric.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedAlarm {
    name: String,
    #[serde(default = "SeedAlarm::default_evaluation_s")]
    evaluation_s: f64,
    /// Something outside the world keeps its metric above the threshold.
    #[serde(default)]
    raised: bool,
    /// Somebody writes its metric.
    #[serde(default = "SeedAlarm::default_reported")]
    reported: bool,
}

impl SeedAlarm {
    fn default_evaluation_s() -> f64 {
        5.0
    }

    fn default_reported() -> bool {
        true
    }
}

/// Puts what the seed says into a region.
///
/// # Errors
/// For a task definition or service that ECS refuses, and for names that lead nowhere.
pub fn furnish(region: &mut Region, contents: Contents) -> Result<()> {
    network::furnish(region, &contents);
    region.network.fargate_room.extend(contents.fargate_room.clone());
    balancing::furnish(region, &contents)?;
    region
        .secrets
        .extend(contents.secrets.iter().map(|secret| secret.arn.clone()));
    for secret in &contents.secrets {
        let key = secret.kms_key.clone().map(|key| (secret.arn.clone(), key));
        region.secret_keys.extend(key);
    }
    // What tasks ask for by ARN or by name.
    for parameter in &contents.parameters {
        let arn = region.arn(
            "ssm",
            &format!("parameter/{}", parameter.name.trim_start_matches('/')),
        );
        for key in parameter.kms_key.iter() {
            let names = [arn.clone(), parameter.name.clone()];
            region.secret_keys.extend(names.map(|name| (name, key.clone())));
        }
        region.secrets.extend([arn, parameter.name.clone()]);
        region.parameters.push(parameter.name.clone());
        if let Some(value) = &parameter.value {
            let plain = secrets::Plain::new(&parameter.r#type, value, region.stepped);
            region.plain_parameters.insert(parameter.name.clone(), plain);
        }
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
        raw: None,
    };
    for role in contents.roles {
        // IAM is global: another region of the account has made it.
        let _exists = iam::create_role(region, &ctx, &role.name, &role.path, role.properties());
    }
    for group in contents.log_groups {
        region.logs.ensure_group(&group.name, now).retention_days = group.retention_days;
    }
    for seed in contents.alarms {
        let mut alarm = Alarm::new(&seed.name, seed.evaluation_s, seed.reported, now);
        alarm.raised_outside = seed.raised;
        region.alarms.insert(seed.name, alarm);
    }
    for cluster in contents.clusters {
        cluster::furnish(region, cluster, now);
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
    // What alarms have been for longer than anybody looks back.
    let evaluated = region.alarms.values().map(|alarm| alarm.evaluation_s);
    let longest = evaluated.fold(0.0, f64::max);
    region.advance(region.stepped.plus_s(longest + 1.0));
    Ok(())
}

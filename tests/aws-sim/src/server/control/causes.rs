//! What happens in an account without any call of its clients: secrets go,
//! metrics rise, instances come and leave, autoscaling scales.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, Shared, Wrong};
use crate::{
    ecs, iam, secrets,
    world::{CallContext, SeedInstance, SimTime, furnish_instances},
};

/// Secrets and parameters that come and go, by ARN.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetSecrets {
    account: String,
    region: String,
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
}

pub fn set_secrets(shared: &Shared, set: SetSecrets) -> Value {
    let mut world = shared.world();
    world.advance();
    let region = world.region(&set.account, &set.region);
    region.secrets.retain(|known| !set.remove.contains(known));
    region.secrets.extend(set.add);
    json!({})
}

/// Parameters of Systems Manager that somebody puts or deletes, by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetParameters {
    account: String,
    region: String,
    /// Name to value; a new version of one that is there.
    #[serde(default)]
    put: BTreeMap<String, String>,
    /// Names of SecureStrings.
    #[serde(default)]
    put_secret: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
}

pub fn set_parameters(shared: &Shared, set: SetParameters) -> Value {
    let mut world = shared.world();
    let now = world.advance();
    let region = world.region(&set.account, &set.region);
    region.parameters.retain(|known| !set.remove.contains(known));
    region
        .plain_parameters
        .retain(|known, _| !set.remove.contains(known) && !set.put_secret.contains(known));
    for (name, value) in &set.put {
        match region.plain_parameters.get_mut(name) {
            Some(plain) => plain.put(value, now),
            None => {
                let plain = secrets::Plain::new("String", value, now);
                region.plain_parameters.insert(name.clone(), plain);
            }
        }
    }
    for name in set.put.into_keys().chain(set.put_secret) {
        if !region.parameters.contains(&name) {
            region.parameters.push(name);
        }
    }
    json!({})
}

/// A tag that is taken away, or put on an image that is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTag {
    #[serde(default = "SetTag::default_registry")]
    registry: String,
    repository: String,
    tag: String,
    /// The digest that it names from now on; without one it is gone.
    #[serde(default)]
    digest: Option<String>,
}

impl SetTag {
    fn default_registry() -> String {
        "ecr".to_owned()
    }
}

pub fn set_tag(shared: &Shared, set: &SetTag) -> Reply {
    let mut world = shared.world();
    world.advance();
    let done = world
        .images
        .set_tag(&set.registry, &set.repository, &set.tag, set.digest.as_deref());
    match done {
        true => Ok(json!({})),
        false => Err(Wrong(404, format!("{} has no such image or tag", set.repository))),
    }
}

/// A service that Application Auto Scaling scales.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    account: String,
    region: String,
    cluster: String,
    service: String,
    desired: i64,
}

/// As autoscaling does it: by an UpdateService of its own, which no client sent.
pub fn scale(shared: &Shared, scale: &Scale) -> Reply {
    let mut world = shared.world();
    let now = world.advance();
    let ctx = CallContext::service(now, &scale.account, "application-autoscaling");
    let region = world.region(&scale.account, &scale.region);
    let input = json!({"cluster": scale.cluster, "service": scale.service, "desiredCount": scale.desired});
    let answer = ecs::call(region, &ctx, "UpdateService", &input).map_err(|error| refused(&error))?;
    Ok(json!({ "desiredCount": answer["service"]["desiredCount"] }))
}

fn refused(error: &crate::AwsError) -> Wrong {
    Wrong(400, error.to_string())
}

/// An alarm's metric that something outside the simulated world raises, or no longer does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    account: String,
    region: String,
    alarm: String,
    raised: bool,
}

pub fn raise(shared: &Shared, metric: &Metric) -> Reply {
    let mut world = shared.world();
    world.advance();
    let region = world.region(&metric.account, &metric.region);
    let alarm = region
        .alarms
        .get_mut(&metric.alarm)
        .ok_or_else(|| Wrong(404, format!("there is no alarm {}", metric.alarm)))?;
    alarm.raised_outside = metric.raised;
    Ok(json!({}))
}

/// Container instances that come, leave, or are drained.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetInstances {
    account: String,
    region: String,
    cluster: String,
    #[serde(default)]
    add: Vec<SeedInstance>,
    /// EC2 ids.
    #[serde(default)]
    remove: Vec<String>,
    /// EC2 ids.
    #[serde(default)]
    drain: Vec<String>,
}

pub fn set_instances(shared: &Shared, set: SetInstances) -> Reply {
    let mut world = shared.world();
    let now = world.advance();
    let region = world.region(&set.account, &set.region);
    if !region.ecs.clusters.contains_key(&set.cluster) {
        return Err(Wrong(404, format!("there is no cluster {}", set.cluster)));
    }
    furnish_instances(region, &set.cluster, set.add, now);
    ecs::engine::lose_instances(region, &set.cluster, &set.remove, now);
    ecs::engine::drain_instances(region, &set.cluster, &set.drain);
    region.ecs.at_rest_until = SimTime::default();
    Ok(json!({}))
}

/// How many Fargate tasks a zone has room for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FargateLimit {
    account: String,
    region: String,
    zone: String,
    /// No limit when absent.
    #[serde(default)]
    tasks: Option<usize>,
}

pub fn limit_fargate(shared: &Shared, limit: FargateLimit) -> Value {
    let mut world = shared.world();
    world.advance();
    let region = world.region(&limit.account, &limit.region);
    match limit.tasks {
        Some(tasks) => drop(region.network.fargate_room.insert(limit.zone, tasks)),
        None => drop(region.network.fargate_room.remove(&limit.zone)),
    }
    json!({})
}

/// A role that is deleted, or whose inline policy somebody changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    account: String,
    region: String,
    name: String,
    #[serde(default)]
    delete: bool,
    /// The statements of its inline policy, in place of those that it has.
    #[serde(default)]
    statements: Vec<Value>,
}

pub fn set_role(shared: &Shared, set: SetRole) -> Value {
    let mut world = shared.world();
    world.advance();
    let region = world.region(&set.account, &set.region);
    if set.delete {
        let _gone = iam::delete_role(region, &set.name);
        return json!({});
    }
    let properties = region
        .iam
        .lock()
        .get(&set.name)
        .map(|role| role.properties.clone());
    if let Some(mut properties) = properties {
        let document = json!({"Version": "2012-10-17", "Statement": set.statements});
        let policy = json!({"PolicyName": "inline", "PolicyDocument": document});
        properties.insert("Policies".into(), json!([policy]));
        let _known = iam::update_role(region, &set.name, properties);
    }
    json!({})
}

/// The body of the request that registered a revision, byte for byte.
pub fn task_definition(shared: &Shared, query: &BTreeMap<String, String>) -> Result<String, Wrong> {
    let asked = |name: &str| {
        let given = query.get(name).map(String::as_str);
        given.ok_or_else(|| Wrong(400, format!("say the {name}")))
    };
    let mut world = shared.world();
    let region = world.region(asked("account")?, asked("region")?);
    let revision = asked("revision")?;
    let raw = ecs::registered_bytes(region, revision)
        .ok_or_else(|| Wrong(404, format!("nobody registered {revision} by a request")))?;
    String::from_utf8(raw.to_vec()).map_err(|error| Wrong(500, error.to_string()))
}

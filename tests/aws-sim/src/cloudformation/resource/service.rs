//! `AWS::ECS::Service`: the resource that a stack waits for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Found, Handled, Made, Refusal, Wait, Wanted, ecs, handler_words, plain::text};
use crate::{
    cloudformation::{model::Resource, properties},
    world::{Region, SimTime},
};

/// How often the handler looks at the service, in simulated milliseconds.
pub const LOOK_EVERY_MS: i64 = 5_000;

/// How long the handler waits for a service that does not stabilise: about
/// three hours, as users report of AWS.
/// <https://repost.aws/knowledge-center/cloudformation-ecs-service-stabilize>
const PATIENCE_MS: i64 = 3 * 60 * 60 * 1_000;

/// The members that UpdateService takes and a template can hold.
const UPDATABLE: [&str; 19] = [
    "availabilityZoneRebalancing",
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "deploymentController",
    "desiredCount",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "taskDefinition",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// A service that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    cluster: String,
    service: String,
    /// The deployment that the handler's own call began, or found.
    deployment: String,
    since: SimTime,
    next: SimTime,
    /// The circuit breaker stopped our deployment; ECS is still going back.
    has_failed: bool,
}

pub fn create(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let name = wanted.name(region, "ServiceName", 255);
    let mut input = input(&wanted.properties);
    if wanted.text("SchedulingStrategy") != Some("DAEMON") {
        // The resource's own default; the API has none.
        input.entry("desiredCount").or_insert_with(|| json!(1));
    }
    input.insert("serviceName".to_owned(), Value::String(name));
    input.insert("tags".to_owned(), wanted.ecs_tags());
    let answer = ecs(region, now, "CreateService", &Value::Object(input))?;
    let arn = text(&answer, "/service/serviceArn");
    let attributes = [
        ("Name".to_owned(), text(&answer, "/service/serviceName")),
        ("ServiceArn".to_owned(), arn.clone()),
    ];
    Ok(Made {
        wait: Wait::ServiceStable(watch(&answer, now)),
        physical_id: arn,
        attributes: BTreeMap::from(attributes),
    })
}

pub fn update(region: &mut Region, now: SimTime, is: &Resource, wanted: &Wanted) -> Handled<Wait> {
    let cluster = cluster_of(&wanted.properties);
    if tags_differ(is, wanted) {
        let input = json!({ "resourceArn": is.physical_id, "tags": wanted.ecs_tags() });
        ecs(region, now, "TagResource", &input)?;
    }
    let mut input = input(&wanted.properties);
    input.retain(|member, _| UPDATABLE.contains(&member.as_str()));
    // A deployment that the breaker has stopped does not move again by itself. That the
    // handler begins a new one is an assumption: it is what lets a roll-back that is
    // continued come through once its cause is gone, as AWS's guides promise.
    let found = described(region, now, &cluster, &is.physical_id)?;
    let primary = found
        .as_ref()
        .and_then(|service| service.pointer("/deployments/0/rolloutState"));
    if primary == Some(&json!("FAILED")) {
        input.insert("forceNewDeployment".to_owned(), json!(true));
    }
    input.insert("cluster".to_owned(), Value::String(cluster));
    input.insert("service".to_owned(), Value::String(is.physical_id.clone()));
    let answer = ecs(region, now, "UpdateService", &Value::Object(input))?;
    Ok(Wait::ServiceStable(watch(&answer, now)))
}

pub fn delete(region: &mut Region, now: SimTime, is: &Resource) -> Handled<Wait> {
    let cluster = cluster_of(&is.properties);
    let service = is.physical_id.clone();
    let input = json!({ "cluster": cluster, "service": service, "force": true });
    match ecs(region, now, "DeleteService", &input) {
        Ok(_) => Ok(Wait::ServiceGone {
            cluster,
            service,
            next: now.plus_ms(LOOK_EVERY_MS),
        }),
        Err(Refusal::Failed(words)) if words.contains("HandlerErrorCode: NotFound") => {
            Ok(Wait::Until(now.plus_ms(1_000)))
        }
        Err(other) => Err(other),
    }
}

/// Whether the service's deployment is complete.
pub fn look(region: &mut Region, now: SimTime, watch: &mut Watch) -> Found {
    if now < watch.next {
        return Found::NotYet;
    }
    watch.next = now.plus_ms(LOOK_EVERY_MS);
    let service = match described(region, now, &watch.cluster, &watch.service) {
        Ok(Some(service)) => service,
        Ok(None) => return Found::Failed(handler_words(region, "Service was not ACTIVE.", "NotFound")),
        Err(Refusal::Throttled) => return Found::NotYet,
        Err(Refusal::Failed(words)) => return Found::Failed(words),
    };
    let judged = judge(region, now, watch, &service);
    if judged == Found::NotYet && now.since_ms(watch.since) > PATIENCE_MS {
        return Found::Failed(handler_words(
            region,
            "Exceeded attempts to wait",
            "NotStabilized",
        ));
    }
    judged
}

/// Whether the service is INACTIVE, or no longer listed.
pub fn look_whether_gone(region: &mut Region, now: SimTime, cluster: &str, service: &str) -> Found {
    match described(region, now, cluster, service) {
        Ok(None) => Found::Done,
        Ok(Some(found)) if found.get("status") == Some(&json!("INACTIVE")) => Found::Done,
        Ok(Some(_)) | Err(Refusal::Throttled) => Found::NotYet,
        Err(Refusal::Failed(_)) => Found::Done,
    }
}

fn judge(region: &mut Region, now: SimTime, watch: &mut Watch, service: &Value) -> Found {
    if service.get("status") != Some(&json!("ACTIVE")) {
        return Found::Failed(handler_words(region, "Service was not ACTIVE.", "NotFound"));
    }
    let deployments = service.get("deployments").and_then(Value::as_array);
    let deployments = deployments.map(Vec::as_slice).unwrap_or_default();
    let is = |deployment: &Value, member: &str, word: &str| deployment.get(member) == Some(&json!(word));
    let Some(primary) = deployments.iter().find(|d| is(d, "status", "PRIMARY")) else {
        return Found::NotYet;
    };
    let ours = deployments.iter().find(|d| is(d, "id", &watch.deployment));
    watch.has_failed |= ours.is_some_and(|ours| is(ours, "rolloutState", "FAILED"));
    let is_ours = is(primary, "id", &watch.deployment);
    if !is_ours && ours.is_none() && !watch.has_failed {
        watch.has_failed = was_rolled_back(region, now, watch);
    }
    let rolls_back = service.pointer("/deploymentConfiguration/deploymentCircuitBreaker/rollback");
    let is_settled = is(primary, "rolloutState", "COMPLETED") || is(primary, "rolloutState", "FAILED");
    // With rollback on, ECS goes back first and tells CloudFormation when it is done.
    // https://github.com/aws/containers-roadmap/issues/1205
    let may_tell = is_settled || rolls_back != Some(&json!(true));
    match (watch.has_failed, may_tell) {
        (true, true) => Found::Failed(handler_words(
            region,
            "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.",
            "GeneralServiceException",
        )),
        (false, _) if is(primary, "rolloutState", "COMPLETED") && is_at_rest(service) => Found::Done,
        _ => Found::NotYet,
    }
}

/// The breaker may have fired and gone back between two looks.
fn was_rolled_back(region: &mut Region, now: SimTime, watch: &Watch) -> bool {
    let input = json!({ "cluster": watch.cluster, "service": watch.service });
    let listed = ecs(region, now, "ListServiceDeployments", &input).ok();
    let listed = listed
        .as_ref()
        .and_then(|answer| answer.get("serviceDeployments")?.as_array());
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
    let since = watch.since.0 as f64 / 1000.0;
    listed.into_iter().flatten().any(|deployment| {
        let status = deployment
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let created = deployment
            .get("createdAt")
            .and_then(Value::as_f64)
            .unwrap_or_default();
        status.starts_with("ROLLBACK") && created >= since - 1.0
    })
}

/// All tasks run, and nothing of an older deployment does.
fn is_at_rest(service: &Value) -> bool {
    let count = |member: &str| service.get(member).and_then(Value::as_i64).unwrap_or_default();
    count("runningCount") == count("desiredCount")
        || service.get("schedulingStrategy") == Some(&json!("DAEMON"))
}

/// `None` when ECS lists it as missing.
fn described(region: &mut Region, now: SimTime, cluster: &str, service: &str) -> Handled<Option<Value>> {
    let input = json!({ "cluster": cluster, "services": [service] });
    let answer = ecs(region, now, "DescribeServices", &input)?;
    Ok(answer.pointer("/services/0").cloned())
}

fn watch(answer: &Value, now: SimTime) -> Watch {
    let deployments = answer.pointer("/service/deployments").and_then(Value::as_array);
    let primary = deployments
        .into_iter()
        .flatten()
        .find(|deployment| deployment.get("status") == Some(&json!("PRIMARY")));
    Watch {
        cluster: text(answer, "/service/clusterArn"),
        service: text(answer, "/service/serviceArn"),
        deployment: primary.map(|primary| text(primary, "/id")).unwrap_or_default(),
        since: now,
        next: now.plus_ms(LOOK_EVERY_MS),
        has_failed: false,
    }
}

fn input(given: &Map<String, Value>) -> Map<String, Value> {
    let mut input = properties::to_ecs(given);
    // The template's and the API's names for the same thing.
    if let Some(strategies) = input.shift_remove("placementStrategies") {
        input.insert("placementStrategy".to_owned(), strategies);
    }
    input.shift_remove("forceNewDeployment");
    input.shift_remove("tags");
    input
}

fn cluster_of(properties: &Map<String, Value>) -> String {
    let cluster = properties.get("Cluster").and_then(Value::as_str);
    cluster.unwrap_or("default").to_owned()
}

fn tags_differ(is: &Resource, wanted: &Wanted) -> bool {
    is.tags != wanted.tags || is.properties.get("Tags") != wanted.properties.get("Tags")
}

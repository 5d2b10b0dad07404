//! Clusters and their container instances.

use serde_json::{Value, json};

use super::{
    model::{Cluster, ContainerInstance, ServiceStatus},
    references::{cluster_name, last_part, page},
    task::{Place, Stage},
};
use crate::{
    AwsError,
    wire::json::{members, text, texts},
    world::Region,
};

pub fn create(region: &mut Region, input: &Value) -> Result<Value, AwsError> {
    let name = text(input, "clusterName").unwrap_or("default").to_owned();
    let arn = region.arn("ecs", &format!("cluster/{name}"));
    region.ecs.clusters.entry(name.clone()).or_insert_with(|| {
        let mut settings = members(input);
        settings.remove("clusterName");
        Cluster {
            name: name.clone(),
            arn,
            settings,
            instances: Vec::new(),
        }
    });
    Ok(json!({ "cluster": view(region, &name) }))
}

fn view(region: &Region, name: &str) -> Value {
    let Some(cluster) = region.ecs.clusters.get(name) else {
        return Value::Null;
    };
    let tasks = || region.ecs.tasks.values().filter(|task| task.cluster == name);
    let services = region
        .ecs
        .services
        .values()
        .filter(|service| service.cluster == name && service.status == ServiceStatus::Active);
    let mut view = json!({
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": "ACTIVE",
        "registeredContainerInstancesCount": cluster.instances.len(),
        "runningTasksCount": tasks().filter(|task| task.stage == Stage::Running).count(),
        "pendingTasksCount": tasks().filter(|task| task.stage < Stage::Running).count(),
        "activeServicesCount": services.count(),
        "statistics": [],
        "tags": [],
        "settings": [],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    });
    for (member, value) in &cluster.settings {
        view[member] = value.clone();
    }
    view
}

pub fn describe(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let mut wanted = texts(input, "clusters");
    if wanted.is_empty() {
        wanted.push("default".to_owned());
    }
    let (found, missing): (Vec<&String>, Vec<&String>) = wanted
        .iter()
        .partition(|name| region.ecs.clusters.contains_key(last_part(name)));
    let clusters: Vec<Value> = found.iter().map(|name| view(region, last_part(name))).collect();
    let failures: Vec<Value> = missing
        .iter()
        .map(|name| {
            let arn = region.arn("ecs", &format!("cluster/{}", last_part(name)));
            json!({"arn": arn, "reason": "MISSING"})
        })
        .collect();
    Ok(json!({ "clusters": clusters, "failures": failures }))
}

pub fn list(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let arns: Vec<String> = region
        .ecs
        .clusters
        .values()
        .map(|cluster| cluster.arn.clone())
        .collect();
    let (arns, next) = page(input, &arns, 100);
    let mut answer = json!({ "clusterArns": arns });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

pub fn list_instances(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let name = cluster_name(region, input)?;
    let instances = region.ecs.clusters.get(&name).map(|cluster| &cluster.instances);
    let arns: Vec<&String> = instances.into_iter().flatten().map(|one| &one.arn).collect();
    Ok(json!({ "containerInstanceArns": arns }))
}

pub fn describe_instances(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let name = cluster_name(region, input)?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for wanted in texts(input, "containerInstances") {
        let id = last_part(&wanted);
        let instance = region
            .ecs
            .clusters
            .get(&name)
            .and_then(|cluster| cluster.instances.iter().find(|one| last_part(&one.arn) == id));
        match instance {
            Some(instance) => found.push(instance_view(region, instance)),
            None => failures.push(json!({"arn": wanted, "reason": "MISSING"})),
        }
    }
    Ok(json!({ "containerInstances": found, "failures": failures }))
}

fn instance_view(region: &Region, instance: &ContainerInstance) -> Value {
    let (cpu, memory) = free_resources(region, instance);
    let here = || {
        region
            .ecs
            .tasks
            .values()
            .filter(|task| matches!(&task.place, Place::Instance { arn, .. } if *arn == instance.arn))
    };
    json!({
        "containerInstanceArn": instance.arn,
        "ec2InstanceId": instance.ec2_id,
        "version": 1,
        "versionInfo": {"agentVersion": "1.98.0", "agentHash": "aws-sim", "dockerVersion": "DockerVersion: 25.0.8"},
        "remainingResources": resources(cpu, memory),
        "registeredResources": resources(instance.cpu, instance.memory),
        "status": "ACTIVE",
        "agentConnected": true,
        "runningTasksCount": here().filter(|task| task.is_running()).count(),
        "pendingTasksCount": here().filter(|task| task.stage < Stage::Running).count(),
        "attributes": [
            {"name": "ecs.availability-zone", "value": instance.zone},
            {"name": "ecs.instance-type", "value": "m6i.xlarge"},
        ],
        "registeredAt": instance.registered.epoch_seconds(),
        "attachments": [],
        "tags": [],
    })
}

fn resources(cpu: i64, memory: i64) -> Value {
    let resource = |name: &str, value: i64| json!({"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value});
    json!([resource("CPU", cpu), resource("MEMORY", memory)])
}

/// CPU units and MiB that no task holds.
pub fn free_resources(region: &Region, instance: &ContainerInstance) -> (i64, i64) {
    let mut free = (instance.cpu, instance.memory);
    for task in region.ecs.tasks.values() {
        let here = matches!(&task.place, Place::Instance { arn, .. } if *arn == instance.arn);
        if here && !task.is_over() {
            for container in &task.containers {
                free.0 -= container.cpu;
                free.1 -= container.memory.unwrap_or(0);
            }
        }
    }
    free
}

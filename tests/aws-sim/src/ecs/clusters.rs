//! Clusters and their container instances.

use serde_json::{Value, json};

use super::{
    model::{Cluster, ContainerInstance, Provider, ServiceStatus},
    references::{cluster_name, last_part, page},
    task::Stage,
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
            providers: Vec::new(),
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
    let wanted = text(input, "status");
    let arns: Vec<String> = instances
        .into_iter()
        .flatten()
        .filter(|one| wanted.is_none_or(|wanted| status_of(one) == wanted))
        .map(|one| one.arn.clone())
        .collect();
    let (arns, next) = page(input, &arns, 100);
    let mut answer = json!({ "containerInstanceArns": arns });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn status_of(instance: &ContainerInstance) -> &'static str {
    if instance.is_draining {
        "DRAINING"
    } else {
        "ACTIVE"
    }
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
            .filter(|task| task.host() == Some(instance.arn.as_str()))
    };
    let mut view = json!({
        "containerInstanceArn": instance.arn,
        "ec2InstanceId": instance.ec2_id,
        "version": 1,
        "versionInfo": {"agentVersion": "1.98.0", "agentHash": "aws-sim", "dockerVersion": "DockerVersion: 25.0.8"},
        "remainingResources": resources(cpu, memory, &used_ports(region, instance)),
        "registeredResources": resources(instance.cpu, instance.memory, &AGENT_PORTS),
        "status": status_of(instance),
        "agentConnected": true,
        "runningTasksCount": here().filter(|task| task.is_running()).count(),
        "pendingTasksCount": here().filter(|task| task.stage < Stage::Running).count(),
        "attributes": [
            {"name": "ecs.availability-zone", "value": instance.zone},
            {"name": "ecs.instance-type", "value": "m6i.xlarge"},
            {"name": "ecs.cpu-architecture", "value": instance.architecture},
            {"name": "ecs.os-type", "value": "linux"},
        ],
        "registeredAt": instance.registered.epoch_seconds(),
        "attachments": [],
        "tags": [],
    });
    if let Some(provider) = &instance.capacity_provider {
        view["capacityProviderName"] = json!(provider);
    }
    view
}

/// What SSH, Docker and the agent take on every instance.
const AGENT_PORTS: [i64; 5] = [22, 2375, 2376, 51_678, 51_679];

/// Host ports of an instance that are in use.
fn used_ports(region: &Region, instance: &ContainerInstance) -> Vec<i64> {
    let tasks = region.ecs.tasks.values().filter(|task| !task.is_over());
    let here = tasks.filter(|task| task.host() == Some(instance.arn.as_str()));
    let mut ports: Vec<i64> = here.flat_map(super::task::Task::host_ports).collect();
    ports.extend(AGENT_PORTS);
    ports.extend(&instance.taken_ports);
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn resources(cpu: i64, memory: i64, ports: &[i64]) -> Value {
    let resource = |name: &str, value: i64| json!({"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value});
    let set = |name: &str, ports: &[i64]| {
        let ports: Vec<String> = ports.iter().map(i64::to_string).collect();
        json!({"name": name, "type": "STRINGSET", "doubleValue": 0.0, "longValue": 0, "integerValue": 0, "stringSetValue": ports})
    };
    json!([
        resource("CPU", cpu),
        resource("MEMORY", memory),
        set("PORTS", ports),
        set("PORTS_UDP", &[]),
    ])
}

/// CPU units and MiB that no task holds.
pub fn free_resources(region: &Region, instance: &ContainerInstance) -> (i64, i64) {
    let mut free = (instance.cpu, instance.memory);
    for task in region.ecs.tasks.values() {
        let here = task.host() == Some(instance.arn.as_str());
        if here && !task.is_over() {
            for container in &task.containers {
                free.0 -= container.cpu;
                free.1 -= container.memory.unwrap_or(0);
            }
        }
    }
    free
}

/// Fargate's own capacity providers, and the Auto Scaling groups of the clusters.
pub fn describe_providers(region: &Region, input: &Value) -> Value {
    let wanted = texts(input, "capacityProviders");
    let scaling = region
        .ecs
        .clusters
        .values()
        .flat_map(|cluster| &cluster.providers);
    let mut known: Vec<Value> = scaling.map(provider_view).collect();
    for name in ["FARGATE", "FARGATE_SPOT"] {
        let arn = region.arn("ecs", &format!("capacity-provider/{name}"));
        known.push(json!({"capacityProviderArn": arn, "name": name, "status": "ACTIVE", "tags": []}));
    }
    let names = |provider: &Value| {
        let own = ["name", "capacityProviderArn"].map(|member| provider[member].clone());
        wanted.is_empty() || wanted.iter().any(|one| own.contains(&json!(one)))
    };
    let found: Vec<&Value> = known.iter().filter(|one| names(one)).collect();
    let is_found = |name: &&String| {
        let last = last_part(name);
        known.iter().any(|one| one["name"] == last)
    };
    let missing = wanted.iter().filter(|name| !is_found(name));
    let failures: Vec<Value> = missing
        .map(|name| json!({"arn": region.arn("ecs", &format!("capacity-provider/{}", last_part(name))), "reason": "MISSING"}))
        .collect();
    json!({ "capacityProviders": found, "failures": failures })
}

fn provider_view(provider: &Provider) -> Value {
    let status = if provider.has_managed_scaling {
        "ENABLED"
    } else {
        "DISABLED"
    };
    json!({
        "capacityProviderArn": provider.arn,
        "name": provider.name,
        "status": "ACTIVE",
        "autoScalingGroupProvider": {
            "autoScalingGroupArn": provider.arn.replace(":ecs:", ":autoscaling:").replace(":capacity-provider/", ":autoScalingGroup:00000000-0000-4000-a000-000000000000:autoScalingGroupName/"),
            "managedScaling": {"status": status, "targetCapacity": 100, "minimumScalingStepSize": 1, "maximumScalingStepSize": 1, "instanceWarmupPeriod": 0},
            "managedTerminationProtection": "DISABLED",
            "managedDraining": "ENABLED",
        },
        "tags": [],
    })
}

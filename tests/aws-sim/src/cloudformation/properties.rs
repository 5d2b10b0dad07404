//! From a template's properties to ECS's own JSON: PascalCase becomes
//! camelCase, text becomes the number or the flag that ECS wants, and the keys
//! of maps (log options, docker labels) stay as the user wrote them.

use serde_json::{Map, Value};

use super::{kind::Kind, template::scalar};

/// Members whose own members are the user's keys.
const MAPS: [&str; 4] = ["DockerLabels", "Options", "DriverOpts", "Labels"];

/// Names that do not follow from lowering the first letter.
const RENAMED: [(&str, &str); 5] = [
    ("EFSVolumeConfiguration", "efsVolumeConfiguration"),
    (
        "FSxWindowsFileServerVolumeConfiguration",
        "fsxWindowsFileServerVolumeConfiguration",
    ),
    ("FilesystemId", "fileSystemId"),
    ("IAM", "iam"),
    ("ProxyConfigurationProperties", "properties"),
];

const NUMBERS: [&str; 31] = [
    "base",
    "bakeTimeInMinutes",
    "canaryBakeTimeInMinutes",
    "canaryPercent",
    "containerPort",
    "desiredCount",
    "hardLimit",
    "healthCheckGracePeriodSeconds",
    "hostPort",
    "ignoredExitCodes",
    "interval",
    "maximumPercent",
    "maxSwap",
    "memoryReservation",
    "minimumHealthyPercent",
    "port",
    "retries",
    "sharedMemorySize",
    "size",
    "sizeInGiB",
    "softLimit",
    "startPeriod",
    "startTimeout",
    "stepBakeTimeInMinutes",
    "stepPercent",
    "stopTimeout",
    "swappiness",
    "timeout",
    "transitEncryptionPort",
    "weight",
    "restartAttemptPeriod",
];

const FLAGS: [&str; 17] = [
    "autoprovision",
    "disableNetworking",
    "enable",
    "enabled",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "enableFaultInjection",
    "essential",
    "initProcessEnabled",
    "interactive",
    "privileged",
    "pseudoTerminal",
    "readonlyRootFilesystem",
    "readOnly",
    "rollback",
    "resetOnHealthyTask",
    "encrypted",
];

/// ECS's JSON for evaluated properties.
pub fn to_ecs(properties: &Map<String, Value>) -> Map<String, Value> {
    members(properties, Place::Top)
}

/// What CloudFormation's schemas refuse before anything is called; `None` when all is well.
pub fn fault(kind: Kind, properties: &Map<String, Value>) -> Option<String> {
    let unknown = properties
        .keys()
        .filter(|name| !kind.properties().contains(&name.as_str()))
        .map(|name| format!("#: extraneous key [{name}] is not permitted"));
    let missing = kind
        .required()
        .iter()
        .filter(|name| !properties.contains_key(**name))
        .map(|name| format!("#: required key [{name}] not found"));
    let containers = properties
        .get("ContainerDefinitions")
        .filter(|_| kind == Kind::TaskDefinition);
    let containers = containers
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate();
    let nested = containers.flat_map(|(index, container)| container_faults(index, container));
    unknown.chain(missing).chain(nested).next()
}

/// A container definition knows `Cpu` and `Memory` as numbers, a task definition as text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Container,
    /// `ThresholdConfiguration`, whose `Value` is a number as nowhere else.
    Threshold,
    Inside,
}

fn members(given: &Map<String, Value>, place: Place) -> Map<String, Value> {
    given
        .iter()
        .map(|(name, value)| {
            let name_there = camel(name);
            let value = if MAPS.contains(&name.as_str()) && value.is_object() {
                texts(value)
            } else {
                convert(&name_there, value, place)
            };
            (name_there, value)
        })
        .collect()
}

fn convert(name: &str, value: &Value, place: Place) -> Value {
    let inner = if place == Place::Top && name == "containerDefinitions" {
        Place::Container
    } else {
        Place::Inside
    };
    match value {
        Value::Object(object) if name == "thresholdConfiguration" => {
            Value::Object(members(object, Place::Threshold))
        }
        Value::Object(object) => Value::Object(members(object, Place::Inside)),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(object) => Value::Object(members(object, inner)),
                scalar => convert(name, scalar, place),
            })
            .collect(),
        plain => coerce(name, plain, place),
    }
}

fn coerce(name: &str, value: &Value, place: Place) -> Value {
    let text = scalar(value).unwrap_or_default();
    let is_number = NUMBERS.contains(&name)
        || (place == Place::Container && matches!(name, "cpu" | "memory"))
        || (place == Place::Threshold && name == "value");
    if is_number {
        return text.parse::<i64>().map_or_else(|_| value.clone(), Value::from);
    }
    if FLAGS.contains(&name) {
        return text.parse::<bool>().map_or_else(|_| value.clone(), Value::from);
    }
    Value::String(text)
}

fn texts(value: &Value) -> Value {
    let members = value.as_object().into_iter().flatten();
    Value::Object(
        members
            .map(|(key, value)| {
                let value = scalar(value).map_or_else(|| value.clone(), Value::String);
                (key.clone(), value)
            })
            .collect(),
    )
}

fn camel(name: &str) -> String {
    if let Some((_, there)) = RENAMED.iter().find(|(here, _)| *here == name) {
        return (*there).to_owned();
    }
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_ascii_lowercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

fn container_faults(index: usize, container: &Value) -> Vec<String> {
    let Some(container) = container.as_object() else {
        return Vec::new();
    };
    let place = format!("#/ContainerDefinitions/{index}");
    let missing = ["Name", "Image"]
        .into_iter()
        .filter(|name| !container.contains_key(*name))
        .map(|name| format!("{place}: required key [{name}] not found"));
    let unknown = container
        .keys()
        .filter(|name| !CONTAINER.contains(&name.as_str()))
        .map(|name| format!("{place}: extraneous key [{name}] is not permitted"));
    unknown.chain(missing).collect()
}

const CONTAINER: &[&str] = &[
    "Command",
    "Cpu",
    "CredentialSpecs",
    "DependsOn",
    "DisableNetworking",
    "DnsSearchDomains",
    "DnsServers",
    "DockerLabels",
    "DockerSecurityOptions",
    "EntryPoint",
    "Environment",
    "EnvironmentFiles",
    "Essential",
    "ExtraHosts",
    "FirelensConfiguration",
    "HealthCheck",
    "Hostname",
    "Image",
    "Interactive",
    "Links",
    "LinuxParameters",
    "LogConfiguration",
    "Memory",
    "MemoryReservation",
    "MountPoints",
    "Name",
    "PortMappings",
    "Privileged",
    "PseudoTerminal",
    "ReadonlyRootFilesystem",
    "RepositoryCredentials",
    "ResourceRequirements",
    "RestartPolicy",
    "Secrets",
    "StartTimeout",
    "StopTimeout",
    "SystemControls",
    "Ulimits",
    "User",
    "VersionConsistency",
    "VolumesFrom",
    "WorkingDirectory",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_maps_and_environment_names_keep_their_case() {
        let given = json!({
            "Cpu": 256, "Family": "web",
            "ContainerDefinitions": [{
                "Name": "web", "Cpu": "128", "Essential": "true",
                "Environment": [{"Name": "HTTP_Port", "Value": 8080}],
                "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "/x", "Mode": true}},
                "DockerLabels": {"My.Label": "A"},
                "DependsOn": [{"ContainerName": "db", "Condition": "HEALTHY"}],
                "HealthCheck": {"Command": ["CMD-SHELL", "True"], "Interval": "5"}
            }],
            "Volumes": [{"Name": "v", "EFSVolumeConfiguration": {"FilesystemId": "fs-1",
                "AuthorizationConfig": {"IAM": "ENABLED"}}}]
        });
        let made = Value::Object(to_ecs(given.as_object().unwrap()));
        let wanted = json!({
            "cpu": "256", "family": "web",
            "containerDefinitions": [{
                "name": "web", "cpu": 128, "essential": true,
                "environment": [{"name": "HTTP_Port", "value": "8080"}],
                "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/x", "Mode": "true"}},
                "dockerLabels": {"My.Label": "A"},
                "dependsOn": [{"containerName": "db", "condition": "HEALTHY"}],
                "healthCheck": {"command": ["CMD-SHELL", "True"], "interval": 5}
            }],
            "volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1",
                "authorizationConfig": {"iam": "ENABLED"}}}]
        });
        assert_eq!(made, wanted);
    }
}

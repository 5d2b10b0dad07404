//! The task definition and its containers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Making;
use super::document::Resource;
use crate::fargate::spec::{
    Condition, Container, HealthCheck, Linux, Port, Protocol, RestartPolicy, Tmpfs, Volume,
};
use crate::fargate::validate::Target;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TaskDefinition {
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    cpu: String,
    memory: String,
    network_mode: &'static str,
    requires_compatibilities: [&'static str; 1],
    runtime_platform: Value,
    execution_role_arn: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral_storage: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Value>,
    container_definitions: Vec<ContainerDefinition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerDefinition {
    name: String,
    image: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository_credentials: Option<Value>,
    essential: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_reservation: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entry_point: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_directory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    port_mappings: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    environment: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    environment_files: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_timeout: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_timeout: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    readonly_root_filesystem: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mount_points: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes_from: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_configuration: Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    docker_labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ulimits: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linux_parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_policy: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interactive: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pseudo_terminal: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system_controls: Vec<Value>,
}

impl Making<'_> {
    pub(super) fn task_definition(&self) -> Resource<TaskDefinition> {
        let spec = self.service.spec();
        let family = match self.choices.kept.get(Target::TaskDefinition.as_str()) {
            Some(kept) => kept.name.clone(),
            None => Some(spec.name.clone()),
        };
        let execution_role = match &spec.execution_role {
            Some(arn) => json!(arn),
            None => json!({ "Fn::GetAtt": [self.names.execution_role, "Arn"] }),
        };
        let containers = self.service.containers().zip(&self.names.images);
        Resource {
            r#type: "AWS::ECS::TaskDefinition",
            // The revision before is what a roll-back goes back to. The revision of a
            // create that failed is not kept: it would be the newest of its family.
            deletion_policy: Some("RetainExceptOnCreate"),
            update_replace_policy: Some("Retain"),
            depends_on: Vec::new(),
            properties: TaskDefinition {
                family,
                cpu: spec.cpu.to_string(),
                memory: spec.memory.to_string(),
                network_mode: "awsvpc",
                requires_compatibilities: ["FARGATE"],
                runtime_platform: json!({
                    "OperatingSystemFamily": "LINUX",
                    "CpuArchitecture": spec.architecture.as_str(),
                }),
                execution_role_arn: execution_role,
                task_role_arn: spec.task_role.clone(),
                ephemeral_storage: spec.ephemeral_storage.map(|size| json!({ "SizeInGiB": size })),
                volumes: spec.volumes.iter().map(volume).collect(),
                container_definitions: containers
                    .map(|((container, _), parameter)| self.container(container, &parameter.name))
                    .collect(),
            },
        }
    }

    fn container(&self, container: &Container, parameter: &str) -> ContainerDefinition {
        let list = |values: &[String], each: fn(&String) -> Value| values.iter().map(each).collect();
        ContainerDefinition {
            name: container.name.clone(),
            image: json!({ "Ref": parameter }),
            repository_credentials: container
                .repository_credentials
                .as_ref()
                .map(|arn| json!({ "CredentialsParameter": arn })),
            essential: container.essential,
            cpu: container.cpu,
            memory: container.memory,
            memory_reservation: container.memory_reservation,
            entry_point: container.entry_point.clone(),
            command: container.command.clone(),
            working_directory: container.working_directory.clone(),
            user: container.user.clone(),
            port_mappings: container.ports.iter().map(port).collect(),
            environment: pairs(&container.environment, "Name", "Value"),
            environment_files: list(&container.environment_files, |arn| json!({ "Type": "s3", "Value": arn })),
            secrets: pairs(&container.secrets, "Name", "ValueFrom"),
            health_check: container.health_check.as_ref().map(health_check),
            depends_on: container
                .depends_on
                .iter()
                .map(|d| json!({ "ContainerName": d.container, "Condition": condition_word(d.condition) }))
                .collect(),
            start_timeout: container.start_timeout,
            stop_timeout: container.stop_timeout,
            readonly_root_filesystem: container.readonly_root_filesystem,
            mount_points: container
                .mounts
                .iter()
                .map(|m| {
                    json!({ "SourceVolume": m.volume, "ContainerPath": m.container_path, "ReadOnly": m.read_only })
                })
                .collect(),
            volumes_from: container
                .volumes_from
                .iter()
                .map(|from| json!({ "SourceContainer": from.container, "ReadOnly": from.read_only }))
                .collect(),
            log_configuration: self.log_configuration(container),
            docker_labels: container.docker_labels.clone(),
            ulimits: container
                .ulimits
                .iter()
                .map(|u| json!({ "Name": u.name, "SoftLimit": u.soft, "HardLimit": u.hard }))
                .collect(),
            linux_parameters: container.linux.as_ref().map(linux),
            restart_policy: container.restart_policy.as_ref().map(restart_policy),
            interactive: container.interactive,
            pseudo_terminal: container.pseudo_terminal,
            system_controls: pairs(&container.system_controls, "Namespace", "Value"),
        }
    }

    /// Without a driver of its own a container logs into the stack's log group. ECS
    /// has no driver "none" on Fargate: a container without a driver logs nowhere.
    fn log_configuration(&self, container: &Container) -> Option<Value> {
        let own = json!({
            "awslogs-group": self.log_group_value(),
            "awslogs-region": self.facts.region,
            "awslogs-stream-prefix": "ecs",
        });
        let Some(logging) = &container.logging else {
            return Some(json!({ "LogDriver": "awslogs", "Options": own }));
        };
        let mut options = match (logging.driver.as_str(), own) {
            ("none", _) => return None,
            ("awslogs", Value::Object(own)) => own,
            _ => Map::new(),
        };
        options.extend(
            logging
                .options
                .iter()
                .map(|(name, value)| (name.clone(), json!(value))),
        );
        let mut configuration = json!({ "LogDriver": logging.driver });
        if !options.is_empty() {
            configuration["Options"] = Value::Object(options);
        }
        if !logging.secret_options.is_empty() {
            configuration["SecretOptions"] = json!(pairs(&logging.secret_options, "Name", "ValueFrom"));
        }
        Some(configuration)
    }
}

/// ECS's word.
pub(super) fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Start => "START",
        Condition::Complete => "COMPLETE",
        Condition::Success => "SUCCESS",
        Condition::Healthy => "HEALTHY",
    }
}

fn pairs(of: &BTreeMap<String, String>, name_member: &str, value_member: &str) -> Vec<Value> {
    of.iter()
        .map(|(name, value)| json!({ name_member: name, value_member: value }))
        .collect()
}

/// An object of the members that are there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

fn port(port: &Port) -> Value {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    object([
        ("ContainerPort", Some(json!(port.port))),
        ("Protocol", Some(json!(protocol))),
        ("Name", port.name.as_ref().map(|name| json!(name))),
        (
            "AppProtocol",
            port.app_protocol.as_ref().map(|protocol| json!(protocol)),
        ),
    ])
}

fn health_check(check: &HealthCheck) -> Value {
    let number = |number: Option<u32>| number.map(|number| json!(number));
    object([
        ("Command", Some(json!(check.command))),
        ("Interval", number(check.interval)),
        ("Timeout", number(check.timeout)),
        ("Retries", number(check.retries)),
        ("StartPeriod", number(check.start_period)),
    ])
}

fn linux(linux: &Linux) -> Value {
    let given = |list: &[String]| (!list.is_empty()).then(|| json!(list));
    let capabilities = object([
        ("Add", given(&linux.add_capabilities)),
        ("Drop", given(&linux.drop_capabilities)),
    ]);
    let mounts: Vec<Value> = linux.tmpfs.iter().map(tmpfs).collect();
    let any = !linux.add_capabilities.is_empty() || !linux.drop_capabilities.is_empty();
    object([
        ("InitProcessEnabled", linux.init.then(|| json!(true))),
        ("Capabilities", any.then_some(capabilities)),
        ("Tmpfs", (!mounts.is_empty()).then(|| json!(mounts))),
    ])
}

fn tmpfs(mount: &Tmpfs) -> Value {
    let options = &mount.mount_options;
    object([
        ("ContainerPath", Some(json!(mount.container_path))),
        ("Size", Some(json!(mount.size))),
        ("MountOptions", (!options.is_empty()).then(|| json!(options))),
    ])
}

fn restart_policy(policy: &RestartPolicy) -> Value {
    let codes = &policy.ignored_exit_codes;
    object([
        ("Enabled", Some(json!(true))),
        ("IgnoredExitCodes", (!codes.is_empty()).then(|| json!(codes))),
        (
            "RestartAttemptPeriod",
            policy.attempt_period.map(|seconds| json!(seconds)),
        ),
    ])
}

fn volume(volume: &Volume) -> Value {
    let efs = volume.efs.as_ref().map(|efs| {
        let authorization = object([
            ("AccessPointId", efs.access_point.as_ref().map(|id| json!(id))),
            ("IAM", Some(json!(if efs.iam { "ENABLED" } else { "DISABLED" }))),
        ]);
        let encryption = if efs.transit_encryption {
            "ENABLED"
        } else {
            "DISABLED"
        };
        object([
            ("FilesystemId", Some(json!(efs.file_system))),
            (
                "RootDirectory",
                efs.root_directory.as_ref().map(|directory| json!(directory)),
            ),
            ("TransitEncryption", Some(json!(encryption))),
            (
                "AuthorizationConfig",
                (efs.iam || efs.access_point.is_some()).then_some(authorization),
            ),
        ])
    });
    object([
        ("Name", Some(json!(volume.name))),
        ("EFSVolumeConfiguration", efs),
    ])
}

//! The stack's template. Its text has one order, so that equal services have
//! equal templates; images are parameters, so that a release shows in the change
//! set as what it is. Tags are the stack's ([`stack_tags`]): CloudFormation puts
//! them on everything in it, and they are stable from release to release.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::fargate::ValidService;
use crate::fargate::name::log_group_name;
use crate::fargate::spec::{Architecture, Condition, Container, LoadBalancer, Protocol};

/// The largest TemplateBody, in bytes.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html>
pub const LARGEST_TEMPLATE: usize = 51_200;

/// The stack's output that names the revision it made.
pub const OUTPUT_TASK_DEFINITION: &str = "TaskDefinition";
/// The stack's output with the service's ARN.
pub const OUTPUT_SERVICE_ARN: &str = "ServiceArn";

/// The tag by which a stack is known as Towline's; its value is `CLUSTER/SERVICE`.
pub const SERVICE_TAG: &str = "towline:service";

/// What the template needs to know of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// 12 digits.
    pub account: String,
    /// aws, aws-cn, aws-us-gov.
    pub partition: String,
    pub region: String,
    /// The cluster's name.
    pub cluster: String,
    /// ARN of the policy that bounds every role that is made.
    pub permissions_boundary: Option<String>,
    /// Tags that the account demands on everything, from the agent's configuration.
    pub mandatory_tags: BTreeMap<String, String>,
}

/// The template is larger than CloudFormation takes inline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stack's template has {bytes} bytes, and CloudFormation takes at most {LARGEST_TEMPLATE}")]
pub struct TooLarge {
    pub bytes: usize,
}

/// A finished template with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parameters: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    fingerprint: String,
}

impl Template {
    /// The TemplateBody, JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parameters' values: the images.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// The stack's tags.
    pub fn tags(&self) -> &[(String, String)] {
        &self.tags
    }

    /// SHA-256, in hexadecimal, over template, parameters and tags. It stands in
    /// the template's metadata as well.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The fingerprint in a stack's template metadata; `None` when there is none.
pub fn found_fingerprint(metadata: &Value) -> Option<&str> {
    metadata.get("Towline")?.get("Fingerprint")?.as_str()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(rename = "AWSTemplateFormatVersion")]
    format: &'static str,
    description: String,
    metadata: Value,
    parameters: BTreeMap<String, Parameter>,
    resources: Resources,
    outputs: Outputs,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    r#type: &'static str,
    description: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resources {
    log_group: Resource<LogGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_role: Option<Resource<Role>>,
    task_definition: Resource<TaskDefinition>,
    service: Resource<Service>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resource<P> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_replace_policy: Option<&'static str>,
    properties: P,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogGroup {
    log_group_name: String,
    retention_in_days: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Role {
    path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<String>,
    assume_role_policy_document: Value,
    managed_policy_arns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TaskDefinition {
    family: String,
    cpu: String,
    memory: String,
    network_mode: &'static str,
    requires_compatibilities: [&'static str; 1],
    runtime_platform: Value,
    execution_role_arn: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_role_arn: Option<String>,
    container_definitions: Vec<ContainerDefinition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerDefinition {
    name: String,
    image: Value,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    port_mappings: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    environment: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<Value>,
    log_configuration: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    service_name: String,
    cluster: String,
    task_definition: Value,
    launch_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    desired_count: Option<u32>,
    deployment_configuration: Value,
    network_configuration: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    load_balancers: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Outputs {
    service_arn: Value,
    service_name: Value,
    task_definition: Value,
    cluster: Value,
}

/// The template of a service in an account.
///
/// # Errors
/// When it is larger than CloudFormation takes.
pub fn template(service: &ValidService, facts: &AccountFacts) -> Result<Template, TooLarge> {
    let parameters = image_parameters(service);
    let tags = stack_tags(service, facts);
    let mut document = document(service, facts, &parameters);
    let values: Vec<(String, String)> = parameters
        .iter()
        .map(|p| (p.name.clone(), p.image.clone()))
        .collect();
    let fingerprint = fingerprint(&document, &values, &tags);
    document.metadata = json!({ "Towline": { "Fingerprint": fingerprint } });
    let text = text_of(&document);
    if text.len() > LARGEST_TEMPLATE {
        return Err(TooLarge { bytes: text.len() });
    }
    Ok(Template {
        text,
        parameters: values,
        tags,
        fingerprint,
    })
}

/// The tags of the stack: the service's, the account's, Towline's; in this order
/// the later one wins.
fn stack_tags(service: &ValidService, facts: &AccountFacts) -> Vec<(String, String)> {
    let mut tags = service.spec().tags.clone();
    tags.extend(facts.mandatory_tags.clone());
    tags.insert(
        SERVICE_TAG.to_owned(),
        format!("{}/{}", facts.cluster, service.spec().name),
    );
    tags.into_iter().collect()
}

struct ImageParameter {
    container: String,
    name: String,
    image: String,
}

/// One parameter for each container's image, in the containers' order.
fn image_parameters(service: &ValidService) -> Vec<ImageParameter> {
    let mut parameters: Vec<ImageParameter> = Vec::new();
    for (container, image) in service.containers() {
        let plain = format!("Image{}", camel(&container.name));
        let taken = |name: &str| parameters.iter().any(|p| p.name == name);
        let name = (2..)
            .map(|n| format!("{plain}{n}"))
            .find(|n| !taken(n))
            .unwrap_or_default();
        let name = if taken(&plain) { name } else { plain };
        parameters.push(ImageParameter {
            container: container.name.clone(),
            name,
            image: image.to_string(),
        });
    }
    parameters
}

/// `my-web_app` → `MyWebApp`: logical ids are alphanumeric.
fn camel(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .flat_map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
        })
        .collect()
}

fn document(service: &ValidService, facts: &AccountFacts, parameters: &[ImageParameter]) -> Document {
    let spec = service.spec();
    let execution_role = spec.execution_role.is_none().then(|| role(service, facts));
    Document {
        format: "2010-09-09",
        description: format!(
            "Service {} of cluster {}, kept by Towline.",
            spec.name, facts.cluster
        ),
        metadata: Value::Null,
        parameters: parameters
            .iter()
            .map(|p| {
                let description = format!("Image of container {}", p.container);
                (
                    p.name.clone(),
                    Parameter {
                        r#type: "String",
                        description,
                    },
                )
            })
            .collect(),
        resources: Resources {
            // A first create that fails takes the group with it, so that the next one
            // does not find the name taken; later the logs are kept.
            log_group: Resource {
                r#type: "AWS::Logs::LogGroup",
                deletion_policy: Some("RetainExceptOnCreate"),
                update_replace_policy: Some("Retain"),
                properties: LogGroup {
                    log_group_name: log_group_name(&facts.cluster, &spec.name),
                    retention_in_days: RETENTION_DAYS,
                },
            },
            execution_role,
            // The revision before is what a rollback goes back to.
            task_definition: Resource {
                r#type: "AWS::ECS::TaskDefinition",
                deletion_policy: Some("Retain"),
                update_replace_policy: Some("Retain"),
                properties: task_definition(service, facts, parameters),
            },
            service: Resource {
                r#type: "AWS::ECS::Service",
                deletion_policy: None,
                update_replace_policy: None,
                properties: ecs_service(service, facts),
            },
        },
        outputs: Outputs {
            service_arn: json!({ "Value": { "Ref": "Service" } }),
            service_name: json!({ "Value": { "Fn::GetAtt": ["Service", "Name"] } }),
            task_definition: json!({ "Value": { "Ref": "TaskDefinition" } }),
            cluster: json!({ "Value": facts.cluster }),
        },
    }
}

/// How long the service's logs are kept, in days; one of the values that
/// CloudWatch Logs takes.
const RETENTION_DAYS: u32 = 30;

fn role(service: &ValidService, facts: &AccountFacts) -> Resource<Role> {
    let partition = &facts.partition;
    Resource {
        r#type: "AWS::IAM::Role",
        deletion_policy: None,
        update_replace_policy: None,
        properties: Role {
            path: "/towline/",
            permissions_boundary: facts.permissions_boundary.clone(),
            assume_role_policy_document: json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": { "Service": "ecs-tasks.amazonaws.com" },
                    "Action": "sts:AssumeRole",
                }],
            }),
            managed_policy_arns: vec![format!(
                "arn:{partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
            )],
            policies: secrets_policy(service).into_iter().collect(),
        },
    }
}

/// Leave to read exactly the secrets that the containers name.
fn secrets_policy(service: &ValidService) -> Option<Value> {
    let secrets = service
        .containers()
        .flat_map(|(container, _)| container.secrets.values());
    let mut managed = Vec::new();
    let mut parameters = Vec::new();
    for arn in secrets {
        if arn.contains(":secretsmanager:") {
            managed.push(secret_resource(arn));
        } else {
            parameters.push(arn.clone());
        }
    }
    let mut statements = Vec::new();
    for (action, mut resources) in [
        ("secretsmanager:GetSecretValue", managed),
        ("ssm:GetParameters", parameters),
    ] {
        resources.sort();
        resources.dedup();
        if !resources.is_empty() {
            statements.push(json!({ "Effect": "Allow", "Action": action, "Resource": resources }));
        }
    }
    (!statements.is_empty()).then(|| {
        json!({
            "PolicyName": "secrets",
            "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
        })
    })
}

/// The secret itself: `valueFrom` may go on with a JSON key, a version stage and
/// a version id. A name without its random suffix is given the place for one.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html>
fn secret_resource(value_from: &str) -> String {
    let secret: Vec<&str> = value_from.split(':').take(7).collect();
    let secret = secret.join(":");
    let suffix = secret.rsplit_once('-').map(|(_, suffix)| suffix);
    let whole = suffix.is_some_and(|s| s.len() == 6 && s.chars().all(|c| c.is_ascii_alphanumeric()));
    if whole { secret } else { format!("{secret}-??????") }
}

fn task_definition(
    service: &ValidService,
    facts: &AccountFacts,
    parameters: &[ImageParameter],
) -> TaskDefinition {
    let spec = service.spec();
    let architecture = match spec.architecture {
        Architecture::X86_64 => "X86_64",
        Architecture::Arm64 => "ARM64",
    };
    let execution_role = match &spec.execution_role {
        Some(arn) => json!(arn),
        None => json!({ "Fn::GetAtt": ["ExecutionRole", "Arn"] }),
    };
    let containers = service.containers().zip(parameters);
    TaskDefinition {
        family: spec.name.clone(),
        cpu: spec.cpu.to_string(),
        memory: spec.memory.to_string(),
        network_mode: "awsvpc",
        requires_compatibilities: ["FARGATE"],
        runtime_platform: json!({ "OperatingSystemFamily": "LINUX", "CpuArchitecture": architecture }),
        execution_role_arn: execution_role,
        task_role_arn: spec.task_role.clone(),
        container_definitions: containers
            .map(|((container, _), parameter)| container_definition(container, &parameter.name, facts))
            .collect(),
    }
}

fn container_definition(container: &Container, parameter: &str, facts: &AccountFacts) -> ContainerDefinition {
    ContainerDefinition {
        name: container.name.clone(),
        image: json!({ "Ref": parameter }),
        essential: container.essential,
        cpu: container.cpu,
        memory: container.memory,
        memory_reservation: container.memory_reservation,
        entry_point: container.entry_point.clone(),
        command: container.command.clone(),
        port_mappings: container
            .ports
            .iter()
            .map(|port| {
                let protocol = match port.protocol {
                    Protocol::Tcp => "tcp",
                    Protocol::Udp => "udp",
                };
                json!({ "ContainerPort": port.port, "Protocol": protocol })
            })
            .collect(),
        environment: pairs(&container.environment, "Value"),
        secrets: pairs(&container.secrets, "ValueFrom"),
        depends_on: container
            .depends_on
            .iter()
            .map(|d| json!({ "ContainerName": d.container, "Condition": condition_word(d.condition) }))
            .collect(),
        log_configuration: json!({
            "LogDriver": "awslogs",
            "Options": {
                "awslogs-group": { "Ref": "LogGroup" },
                "awslogs-region": facts.region,
                "awslogs-stream-prefix": "ecs",
            },
        }),
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

fn pairs(of: &BTreeMap<String, String>, value_member: &str) -> Vec<Value> {
    let pair = |(name, value): (&String, &String)| {
        let mut pair = Map::new();
        pair.insert("Name".to_owned(), json!(name));
        pair.insert(value_member.to_owned(), json!(value));
        Value::Object(pair)
    };
    of.iter().map(pair).collect()
}

fn ecs_service(service: &ValidService, facts: &AccountFacts) -> Service {
    let spec = service.spec();
    let public = if spec.network.assign_public_ip {
        "ENABLED"
    } else {
        "DISABLED"
    };
    Service {
        service_name: spec.name.clone(),
        cluster: facts.cluster.clone(),
        task_definition: json!({ "Ref": "TaskDefinition" }),
        launch_type: "FARGATE",
        desired_count: spec.desired_count,
        deployment_configuration: json!({
            "MinimumHealthyPercent": spec.minimum_healthy_percent.unwrap_or(100),
            "MaximumPercent": spec.maximum_percent.unwrap_or(200),
            // Without it a service that does not stabilise holds its stack for about three hours.
            "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true },
        }),
        network_configuration: json!({
            "AwsvpcConfiguration": {
                "AssignPublicIp": public,
                "Subnets": spec.network.subnets,
                "SecurityGroups": spec.network.security_groups,
            },
        }),
        load_balancers: spec.load_balancers.iter().map(load_balancer).collect(),
    }
}

fn load_balancer(link: &LoadBalancer) -> Value {
    json!({
        "ContainerName": link.container,
        "ContainerPort": link.port,
        "TargetGroupArn": link.target_group,
    })
}

fn fingerprint(document: &Document, parameters: &[(String, String)], tags: &[(String, String)]) -> String {
    let content = json!({ "template": text_of(document), "parameters": parameters, "tags": tags });
    hex::encode(Sha256::digest(content.to_string()))
}

fn text_of(document: &Document) -> String {
    // Only maps with keys that are no strings fail, and there are none.
    serde_json::to_string(document).unwrap_or_default()
}

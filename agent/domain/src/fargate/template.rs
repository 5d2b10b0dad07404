//! The stack's template. Its text has one order, so that equal services have
//! equal templates; images are parameters, so that a release shows in the change
//! set as what it is. Tags are the stack's ([`stack_tags`]): CloudFormation puts
//! them on everything in it, and they are stable from release to release.

mod document;
mod role;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::document::{
    ContainerDefinition, Document, LogGroup, Outputs, Parameter, Resource, Resources, Service, TaskDefinition,
};
use crate::fargate::ValidService;
use crate::fargate::choices::Choices;
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
    /// IAM path of every role that is made; begins and ends with a slash.
    pub role_path: String,
    /// Tags that the account demands on everything, from the agent's configuration.
    pub mandatory_tags: BTreeMap<String, String>,
}

/// Why there is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Larger than CloudFormation takes.
    #[error("the stack's template has {bytes} bytes, and CloudFormation takes at most {LARGEST_TEMPLATE}")]
    TooLarge { bytes: usize },
    /// The priority of a listener rule is still to be chosen ([`Choices::decided`]).
    #[error("the priority of the rule on listener {listener} is not chosen yet")]
    PriorityOpen { listener: String },
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

/// The template of a service in an account.
///
/// # Errors
/// When it is larger than CloudFormation takes, or a choice is still open.
pub fn template(
    service: &ValidService,
    facts: &AccountFacts,
    choices: &Choices,
) -> Result<Template, TemplateError> {
    let _ = choices;
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
        return Err(TemplateError::TooLarge { bytes: text.len() });
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
    let execution_role = spec
        .execution_role
        .is_none()
        .then(|| role::execution_role(service, facts));
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
    let mut interface = json!({ "AssignPublicIp": public, "Subnets": spec.network.subnets });
    if !spec.network.security_groups.is_empty() {
        interface["SecurityGroups"] = json!(spec.network.security_groups);
    }
    Service {
        service_name: spec.name.clone(),
        cluster: facts.cluster.clone(),
        task_definition: json!({ "Ref": "TaskDefinition" }),
        launch_type: "FARGATE",
        desired_count: spec.desired_count,
        deployment_configuration: json!({
            "MinimumHealthyPercent": spec.rollout.minimum_healthy_percent.unwrap_or(100),
            "MaximumPercent": spec.rollout.maximum_percent.unwrap_or(200),
            // Without it a service that does not stabilise holds its stack for about three hours.
            "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true },
        }),
        network_configuration: json!({ "AwsvpcConfiguration": interface }),
        load_balancers: spec.load_balancers.iter().map(load_balancer).collect(),
    }
}

fn load_balancer(link: &LoadBalancer) -> Value {
    json!({
        "ContainerName": link.container,
        "ContainerPort": link.port,
        "TargetGroupArn": link.target_group().unwrap_or_default(),
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

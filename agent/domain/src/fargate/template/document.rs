//! The shape of the template, in the order of its text.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document {
    #[serde(rename = "AWSTemplateFormatVersion")]
    pub format: &'static str,
    pub description: String,
    pub metadata: Value,
    pub parameters: BTreeMap<String, Parameter>,
    pub resources: Resources,
    pub outputs: Outputs,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameter {
    pub r#type: &'static str,
    pub description: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Resources {
    pub log_group: Resource<LogGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_role: Option<Resource<Role>>,
    pub task_definition: Resource<TaskDefinition>,
    pub service: Resource<Service>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Resource<P> {
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_replace_policy: Option<&'static str>,
    pub properties: P,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LogGroup {
    pub log_group_name: String,
    pub retention_in_days: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Role {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
    pub assume_role_policy_document: Value,
    pub managed_policy_arns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TaskDefinition {
    pub family: String,
    pub cpu: String,
    pub memory: String,
    pub network_mode: &'static str,
    pub requires_compatibilities: [&'static str; 1],
    pub runtime_platform: Value,
    pub execution_role_arn: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_role_arn: Option<String>,
    pub container_definitions: Vec<ContainerDefinition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ContainerDefinition {
    pub name: String,
    pub image: Value,
    pub essential: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entry_point: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub port_mappings: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Value>,
    pub log_configuration: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Service {
    pub service_name: String,
    pub cluster: String,
    pub task_definition: Value,
    pub launch_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_count: Option<u32>,
    pub deployment_configuration: Value,
    pub network_configuration: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load_balancers: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Outputs {
    pub service_arn: Value,
    pub service_name: Value,
    pub task_definition: Value,
    pub cluster: Value,
}

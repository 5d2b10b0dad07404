//! The execution role: pull images, write logs, and read exactly the secrets and
//! files that the containers name, with exactly the keys that the service names.

use serde::Serialize;
use serde_json::{Value, json};

use super::Making;
use super::document::Resource;
use crate::fargate::ValidService;
use crate::fargate::validate::Target;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Role {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
    pub assume_role_policy_document: Value,
    pub managed_policy_arns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Value>,
}

impl Making<'_> {
    /// The role that ECS acts with for the tasks.
    pub(super) fn execution_role(&self) -> Resource<Role> {
        let partition = &self.facts.partition;
        let kept = self.choices.kept.get(Target::ExecutionRole.as_str());
        let path = match kept {
            // A role's path cannot change, and one that is only now said is a change.
            Some(kept) => kept.property("Path").cloned(),
            None => Some(self.facts.role_path.clone()),
        };
        Resource {
            r#type: "AWS::IAM::Role",
            deletion_policy: None,
            update_replace_policy: None,
            depends_on: Vec::new(),
            properties: Role {
                role_name: kept.and_then(|kept| kept.name.clone()),
                path,
                permissions_boundary: self.facts.permissions_boundary.clone(),
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
                policies: policy("secrets", secret_statements(self.service))
                    .into_iter()
                    .chain(policy("environment-files", file_statements(self.service)))
                    .chain(policy("keys", key_statements(self.service)))
                    .chain(policy("log-groups", log_group_statements(self.service)))
                    .collect(),
            },
        }
    }
}

fn policy(name: &str, statements: Vec<Value>) -> Option<Value> {
    (!statements.is_empty()).then(|| {
        json!({
            "PolicyName": name,
            "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
        })
    })
}

fn allow(action: &str, mut resources: Vec<String>) -> Option<Value> {
    resources.sort();
    resources.dedup();
    (!resources.is_empty()).then(|| json!({ "Effect": "Allow", "Action": action, "Resource": resources }))
}

/// Leave to read exactly the secrets and parameters that the containers name.
fn secret_statements(service: &ValidService) -> Vec<Value> {
    let (mut managed, mut parameters) = (Vec::new(), Vec::new());
    for arn in service.secret_arns() {
        if arn.contains(":secretsmanager:") {
            managed.extend(secret_resources(arn));
        } else {
            parameters.push(arn.to_owned());
        }
    }
    let managed = allow("secretsmanager:GetSecretValue", managed);
    managed
        .into_iter()
        .chain(allow("ssm:GetParameters", parameters))
        .collect()
}

/// The secret itself: `valueFrom` may go on with a JSON key, a version stage and
/// a version id. A name without its random suffix is given the place for one, and
/// one of which that cannot be told is given both.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html>
fn secret_resources(value_from: &str) -> Vec<String> {
    let secret: Vec<&str> = value_from.split(':').take(7).collect();
    let secret = secret.join(":");
    let suffix = secret.rsplit_once('-').map_or("", |(_, suffix)| suffix);
    let with_place = format!("{secret}-??????");
    let like_one = suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric());
    if !like_one {
        return vec![with_place];
    }
    if suffix.chars().all(|c| c.is_ascii_lowercase()) {
        return vec![secret, with_place];
    }
    vec![secret]
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html>
fn file_statements(service: &ValidService) -> Vec<Value> {
    let files = service
        .containers()
        .flat_map(|(container, _)| &container.environment_files);
    let files: Vec<String> = files.cloned().collect();
    let buckets = files
        .iter()
        .filter_map(|arn| arn.split_once('/'))
        .map(|(bucket, _)| bucket.to_owned());
    let buckets = allow("s3:GetBucketLocation", buckets.collect());
    allow("s3:GetObject", files).into_iter().chain(buckets).collect()
}

/// Leave to use the keys of the account's own; those of AWS need none.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html>
fn key_statements(service: &ValidService) -> Vec<Value> {
    let keys = service.spec().kms_keys.clone();
    allow("kms:Decrypt", keys).into_iter().collect()
}

/// `awslogs-create-group` makes the group with the execution role.
fn log_group_statements(service: &ValidService) -> Vec<Value> {
    let logging = service
        .containers()
        .filter_map(|(container, _)| container.logging.as_ref());
    let creates = logging.filter(|logging| {
        logging
            .options
            .get("awslogs-create-group")
            .is_some_and(|v| v == "true")
    });
    match creates.count() {
        0 => Vec::new(),
        _ => allow("logs:CreateLogGroup", vec!["*".to_owned()])
            .into_iter()
            .collect(),
    }
}

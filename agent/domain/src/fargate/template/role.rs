//! The execution role: pull images, write logs, and read exactly the secrets that
//! the containers name.

use serde_json::{Value, json};

use super::AccountFacts;
use super::document::{Resource, Role};
use crate::fargate::ValidService;

/// The role that ECS acts with for the tasks.
pub(super) fn execution_role(service: &ValidService, facts: &AccountFacts) -> Resource<Role> {
    let partition = &facts.partition;
    Resource {
        r#type: "AWS::IAM::Role",
        deletion_policy: None,
        update_replace_policy: None,
        properties: Role {
            path: facts.role_path.clone(),
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

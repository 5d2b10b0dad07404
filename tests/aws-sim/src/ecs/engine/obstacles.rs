//! What can stop a task before a process of it runs: roles, secrets, log
//! groups, images.

use serde_json::Value;

use super::launch::image_of;
use crate::{
    ecs::{
        model::TaskDefinition,
        task::{Container, Task},
    },
    images::Reference,
    wire::json::text,
    world::{Region, SimTime},
};

/// Why a task cannot start: the task's reason, and the container it is about.
pub struct CannotStart {
    pub container: Option<String>,
    pub reason: String,
}

/// What stops the task before a process of it runs: roles, secrets, log groups, images.
pub fn obstacle(
    region: &mut Region,
    task: &Task,
    definition: &TaskDefinition,
    now: SimTime,
) -> Option<CannotStart> {
    let of_task = |reason: String| CannotStart {
        container: None,
        reason,
    };
    for member in ["executionRoleArn", "taskRoleArn"] {
        // ecs-deploy, for one, sends an empty name where there is none.
        let role = definition.body.get(member).and_then(Value::as_str);
        if let Some(role) = role.filter(|role| !role.is_empty())
            && !crate::iam::is_assumable(region, role, "ecs-tasks.amazonaws.com")
        {
            return Some(of_task(format!(
                "ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role."
            )));
        }
    }
    let containers: Vec<Value> = definition.containers().cloned().collect();
    let role = definition.body.get("executionRoleArn").and_then(Value::as_str);
    let role = role.filter(|role| !role.is_empty());
    for container in &containers {
        let denied = role.and_then(|role| denied(region, role, container));
        let trouble = denied
            .or_else(|| missing_secret(region, container))
            .or_else(|| locked_secret(region, role, container))
            .or_else(|| missing_log_group(region, container, now));
        if let Some(reason) = trouble {
            return Some(of_task(reason));
        }
    }
    task.containers.iter().find_map(|container| {
        let reason = cannot_pull(region, container, cpu_of(task.architecture))?;
        Some(CannotStart {
            container: Some(container.name.clone()),
            reason,
        })
    })
}

const INITIALISING: &str = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve";

/// What the execution role's own policy forbids it to fetch for a container.
fn denied(region: &Region, role: &str, container: &Value) -> Option<String> {
    let session = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/");
    let refusal = |what: &str, action: &str, resource: &str| {
        crate::iam::forbids(region, role, action, resource).then(|| {
            format!(
                "{INITIALISING} {what}: service call has been retried 1 time(s): AccessDeniedException: User: {session} is not authorized to perform: {action} on resource: {resource} with an explicit deny in an identity-based policy"
            )
        })
    };
    let image = Reference::parse(text(container, "image").unwrap_or_default());
    let registry = image.ecr_account().and_then(|(account, place)| {
        let repository = format!(
            "arn:{}:ecr:{place}:{account}:repository/{}",
            region.partition(),
            image.repository
        );
        refusal("ecr registry auth", "ecr:GetAuthorizationToken", "*")
            .or_else(|| refusal("ecr image", "ecr:BatchGetImage", &repository))
    });
    let secrets = container.get("secrets").and_then(Value::as_array);
    let mut from = secrets
        .into_iter()
        .flatten()
        .filter_map(|one| text(one, "valueFrom"));
    registry.or_else(|| {
        from.find_map(|arn| {
            if arn.contains(":secretsmanager:") {
                refusal("secret from asm", "secretsmanager:GetSecretValue", arn)
            } else {
                refusal("secrets from ssm", "ssm:GetParameters", arn)
            }
        })
    })
}

fn missing_secret(region: &Region, container: &Value) -> Option<String> {
    let secrets = container.get("secrets").and_then(Value::as_array);
    for secret in secrets.into_iter().flatten() {
        let from = text(secret, "valueFrom").unwrap_or_default();
        if from.contains(":secretsmanager:") {
            let arn: Vec<&str> = from.split(':').take(7).collect();
            let arn = arn.join(":");
            // An ARN may leave out the six characters that Secrets Manager adds.
            let known =
                |one: &String| *one == arn || one.rsplit_once('-').is_some_and(|(short, _)| short == arn);
            if !region.secrets.iter().any(known) {
                return Some(format!(
                    "{INITIALISING} secret from asm: service call has been retried 1 time(s): failed to fetch secret {from} from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret."
                ));
            }
        } else if !region.secrets.iter().any(|one| one == from) {
            return Some(format!(
                "{INITIALISING} secrets from ssm: service call has been retried 1 time(s): invalid ssm parameters: {from}"
            ));
        }
    }
    None
}

/// What is encrypted with a key of the account's own that the execution role's policy
/// does not let it use. The key's own policy, which could do so as well, lets nobody.
fn locked_secret(region: &Region, role: Option<&str>, container: &Value) -> Option<String> {
    let secrets = container.get("secrets").and_then(Value::as_array);
    let mut from = secrets
        .into_iter()
        .flatten()
        .filter_map(|one| text(one, "valueFrom"));
    from.find_map(|from| {
        let managed = from.contains(":secretsmanager:");
        let parts: Vec<&str> = from.split(':').take(7).collect();
        let named = if managed { parts.join(":") } else { from.to_owned() };
        let key = region.secret_keys.iter().find(|(name, _)| {
            **name == named || name.rsplit_once('-').is_some_and(|(short, _)| managed && short == named)
        });
        let (_, key) = key?;
        let open = role.is_some_and(|role| crate::iam::allows(region, role, "kms:Decrypt", key));
        (!open).then(|| match managed {
            true => format!(
                "{INITIALISING} secret from asm: service call has been retried 1 time(s): failed to fetch secret {from} from secrets manager: AccessDeniedException: Access to KMS is not allowed"
            ),
            false => format!(
                "{INITIALISING} secrets from ssm: service call has been retried 1 time(s): AccessDeniedException: The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."
            ),
        })
    })
}

/// Group, stream prefix and whether the driver may make the group.
pub(super) fn awslogs(container: &Value) -> Option<(String, String, bool)> {
    let log = container.get("logConfiguration")?;
    if text(log, "logDriver") != Some("awslogs") {
        return None;
    }
    let options = log.get("options")?;
    let group = text(options, "awslogs-group")?.to_owned();
    let prefix = text(options, "awslogs-stream-prefix")
        .unwrap_or_default()
        .to_owned();
    Some((
        group,
        prefix,
        text(options, "awslogs-create-group") == Some("true"),
    ))
}

fn missing_log_group(region: &mut Region, container: &Value, now: SimTime) -> Option<String> {
    let (group, _, may_create) = awslogs(container)?;
    if may_create {
        region.logs.ensure_group(&group, now);
    }
    (!region.logs.groups.contains_key(&group)).then(|| {
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1".to_owned()
    })
}

/// A task's CPU as task definitions name it.
pub(super) fn cpu_of(architecture: &str) -> &'static str {
    if architecture == "arm64" {
        "ARM64"
    } else {
        "X86_64"
    }
}

/// The words of an image that cannot be pulled.
fn cannot_pull(region: &Region, container: &Container, cpu: &str) -> Option<String> {
    let image = &container.image;
    let reference = Reference::parse(image);
    let foreign = reference
        .ecr_account()
        .is_some_and(|(account, _)| account != region.account);
    if foreign {
        let tag = reference.tag.as_deref().unwrap_or("latest");
        return Some(format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: unexpected status from HEAD request to https://{}/v2/{}/manifests/{tag}: 403 Forbidden",
            reference.registry, reference.repository
        ));
    }
    match image_of(region, container) {
        Some(found) if found.is_index() && !found.is_for(cpu) => {
            let platform = if cpu == "ARM64" {
                "linux/arm64"
            } else {
                "linux/amd64"
            };
            return Some(format!(
                "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform '{platform}'"
            ));
        }
        Some(_) => return None,
        None => {}
    }
    Some(format!(
        "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref {image}: {image}: not found"
    ))
}

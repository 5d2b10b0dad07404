//! What can stop a task before a process of it runs: roles, secrets, log
//! groups, images.

mod fetching;

use serde_json::Value;

use self::fetching::{Fetcher, Store};
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
    let look = Look {
        region,
        fetcher: Fetcher::of(task.launch_type),
        role: role.filter(|role| !role.is_empty()),
        cpu: cpu_of(task.architecture),
    };
    let unreadable = containers
        .iter()
        .find_map(|container| look.unreadable_secret(container));
    if let Some(reason) = unreadable {
        return Some(of_task(reason));
    }
    let of_container = |container: &str, reason: String| CannotStart {
        container: Some(container.to_owned()),
        reason,
    };
    let unpulled = task
        .containers
        .iter()
        .find_map(|one| Some(of_container(&one.name, look.cannot_pull(one)?)));
    if unpulled.is_some() {
        return unpulled;
    }
    let fetcher = look.fetcher;
    containers.iter().find_map(|container| {
        let is_missing = lacks_log_group(region, container, now);
        let name = text(container, "name").unwrap_or_default();
        is_missing.then(|| of_container(name, fetcher.no_log_group()))
    })
}

/// Who looks for what a task needs, and with which rights.
struct Look<'a> {
    region: &'a Region,
    fetcher: Fetcher,
    role: Option<&'a str>,
    cpu: &'static str,
}

impl Look<'_> {
    /// The refusal of what the execution role's own policy forbids.
    fn denied(&self, action: &str, resource: &str) -> Option<String> {
        let role = self.role?;
        let session = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/");
        crate::iam::forbids(self.region, role, action, resource).then(|| {
            format!(
                "AccessDeniedException: User: {session} is not authorized to perform: {action} on resource: {resource} with an explicit deny in an identity-based policy"
            )
        })
    }

    fn unreadable_secret(&self, container: &Value) -> Option<String> {
        let secrets = container.get("secrets").and_then(Value::as_array);
        let mut from = secrets
            .into_iter()
            .flatten()
            .filter_map(|one| text(one, "valueFrom"));
        from.find_map(|from| {
            let (store, action) = if from.contains(":secretsmanager:") {
                (Store::SecretsManager, "secretsmanager:GetSecretValue")
            } else {
                (Store::Parameters, "ssm:GetParameters")
            };
            let refusal = self
                .denied(action, from)
                .or_else(|| self.missing(store, from))
                .or_else(|| self.locked(store, from))?;
            Some(self.fetcher.secret(store, &self.region.name, from, &refusal))
        })
    }

    fn missing(&self, store: Store, from: &str) -> Option<String> {
        let known = self.region.secrets.iter().any(|one| is_named(store, one, from));
        (!known).then(|| match store {
            Store::SecretsManager => {
                "ResourceNotFoundException: Secrets Manager can't find the specified secret.".to_owned()
            }
            Store::Parameters => self.fetcher.no_parameter(from),
        })
    }

    /// What is encrypted with a key of the account's own that the execution role's policy
    /// does not let it use. The key's own policy, which could do so as well, lets nobody.
    fn locked(&self, store: Store, from: &str) -> Option<String> {
        let mut keys = self.region.secret_keys.iter();
        let (_, key) = keys.find(|(name, _)| is_named(store, name, from))?;
        let is_open = self
            .role
            .is_some_and(|role| crate::iam::allows(self.region, role, "kms:Decrypt", key));
        let words = match store {
            Store::SecretsManager => "AccessDeniedException: Access to KMS is not allowed",
            Store::Parameters => {
                "AccessDeniedException: The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."
            }
        };
        (!is_open).then(|| words.to_owned())
    }

    /// The words of an image that cannot be pulled.
    fn cannot_pull(&self, container: &Container) -> Option<String> {
        let image = &container.image;
        let reference = Reference::parse(image);
        if let Some((account, place)) = reference.ecr_account() {
            let repository = format!(
                "arn:{}:ecr:{place}:{account}:repository/{}",
                self.region.partition(),
                reference.repository
            );
            if let Some(refusal) = self.denied("ecr:GetAuthorizationToken", "*") {
                return Some(self.fetcher.login(&refusal));
            }
            if let Some(refusal) = self.denied("ecr:BatchGetImage", &repository) {
                return Some(self.fetcher.forbidden(image, &refusal));
            }
            if account != self.region.account {
                let refusal = format!(
                    "not authorized to perform: ecr:BatchGetImage on resource: {repository} because no resource-based policy allows the ecr:BatchGetImage action"
                );
                return Some(self.fetcher.forbidden(image, &refusal));
            }
        }
        match image_of(self.region, container) {
            Some(found) if found.is_index() && !found.is_for(self.cpu) => {
                let platform = if self.cpu == "ARM64" {
                    "linux/arm64"
                } else {
                    "linux/amd64"
                };
                Some(self.fetcher.no_platform(platform))
            }
            Some(_) => None,
            None => Some(self.fetcher.not_found(image)),
        }
    }
}

/// Whether `from` names a secret or parameter. An ARN of Secrets Manager may say
/// more (a key, a version), and may leave out the six characters at its end.
fn is_named(store: Store, known: &str, from: &str) -> bool {
    if store == Store::Parameters {
        return known == from;
    }
    let parts: Vec<&str> = from.split(':').take(7).collect();
    let arn = parts.join(":");
    known == arn || known.rsplit_once('-').is_some_and(|(short, _)| short == arn)
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

fn lacks_log_group(region: &mut Region, container: &Value, now: SimTime) -> bool {
    let Some((group, _, may_create)) = awslogs(container) else {
        return false;
    };
    if may_create {
        region.logs.ensure_group(&group, now);
    }
    !region.logs.groups.contains_key(&group)
}

/// A task's CPU as task definitions name it.
pub(super) fn cpu_of(architecture: &str) -> &'static str {
    if architecture == "arm64" {
        "ARM64"
    } else {
        "X86_64"
    }
}

//! All faults of a Fargate service at once, each with its field and, where there
//! is one, the next step. What passes is a [`ValidService`], and only that gets
//! a template. What Fargate itself does not allow is told as Fargate's limit.

mod containers;
mod logging;
mod overrides;
mod runtime;
mod service;
#[cfg(test)]
mod tests;
mod tmpfs;
mod traffic;
mod volumes;

use serde_json::Value;

pub use self::overrides::Target;
pub(crate) use self::service::is_stuck;
pub use self::service::tag_faults;
use crate::fargate::spec::{Container, FargateService};
use crate::image_reference::ImageReference;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path in the service: `containers[1].ports[0].container_port`.
    pub field: String,
    pub message: String,
    /// The next step; empty when the message says it.
    pub hint: String,
}

/// A service without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidService {
    spec: FargateService,
    images: Vec<ImageReference>,
    /// The overrides, parsed, in their order.
    patches: Vec<(Target, Value)>,
}

impl ValidService {
    pub fn spec(&self) -> &FargateService {
        &self.spec
    }

    /// The containers with their images, in order.
    pub fn containers(&self) -> impl Iterator<Item = (&Container, &ImageReference)> {
        self.spec.containers.iter().zip(&self.images)
    }

    /// The images, in the containers' order.
    pub fn images(&self) -> &[ImageReference] {
        &self.images
    }

    /// The merge patches on one kind of resource, in their order.
    pub(crate) fn patches(&self, target: Target) -> impl Iterator<Item = &Value> {
        let patches = self.patches.iter();
        patches
            .filter(move |(on, _)| *on == target)
            .map(|(_, patch)| patch)
    }

    /// Whether any container logs into the group that the service gives it.
    pub fn logs_into_default_group(&self) -> bool {
        self.spec
            .containers
            .iter()
            .any(|container| match &container.logging {
                None => true,
                Some(logging) => {
                    logging.driver == "awslogs" && !logging.options.contains_key("awslogs-group")
                }
            })
    }

    /// What the containers name of Secrets Manager and of SSM's parameters, as named.
    pub fn secret_arns(&self) -> impl Iterator<Item = &str> {
        self.spec.containers.iter().flat_map(|container| {
            let options = container
                .logging
                .iter()
                .flat_map(|logging| logging.secret_options.values());
            let credentials = container.repository_credentials.iter();
            container
                .secrets
                .values()
                .chain(options)
                .chain(credentials)
                .map(String::as_str)
        })
    }
}

/// Checks everything that can be checked without asking AWS.
///
/// # Errors
/// All faults at once.
pub fn validate(service: &FargateService) -> Result<ValidService, Vec<Violation>> {
    let mut faults = Faults::default();
    service::names(service, &mut faults);
    service::size(service, &mut faults);
    let images = containers::check(service, &mut faults);
    containers::dependencies(service, &mut faults);
    volumes::check(service, &mut faults);
    service::network(service, &mut faults);
    traffic::check(service, &mut faults);
    service::roles(service, &mut faults);
    service::rollout(service, &mut faults);
    runtime::check(service, &mut faults);
    service::tags(&service.tags, &mut faults);
    let patches = overrides::check(service, &mut faults);
    if faults.0.is_empty() {
        Ok(ValidService {
            spec: service.clone(),
            images,
            patches,
        })
    } else {
        Err(faults.0)
    }
}

#[derive(Default)]
struct Faults(Vec<Violation>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>, hint: &str) {
        self.0.push(Violation {
            field: field.into(),
            message: message.into(),
            hint: hint.to_owned(),
        });
    }

    /// A number that is given must lie between the two.
    fn range(&mut self, field: impl Into<String>, what: &str, given: Option<u32>, lowest: u32, highest: u32) {
        if let Some(number) = given.filter(|number| !(lowest..=highest).contains(number)) {
            self.add(
                field,
                format!("{number} is no {what}"),
                &format!("{lowest} to {highest}"),
            );
        }
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html>: up
/// to 255 letters, digits, underscores and hyphens.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 255 && name.chars().all(allowed)
}

const NAME_RULE: &str = "1 to 255 letters, digits, underscores and hyphens";

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, RESOURCE starting as given and going on.
pub(crate) fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, found, _, _, rest] = parts.as_slice() else {
        return false;
    };
    let clean = text.chars().all(|c| c.is_ascii_graphic());
    let goes_on = rest.strip_prefix(resource).is_some_and(|rest| !rest.is_empty());
    *arn == "arn" && partition.starts_with("aws") && *found == service && goes_on && clean
}

/// Where a secret's value comes from: the ARN of a parameter, or of a secret that
/// goes on with nothing or with `:KEY:STAGE:VERSION`, each of which may be empty.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html>
pub(crate) fn secret_source(text: &str) -> Result<(), &'static str> {
    if is_arn(text, "ssm", "parameter/") {
        return Ok(());
    }
    if !is_arn(text, "secretsmanager", "secret:") {
        return Err(
            "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME or arn:aws:ssm:REGION:ACCOUNT:parameter/NAME; \
             values of secrets never go here",
        );
    }
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [_, _, _, _, _, _, _] => Ok(()),
        [_, _, _, _, _, _, _, _, stage, version] if stage.is_empty() || version.is_empty() => Ok(()),
        [_, _, _, _, _, _, _, _, _, _] => Err("give a version stage or a version id, not both"),
        _ => Err(
            "after the secret's name come nothing or all three of :KEY:STAGE:VERSION, as in ...:password::",
        ),
    }
}

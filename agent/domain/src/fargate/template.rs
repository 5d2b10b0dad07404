//! The stack's template: a function of the service, the account and the choices
//! that were made for the stack ([`Choices`]). Its text has one order, so that
//! equal services have equal templates; images are parameters, so that a release
//! shows in the change set as what it is. Tags are the stack's: CloudFormation
//! puts them on everything in it, and they are stable from release to release.
//!
//! [`template`] is the entry; each kind of resource has its file.

mod document;
mod found;
mod names;
mod patch;
mod role;
mod service;
mod size;
mod task;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::document::{Document, LogGroup, Output, Parameter, Resource, value_of};
pub use self::found::FoundTemplate;
use self::names::ImageParameter;
pub(crate) use self::names::{LinkNames, Names};
pub(crate) use self::patch::merge;
pub use self::size::{LARGEST_TASK_DEFINITION, LARGEST_TEMPLATE, LARGEST_TEMPLATE_IN_BUCKET};
use crate::fargate::ValidService;
use crate::fargate::choices::{Choices, LogGroupChoice};
use crate::fargate::validate::Target;

/// The stack's output that names the revision it made.
pub const OUTPUT_TASK_DEFINITION: &str = "TaskDefinition";
/// The stack's output with the service's ARN.
pub const OUTPUT_SERVICE_ARN: &str = "ServiceArn";

/// The tag by which a stack is known as Towline's; its value is `CLUSTER/SERVICE`.
pub const SERVICE_TAG: &str = "towline:service";

/// How long a service's logs are kept, in days, when it does not say.
const RETENTION_DAYS: u32 = 30;

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
    /// Larger than CloudFormation takes, from a bucket too.
    #[error(
        "the stack's template has {bytes} bytes, and CloudFormation reads at most \
         {LARGEST_TEMPLATE_IN_BUCKET}; split the service, or move environment variables into environment_files"
    )]
    TooLarge { bytes: usize },
    /// ECS would not register it; the template around it may be as large as it likes.
    #[error(
        "the task definition has {bytes} bytes, and ECS takes at most {LARGEST_TASK_DEFINITION}; \
         move environment variables into environment_files, or split the service"
    )]
    TaskDefinitionTooLarge { bytes: usize },
    /// The service's tags, the account's and Towline's own are too many.
    #[error("a stack has at most 50 tags; the service's, the agent's and Towline's own are {count}")]
    TooManyTags { count: usize },
    /// The priority of a listener rule is still to be chosen ([`Choices::decided`]).
    #[error("the priority of the rule on listener {listener} is not chosen yet")]
    PriorityOpen { listener: String },
}

/// A finished template with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parameters: Vec<(String, String)>,
    /// Parameter to container.
    images: BTreeMap<String, String>,
    tags: Vec<(String, String)>,
    fingerprint: String,
    /// Logical id to the resource.
    resources: Map<String, Value>,
    choices: Choices,
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
    /// the template's metadata as well, which does not count.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The resources, by logical id.
    pub fn resources(&self) -> &Map<String, Value> {
        &self.resources
    }

    /// The container whose image a parameter is.
    pub fn container_of(&self, parameter: &str) -> Option<&str> {
        self.images.get(parameter).map(String::as_str)
    }

    /// The choices that it rests on; they stand in its metadata.
    pub fn choices(&self) -> &Choices {
        &self.choices
    }
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
    let names = Names::of(service, choices);
    let make = Making {
        service,
        facts,
        choices,
        names: &names,
    };
    let tags = stack_tags(service, facts);
    if tags.len() > 50 {
        return Err(TemplateError::TooManyTags { count: tags.len() });
    }
    let resources = make.resources()?;
    let parameters: Vec<(String, String)> = names
        .images
        .iter()
        .map(|p| (p.name.clone(), p.image.clone()))
        .collect();
    let mut document = make.document(resources.clone());
    let fingerprint = fingerprint(&document, &parameters, &tags);
    let choices = make.effective_choices();
    document.metadata = json!({ "Towline": { "Fingerprint": fingerprint, "Choices": value_of(&choices) } });
    let text = text_of(&document);
    if text.len() > LARGEST_TEMPLATE_IN_BUCKET {
        return Err(TemplateError::TooLarge { bytes: text.len() });
    }
    size::check_task_definition(resources.get(&names.task_definition))?;
    Ok(Template {
        text,
        parameters,
        images: names
            .images
            .iter()
            .map(|p| (p.name.clone(), p.container.clone()))
            .collect(),
        tags,
        fingerprint,
        resources,
        choices,
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

/// All that a resource is made of.
#[derive(Clone, Copy)]
struct Making<'a> {
    service: &'a ValidService,
    facts: &'a AccountFacts,
    choices: &'a Choices,
    names: &'a Names,
}

impl Making<'_> {
    fn resources(&self) -> Result<Map<String, Value>, TemplateError> {
        let mut resources = Map::new();
        let mut put = |id: &str, target: Target, resource: Value| {
            let patched = self.service.patches(target).fold(resource, merge);
            resources.insert(id.to_owned(), patched);
        };
        if let Some(group) = self.log_group() {
            put(&self.names.log_group, Target::LogGroup, value_of(&group));
        }
        if self.service.spec().execution_role.is_none() {
            put(
                &self.names.execution_role,
                Target::ExecutionRole,
                value_of(&self.execution_role()),
            );
        }
        for (link, rule) in self.rules() {
            put(
                &link.target_group,
                Target::TargetGroup,
                value_of(&self.target_group(link, rule)),
            );
            put(
                &link.listener_rule,
                Target::ListenerRule,
                value_of(&self.listener_rule(link, rule)?),
            );
        }
        put(
            &self.names.task_definition,
            Target::TaskDefinition,
            value_of(&self.task_definition()),
        );
        put(
            &self.names.service,
            Target::Service,
            value_of(&self.ecs_service()),
        );
        Ok(resources)
    }

    fn document(&self, resources: Map<String, Value>) -> Document {
        let spec = self.service.spec();
        let parameter = |image: &ImageParameter| {
            let description = format!("Image of container {}", image.container);
            (
                image.name.clone(),
                Parameter {
                    r#type: "String",
                    description,
                },
            )
        };
        Document {
            format: "2010-09-09",
            description: format!(
                "Service {} of cluster {}, kept by Towline.",
                spec.name, self.facts.cluster
            ),
            metadata: Value::Null,
            parameters: self.names.images.iter().map(parameter).collect(),
            resources,
            outputs: self.outputs(),
        }
    }

    /// The stack's own log group; `None` where nothing logs into one, or one is used.
    fn log_group(&self) -> Option<Resource<LogGroup>> {
        if !self.makes_log_group() {
            return None;
        }
        let spec = self.service.spec();
        let name = match self.choices.kept.get(Target::LogGroup.as_str()) {
            Some(kept) => kept.name.clone(),
            None => Some(self.log_group_name()),
        };
        Some(Resource {
            r#type: "AWS::Logs::LogGroup",
            // A first create that fails takes the group with it, so that the next one
            // does not find the name taken; later the logs are kept.
            deletion_policy: Some("RetainExceptOnCreate"),
            update_replace_policy: Some("Retain"),
            depends_on: Vec::new(),
            properties: LogGroup {
                log_group_name: name,
                retention_in_days: spec.log_retention.unwrap_or(RETENTION_DAYS),
            },
        })
    }

    fn log_group_name(&self) -> String {
        crate::fargate::log_group_name(&self.facts.cluster, &self.service.spec().name)
    }

    fn makes_log_group(&self) -> bool {
        let used = self.choices.log_group == Some(LogGroupChoice::Used);
        self.service.logs_into_default_group() && self.service.spec().log_group.is_none() && !used
    }

    /// What `awslogs-group` says where a container does not.
    fn log_group_value(&self) -> Value {
        match &self.service.spec().log_group {
            Some(given) => json!(given),
            None if self.makes_log_group() => json!({ "Ref": self.names.log_group }),
            None => json!(self.log_group_name()),
        }
    }

    fn outputs(&self) -> BTreeMap<String, Output> {
        let service = &self.names.service;
        let mut outputs = vec![
            (OUTPUT_SERVICE_ARN.to_owned(), json!({ "Ref": service })),
            (
                "ServiceName".to_owned(),
                json!({ "Fn::GetAtt": [service, "Name"] }),
            ),
            (
                OUTPUT_TASK_DEFINITION.to_owned(),
                json!({ "Ref": self.names.task_definition }),
            ),
            ("Cluster".to_owned(), json!(self.facts.cluster)),
        ];
        let made = self.rules().map(|(link, _)| json!({ "Ref": link.target_group }));
        let given = self.service.spec().load_balancers.iter();
        let given = given.filter_map(|link| link.target_group()).map(|arn| json!(arn));
        for (at, group) in made.chain(given).enumerate() {
            let name = if at == 0 {
                "TargetGroup".to_owned()
            } else {
                format!("TargetGroup{}", at + 1)
            };
            outputs.push((name, group));
        }
        outputs
            .into_iter()
            .map(|(name, value)| (name, Output { value }))
            .collect()
    }

    /// The choices that count for this service: what it does not use is forgotten.
    fn effective_choices(&self) -> Choices {
        let defaults = self.service.logs_into_default_group() && self.service.spec().log_group.is_none();
        let made = if self.makes_log_group() {
            LogGroupChoice::Made
        } else {
            LogGroupChoice::Used
        };
        let rule =
            |(link, rule): (&LinkNames, _)| Some((link.listener_rule.clone(), self.chosen_rule(link, rule)?));
        Choices {
            log_group: defaults.then_some(made),
            rules: self.rules().filter_map(rule).collect(),
            kept: self.choices.kept.clone(),
        }
    }
}

fn fingerprint(document: &Document, parameters: &[(String, String)], tags: &[(String, String)]) -> String {
    let content = json!({ "template": text_of(document), "parameters": parameters, "tags": tags });
    hex::encode(Sha256::digest(content.to_string()))
}

fn text_of(document: &Document) -> String {
    // Only maps with keys that are no strings fail, and there are none.
    serde_json::to_string(document).unwrap_or_default()
}

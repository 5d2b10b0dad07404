//! A stack that Towline did not make → the choices by which its template goes on
//! with what is there: the logical ids, the names, and that there is no name. What
//! the new template does not have is removed; the plan says so, and a plan that
//! would replace or remove the service is refused ([`crate::fargate::plan`]).

pub(super) mod document;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::fargate::ValidService;
use crate::fargate::choices::{Choices, Kept, RuleChoice};
use crate::fargate::validate::Target;
use crate::observed::StackResource;
use crate::verdict::{Reason, Refusal};

/// A stack as it is.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a> {
    /// Its own template, JSON or YAML.
    pub template: &'a str,
    pub parameters: &'a [(String, String)],
    pub resources: &'a [StackResource],
}

/// The choices for taking a stack over, for the service in this cluster.
///
/// # Errors
/// When the template cannot be read, or is not that of this one service.
pub fn choices(stack: &Foreign<'_>, service: &ValidService, cluster: &str) -> Result<Choices, Refusal> {
    let document = document::parse(stack.template).map_err(|error| {
        refusal(
            format!("the stack's template cannot be read: {error}"),
            "correct the template first",
        )
    })?;
    let Some(declared) = document.get("Resources").and_then(Value::as_object) else {
        return Err(refusal(
            "the stack's template has no resources".to_owned(),
            "choose another stack_name",
        ));
    };
    let existing = Existing { declared, stack };
    let mut choices = Choices::default();
    let own = existing.service(&service.spec().name)?;
    choices
        .kept
        .insert(key(Target::Service), existing.kept_service(own, cluster)?);
    existing.keep_links(service, &mut choices);
    let task = existing.referenced(own, "TaskDefinition", Target::TaskDefinition);
    let Some(task) = task.or_else(|| existing.only(Target::TaskDefinition)) else {
        return Ok(choices);
    };
    let kept = existing.kept(task, "Family", family, &[]);
    choices.kept.insert(key(Target::TaskDefinition), kept);
    if service.spec().execution_role.is_none()
        && let Some(role) = existing.referenced(task, "ExecutionRoleArn", Target::ExecutionRole)
    {
        let kept = existing.kept(role, "RoleName", whole, &["Path"]);
        choices.kept.insert(key(Target::ExecutionRole), kept);
    }
    let group = existing
        .logged_into(task)
        .or_else(|| existing.only(Target::LogGroup));
    if let Some(group) = group {
        let kept = existing.kept(group, "LogGroupName", whole, &[]);
        choices.kept.insert(key(Target::LogGroup), kept);
    }
    Ok(choices)
}

fn key(target: Target) -> String {
    target.as_str().to_owned()
}

fn refusal(message: String, hint: &str) -> Refusal {
    Refusal::new(Reason::StackNotOurs, message, hint)
}

/// The stack as its template declares it and as it is.
struct Existing<'a> {
    declared: &'a Map<String, Value>,
    stack: &'a Foreign<'a>,
}

impl<'a> Existing<'a> {
    /// The one ECS service of this name.
    fn service(&self, name: &str) -> Result<&'a str, Refusal> {
        let mut names = Vec::new();
        for id in self.of_type(Target::Service) {
            let found = last_part(self.physical(id)).to_owned();
            if found == name {
                return Ok(id);
            }
            names.push(found);
        }
        Err(match names.as_slice() {
            [] => refusal(
                "the stack has no ECS service".to_owned(),
                "choose another stack_name; only the stack of a service can be taken over",
            ),
            names => refusal(
                format!(
                    "the stack's service is called {}, and not {name}",
                    names.join(", ")
                ),
                "give the specification the name of the service that is there",
            ),
        })
    }

    fn of_type(&self, target: Target) -> impl Iterator<Item = &'a str> + use<'a> {
        let kind = Value::from(target.resource_type());
        let declared = self.declared.iter();
        declared
            .filter(move |(_, r)| r.get("Type") == Some(&kind))
            .map(|(id, _)| id.as_str())
    }

    fn only(&self, target: Target) -> Option<&'a str> {
        let mut all = self.of_type(target);
        all.next().filter(|_| all.next().is_none())
    }

    fn physical(&self, id: &str) -> &'a str {
        let resource = self
            .stack
            .resources
            .iter()
            .find(|resource| resource.logical_id == id);
        resource.map_or("", |resource| &resource.physical_id)
    }

    fn property(&self, id: &str, name: &str) -> Option<&'a Value> {
        self.declared.get(id)?.get("Properties")?.get(name)
    }

    /// The resource that a property speaks of by Ref or GetAtt, if it is of this kind.
    fn referenced(&self, id: &str, property: &str, target: Target) -> Option<&'a str> {
        let named = self.mentioned(self.property(id, property)?, target);
        named.into_iter().next()
    }

    /// The log group that the task's containers log into.
    fn logged_into(&self, task: &str) -> Option<&'a str> {
        let containers = self.property(task, "ContainerDefinitions")?;
        self.mentioned(containers, Target::LogGroup).into_iter().next()
    }

    /// The resources of a kind that are referred to anywhere below a value.
    fn mentioned(&self, value: &Value, target: Target) -> Vec<&'a str> {
        match value {
            Value::Object(members) => {
                let mut found = Vec::new();
                for (name, value) in members {
                    let id = match (name.as_str(), value) {
                        ("Ref", Value::String(id)) => Some(id.as_str()),
                        ("Fn::GetAtt", Value::String(path)) => path.split('.').next(),
                        ("Fn::GetAtt", Value::Array(path)) => path.first().and_then(Value::as_str),
                        _ => None,
                    };
                    match id.and_then(|id| self.of_type(target).find(|known| *known == id)) {
                        Some(id) => found.push(id),
                        None => found.extend(self.mentioned(value, target)),
                    }
                }
                found
            }
            Value::Array(items) => items
                .iter()
                .flat_map(|item| self.mentioned(item, target))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        }
    }

    /// A property's text, where it is one or a parameter's.
    fn text(&self, id: &str, property: &str) -> Option<String> {
        match self.property(id, property)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Object(members) => {
                let name = members.get("Ref")?.as_str()?;
                let parameters = self.stack.parameters.iter();
                parameters
                    .into_iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.clone())
            }
            Value::Null | Value::Bool(_) | Value::Array(_) => None,
        }
    }

    /// What the resource keeps. Its name is what it is called now, where it has one.
    fn kept(&self, id: &str, name_property: &str, name: fn(&str) -> &str, fixed: &[&str]) -> Kept {
        let named = self.property(id, name_property).is_some();
        let fixed = fixed
            .iter()
            .filter_map(|property| Some(((*property).to_owned(), self.text(id, property)?)));
        Kept {
            logical_id: id.to_owned(),
            name: named.then(|| name(self.physical(id)).to_owned()),
            properties: fixed.collect(),
        }
    }

    fn kept_service(&self, id: &str, cluster: &str) -> Result<Kept, Refusal> {
        let mut kept = self.kept(id, "ServiceName", last_part, &["Cluster", "SchedulingStrategy"]);
        if let Some(found) = kept.property("Cluster").map(|found| last_part(found).to_owned())
            && found != cluster
        {
            return Err(refusal(
                format!("the stack's service runs in cluster {found}, and not in {cluster}"),
                "deploy into the service's own cluster: a service cannot move",
            ));
        }
        // A name is what the template gives anyway; an ARN would change to one.
        kept.properties
            .retain(|name, value| name != "Cluster" || value.starts_with("arn:"));
        Ok(kept)
    }

    /// The stack's one target group and rule go on as those of the service's one rule.
    fn keep_links(&self, service: &ValidService, choices: &mut Choices) {
        let links = service.spec().load_balancers.iter();
        let (Some(group), Some(rule), 1) = (
            self.only(Target::TargetGroup),
            self.only(Target::ListenerRule),
            links.filter(|link| link.listener_rule().is_some()).count(),
        ) else {
            return;
        };
        let kept = self.kept(group, "Name", target_group_name, &["Port"]);
        choices.kept.insert(key(Target::TargetGroup), kept);
        choices
            .kept
            .insert(key(Target::ListenerRule), self.kept(rule, "", whole, &[]));
        let priority = self.text(rule, "Priority").and_then(|text| text.parse().ok());
        if let (Some(listener), Some(priority)) = (listener_of(self.physical(rule)), priority) {
            choices
                .rules
                .insert(rule.to_owned(), RuleChoice { listener, priority });
        }
    }
}

/// `...:listener-rule/app/NAME/ID/LISTENER/RULE` → `...:listener/app/NAME/ID/LISTENER`.
fn listener_of(rule: &str) -> Option<String> {
    let (listener, _) = rule.rsplit_once('/')?;
    Some(listener.replacen(":listener-rule/", ":listener/", 1))
}

/// `...:targetgroup/NAME/ID` → `NAME`.
fn target_group_name(arn: &str) -> &str {
    arn.rsplit('/').nth(1).unwrap_or(arn)
}

fn whole(physical_id: &str) -> &str {
    physical_id
}

fn last_part(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, last)| last)
}

fn family(arn: &str) -> &str {
    let short = last_part(arn);
    short.rsplit_once(':').map_or(short, |(family, _)| family)
}

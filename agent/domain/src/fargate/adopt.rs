//! A stack that Towline did not make → the choices by which its template goes on
//! with what is there: the logical ids, the names, and that there is no name. What
//! the new template does not have is removed; the plan says so, and a plan that
//! would replace or remove the service is refused ([`crate::fargate::plan`]).

mod document;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::fargate::ValidService;
use crate::fargate::choices::{Choices, Kept};
use crate::fargate::validate::Target;
use crate::observed::StackResource;
use crate::verdict::{Reason, Refusal};

/// The choices for taking a stack over. `template` is the stack's own, JSON or YAML.
///
/// # Errors
/// When the template cannot be read, or is not that of this one service.
pub fn choices(
    template: &str,
    resources: &[StackResource],
    service: &ValidService,
) -> Result<Choices, Refusal> {
    let document = document::parse(template).map_err(|error| {
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
    let existing = Existing { declared, resources };
    let mut choices = Choices::default();
    let own = existing.service(&service.spec().name)?;
    choices
        .kept
        .insert(key(Target::Service), existing.kept(own, "ServiceName", last_part));
    let task = existing.referenced(own, "TaskDefinition", Target::TaskDefinition);
    let Some(task) = task.or_else(|| existing.only(Target::TaskDefinition)) else {
        return Ok(choices);
    };
    choices
        .kept
        .insert(key(Target::TaskDefinition), existing.kept(task, "Family", family));
    if service.spec().execution_role.is_none()
        && let Some(role) = existing.referenced(task, "ExecutionRoleArn", Target::ExecutionRole)
    {
        let path = existing
            .property(role, "Path")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let kept = existing.kept(role, "RoleName", whole);
        choices
            .kept
            .insert(key(Target::ExecutionRole), Kept { path, ..kept });
    }
    let group = existing
        .logged_into(task)
        .or_else(|| existing.only(Target::LogGroup));
    if let Some(group) = group {
        choices
            .kept
            .insert(key(Target::LogGroup), existing.kept(group, "LogGroupName", whole));
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
    resources: &'a [StackResource],
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
        let resource = self.resources.iter().find(|resource| resource.logical_id == id);
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

    /// What the resource keeps. Its name is what it is called now, where it has one.
    fn kept(&self, id: &str, name_property: &str, name: fn(&str) -> &str) -> Kept {
        let named = self.property(id, name_property).is_some();
        Kept {
            logical_id: id.to_owned(),
            name: named.then(|| name(self.physical(id)).to_owned()),
            path: None,
        }
    }
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

//! The actions that only look.

use super::{
    change_set_actions,
    model::{Stack, StackStatus, Stacks},
    render,
    request::{self, Params, optional, required},
    template::invalid,
};
use crate::{AwsError, wire::query, world::Region};

type Answer = Result<String, AwsError>;

pub fn describe_stacks(stacks: &Stacks, params: &Params) -> Answer {
    let found: Vec<&Stack> = match optional(params, "StackName") {
        Some(name) => vec![stack(stacks, name)?],
        None => {
            let all = stacks.all.iter().rev();
            all.filter(|stack| stack.status != StackStatus::DeleteComplete)
                .collect()
        }
    };
    Ok(query::members("Stacks", found.into_iter().map(render::stack)))
}

pub fn list_stacks(stacks: &Stacks, params: &Params) -> Answer {
    let wanted = query::list(params, "StackStatusFilter");
    let found = stacks.all.iter().rev();
    let found =
        found.filter(|stack| wanted.is_empty() || wanted.iter().any(|word| word == stack.status.word()));
    Ok(query::members("StackSummaries", found.map(render::stack_summary)))
}

pub fn describe_events(stacks: &Stacks, params: &Params) -> Answer {
    let name = required(params, "StackName")?;
    let stack = stacks
        .find(name)
        .ok_or_else(|| invalid(format!("Stack [{name}] does not exist")))?;
    render::events(stack, optional(params, "NextToken"))
}

pub fn describe_resources(stacks: &Stacks, params: &Params) -> Answer {
    let stack = match (
        optional(params, "StackName"),
        optional(params, "PhysicalResourceId"),
    ) {
        (Some(name), _) => stack(stacks, name)?,
        (None, Some(id)) => {
            let mut holders = stacks.all.iter().rev();
            holders
                .find(|stack| stack.resources.iter().any(|r| r.physical_id == id))
                .ok_or_else(|| invalid(format!("Stack for {id} does not exist")))?
        }
        (None, None) => {
            return Err(invalid(
                "At least one of StackName, PhysicalResourceId must be specified",
            ));
        }
    };
    let logical = optional(params, "LogicalResourceId");
    let resources = stack
        .resources
        .iter()
        .filter(|r| logical.is_none_or(|id| id == r.logical_id));
    Ok(query::members(
        "StackResources",
        resources.map(|r| render::resource(stack, r)),
    ))
}

pub fn list_resources(stacks: &Stacks, params: &Params) -> Answer {
    let stack = stack(stacks, required(params, "StackName")?)?;
    Ok(query::members(
        "StackResourceSummaries",
        stack.resources.iter().map(render::resource_summary),
    ))
}

pub fn get_template(stacks: &Stacks, params: &Params) -> Answer {
    let body = if optional(params, "ChangeSetName").is_some() {
        let (_, change_set) = change_set_actions::find(stacks, params)?;
        change_set.blueprint.template.body.clone()
    } else {
        let stack = stack(stacks, required(params, "StackName")?)?;
        blueprint_of(stack)?.template.body.clone()
    };
    let stages = ["Original", "Processed"].map(str::to_owned);
    Ok(query::element("TemplateBody", &body) + &query::members("StagesAvailable", stages))
}

pub fn template_summary(region: &Region, stacks: &Stacks, params: &Params) -> Answer {
    match optional(params, "StackName") {
        Some(name) => Ok(render::template_summary(
            &blueprint_of(stack(stacks, name)?)?.template,
        )),
        None => Ok(render::template_summary(&request::template(
            region, params, None,
        )?)),
    }
}

pub fn validate_template(region: &Region, params: &Params) -> Answer {
    Ok(render::validation(&request::template(region, params, None)?))
}

fn stack<'a>(stacks: &'a Stacks, name: &str) -> Result<&'a Stack, AwsError> {
    stacks
        .find(name)
        .ok_or_else(|| invalid(format!("Stack with id {name} does not exist")))
}

fn blueprint_of(stack: &Stack) -> Result<&super::model::Blueprint, AwsError> {
    stack.blueprint.as_ref().ok_or_else(|| {
        invalid(format!(
            "Stack [{}] is in {} state and has no template",
            stack.name, stack.status
        ))
    })
}

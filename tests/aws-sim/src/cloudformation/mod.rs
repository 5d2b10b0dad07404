//! AWS CloudFormation: stacks that are made from templates, through change
//! sets or directly, and that wait for what they make.
//!
//! Start at [`call`] (what clients ask) and [`tick`] (how time moves a stack).
//! From there: `template` and `evaluate` read what is wanted, `diff` compares
//! it with what is, `operation` moves a stack from one to the other, and
//! `resource` makes things through the doors of ECS, Logs, IAM and ELB. What
//! always holds: CloudFormation learns whether a service is stable by asking
//! ECS, as any client would; it never looks into another service's state.

mod change_set;
mod change_set_actions;
mod diff;
mod evaluate;
mod kind;
mod model;
mod operation;
mod properties;
mod reads;
mod references;
mod render;
mod request;
mod resource;
mod stack_actions;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use model::Stacks;
use serde_json::{Value, json};

use crate::{
    AwsError,
    world::{CallContext, Region, SimTime},
};

/// Moves every stack on to `now`; called once per step of the clock, after ECS has moved.
pub fn tick(region: &mut Region, now: SimTime) {
    let mut stacks = std::mem::take(&mut region.stacks);
    for stack in &mut stacks.all {
        if change_set::any_unfinished(stack) {
            let pseudo = stack.pseudo(region);
            change_set::advance(stack, &pseudo, now);
        }
        operation::advance(region, stack, now);
    }
    region.stacks = stacks;
}

/// One awsQuery action. The answer is the XML inside `<ActionResult>`.
///
/// # Errors
/// What CloudFormation refuses, in its own words.
pub fn call(
    region: &mut Region,
    ctx: &CallContext,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    let mut stacks = std::mem::take(&mut region.stacks);
    let answer = dispatch(region, &mut stacks, ctx, action, params);
    region.stacks = stacks;
    answer
}

/// Every stack with its status and its resources, for whoever looks at the whole state.
pub fn view(region: &Region) -> Value {
    let stacks = region.stacks.all.iter().map(|stack| {
        let resources = stack.resources.iter();
        let resources = resources.map(|resource| {
            json!({
                "logicalId": resource.logical_id,
                "physicalId": resource.physical_id,
                "type": resource.kind.name(),
                "status": resource.status,
            })
        });
        json!({
            "name": stack.name,
            "id": stack.id,
            "status": stack.status.word(),
            "resources": resources.collect::<Value>(),
        })
    });
    stacks.collect()
}

/// What the effect log names as the subject of a call.
pub fn subject(params: &BTreeMap<String, String>) -> String {
    let of = |name: &str| params.get(name).filter(|value| !value.is_empty());
    let stack = of("StackName").cloned().unwrap_or_default();
    match of("ChangeSetName") {
        Some(change_set) if stack.is_empty() => change_set.clone(),
        Some(change_set) => format!("{stack}/{change_set}"),
        None => stack,
    }
}

fn dispatch(
    region: &mut Region,
    stacks: &mut Stacks,
    ctx: &CallContext,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    match action {
        "CreateChangeSet" => change_set_actions::create(region, stacks, ctx, params),
        "DescribeChangeSet" => change_set_actions::describe(stacks, params),
        "ExecuteChangeSet" => change_set_actions::execute(region, stacks, ctx, params),
        "DeleteChangeSet" => change_set_actions::delete(stacks, params),
        "ListChangeSets" => change_set_actions::list(stacks, params),
        "CreateStack" => stack_actions::create(region, stacks, ctx, params),
        "UpdateStack" => stack_actions::update(region, stacks, ctx, params),
        "DeleteStack" => stack_actions::delete(region, stacks, ctx, params),
        "CancelUpdateStack" => stack_actions::cancel(region, stacks, ctx, params),
        "ContinueUpdateRollback" => stack_actions::continue_rollback(region, stacks, ctx, params),
        "DescribeStacks" => reads::describe_stacks(stacks, params),
        "ListStacks" => reads::list_stacks(stacks, params),
        "DescribeStackEvents" => reads::describe_events(stacks, params),
        "DescribeStackResources" => reads::describe_resources(stacks, params),
        "ListStackResources" => reads::list_resources(stacks, params),
        "GetTemplate" => reads::get_template(stacks, params),
        "GetTemplateSummary" => reads::template_summary(region, stacks, params),
        "ValidateTemplate" => reads::validate_template(region, params),
        other => Err(AwsError::unknown_action(other)),
    }
}

//! AWS CloudFormation.

use std::collections::BTreeMap;

use crate::{
    AwsError,
    world::{CallContext, Region, SimTime},
};

/// The stacks of one account and region.
#[derive(Debug, Default)]
pub struct Stacks {}

/// Moves every stack on to `now`; called once per step of the clock, after ECS has moved.
pub fn tick(_region: &mut Region, _now: SimTime) {}

/// One awsQuery action. The answer is the XML inside `<ActionResult>`.
pub fn call(
    _region: &mut Region,
    _ctx: &CallContext,
    action: &str,
    _params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    Err(AwsError::unknown_action(action))
}

/// What the effect log names as the subject of a call.
pub fn subject(params: &BTreeMap<String, String>) -> String {
    params.get("StackName").cloned().unwrap_or_default()
}

//! Amazon ECS.

use serde_json::Value;

use crate::{
    AwsError,
    world::{CallContext, Region},
};

/// What ECS keeps in one account and region.
#[derive(Debug, Default)]
pub struct Ecs {}

/// One action: the wire's JSON in, the wire's JSON out. CloudFormation makes
/// its resources through this same door.
pub fn call(
    _region: &mut Region,
    _ctx: &CallContext,
    action: &str,
    _input: &Value,
) -> Result<Value, AwsError> {
    Err(AwsError::unknown_action(action))
}

//! Amazon CloudWatch Logs.

use serde_json::Value;

use crate::{
    AwsError,
    world::{CallContext, Region},
};

/// The log groups of one account and region.
#[derive(Debug, Default)]
pub struct Logs {}

/// One action: the wire's JSON in, the wire's JSON out.
pub fn call(
    _region: &mut Region,
    _ctx: &CallContext,
    action: &str,
    _input: &Value,
) -> Result<Value, AwsError> {
    Err(AwsError::unknown_action(action))
}

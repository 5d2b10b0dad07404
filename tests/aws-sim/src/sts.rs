//! AWS STS.

use std::collections::BTreeMap;

use crate::{
    AwsError,
    world::{CallContext, Region},
};

/// One awsQuery action. The answer is the XML inside `<ActionResult>`.
pub fn call(
    _region: &mut Region,
    _ctx: &CallContext,
    action: &str,
    _params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    Err(AwsError::unknown_action(action))
}

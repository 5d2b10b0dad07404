//! The question for values of an account.

use towline_proto::agent::v1::{self as agent, value_source::Source};

use crate::domain::{
    name::{AccountId, Region},
    variable::ValueSource,
};

pub fn read_values(
    account: &AccountId,
    region: &Region,
    sources: &[ValueSource],
) -> agent::ReadValuesRequest {
    let source = |source: &ValueSource| agent::ValueSource {
        source: Some(match source {
            ValueSource::Parameter { name } => Source::Parameter(name.clone()),
            ValueSource::StackOutput { stack, output } => Source::StackOutput(agent::StackOutputSource {
                stack: stack.clone(),
                output: output.clone(),
            }),
        }),
    };
    agent::ReadValuesRequest {
        region: region.to_string(),
        account: account.to_string(),
        sources: sources.iter().map(source).collect(),
    }
}

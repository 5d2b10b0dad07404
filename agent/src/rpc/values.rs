//! Parameters and stack outputs, many in one request: each is found or fails by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::StreamExt as _;
use tonic::Status;
use towline_agent_domain::{
    observed::{
        Stack,
        values::{Parameter, ParameterValue},
    },
    outside::{Account, Answer, CallError},
};
use towline_proto::agent::v1::{
    self as proto, ReadValue, StackOutputSource, ValueFailure, ValueSource, read_value::Result as Outcome,
    value_source::Source,
};

use super::{Agent, violations::Violations};
use crate::time::to_proto;

/// Sources of one request.
const MOST_SOURCES: usize = 500;
/// GetParameters takes ten names a call.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html>
const NAMES_A_CALL: usize = 10;
/// Calls at once.
const CALLS_AT_ONCE: usize = 4;

/// What was read, by name.
#[derive(Default)]
struct Read {
    parameters: HashMap<String, Answer<Parameter>>,
    stacks: HashMap<String, Answer<Option<Stack>>>,
}

impl<A: Account> Agent<A> {
    pub(super) async fn read_values(
        &self,
        request: proto::ReadValuesRequest,
    ) -> Result<proto::ReadValuesResponse, Status> {
        let mut violations = Violations::default();
        self.check_region(&request.region, &mut violations);
        check_sources(&request.sources, &mut violations);
        violations.check()?;
        self.check_account(&request.account)?;
        let read = self.read(&request.region, &request.sources).await;
        let values = request.sources.into_iter().map(|source| ReadValue {
            result: source.source.as_ref().map(|of| self.outcome(of, &read)),
            source: Some(source),
        });
        Ok(proto::ReadValuesResponse {
            values: values.collect(),
        })
    }

    fn check_region(&self, region: &str, violations: &mut Violations) {
        violations.demand("region", region, "\"eu-west-1\"");
        let aws = &self.config.aws;
        if !region.is_empty() && aws.regions.iter().all(|served| served.name != region) {
            let (agent, served) = (&self.config.name, aws.served());
            violations.add(
                "region",
                format!("agent {agent} does not serve {region}; it serves {served}"),
            );
        }
    }

    /// Everything that may be read, each once.
    async fn read(&self, region: &str, sources: &[ValueSource]) -> Read {
        let (mut names, mut stacks) = (BTreeSet::new(), BTreeSet::new());
        for source in sources.iter().filter_map(|source| source.source.as_ref()) {
            match source {
                Source::Parameter(name) if self.allows_parameter(name) => {
                    names.insert(name.clone());
                }
                Source::StackOutput(output) if self.config.values.allows_stack(&output.stack) => {
                    stacks.insert(output.stack.clone());
                }
                _ => {}
            }
        }
        let names: Vec<String> = names.into_iter().collect();
        let calls: Vec<_> = names
            .chunks(NAMES_A_CALL)
            .map(|names| self.some_parameters(region, names))
            .collect();
        let parameters = futures_util::stream::iter(calls)
            .buffer_unordered(CALLS_AT_ONCE)
            .concat();
        let calls: Vec<_> = stacks
            .into_iter()
            .map(|stack| async {
                let found = self.surroundings.aws.stack(region, &stack).await;
                (stack, found)
            })
            .collect();
        let stacks = futures_util::stream::iter(calls)
            .buffer_unordered(CALLS_AT_ONCE)
            .collect();
        let (parameters, stacks): (Vec<_>, HashMap<_, _>) = futures_util::join!(parameters, stacks);
        Read {
            parameters: parameters.into_iter().collect(),
            stacks,
        }
    }

    fn allows_parameter(&self, name: &str) -> bool {
        let account = &self.surroundings.account_id;
        self.config.values.allows_parameter(name, account)
    }

    /// One call; and one for each where AWS refuses them together, for the sake of one.
    async fn some_parameters(&self, region: &str, names: &[String]) -> Vec<(String, Answer<Parameter>)> {
        let aws = &self.surroundings.aws;
        match aws.parameters(region, names).await {
            Ok(found) => by_name(names, &found),
            Err(CallError::Denied { .. } | CallError::Refused { .. }) if names.len() > 1 => {
                let mut each = Vec::new();
                for name in names {
                    each.extend(Box::pin(self.some_parameters(region, std::slice::from_ref(name))).await);
                }
                each
            }
            Err(error) => names
                .iter()
                .map(|name| (name.clone(), Err(error.clone())))
                .collect(),
        }
    }

    fn outcome(&self, source: &Source, read: &Read) -> Outcome {
        match source {
            Source::Parameter(name) => match read.parameters.get(name) {
                Some(answer) => of_parameter(name, answer),
                None => Outcome::Failure(not_allowed(&format!("parameter {name}"), name)),
            },
            Source::StackOutput(output) => match read.stacks.get(&output.stack) {
                Some(answer) => of_output(output, answer),
                None => {
                    let entry = format!("stack:{}", output.stack);
                    Outcome::Failure(not_allowed(&format!("outputs of stack {}", output.stack), &entry))
                }
            },
        }
    }
}

fn by_name(names: &[String], found: &[Parameter]) -> Vec<(String, Answer<Parameter>)> {
    let of: BTreeMap<&str, &Parameter> = found.iter().map(|one| (one.asked.as_str(), one)).collect();
    let answer = |name: &String| match of.get(name.as_str()) {
        Some(found) => Ok((*found).clone()),
        None => Err(CallError::Missing {
            what: format!("parameter {name}"),
        }),
    };
    names.iter().map(|name| (name.clone(), answer(name))).collect()
}

fn check_sources(sources: &[ValueSource], violations: &mut Violations) {
    if sources.len() > MOST_SOURCES {
        violations.add(
            "sources",
            format!("{} are more than {MOST_SOURCES}", sources.len()),
        );
    }
    for (at, source) in sources.iter().enumerate() {
        let field = |member: &str| format!("sources[{at}].{member}");
        match &source.source {
            None => violations.add(
                format!("sources[{at}]"),
                "names neither a parameter nor a stack's output",
            ),
            Some(Source::Parameter(name)) => {
                violations.demand(&field("parameter"), name, "\"/shop/db-host\"")
            }
            Some(Source::StackOutput(output)) => {
                violations.demand(&field("stack_output.stack"), &output.stack, "\"network\"");
                violations.demand(&field("stack_output.output"), &output.output, "\"DbHost\"");
            }
        }
    }
}

fn of_parameter(name: &str, answer: &Answer<Parameter>) -> Outcome {
    match answer {
        Ok(Parameter {
            value: ParameterValue::Plain(value),
            version,
            changed,
            ..
        }) => Outcome::Found(proto::FoundValue {
            value: value.clone(),
            version: *version,
            update_time: changed.map(to_proto),
        }),
        Ok(Parameter {
            value: ParameterValue::Secret,
            ..
        }) => failed(
            "secure_string",
            format!("parameter {name} is a SecureString, and secrets are not read"),
            "give it to the container by reference: its ARN under secrets",
        ),
        Err(CallError::Missing { .. }) => failed(
            "not_found",
            format!("there is no parameter {name} in this account and region"),
            "compare its whole name with Systems Manager's parameter store",
        ),
        Err(error) => unread(&format!("parameter {name}"), error, "ssm:GetParameters"),
    }
}

fn of_output(source: &StackOutputSource, answer: &Answer<Option<Stack>>) -> Outcome {
    let StackOutputSource { stack: name, output } = source;
    let stack = match answer {
        Ok(Some(stack)) if stack.status != "DELETE_COMPLETE" => stack,
        Ok(_) => {
            return failed(
                "stack_not_found",
                format!("there is no stack {name} in this account and region"),
                "compare its name with CloudFormation",
            );
        }
        Err(error) => return unread(&format!("stack {name}"), error, "cloudformation:DescribeStacks"),
    };
    // After an update, while CloudFormation cleans up, the outputs are the new ones.
    if stack.status.ends_with("_IN_PROGRESS") && stack.status != "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" {
        return failed(
            "stack_not_settled",
            format!("stack {name} is {}, and its outputs may change", stack.status),
            "try again when it is done",
        );
    }
    match stack.outputs.iter().find(|(key, _)| key == output) {
        Some((_, value)) => Outcome::Found(proto::FoundValue {
            value: value.clone(),
            version: 0,
            update_time: None,
        }),
        None => {
            let keys: Vec<&str> = stack.outputs.iter().map(|(key, _)| key.as_str()).collect();
            let has = match keys.as_slice() {
                [] => "none".to_owned(),
                keys => keys.join(", "),
            };
            failed(
                "output_not_found",
                format!("stack {name} has no output {output}; it has {has}"),
                "output keys are exact",
            )
        }
    }
}

fn unread(what: &str, error: &CallError, action: &str) -> Outcome {
    match error {
        CallError::Denied { message } => failed(
            "access_denied",
            format!("the agent may not read {what}: {message}"),
            &format!("its IAM role needs {action} for it"),
        ),
        CallError::Throttled { .. } | CallError::Unknown { .. } => failed(
            "unreachable",
            format!("cannot read {what}: {error}"),
            "try again in a moment",
        ),
        error => failed(
            "invalid",
            format!("AWS does not take {what}: {error}"),
            "the words of AWS name the cause",
        ),
    }
}

fn not_allowed(what: &str, entry: &str) -> ValueFailure {
    ValueFailure {
        reason: "not_allowed".to_owned(),
        message: format!("the agent's file does not let it read {what}"),
        hint: format!("on the agent's machine, add {entry:?} to allow under [values] in agent.toml"),
    }
}

fn failed(reason: &str, message: impl Into<String>, hint: &str) -> Outcome {
    Outcome::Failure(ValueFailure {
        reason: reason.to_owned(),
        message: message.into(),
        hint: hint.to_owned(),
    })
}

//! AWS CloudFormation, reads.

use aws_config::retry::RetryConfig;
use aws_sdk_cloudformation::{config, types};
use towline_agent_domain::observed::{Stack, StackEvent, StackResource};
use towline_agent_domain::outside::{Answer, CallError, Stacks};
use towline_agent_domain::rollout::budget::{Group, Purpose};

use crate::Aws;
use crate::call::{absent_as_none, answer};
use crate::observe::{self, text};

/// Pages of deleted stacks, of all names, that are looked through.
const MOST_PAGES: usize = 10;

/// A stack's events are read back to at most this many.
const MOST_EVENTS: usize = 500;

/// For one read: the budget sends it again, in its turn, where the SDK would have.
pub(crate) fn once() -> config::Builder {
    config::Config::builder().retry_config(RetryConfig::disabled())
}

impl Stacks for Aws {
    async fn stack(&self, region: &str, stack: &str) -> Answer<Option<Stack>> {
        let call = self
            .inner
            .clients
            .cloudformation(region)
            .describe_stacks()
            .stack_name(stack);
        let sent = self
            .budgets()
            .read(region, Group::StackReads, Purpose::Acting, || {
                call.clone().customize().config_override(once()).send()
            });
        let described = absent_as_none(answer(sent.await, &format!("stack {stack}")))?;
        Ok(described.and_then(|described| described.stacks().first().map(observed)))
    }

    async fn deleted_stacks(&self, region: &str, name: &str) -> Answer<Vec<String>> {
        let call = self
            .inner
            .clients
            .cloudformation(region)
            .list_stacks()
            .stack_status_filter(types::StackStatus::DeleteComplete);
        let (mut found, mut next) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = call.clone().set_next_token(next);
            let sent = self
                .budgets()
                .read(region, Group::StackReads, Purpose::Acting, || {
                    call.clone().customize().config_override(once()).send()
                });
            let page = answer(sent.await, "the list of deleted stacks")?;
            let of_name = page.stack_summaries().iter();
            let of_name = of_name.filter(|stack| stack.stack_name() == Some(name));
            found.extend(of_name.map(|stack| {
                let deleted = observe::time(stack.deletion_time().or(stack.creation_time()));
                (deleted, text(stack.stack_id()))
            }));
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        found.sort_by_key(|(deleted, _)| std::cmp::Reverse(*deleted));
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }

    async fn stack_events(&self, region: &str, stack: &str, until: Option<&str>) -> Answer<Vec<StackEvent>> {
        let call = self
            .inner
            .clients
            .cloudformation(region)
            .describe_stack_events()
            .stack_name(stack);
        let (mut events, mut next) = (Vec::new(), None);
        loop {
            let call = call.clone().set_next_token(next);
            let sent = self
                .budgets()
                .read(region, Group::StackReads, Purpose::Watching, || {
                    call.clone().customize().config_override(once()).send()
                });
            let page = answer(sent.await, &format!("stack {stack}"))?;
            for event in page.stack_events() {
                if until.is_some() && event.event_id() == until || events.len() >= MOST_EVENTS {
                    return Ok(events);
                }
                events.push(observed_event(event));
            }
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(events);
            }
        }
    }

    async fn stack_resources(&self, region: &str, stack: &str) -> Answer<Vec<StackResource>> {
        let call = self
            .inner
            .clients
            .cloudformation(region)
            .describe_stack_resources()
            .stack_name(stack);
        let sent = self
            .budgets()
            .read(region, Group::StackReads, Purpose::Acting, || {
                call.clone().customize().config_override(once()).send()
            });
        let described = answer(sent.await, &format!("stack {stack}"))?;
        let resource = |resource: &types::StackResource| StackResource {
            logical_id: text(resource.logical_resource_id()),
            physical_id: text(resource.physical_resource_id()),
            resource_type: text(resource.resource_type()),
            status: resource
                .resource_status()
                .map(|s| s.as_str().to_owned())
                .unwrap_or_default(),
        };
        Ok(described.stack_resources().iter().map(resource).collect())
    }

    async fn template_body(&self, region: &str, stack: &str) -> Answer<Option<String>> {
        let call = self
            .inner
            .clients
            .cloudformation(region)
            .get_template()
            .stack_name(stack)
            .template_stage(types::TemplateStage::Original);
        let sent = self
            .budgets()
            .read(region, Group::StackReads, Purpose::Acting, || {
                call.clone().customize().config_override(once()).send()
            });
        match answer(sent.await, &format!("stack {stack}")) {
            Ok(found) => Ok(found.template_body().map(str::to_owned)),
            Err(CallError::Missing { .. }) => Ok(None),
            // A stack of which no change set was executed yet has no template.
            Err(CallError::Refused { message, .. }) if message.contains("REVIEW_IN_PROGRESS") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn observed(stack: &types::Stack) -> Stack {
    let output = |output: &types::Output| (text(output.output_key()), text(output.output_value()));
    Stack {
        id: text(stack.stack_id()),
        name: text(stack.stack_name()),
        status: stack
            .stack_status()
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        status_reason: text(stack.stack_status_reason()),
        parameters: stack
            .parameters()
            .iter()
            .map(|parameter| (text(parameter.parameter_key()), text(parameter.parameter_value())))
            .collect(),
        outputs: stack.outputs().iter().map(output).collect(),
        tags: stack
            .tags()
            .iter()
            .map(|tag| (text(tag.key()), text(tag.value())))
            .collect(),
        updated: stack
            .last_updated_time()
            .or(stack.creation_time())
            .map(|at| observe::time(Some(at))),
    }
}

fn observed_event(event: &types::StackEvent) -> StackEvent {
    StackEvent {
        id: text(event.event_id()),
        logical_id: text(event.logical_resource_id()),
        physical_id: text(event.physical_resource_id()),
        resource_type: text(event.resource_type()),
        status: event
            .resource_status()
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        reason: text(event.resource_status_reason()),
        token: event.client_request_token().map(str::to_owned),
        at: observe::time(event.timestamp()),
    }
}

//! AWS CloudFormation, changes. Each carries a token by which CloudFormation
//! deduplicates, so the SDK may retry them; reads wait for their turn in the budget.

use aws_sdk_cloudformation::types::{self, Capability, ChangeSetType, Parameter, Tag};
use towline_agent_domain::observed::{ChangeSet, ListedChangeSet, PropertyChange, ResourceChange};
use towline_agent_domain::outside::{Answer, ChangeSetRequest, StackChanges, TemplateSource};
use towline_agent_domain::rollout::budget::{Group, Purpose};

use crate::Aws;
use crate::call::answer;
use crate::observe::{text, time};
use crate::stacks::once;

impl Aws {
    fn cloudformation(&self, region: &str) -> aws_sdk_cloudformation::Client {
        self.inner.clients.cloudformation(region)
    }
}

impl StackChanges for Aws {
    async fn create_change_set(&self, request: &ChangeSetRequest) -> Answer<()> {
        let parameter = |(key, value): &(String, String)| {
            Parameter::builder()
                .parameter_key(key)
                .parameter_value(value)
                .build()
        };
        let tag = |(key, value): &(String, String)| Tag::builder().key(key).value(value).build();
        let kind = if request.creates_stack {
            ChangeSetType::Create
        } else {
            ChangeSetType::Update
        };
        let (body, url) = match &request.template {
            TemplateSource::Inline(text) => (Some(text.clone()), None),
            TemplateSource::Stored(url) => (None, Some(url.clone())),
        };
        let call = self
            .cloudformation(&request.region)
            .create_change_set()
            .stack_name(&request.stack_name)
            .change_set_name(&request.change_set_name)
            .change_set_type(kind)
            .set_template_body(body)
            .set_template_url(url)
            .set_parameters(Some(request.parameters.iter().map(parameter).collect()))
            .set_tags(Some(request.tags.iter().map(tag).collect()))
            // Includes CAPABILITY_IAM; a stack that was taken over may name its roles.
            .capabilities(Capability::CapabilityNamedIam)
            .set_role_arn(request.role_arn.clone())
            .client_token(&request.token);
        answer(call.send().await, &format!("stack {}", request.stack_name)).map(drop)
    }

    async fn change_set(&self, region: &str, stack: &str, change_set: &str) -> Answer<ChangeSet> {
        let mut found = ChangeSet {
            status: String::new(),
            status_reason: String::new(),
            execution_status: String::new(),
            changes: Vec::new(),
        };
        let mut next = None;
        loop {
            let call = self
                .cloudformation(region)
                .describe_change_set()
                .stack_name(stack)
                .change_set_name(change_set)
                .include_property_values(true)
                .set_next_token(next);
            let sent = self
                .budgets()
                .read(region, Group::StackReads, Purpose::Acting, || {
                    call.clone().customize().config_override(once()).send()
                });
            let page = answer(sent.await, &format!("change set {change_set}"))?;
            found.status = page
                .status()
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default();
            found.status_reason = text(page.status_reason());
            found.execution_status = page
                .execution_status()
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default();
            found.changes.extend(
                page.changes()
                    .iter()
                    .filter_map(|c| c.resource_change())
                    .map(change),
            );
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    async fn change_sets(&self, region: &str, stack: &str) -> Answer<Vec<ListedChangeSet>> {
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let call = self
                .cloudformation(region)
                .list_change_sets()
                .stack_name(stack)
                .set_next_token(next);
            let sent = self
                .budgets()
                .read(region, Group::StackReads, Purpose::Acting, || {
                    call.clone().customize().config_override(once()).send()
                });
            let page = answer(sent.await, &format!("stack {stack}"))?;
            found.extend(page.summaries().iter().map(listed));
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    async fn execute_change_set(
        &self,
        region: &str,
        stack: &str,
        change_set: &str,
        token: &str,
    ) -> Answer<()> {
        let call = self
            .cloudformation(region)
            .execute_change_set()
            .stack_name(stack)
            .change_set_name(change_set)
            .client_request_token(token);
        answer(call.send().await, &format!("change set {change_set}")).map(drop)
    }

    async fn delete_change_set(&self, region: &str, stack: &str, change_set: &str) -> Answer<()> {
        let call = self
            .cloudformation(region)
            .delete_change_set()
            .stack_name(stack)
            .change_set_name(change_set);
        answer(call.send().await, &format!("change set {change_set}")).map(drop)
    }

    async fn cancel_update(&self, region: &str, stack: &str, token: &str) -> Answer<()> {
        let call = self
            .cloudformation(region)
            .cancel_update_stack()
            .stack_name(stack)
            .client_request_token(token);
        answer(call.send().await, &format!("stack {stack}")).map(drop)
    }

    async fn continue_rollback(
        &self,
        region: &str,
        stack: &str,
        role_arn: Option<&str>,
        token: &str,
    ) -> Answer<()> {
        let call = self
            .cloudformation(region)
            .continue_update_rollback()
            .stack_name(stack)
            .set_role_arn(role_arn.map(str::to_owned))
            .client_request_token(token);
        answer(call.send().await, &format!("stack {stack}")).map(drop)
    }

    async fn delete_stack(&self, region: &str, stack: &str, token: &str) -> Answer<()> {
        let call = self
            .cloudformation(region)
            .delete_stack()
            .stack_name(stack)
            .client_request_token(token);
        answer(call.send().await, &format!("stack {stack}")).map(drop)
    }
}

fn listed(summary: &types::ChangeSetSummary) -> ListedChangeSet {
    ListedChangeSet {
        name: text(summary.change_set_name()),
        status: word(summary.status(), |status| status.as_str()),
        execution_status: word(summary.execution_status(), |status| status.as_str()),
        created: time(summary.creation_time()),
    }
}

fn change(change: &types::ResourceChange) -> ResourceChange {
    ResourceChange {
        action: word(change.action(), |action| action.as_str()),
        logical_id: text(change.logical_resource_id()),
        physical_id: text(change.physical_resource_id()),
        resource_type: text(change.resource_type()),
        replacement: word(change.replacement(), |replacement| replacement.as_str()),
        policy_action: word(change.policy_action(), |action| action.as_str()),
        details: change.details().iter().map(detail).collect(),
    }
}

fn detail(detail: &types::ResourceChangeDetail) -> PropertyChange {
    let target = detail.target();
    let said = |of: fn(&types::ResourceTargetDefinition) -> Option<&str>| target.and_then(of);
    PropertyChange {
        attribute: word(target.and_then(|target| target.attribute()), |one| one.as_str()),
        name: text(said(|target| target.name())),
        path: text(said(|target| target.path())),
        requires_recreation: word(target.and_then(|target| target.requires_recreation()), |one| {
            one.as_str()
        }),
        evaluation: word(detail.evaluation(), |one| one.as_str()),
        source: word(detail.change_source(), |one| one.as_str()),
        cause: text(detail.causing_entity()),
        before: said(|target| target.before_value()).map(str::to_owned),
        after: said(|target| target.after_value()).map(str::to_owned),
    }
}

/// CloudFormation's own word for a closed choice; empty when it did not say.
fn word<T>(value: Option<&T>, text: impl Fn(&T) -> &str) -> String {
    value.map(|value| text(value).to_owned()).unwrap_or_default()
}

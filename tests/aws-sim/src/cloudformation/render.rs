//! The answers' XML, member by member as the service model of
//! CloudFormation (botocore's `cloudformation/2010-05-15`) names them.

mod changes;

use super::{
    change_set::ChangeSet,
    model::{Blueprint, Event, Resource, Stack, Tags},
    operation::OnFailure,
    template::{Parameter, Template, invalid},
};
use crate::{AwsError, wire::query, world::SimTime};

/// Events on one page. AWS's pages are not of a documented size; these are
/// small, so that whoever reads long histories has to page.
const EVENTS_ON_A_PAGE: usize = 40;

/// Changes on one page.
const CHANGES_ON_A_PAGE: usize = 4;

/// One element of `Stacks`.
pub fn stack(stack: &Stack) -> String {
    let blueprint = stack.blueprint.as_ref();
    [
        query::element("StackId", &stack.id),
        query::element("StackName", &stack.name),
        maybe("ChangeSetId", stack.executed.as_deref()),
        maybe(
            "Description",
            blueprint.and_then(|b| b.template.description.as_deref()),
        ),
        blueprint.map(parameters).unwrap_or_default(),
        time("CreationTime", Some(stack.created)),
        time("DeletionTime", stack.deleted),
        time("LastUpdatedTime", stack.updated),
        query::wrap("RollbackConfiguration", ""),
        query::element("StackStatus", stack.status.word()),
        maybe("StackStatusReason", stack.status_reason.as_deref()),
        query::element("DisableRollback", &stack.keeps_failures.to_string()),
        query::members("NotificationARNs", []),
        query::members(
            "Capabilities",
            blueprint.map(|b| b.capabilities.clone()).unwrap_or_default(),
        ),
        outputs(stack),
        maybe("RoleARN", blueprint.and_then(|b| b.role_arn.as_deref())),
        tags(blueprint.map(|b| &b.tags)),
        query::element("EnableTerminationProtection", &stack.is_protected.to_string()),
        drift("StackDriftStatus"),
    ]
    .concat()
}

/// One element of `StackSummaries`.
pub fn stack_summary(stack: &Stack) -> String {
    let description = stack
        .blueprint
        .as_ref()
        .and_then(|b| b.template.description.as_deref());
    [
        query::element("StackId", &stack.id),
        query::element("StackName", &stack.name),
        maybe("TemplateDescription", description),
        time("CreationTime", Some(stack.created)),
        time("LastUpdatedTime", stack.updated),
        time("DeletionTime", stack.deleted),
        query::element("StackStatus", stack.status.word()),
        maybe("StackStatusReason", stack.status_reason.as_deref()),
        drift("StackDriftStatus"),
    ]
    .concat()
}

/// A page of the stack's events, newest first.
///
/// # Errors
/// `ValidationError` for a token that this stack never gave.
pub fn events(stack: &Stack, token: Option<&str>) -> Result<String, AwsError> {
    // The token counts from the oldest event, so new ones do not shift a page.
    let end = place(token, stack.events.len())?;
    let start = end.saturating_sub(EVENTS_ON_A_PAGE);
    let page = stack.events.get(start..end).unwrap_or_default();
    let next = (start > 0).then(|| start.to_string());
    let events = query::members("StackEvents", page.iter().rev().map(|found| event(stack, found)));
    Ok(events + &maybe("NextToken", next.as_deref()))
}

fn event(stack: &Stack, event: &Event) -> String {
    [
        query::element("StackId", &stack.id),
        query::element("EventId", &event.id),
        query::element("StackName", &stack.name),
        maybe("OperationId", event.operation_id.as_deref()),
        query::element("LogicalResourceId", &event.logical_id),
        query::element("PhysicalResourceId", &event.physical_id),
        query::element("ResourceType", event.resource_type),
        time("Timestamp", Some(event.at)),
        query::element("ResourceStatus", event.status),
        maybe("ResourceStatusReason", event.reason.as_deref()),
        maybe("ResourceProperties", event.properties.as_deref()),
        maybe("ClientRequestToken", event.token.as_deref()),
    ]
    .concat()
}

/// One element of `StackResources`.
pub fn resource(stack: &Stack, resource: &Resource) -> String {
    [
        query::element("StackName", &stack.name),
        query::element("StackId", &stack.id),
        identity(resource),
        time("Timestamp", Some(resource.at)),
        query::element("ResourceStatus", resource.status),
        maybe("ResourceStatusReason", resource.status_reason.as_deref()),
        drift("StackResourceDriftStatus"),
    ]
    .concat()
}

/// One element of `StackResourceSummaries`.
pub fn resource_summary(resource: &Resource) -> String {
    [
        identity(resource),
        time("LastUpdatedTimestamp", Some(resource.at)),
        query::element("ResourceStatus", resource.status),
        maybe("ResourceStatusReason", resource.status_reason.as_deref()),
        drift("StackResourceDriftStatus"),
    ]
    .concat()
}

fn identity(resource: &Resource) -> String {
    let physical = Some(resource.physical_id.as_str()).filter(|id| !id.is_empty());
    query::element("LogicalResourceId", &resource.logical_id)
        + &maybe("PhysicalResourceId", physical)
        + &query::element("ResourceType", resource.kind.name())
}

/// DescribeChangeSet's answer, a page of its changes.
///
/// # Errors
/// `ValidationError` for a token that was never given.
pub fn change_set(
    stack: &Stack,
    found: &ChangeSet,
    token: Option<&str>,
    has_values: bool,
) -> Result<String, AwsError> {
    let start = token.map_or(Ok(0), |token| place(Some(token), found.changes.len()))?;
    let end = found.changes.len().min(start + CHANGES_ON_A_PAGE);
    let page = found.changes.get(start..end).unwrap_or_default();
    let next = (end < found.changes.len()).then(|| end.to_string());
    let on_failure = found.on_failure.map(|chosen| match chosen {
        OnFailure::Keep => "DO_NOTHING",
        OnFailure::RollBack => "ROLLBACK",
        OnFailure::Delete => "DELETE",
    });
    Ok([
        query::element("ChangeSetName", &found.name),
        query::element("ChangeSetId", &found.id),
        query::element("StackId", &stack.id),
        query::element("StackName", &stack.name),
        maybe("Description", found.description.as_deref()),
        parameters(&found.blueprint),
        time("CreationTime", Some(found.created)),
        query::element("ExecutionStatus", found.execution.word()),
        query::element("Status", found.status.word()),
        maybe("StatusReason", found.status_reason.as_deref()),
        query::members("NotificationARNs", []),
        query::wrap("RollbackConfiguration", ""),
        query::members("Capabilities", found.blueprint.capabilities.clone()),
        tags(Some(&found.blueprint.tags)),
        query::members("Changes", page.iter().map(|one| changes::change(one, has_values))),
        maybe("NextToken", next.as_deref()),
        query::element("IncludeNestedStacks", "false"),
        maybe("OnStackFailure", on_failure),
    ]
    .concat())
}

/// ListChangeSets' answer.
pub fn change_set_summaries(stack: &Stack) -> String {
    let summary = |found: &ChangeSet| {
        [
            query::element("StackId", &stack.id),
            query::element("StackName", &stack.name),
            query::element("ChangeSetId", &found.id),
            query::element("ChangeSetName", &found.name),
            query::element("ExecutionStatus", found.execution.word()),
            query::element("Status", found.status.word()),
            maybe("StatusReason", found.status_reason.as_deref()),
            time("CreationTime", Some(found.created)),
            maybe("Description", found.description.as_deref()),
            query::element("IncludeNestedStacks", "false"),
        ]
        .concat()
    };
    query::members("Summaries", stack.change_sets.iter().map(summary))
}

/// GetTemplateSummary's answer.
pub fn template_summary(template: &Template) -> String {
    let mut types: Vec<String> = Vec::new();
    for resource in &template.resources {
        if !types.iter().any(|known| known == resource.kind.name()) {
            types.push(resource.kind.name().to_owned());
        }
    }
    let metadata = template.metadata.as_ref().map(ToString::to_string);
    [
        query::members(
            "Parameters",
            template.parameters.iter().map(|p| declaration(p, true)),
        ),
        maybe("Description", template.description.as_deref()),
        capabilities(template),
        query::members("ResourceTypes", types),
        maybe("Version", Some("2010-09-09")),
        maybe("Metadata", metadata.as_deref()),
        query::members("DeclaredTransforms", []),
    ]
    .concat()
}

/// ValidateTemplate's answer.
pub fn validation(template: &Template) -> String {
    [
        query::members(
            "Parameters",
            template.parameters.iter().map(|p| declaration(p, false)),
        ),
        maybe("Description", template.description.as_deref()),
        capabilities(template),
        query::members("DeclaredTransforms", []),
    ]
    .concat()
}

fn declaration(parameter: &Parameter, is_summary: bool) -> String {
    let constraints = query::members(
        "AllowedValues",
        parameter.allowed.iter().map(|value| query::escape(value)),
    );
    let summary = [
        query::element("ParameterType", &parameter.kind),
        query::wrap("ParameterConstraints", &constraints),
    ];
    [
        query::element("ParameterKey", &parameter.name),
        maybe("DefaultValue", parameter.default.as_deref()),
        query::element("NoEcho", &parameter.no_echo.to_string()),
        maybe("Description", parameter.description.as_deref()),
        if is_summary {
            summary.concat()
        } else {
            String::new()
        },
    ]
    .concat()
}

fn capabilities(template: &Template) -> String {
    let Some((capability, types)) = template.needed_capability() else {
        return query::members("Capabilities", []);
    };
    let reason = format!(
        "The following resource(s) require capabilities: [{}]",
        types.join(", ")
    );
    query::members("Capabilities", [capability.to_owned()]) + &query::element("CapabilitiesReason", &reason)
}

fn parameters(blueprint: &Blueprint) -> String {
    let shown = blueprint.parameters.iter().map(|(key, value)| {
        let is_hidden = blueprint
            .template
            .parameter(key)
            .is_some_and(|declared| declared.no_echo);
        let value = if is_hidden { "****" } else { value };
        query::element("ParameterKey", key) + &query::element("ParameterValue", value)
    });
    query::members("Parameters", shown)
}

fn outputs(stack: &Stack) -> String {
    let given = stack.outputs.iter().map(|given| {
        [
            query::element("OutputKey", &given.name),
            query::element("OutputValue", &given.value),
            maybe("Description", given.description.as_deref()),
            maybe("ExportName", given.export.as_deref()),
        ]
        .concat()
    });
    query::members("Outputs", given)
}

fn tags(tags: Option<&Tags>) -> String {
    let tags = tags.into_iter().flatten();
    let tags = tags.map(|(key, value)| query::element("Key", key) + &query::element("Value", value));
    query::members("Tags", tags)
}

fn drift(member: &str) -> String {
    query::wrap("DriftInformation", &query::element(member, "NOT_CHECKED"))
}

fn time(name: &str, at: Option<SimTime>) -> String {
    at.map(|at| query::element(name, &at.iso())).unwrap_or_default()
}

fn maybe(name: &str, text: Option<&str>) -> String {
    text.map(|text| query::element(name, text)).unwrap_or_default()
}

fn place(token: Option<&str>, longest: usize) -> Result<usize, AwsError> {
    let Some(token) = token else {
        return Ok(longest);
    };
    let place: Option<usize> = token.parse().ok();
    place
        .filter(|place| *place <= longest)
        .ok_or_else(|| invalid("Invalid NextToken"))
}

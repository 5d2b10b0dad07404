//! What CloudFormation would try and could not do, and what would hurt.

use serde_json::Value;

use super::Subject;
use super::detail::{because, perhaps_because};
use crate::fargate::preflight::{Finding, Severity};
use crate::observed::{ChangeSet, ResourceChange};

const SERVICE: &str = "AWS::ECS::Service";

/// Gravest first.
pub(super) fn findings(subject: &Subject<'_>, change_set: &ChangeSet) -> Vec<Finding> {
    let mut findings: Vec<Finding> = change_set
        .changes
        .iter()
        .filter_map(|change| finding(subject, change))
        .collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn finding(subject: &Subject<'_>, change: &ResourceChange) -> Option<Finding> {
    match (
        change.resource_type.as_str(),
        change.action.as_str(),
        change.replacement.as_str(),
    ) {
        (SERVICE, "Remove", _) => Some(removed(subject, change)),
        (SERVICE, "Modify", "True") => Some(replaced(subject, change)),
        (SERVICE, "Modify", "Conditional") => Some(perhaps_replaced(subject, change)),
        ("AWS::ElasticLoadBalancingV2::TargetGroup", "Modify", "True") => Some(Finding {
            severity: Severity::Warning,
            reason: "target_group_replaced",
            message: format!(
                "{} is replaced ({}): the service's tasks move to a new target group",
                change.logical_id,
                because(change, "Always")
            ),
            hint: "requests are answered by the old tasks until the new ones are healthy".to_owned(),
        }),
        (kind, "Remove", _) if subject.adopts => Some(Finding {
            severity: Severity::Warning,
            reason: "adopted_resource_removed",
            message: format!(
                "{} ({kind}) of the stack is not part of the service, and goes",
                change.logical_id
            ),
            hint: "when it is still needed, keep it in another stack first, or do not adopt this one"
                .to_owned(),
        }),
        _ => None,
    }
}

fn removed(subject: &Subject<'_>, change: &ResourceChange) -> Finding {
    let reason = if subject.adopts {
        "adopt_removes_service"
    } else {
        "service_removed"
    };
    Finding {
        severity: Severity::Error,
        reason,
        message: format!(
            "the update would remove service {} ({}) from stack {}",
            change.logical_id, change.physical_id, subject.stack_name
        ),
        hint:
            "compare the service's name and the stack's; a stack with several services cannot be taken over"
                .to_owned(),
    }
}

/// CloudFormation itself does not know before it runs.
fn perhaps_replaced(subject: &Subject<'_>, change: &ResourceChange) -> Finding {
    let (service, why) = (subject.service, perhaps_because(change));
    if subject.adopts {
        return Finding {
            severity: Severity::Error,
            reason: "adopt_may_replace_service",
            message: format!(
                "taking the stack over may replace service {service}: CloudFormation decides that while it runs, \
                 because {why} would change"
            ),
            hint: format!("give the specification what the stack has now ({why}), then change it later"),
        };
    }
    let hint = if is_named(subject, change) {
        "a service with a name cannot be replaced; if CloudFormation tries, the update fails and is taken back"
    } else {
        "if it is, a new service is made, then the old one goes: everything that knows it by name or ARN must follow"
    };
    Finding {
        severity: Severity::Warning,
        reason: "service_may_be_replaced",
        message: format!(
            "CloudFormation decides while it runs whether service {service} is replaced ({why})"
        ),
        hint: hint.to_owned(),
    }
}

/// Whether the service that is wanted has a name of its own, which no second one can have.
fn is_named(subject: &Subject<'_>, change: &ResourceChange) -> bool {
    subject
        .wanted
        .resources()
        .get(&change.logical_id)
        .and_then(|resource| resource.get("Properties")?.get("ServiceName"))
        .is_some_and(Value::is_string)
}

fn replaced(subject: &Subject<'_>, change: &ResourceChange) -> Finding {
    let why = because(change, "Always");
    let service = subject.service;
    if subject.adopts {
        return Finding {
            severity: Severity::Error,
            reason: "adopt_replaces_service",
            message: format!(
                "taking the stack over would replace service {service}, because {why} would change"
            ),
            hint: format!("give the specification what the stack has now ({why}), then change it later"),
        };
    }
    let renamed = change.details.iter().any(|detail| detail.name == "ServiceName");
    if is_named(subject, change) && !renamed {
        return Finding {
            severity: Severity::Error,
            reason: "named_service_replaced",
            message: format!(
                "{why} of service {service} cannot change: CloudFormation would have to replace the service, \
                 and one with a name of its own it cannot replace"
            ),
            hint: format!(
                "leave {why} as it is; or deploy under another name, move the traffic, and delete stack {}",
                subject.stack_name
            ),
        };
    }
    Finding {
        severity: Severity::Warning,
        reason: "service_replaced",
        message: format!(
            "service {service} is replaced, because {why} changes: a new one is made, then the old one goes"
        ),
        hint: "both run for a while; everything that knows the old service by name or ARN must follow"
            .to_owned(),
    }
}

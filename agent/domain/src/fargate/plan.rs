//! A change set → what a person needs to know, and a hash of it. The same change
//! has the same hash whenever it is looked at; Towline's own metadata does not
//! count. Start with [`of_change_set`]; [`translate`] says what each resource's
//! change means.

mod detail;
mod refused;
#[cfg(test)]
mod tests;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use self::detail::translate;
use crate::fargate::preflight::Finding;
use crate::fargate::template::Template;
use crate::observed::{ChangeSet, TaskDefinitionArn};

/// What a deployment would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub action: PlanAction,
    /// SHA-256, in hexadecimal, over the changes and the template without its metadata.
    pub hash: String,
    /// One sentence for a person.
    pub summary: String,
    pub stack_name: String,
    /// By logical id.
    pub changes: Vec<PlannedChange>,
    /// Gravest first.
    pub findings: Vec<Finding>,
    /// The service runs something else than its stack says.
    pub drifted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanAction {
    Create,
    Update,
    /// Nothing to do.
    Unchanged,
    /// The stack is as asked, the service is not: one UpdateService puts it back.
    Repair,
    /// Nothing changed and a new deployment was asked for: one UpdateService.
    Force,
    /// Cannot be done; the findings say why and what to do instead.
    Refused,
    /// A first create that failed is deleted, then made anew.
    Recreate,
}

impl PlanAction {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::Repair => "repair",
            Self::Force => "force",
            Self::Refused => "refused",
            Self::Recreate => "recreate",
        }
    }
}

/// A change of one resource, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedChange {
    /// Add, Modify, Remove.
    pub action: String,
    pub logical_id: String,
    pub resource_type: String,
    /// The properties that change, where CloudFormation says.
    pub properties: Vec<String>,
    /// Replaced where that hurts; a new revision is no such place.
    pub replacement: bool,
    /// "image of container web: shop/web:1.0.0 -> shop/web:1.1.0"
    pub details: Vec<String>,
}

/// What a plan is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub stack_name: &'a str,
    /// The service's name.
    pub service: &'a str,
    /// The template that is wanted.
    pub wanted: &'a Template,
    /// A stack that Towline did not make is taken over.
    pub adopts: bool,
}

/// What happens to the service when its stack has nothing to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceAction {
    Nothing,
    Repair,
    Force,
}

/// The plan of a change set: `creates` when its stack does not exist yet, `before`
/// are the parameters of the stack as it is.
pub fn of_change_set(
    subject: &Subject<'_>,
    change_set: &ChangeSet,
    creates: bool,
    before: &[(String, String)],
) -> Plan {
    let changes = translate(change_set, before, subject.wanted);
    let findings = refused::findings(subject, change_set);
    let blocked = findings
        .iter()
        .find(|finding| finding.severity == crate::fargate::preflight::Severity::Error);
    let (action, summary) = match (blocked, creates) {
        (Some(finding), _) => (PlanAction::Refused, finding.message.clone()),
        (None, true) => (PlanAction::Create, summary_of_create(subject, &changes)),
        (None, false) => (PlanAction::Update, summary_of_update(subject, &changes)),
    };
    Plan {
        action,
        hash: hash(subject.wanted, &changes, ServiceAction::Nothing),
        summary,
        stack_name: subject.stack_name.to_owned(),
        changes,
        findings,
        drifted: false,
    }
}

/// The plan of a stack that never came up: no change set can be asked for before it
/// is deleted. Its hash is that of the creation that follows.
pub fn of_recreation(subject: &Subject<'_>) -> Plan {
    let changes = detail::additions(subject.wanted);
    Plan {
        action: PlanAction::Recreate,
        hash: hash(subject.wanted, &changes, ServiceAction::Nothing),
        summary: format!(
            "stack {} never came up: it is deleted, and made anew with {} resources",
            subject.stack_name,
            changes.len()
        ),
        stack_name: subject.stack_name.to_owned(),
        changes,
        findings: Vec::new(),
        drifted: false,
    }
}

/// The plan when the stack has nothing to change. `revision` is the stack's own,
/// `runs` what the service runs.
pub fn of_service(
    subject: &Subject<'_>,
    service_action: ServiceAction,
    revision: &TaskDefinitionArn,
    runs: Option<&TaskDefinitionArn>,
) -> Plan {
    let Subject {
        stack_name, service, ..
    } = *subject;
    let drifted = runs.is_some_and(|runs| runs != revision);
    let (action, summary) = match service_action {
        ServiceAction::Nothing => (
            PlanAction::Unchanged,
            format!("service {service} runs {revision} as asked already; there is nothing to do"),
        ),
        ServiceAction::Repair => {
            let runs = runs.map_or_else(|| "something else".to_owned(), ToString::to_string);
            let summary = format!(
                "stack {stack_name} is as asked, but service {service} runs {runs}: one UpdateService puts it \
                 back on {revision}"
            );
            (PlanAction::Repair, summary)
        }
        ServiceAction::Force => (
            PlanAction::Force,
            format!(
                "stack {stack_name} has nothing to change; one UpdateService starts a new deployment of \
                 {revision} in service {service}"
            ),
        ),
    };
    Plan {
        action,
        hash: hash(subject.wanted, &[], service_action),
        summary,
        stack_name: stack_name.to_owned(),
        changes: Vec::new(),
        findings: Vec::new(),
        drifted,
    }
}

/// The hash that a person approves.
fn hash(wanted: &Template, changes: &[PlannedChange], service: ServiceAction) -> String {
    let service = match service {
        ServiceAction::Nothing => "",
        ServiceAction::Repair => "repair",
        ServiceAction::Force => "force",
    };
    let content = serde_json::json!({
        "changes": changes,
        "service": service,
        // Without metadata. It covers what CloudFormation does not show of an addition.
        "template": wanted.fingerprint(),
    });
    hex::encode(Sha256::digest(content.to_string()))
}

fn summary_of_create(subject: &Subject<'_>, changes: &[PlannedChange]) -> String {
    format!(
        "makes stack {} with service {} and {} other resources",
        subject.stack_name,
        subject.service,
        changes.len().saturating_sub(1)
    )
}

fn summary_of_update(subject: &Subject<'_>, changes: &[PlannedChange]) -> String {
    let verb = if subject.adopts { "takes over" } else { "changes" };
    let images: Vec<&str> = changes
        .iter()
        .flat_map(|change| &change.details)
        .filter(|detail| detail.starts_with("image of container"))
        .map(String::as_str)
        .collect();
    let replaced = changes.iter().filter(|change| change.replacement);
    let replaced: Vec<String> = replaced
        .map(|change| format!("replaces {}", change.logical_id))
        .collect();
    let what = match (images.as_slice(), replaced.as_slice()) {
        ([], []) => changes
            .iter()
            .map(|c| format!("{} {}", c.action, c.logical_id))
            .collect::<Vec<_>>()
            .join(", "),
        (images, replaced) => {
            let all = images
                .iter()
                .map(|image| (*image).to_owned())
                .chain(replaced.iter().cloned());
            all.collect::<Vec<_>>().join(", ")
        }
    };
    format!("{verb} stack {}: {what}", subject.stack_name)
}

//! What an update would do, for the person who approves it: the difference of the
//! task definition, what is done to the service, and a hash of both. The same update
//! has the same hash whether its revision was registered already or not: a repeated
//! send must find the plan that was approved.

#[cfg(test)]
mod tests;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::diff::{DefinitionChange, diff};
use super::revision::NextRevision;
use super::spec::{Base, UpdateSpec};
use super::start::StartDecision;
use crate::fargate::preflight::{Finding, Severity};
use crate::observed::{TaskDefinition, TaskDefinitionArn};
use crate::verdict::Refusal;

/// What an update would do.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdatePlan {
    pub action: UpdateAction,
    /// SHA-256, in hexadecimal, over what changes and what is done; Towline's own tags
    /// do not count. Empty where the service's state forbids an update.
    pub hash: String,
    /// One sentence for a person.
    pub summary: String,
    /// What the service runs.
    pub running: Option<TaskDefinitionArn>,
    /// What the next revision is made from.
    pub base: Option<TaskDefinitionArn>,
    /// The revision that is used again.
    pub reused: Option<TaskDefinitionArn>,
    /// From what runs to what would run.
    pub changes: Vec<DefinitionChange>,
    /// From what runs to the base, where they differ.
    pub base_changes: Vec<DefinitionChange>,
    pub images: Vec<PlannedImage>,
    /// Gravest first.
    pub findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateAction {
    /// A revision is registered, and the service updated to it.
    Register,
    /// The service is updated to a revision that is there already.
    Reuse,
    /// Nothing to do.
    Unchanged,
    /// Nothing changed and a new deployment was asked for.
    Force,
    /// Cannot be done; the findings say why and what to do instead.
    Refused,
}

/// One container's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedImage {
    pub container: String,
    /// Empty for a container that is new.
    pub before: String,
    pub after: String,
    /// Empty when unknown.
    pub before_digest: String,
    pub after_digest: String,
}

/// What a plan is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The service's name.
    pub service: &'a str,
    pub spec: &'a UpdateSpec,
    pub decision: &'a StartDecision,
    /// The ARN of what runs.
    pub runs: Option<&'a TaskDefinitionArn>,
    /// What runs; `None` where it was deleted, or not read.
    pub running: Option<&'a TaskDefinition>,
    pub base: Option<&'a TaskDefinition>,
    pub next: Option<&'a NextRevision>,
}

/// The plan, without pre-flight findings and digests.
pub fn plan(subject: &Subject<'_>) -> UpdatePlan {
    let next = subject.next.map(NextRevision::definition);
    let changes = match (subject.running, &next) {
        (Some(running), Some(next)) => diff(running, next),
        // Of what was deleted nothing can be said but that it is replaced.
        (None, Some(next)) => subject.base.map(|base| diff(base, next)).unwrap_or_default(),
        _ => Vec::new(),
    };
    let base_changes = match (subject.running, subject.base) {
        (Some(running), Some(base)) => of_content(diff(running, base)),
        _ => Vec::new(),
    };
    let (action, reused) = action(subject.decision);
    let mut findings = Vec::new();
    if let StartDecision::Refuse(refusal) = subject.decision {
        findings.push(refused(refusal));
    }
    findings.extend(latest_is_not_running(subject, &base_changes));
    UpdatePlan {
        action,
        hash: match action {
            UpdateAction::Refused => String::new(),
            _ => hash(subject, &changes, action),
        },
        summary: summary(subject, action, reused.as_ref(), &changes),
        running: subject.runs.cloned(),
        base: subject.base.and_then(TaskDefinition::arn),
        reused,
        images: images(subject, next.as_ref()),
        changes,
        base_changes,
        findings,
    }
}

impl UpdatePlan {
    /// The plan in lines, for whoever has to compare it.
    pub fn lines(&self) -> Vec<String> {
        self.changes.iter().map(line).collect()
    }

    /// Adds what the pre-flight found. An error among it refuses the update.
    #[must_use]
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings.extend(findings);
        self.findings.sort_by_key(|finding| finding.severity);
        let writes = !matches!(self.action, UpdateAction::Unchanged | UpdateAction::Refused);
        if let Some(first) = self.findings.first()
            && first.severity == Severity::Error
            && writes
        {
            self.action = UpdateAction::Refused;
            self.summary = first.message.clone();
        }
        self
    }
}

fn line(change: &DefinitionChange) -> String {
    let text = |value: &Option<Value>| {
        value
            .as_ref()
            .map_or_else(|| "(none)".to_owned(), Value::to_string)
    };
    format!(
        "{}: {} -> {}",
        change.path,
        text(&change.before),
        text(&change.after)
    )
}

fn action(decision: &StartDecision) -> (UpdateAction, Option<TaskDefinitionArn>) {
    match decision {
        StartDecision::Register => (UpdateAction::Register, None),
        StartDecision::Update { task_definition } => (UpdateAction::Reuse, Some(task_definition.clone())),
        StartDecision::Force { task_definition } => (UpdateAction::Force, Some(task_definition.clone())),
        StartDecision::Unchanged { task_definition, .. }
        | StartDecision::Reattach { task_definition, .. } => {
            (UpdateAction::Unchanged, Some(task_definition.clone()))
        }
        _ => (UpdateAction::Refused, None),
    }
}

/// The family is the target's, and no change of the base.
fn of_content(mut changes: Vec<DefinitionChange>) -> Vec<DefinitionChange> {
    changes.retain(|change| change.path != "family");
    changes
}

fn hash(subject: &Subject<'_>, changes: &[DefinitionChange], action: UpdateAction) -> String {
    let done = match action {
        UpdateAction::Register | UpdateAction::Reuse => "update",
        UpdateAction::Force => "force",
        UpdateAction::Unchanged | UpdateAction::Refused => "nothing",
    };
    let changes: Vec<Value> = changes
        .iter()
        .map(|change| json!([change.path, change.before, change.after]))
        .collect();
    let family = subject.next.map(NextRevision::family);
    let all = json!([subject.service, family, done, changes]);
    hex::encode(Sha256::digest(all.to_string()))
}

/// LATEST brings more than was asked for.
fn latest_is_not_running(subject: &Subject<'_>, base_changes: &[DefinitionChange]) -> Option<Finding> {
    let base = subject.base.and_then(TaskDefinition::arn)?;
    let runs = subject.runs?;
    (subject.spec.base == Base::Latest && !base_changes.is_empty()).then(|| Finding {
        severity: Severity::Warning,
        reason: "latest_is_not_running",
        message: format!(
            "the service runs {runs}, and the latest revision of its family is {base}, which differs in {}",
            match base_changes.len() {
                1 => "1 place".to_owned(),
                many => format!("{many} places"),
            }
        ),
        hint: "these changes come along; start from base RUNNING to leave them out".to_owned(),
    })
}

fn refused(refusal: &Refusal) -> Finding {
    Finding {
        severity: Severity::Error,
        reason: refusal.reason.as_str(),
        message: refusal.message.clone(),
        hint: refusal.hint.clone(),
    }
}

fn summary(
    subject: &Subject<'_>,
    action: UpdateAction,
    reused: Option<&TaskDefinitionArn>,
    changes: &[DefinitionChange],
) -> String {
    let service = subject.service;
    let runs = subject
        .runs
        .map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let count = match changes.len() {
        1 => "1 change".to_owned(),
        many => format!("{many} changes"),
    };
    match (action, reused, subject.decision) {
        (UpdateAction::Register, ..) => {
            let family = subject.next.map(NextRevision::family).unwrap_or_default();
            format!(
                "a new revision of {family} with {count} is registered, and service {service} updated from {runs} to it"
            )
        }
        (UpdateAction::Reuse, Some(reused), _) => {
            format!(
                "service {service} is updated from {runs} to {reused}, which has the wanted content: {count}"
            )
        }
        (UpdateAction::Force, ..) => format!(
            "service {service} runs {runs} as asked already; one UpdateService starts a new deployment of it"
        ),
        (_, _, StartDecision::Reattach { deployment_id, .. }) => format!(
            "service {service} is on its way to {runs}, as asked (deployment {deployment_id}): it would be followed, \
             and nothing written"
        ),
        (UpdateAction::Unchanged, ..) => {
            format!("service {service} runs {runs} as asked already; there is nothing to do")
        }
        (_, _, StartDecision::Refuse(refusal)) => refusal.message.clone(),
        _ => format!("what to do with service {service} could not be decided"),
    }
}

/// The containers whose image changes, and those that the update names one for.
fn images(subject: &Subject<'_>, next: Option<&TaskDefinition>) -> Vec<PlannedImage> {
    let before = subject.running.map(TaskDefinition::images).unwrap_or_default();
    let named = |name: &str| {
        let containers = &subject.spec.containers;
        containers
            .iter()
            .any(|change| change.name == name && change.image.is_some())
    };
    let after = next.map(TaskDefinition::images).unwrap_or_default();
    after
        .into_iter()
        .map(|(container, after)| {
            let ran = before.iter().find(|(name, _)| *name == container);
            PlannedImage {
                before: ran.map(|(_, image)| image.clone()).unwrap_or_default(),
                container,
                after,
                before_digest: String::new(),
                after_digest: String::new(),
            }
        })
        .filter(|image| image.before != image.after || named(&image.container))
        .collect()
}

//! What an update request asks for → [`UpdateSpec`], with every fault at once, each
//! at its field. What comes out is as the domain wants it: nothing blank, named
//! twice, or at odds with itself.

mod containers;
mod plan;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use towline_agent_domain::{
    observed::TaskDefinitionArn,
    update::spec::{Bake, Base, ContainerChange, LONGEST_BAKE, MOST_ALARMS, OnFailure, UpdateSpec, WaitFor},
};
use towline_proto::agent::v1 as proto;

use super::violations::Violations;

/// CloudWatch's limit for the name of an alarm.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html>
const LONGEST_ALARM: usize = 255;

/// What `wire` asks for. Worth nothing when it leaves a violation behind.
pub(super) fn update_spec(
    wire: &proto::UpdateServiceRequest,
    partition: &str,
    violations: &mut Violations,
) -> UpdateSpec {
    if asks_for_nothing(wire) {
        violations.add(
            "containers",
            "names nothing to change: no container, no tag, no other base; to start a new deployment of what \
             runs, set force",
        );
    }
    let spec = UpdateSpec {
        family: family("family", &wire.family, violations),
        base: base(wire, violations),
        containers: containers::changes(wire, partition, violations),
        tags: tags::changes(wire, violations),
        force: wire.force,
        on_failure: match known("on_failure", wire.on_failure, violations) {
            Some(proto::OnFailure::RollBack) => OnFailure::RollBack,
            Some(proto::OnFailure::Unspecified | proto::OnFailure::Leave) | None => OnFailure::Leave,
        },
        wait_for: match known("wait_for", wire.wait_for, violations) {
            Some(proto::WaitFor::Started) => WaitFor::Started,
            Some(proto::WaitFor::Unspecified | proto::WaitFor::Verdict) | None => WaitFor::Verdict,
        },
        bake: bake(wire, violations),
        plan_hash: (!wire.plan_hash.is_empty()).then(|| wire.plan_hash.clone()),
    };
    if spec.wait_for == WaitFor::Started && (spec.bake.is_some() || spec.on_failure == OnFailure::RollBack) {
        violations.add(
            "wait_for",
            "a rollout that nobody follows has no bake time, and is not rolled back; wait for the verdict, or leave \
             those out",
        );
    }
    spec
}

/// The changes of a one-off task's containers, and its tags.
pub(super) fn task_changes(
    wire: &proto::RunTaskRequest,
    partition: &str,
    violations: &mut Violations,
) -> (Vec<ContainerChange>, BTreeMap<String, String>) {
    let nothing = proto::ContainerUpdate::default();
    let containers = wire.containers.iter();
    let containers: Vec<_> = containers
        .map(|container| container.update.as_ref().unwrap_or(&nothing))
        .collect();
    let changes = containers::each(&containers, ".update", partition, violations);
    (changes, tags::set(&wire.tags, &[], violations))
}

/// How long the operation may take from its start; only without a deadline.
pub(super) fn timeout(
    wire: &proto::UpdateServiceRequest,
    context: &proto::OperationContext,
    violations: &mut Violations,
) -> Option<SignedDuration> {
    let given = wire.timeout.as_ref()?;
    if context.deadline.is_some() {
        violations.add("timeout", "give a timeout or context.deadline, not both");
    }
    let timeout = duration("timeout", given, violations)?;
    if timeout.is_zero() {
        violations.add("timeout", "is zero; leave it out for the agent's own deadline");
        return None;
    }
    Some(timeout)
}

fn asks_for_nothing(wire: &proto::UpdateServiceRequest) -> bool {
    let other_base = wire.base != 0 || !wire.template_family.is_empty() || !wire.task_definition.is_empty();
    let elsewhere = other_base || !wire.family.is_empty();
    let tags = !wire.tags.is_empty() || !wire.remove_tags.is_empty();
    wire.containers.is_empty() && !elsewhere && !tags && !wire.force
}

fn known<E: TryFrom<i32>>(field: &str, value: i32, violations: &mut Violations) -> Option<E> {
    let known = E::try_from(value).ok();
    if known.is_none() {
        violations.add(field, format!("this agent knows no value {value} here"));
    }
    known
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html>
fn family(field: &str, text: &str, violations: &mut Violations) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.len() > 255 || !text.chars().all(allowed) {
        violations.add(
            field,
            format!(
                "{text:?} is no family: 1 to 255 letters, digits, underscores and hyphens, without a revision number"
            ),
        );
    }
    Some(text.to_owned())
}

/// The very revision that is asked for. It brings all its content.
fn revision(wire: &proto::UpdateServiceRequest, violations: &mut Violations) -> Option<TaskDefinitionArn> {
    const FIELD: &str = "task_definition";
    let arn = wire.task_definition.as_str();
    if arn.is_empty() {
        return None;
    }
    let numbered = arn
        .rsplit_once(":task-definition/")
        .and_then(|(_, it)| it.rsplit_once(':'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !arn.starts_with("arn:") || !numbered.is_some_and(|(_, revision)| is_number(revision)) {
        violations.add(FIELD, format!("{arn:?} is not the ARN of a revision"));
    }
    let changes = [
        ("containers", !wire.containers.is_empty()),
        ("family", !wire.family.is_empty()),
        ("base", wire.base != 0),
        ("template_family", !wire.template_family.is_empty()),
        ("tags", !wire.tags.is_empty()),
        ("remove_tags", !wire.remove_tags.is_empty()),
    ];
    for (field, _) in changes.iter().filter(|(_, given)| *given) {
        violations.add(
            *field,
            "changes content, and task_definition asks for a revision as it is",
        );
    }
    Some(TaskDefinitionArn(arn.to_owned()))
}

fn base(wire: &proto::UpdateServiceRequest, violations: &mut Violations) -> Base {
    if let Some(revision) = revision(wire, violations) {
        return Base::Revision(revision);
    }
    let base = known("base", wire.base, violations);
    let template = family("template_family", &wire.template_family, violations);
    match (base, template) {
        (Some(proto::BaseRevision::Unspecified) | None, Some(template)) => Base::TemplateFamily(template),
        (Some(_), Some(_)) => {
            violations.add("template_family", "give a template family or a base, not both");
            Base::Latest
        }
        (Some(proto::BaseRevision::Running), None) => Base::Running,
        (Some(proto::BaseRevision::Unspecified | proto::BaseRevision::Latest) | None, None) => Base::Latest,
    }
}

fn bake(wire: &proto::UpdateServiceRequest, violations: &mut Violations) -> Option<Bake> {
    let alarms = alarms(&wire.bake_alarms, violations);
    let Some(given) = wire.bake_time.as_ref() else {
        if !alarms.is_empty() {
            violations.add("bake_alarms", "are watched during a bake_time, and there is none");
        }
        return None;
    };
    let time = duration("bake_time", given, violations)?;
    if time > LONGEST_BAKE {
        violations.add(
            "bake_time",
            format!("is longer than {} hours", LONGEST_BAKE.as_hours()),
        );
    }
    if time.is_zero() {
        violations.add("bake_time", "is zero; leave it out for none");
    }
    Some(Bake { time, alarms })
}

fn alarms(names: &[String], violations: &mut Violations) -> Vec<String> {
    if names.len() > MOST_ALARMS {
        violations.add(
            "bake_alarms",
            format!("{} are more than {MOST_ALARMS}", names.len()),
        );
    }
    let mut seen = BTreeSet::new();
    for (at, name) in names.iter().enumerate() {
        let field = format!("bake_alarms[{at}]");
        if name.trim().is_empty() || name.chars().count() > LONGEST_ALARM {
            violations.add(
                field,
                format!("{name:?} is no alarm's name: 1 to {LONGEST_ALARM} characters"),
            );
        } else if !seen.insert(name) {
            violations.add(field, format!("{name:?} is named twice"));
        }
    }
    names.to_vec()
}

pub(super) fn duration(
    field: &str,
    wire: &prost_types::Duration,
    violations: &mut Violations,
) -> Option<SignedDuration> {
    let whole = (-999_999_999..=999_999_999).contains(&wire.nanos);
    if !whole || wire.seconds < 0 || wire.nanos < 0 {
        violations.add(field, "is negative, or no time at all");
        return None;
    }
    Some(SignedDuration::new(wire.seconds, wire.nanos))
}

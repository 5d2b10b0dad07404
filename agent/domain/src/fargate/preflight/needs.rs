//! Roles, images, secrets and the log group.

use super::said::said;
use super::{Facts, Findings, ImageFact, Severity, keys};
use crate::fargate::ValidService;
use crate::fargate::spec::Architecture;
use crate::fargate::validate::is_stuck;
use crate::observed::surroundings::{ObservedImage, Permission, Role};
use crate::outside::CallError;

/// Whom a role of tasks must trust.
const TASKS: &str = "ecs-tasks.amazonaws.com";

pub(super) fn judge(service: &ValidService, facts: &Facts, found: &mut Findings) {
    for (arn, fact) in &facts.roles {
        match said(&fact.role, &format!("role {arn}"), found) {
            Some(Some(role)) => trust(role, found),
            Some(None) => found.error(
                "role_missing",
                format!("role {arn} does not exist"),
                "compare its ARN; leave execution_role out to have one made",
            ),
            None => {}
        }
        if let Some(Permission::Refused) = said(
            &fact.passing,
            &format!("whether {arn} may be passed to ECS"),
            found,
        ) {
            found.error(
                "role_not_passable",
                format!("whoever makes the service may not pass role {arn} to ECS"),
                format!("allow iam:PassRole on it, with iam:PassedToService {TASKS}"),
            );
        }
    }
    images(service, facts, found);
    for (arn, fact) in &facts.secrets {
        match said(fact, &format!("secret {arn}"), found) {
            Some(Some(secret)) => keys::judge(service.spec(), arn, secret, found),
            Some(None) => found.error(
                "secret_missing",
                format!("secret or parameter {arn} does not exist"),
                "make it, or correct the ARN; no task starts without it",
            ),
            None => {}
        }
    }
    log_group(service, facts, found);
    room_to_deploy(service, facts, found);
}

/// Whether ECS could ever replace a task of the count that the service has
/// (aws/containers-roadmap#485); a count in the specification was judged with it.
fn room_to_deploy(service: &ValidService, facts: &Facts, found: &mut Findings) {
    let spec = service.spec();
    let count = facts.own.desired.unwrap_or(1);
    if spec.desired_count.is_some() || !is_stuck(count, spec) {
        return;
    }
    let message = format!(
        "with {count} task(s), minimum_healthy_percent and maximum_percent let ECS neither stop nor start one, so no \
         deployment would ever end"
    );
    let hint = "raise maximum_percent or lower minimum_healthy_percent";
    match facts.own.desired {
        Some(_) => found.error("deployment_deadlock", message, hint),
        None => found.warning("deployment_deadlock", message, hint),
    }
}

pub(crate) fn trust(role: &Role, found: &mut Findings) {
    if !role.trusted_services.iter().any(|service| service == TASKS) {
        found.error(
            "role_trusts_not_tasks",
            format!(
                "role {} does not trust {TASKS}, so no task can act with it",
                role.arn
            ),
            format!("let its trust policy allow sts:AssumeRole to the service {TASKS}"),
        );
    }
}

fn images(service: &ValidService, facts: &Facts, found: &mut Findings) {
    for (container, image) in service.containers() {
        let what = format!("image {image} of container {}", container.name);
        if image.digest().is_none() && image.tag().is_none_or(|tag| tag.as_str() == "latest") {
            found.warning(
                "image_tag_moves",
                format!("{what} is named by a tag that moves"),
                "name a version or a digest, so that a roll-back has something to go back to",
            );
        }
        let Some(answer) = facts.images.get(&image.to_string()) else {
            continue;
        };
        image_answer(&what, answer, Some(service.spec().architecture), found);
    }
}

/// What a registry said about an image that is to run on `wanted`, where that is known.
pub(crate) fn image_answer(
    what: &str,
    answer: &ImageFact,
    wanted: Option<Architecture>,
    found: &mut Findings,
) {
    match answer {
        Err(CallError::Refused { code, .. }) if code == "NotEcr" => found.add(
            Severity::Note,
            "image_not_checked",
            format!("{what} is not in Amazon ECR, and is not checked"),
            "see that the tasks can reach its registry",
        ),
        answer => match said(answer, what, found) {
            Some(Some(observed)) => {
                if let Some(wanted) = wanted {
                    built_for(wanted, what, observed, found);
                }
            }
            Some(None) => found.error(
                "image_missing",
                format!("{what} does not exist"),
                "push it, or correct the tag; a replicated image may come a little later",
            ),
            None => {}
        },
    }
}

fn built_for(wanted: Architecture, what: &str, image: &ObservedImage, found: &mut Findings) {
    let name = match wanted {
        Architecture::X86_64 => "amd64",
        Architecture::Arm64 => "arm64",
    };
    if image.architectures.is_empty() {
        found.add(
            Severity::Unknown,
            "image_architecture_unknown",
            format!("the registry does not say which architecture {what} is built for"),
            format!("see that it runs on {}", wanted.as_str()),
        );
    } else if !image.architectures.iter().any(|built| built == name) {
        found.error(
            "image_architecture",
            format!(
                "{what} is built for {}, and the task runs on {name}",
                image.architectures.join(", ")
            ),
            format!("build it for {name}, or change the service's architecture"),
        );
    }
}

/// One that is made, and one that was there before.
fn log_group(service: &ValidService, facts: &Facts, found: &mut Findings) {
    let Some(answer) = &facts.log_group else { return };
    let group = said(answer, "the log group", found);
    match (&service.spec().log_group, group) {
        (Some(name), Some(None)) => found.error(
            "log_group_missing",
            format!("log group {name} does not exist"),
            "make it, or leave log_group out to have one made",
        ),
        (None, Some(Some(group))) if !facts.own.log_group => found.note(
            "log_group_used",
            format!(
                "log group {} exists already and is used; its retention stays as it is",
                group.name
            ),
            "delete it before the first deployment to have the stack make its own",
        ),
        _ => {}
    }
}

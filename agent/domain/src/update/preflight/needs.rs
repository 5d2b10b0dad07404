//! Images, roles and secrets.

use super::{Facts, UpdateView, room};
use crate::fargate::preflight::{Findings, image_answer, said, trust};
use crate::fargate::spec::Architecture;
use crate::image_reference::ImageReference;
use crate::observed::surroundings::Permission;

/// Whom a role of tasks must trust.
const TASKS: &str = "ecs-tasks.amazonaws.com";

pub(super) fn judge(view: &UpdateView<'_>, facts: &Facts, found: &mut Findings) {
    images(view, facts, found);
    roles(facts, found);
    for (from, exists) in &facts.secrets {
        if let Some(false) = said(exists, &format!("secret {from}"), found) {
            found.error(
                "secret_missing",
                format!("secret or parameter {from} does not exist"),
                "make it, or correct the reference; no task starts without it",
            );
        }
    }
}

fn images(view: &UpdateView<'_>, facts: &Facts, found: &mut Findings) {
    let runs = view.running.map(|running| running.images()).unwrap_or_default();
    let wanted = architecture(view, facts);
    for (container, image) in view.next.images() {
        let Ok(image) = image.parse::<ImageReference>() else {
            continue;
        };
        let what = format!("image {image} of container {container}");
        let is_new = !runs.contains(&(container, image.to_string()));
        if is_new && image.digest().is_none() && image.tag().is_none_or(|tag| tag.as_str() == "latest") {
            found.warning(
                "image_tag_moves",
                format!("{what} is named by a tag that moves"),
                "name a version or a digest, so that a roll-back has something to go back to",
            );
        }
        if let Some(answer) = facts.images.get(&image.to_string()) {
            image_answer(&what, answer, wanted, found);
        }
    }
}

/// What the tasks run on: as the task definition says; Fargate's default; or what
/// all instances of the cluster are.
fn architecture(view: &UpdateView<'_>, facts: &Facts) -> Option<Architecture> {
    let platform = view.next.definition.get("runtimePlatform");
    let said = platform.and_then(|platform| platform.get("cpuArchitecture")?.as_str());
    match said {
        Some("ARM64") => return Some(Architecture::Arm64),
        Some(_) => return Some(Architecture::X86_64),
        None if room::is_fargate(view) => return Some(Architecture::X86_64),
        None => {}
    }
    let instances = facts.instances.as_ref()?.as_ref().ok()?;
    let mut each = instances.iter().filter(|instance| instance.takes_tasks);
    let first = each.next()?.architecture.as_deref()?;
    let one = match first {
        "x86_64" => Architecture::X86_64,
        "arm64" => Architecture::Arm64,
        _ => return None,
    };
    each.all(|instance| instance.architecture.as_deref() == Some(first))
        .then_some(one)
}

fn roles(facts: &Facts, found: &mut Findings) {
    for (arn, fact) in &facts.roles {
        match said(&fact.role, &format!("role {arn}"), found) {
            Some(Some(role)) => trust(role, found),
            Some(None) => found.error(
                "role_missing",
                format!("role {arn} does not exist"),
                "make it again, or change the task definition to a role that exists",
            ),
            None => {}
        }
        let Some(passing) = &fact.passing else { continue };
        let what = format!("whether {arn} may be passed to ECS");
        if let Some(Permission::Refused) = said(passing, &what, found) {
            found.error(
                "role_not_passable",
                format!("the agent may not pass role {arn} to ECS"),
                format!("allow it iam:PassRole on that role, with iam:PassedToService {TASKS}"),
            );
        }
    }
}

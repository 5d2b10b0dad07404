//! The containers of an update request.

use std::{collections::BTreeSet, str::FromStr};

use towline_agent_domain::update::{
    references::{environment_file_fault, secret_fault},
    spec::{ContainerChange, FileChanges, ImageError, MOST_ENVIRONMENT_FILES, NamedChanges, NewImage},
};
use towline_proto::agent::v1 as proto;

use crate::rpc::violations::Violations;

/// The field path of one container's members.
type Path<'a> = &'a dyn Fn(&str) -> String;

pub(super) fn changes(
    wire: &proto::UpdateServiceRequest,
    partition: &str,
    violations: &mut Violations,
) -> Vec<ContainerChange> {
    for (at, container) in wire.containers.iter().enumerate() {
        if says_nothing(container) && !wire.force {
            violations.add(
                format!("containers[{at}]"),
                "has nothing to change: give an image, a tag, a digest, environment, secrets or environment_files",
            );
        }
    }
    each(
        &wire.containers.iter().collect::<Vec<_>>(),
        "",
        partition,
        violations,
    )
}

/// The changes of each container; `inside` is the path from the list's entry to it.
pub(super) fn each(
    containers: &[&proto::ContainerUpdate],
    inside: &str,
    partition: &str,
    violations: &mut Violations,
) -> Vec<ContainerChange> {
    let mut names = BTreeSet::new();
    let containers = containers.iter().enumerate();
    let changes = containers.map(|(at, container)| {
        let path = |member: &str| format!("containers[{at}]{inside}.{member}");
        let name = container.name.as_str();
        if name.trim().is_empty() {
            violations.add(path("name"), "is missing; for example \"app\"");
        } else if !names.insert(name) {
            violations.add(path("name"), format!("{name:?} is named twice"));
        }
        let environment = named(container.environment.as_ref(), "environment", &path, violations);
        let secrets = named(container.secrets.as_ref(), "secrets", &path, violations);
        check_secrets(&environment, &secrets, partition, &path, violations);
        ContainerChange {
            name: name.to_owned(),
            image: image(container, &path, violations),
            environment,
            secrets,
            environment_files: files(container.environment_files.as_ref(), partition, &path, violations),
        }
    });
    changes.collect()
}

fn says_nothing(container: &proto::ContainerUpdate) -> bool {
    let none = |values: Option<&proto::NamedValues>| {
        values.is_none_or(|values| values.set.is_empty() && values.remove.is_empty() && !values.replace)
    };
    let no_files = container
        .environment_files
        .as_ref()
        .is_none_or(|files| files.add.is_empty() && files.remove.is_empty() && !files.replace);
    container.image.is_none()
        && container.tag.is_none()
        && container.digest.is_none()
        && none(container.environment.as_ref())
        && none(container.secrets.as_ref())
        && no_files
}

/// A member that is given and blank is an error: it would silently keep what is there.
fn image(
    container: &proto::ContainerUpdate,
    path: Path<'_>,
    violations: &mut Violations,
) -> Option<NewImage> {
    let whole = parsed(container.image.as_deref(), "image", path, violations);
    let tag = parsed(container.tag.as_deref(), "tag", path, violations);
    let digest = parsed(container.digest.as_deref(), "digest", path, violations);
    if container.image.is_some() && (container.tag.is_some() || container.digest.is_some()) {
        violations.add(
            path("image"),
            "is the whole reference: give tag and digest in it, or leave it out to keep the repository",
        );
    }
    match (whole, digest, tag) {
        (Some(whole), _, _) => Some(NewImage::Whole(whole)),
        (None, Some(digest), tag) => Some(NewImage::DigestOnly { digest, tag }),
        (None, None, Some(tag)) => Some(NewImage::TagOnly(tag)),
        (None, None, None) => None,
    }
}

fn parsed<T: FromStr<Err = ImageError>>(
    text: Option<&str>,
    member: &str,
    path: Path<'_>,
    violations: &mut Violations,
) -> Option<T> {
    let text = text?;
    if text.trim().is_empty() {
        violations.add(
            path(member),
            "is given and blank; leave it out to keep what is there",
        );
        return None;
    }
    match text.parse() {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            violations.add(path(member), error.to_string());
            None
        }
    }
}

fn named(
    wire: Option<&proto::NamedValues>,
    list: &str,
    path: Path<'_>,
    violations: &mut Violations,
) -> NamedChanges {
    let Some(wire) = wire else {
        return NamedChanges::default();
    };
    let mut changes = NamedChanges {
        replace: wire.replace,
        ..NamedChanges::default()
    };
    for (name, value) in &wire.set {
        let field = path(&format!("{list}.set[{name}]"));
        if name.is_empty() || name.contains(['=', '\0']) {
            violations.add(field.as_str(), format!("{name:?} is no name for a variable"));
        }
        if wire.remove.contains(name) {
            violations.add(field, "is set and removed");
        }
        changes.set.insert(name.clone(), value.clone());
    }
    for (at, name) in wire.remove.iter().enumerate() {
        let field = path(&format!("{list}.remove[{at}]"));
        if name.is_empty() {
            violations.add(field, "is blank");
        } else if !changes.remove.insert(name.clone()) {
            violations.add(field, format!("{name:?} is named twice"));
        }
    }
    if wire.replace && !wire.remove.is_empty() {
        violations.add(
            path(&format!("{list}.remove")),
            "says nothing beside replace, which keeps only what is set",
        );
    }
    changes
}

fn check_secrets(
    environment: &NamedChanges,
    secrets: &NamedChanges,
    partition: &str,
    path: Path<'_>,
    violations: &mut Violations,
) {
    for (name, from) in &secrets.set {
        let field = path(&format!("secrets.set[{name}]"));
        if environment.set.contains_key(name) {
            violations.add(field.as_str(), "is set in environment as well; keep one of them");
        }
        if let Some(fault) = secret_fault(from, partition) {
            violations.add(field, fault);
        }
    }
}

fn files(
    wire: Option<&proto::EnvironmentFiles>,
    partition: &str,
    path: Path<'_>,
    violations: &mut Violations,
) -> FileChanges {
    let Some(wire) = wire else {
        return FileChanges::default();
    };
    if wire.add.len() > MOST_ENVIRONMENT_FILES {
        violations.add(
            path("environment_files.add"),
            format!("a container has at most {MOST_ENVIRONMENT_FILES} environment files"),
        );
    }
    if wire.replace && !wire.remove.is_empty() {
        violations.add(
            path("environment_files.remove"),
            "says nothing beside replace, which keeps only what is added",
        );
    }
    let mut seen = BTreeSet::new();
    for (list, files) in [("add", &wire.add), ("remove", &wire.remove)] {
        for (at, file) in files.iter().enumerate() {
            let field = path(&format!("environment_files.{list}[{at}]"));
            if let Some(fault) = environment_file_fault(file, partition) {
                violations.add(field, fault);
            } else if !seen.insert(file) {
                violations.add(field, format!("{file} is named twice"));
            }
        }
    }
    FileChanges {
        add: wire.add.clone(),
        remove: wire.remove.iter().cloned().collect(),
        replace: wire.replace,
    }
}

//! What one stopped task died of, and what a service event complains of.

use crate::observed::{ServiceEvent, StoppedContainer, StoppedTask};
use crate::rollout::diagnosis::ContainerLog;
use crate::verdict::Reason;

#[cfg(test)]
mod tests;

/// The causes that are told apart, the more basic ones first: what keeps a task
/// from starting says more than what ends it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    CannotPull,
    Secret,
    WrongArchitecture,
    CannotStart,
    NoCapacity,
    OutOfMemory,
    Exited,
    HealthCheck,
    Targets,
    Other,
}

impl Kind {
    /// The stable word.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::CannotPull => Reason::CannotPullImage,
            Self::Secret => Reason::SecretNotFound,
            Self::WrongArchitecture => Reason::WrongArchitecture,
            Self::CannotStart => Reason::CannotStart,
            Self::NoCapacity => Reason::NoCapacity,
            Self::OutOfMemory => Reason::OutOfMemory,
            Self::HealthCheck => Reason::KilledByHealthCheck,
            Self::Targets => Reason::UnhealthyTargets,
            Self::Exited | Self::Other => Reason::CrashLooping,
        }
    }

    /// Trying again brings the same: no task of the revision can start.
    pub(super) fn is_definite(self) -> bool {
        matches!(self, Self::CannotPull | Self::Secret | Self::WrongArchitecture)
    }
}

/// What one task died of, in words.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub kind: Kind,
    pub sentence: String,
    pub hint: &'static str,
}

const LOAD_BALANCER_HINT: &str =
    "try the health check's path and port inside the container, and look at the security groups";
const CONTAINER_CHECK_HINT: &str =
    "run the health check's command inside the container; does it need a longer start period?";
const ROOM_HINT: &str = "make room in the cluster: more instances, or smaller tasks";

/// Reads the cause out of a task's own words and its containers' last lines.
pub(super) fn of(task: &StoppedTask, logs: &[ContainerLog]) -> Cause {
    let words = words_of(task);
    let has = |needle: &str| words.contains(needle);
    let by = |kind, sentence, hint| Cause { kind, sentence, hint };
    if has("does not contain descriptor matching platform") {
        return wrong_architecture(task);
    }
    if is_pull_failure(&words) {
        return cannot_pull(&words);
    }
    if has("ResourceInitializationError") || tells_of_secret(&words) {
        return initialization(task, &words);
    }
    if has("exec format error") || logged_by_its_like(task, logs, "exec format error") {
        return wrong_architecture(task);
    }
    if has("InsufficientFreeAddresses") {
        let sentence = format!("a subnet has no free address: {}", first_words(task));
        return by(
            Kind::NoCapacity,
            sentence,
            "let the service use subnets with free addresses",
        );
    }
    if has("Capacity is unavailable") {
        let sentence = format!("there is no capacity: {}", first_words(task));
        let hint = "try again later, or allow more subnets or another capacity provider";
        return by(Kind::NoCapacity, sentence, hint);
    }
    if has("unable to assume the role") {
        let sentence = format!("a role cannot be assumed: {}", first_words(task));
        return by(
            Kind::CannotStart,
            sentence,
            "the role must exist and trust ecs-tasks.amazonaws.com",
        );
    }
    if has("CannotStartContainer") || has("CannotCreateContainer") || has("ContainerRuntimeError") {
        let sentence = format!("a container cannot be started: {}", first_words(task));
        let hint = "look at command, entry point and mounts of the container";
        return by(Kind::CannotStart, sentence, hint);
    }
    if has("OutOfMemory") {
        let sentence = format!(
            "a container ran out of memory and was killed{}",
            of_container(task)
        );
        return by(
            Kind::OutOfMemory,
            sentence,
            "give the container, or the task, more memory",
        );
    }
    if has("ELB health checks") {
        let sentence = format!("the load balancer's health check fails: {}", task.reason);
        return by(Kind::Targets, sentence, LOAD_BALANCER_HINT);
    }
    if has("health checks") || has("health check") {
        let sentence = format!("the container's health check fails: {}", task.reason);
        return by(Kind::HealthCheck, sentence, CONTAINER_CHECK_HINT);
    }
    match culprit(task) {
        Some(container) => exited(task, container, logs),
        None if task.stop_code == "TaskFailedToStart" => {
            let sentence = format!("a task cannot be started: {}", first_words(task));
            by(Kind::CannotStart, sentence, "")
        }
        None => by(Kind::Other, format!("a task stopped: {}", first_words(task)), ""),
    }
}

/// What a service event complains of, where it is about no task of its own.
pub(super) fn of_event(event: &ServiceEvent) -> Option<Cause> {
    let has = |needle: &str| event.message.contains(needle);
    let (kind, hint) = if has("unable to place a task") || has("Capacity is unavailable") {
        (Kind::NoCapacity, ROOM_HINT)
    } else if has("is unhealthy in (target-group") || has("is unhealthy in (elb") {
        (Kind::Targets, LOAD_BALANCER_HINT)
    } else if has("failed container health checks") {
        (Kind::HealthCheck, CONTAINER_CHECK_HINT)
    } else {
        return None;
    };
    let sentence = format!("ECS says: {}", event.message);
    Some(Cause { kind, sentence, hint })
}

/// The exit code of a container whose image cannot be run at all.
const CANNOT_RUN: i32 = 255;

/// Whether the container that ended the task left these words, or the same container
/// of another task did that ended alike: of each only one log is read.
fn logged_by_its_like(task: &StoppedTask, logs: &[ContainerLog], needle: &str) -> bool {
    let container = culprit(task);
    let alike = |log: &&ContainerLog| {
        log.task == task.id
            || container.is_some_and(|c| c.name == log.container && c.exit_code == Some(CANNOT_RUN))
    };
    logs.iter()
        .filter(alike)
        .flat_map(|log| &log.lines)
        .any(|line| line.message.contains(needle))
}

fn wrong_architecture(task: &StoppedTask) -> Cause {
    Cause {
        kind: Kind::WrongArchitecture,
        sentence: format!(
            "the image is built for another CPU architecture{}",
            of_container(task)
        ),
        hint: "build the image for the task's architecture, or set the architecture to that of the image",
    }
}

fn is_pull_failure(words: &str) -> bool {
    // CannotPullContainerError, CannotPullECRContainerError, CannotPullImageManifestError.
    words.contains("CannotPull")
        // The registry's own login: the task has no way to it, or no right.
        || words.contains("unable to retrieve ecr")
}

fn cannot_pull(words: &str) -> Cause {
    let quoted = pull_words(words);
    let hint = if words.contains("not found") || words.contains("does not exist") || words.contains("unknown")
    {
        "check that this tag exists in this account's registry; replication may lag"
    } else if words.contains("denied")
        || words.contains("Forbidden")
        || words.contains("not authorized")
        || words.contains("no basic auth")
    {
        "let the task's execution role pull from this repository"
    } else {
        "check the image, the route from the subnets to the registry, and the execution role"
    };
    Cause {
        kind: Kind::CannotPull,
        sentence: format!("the image cannot be pulled: {quoted}"),
        hint,
    }
}

fn pull_words(words: &str) -> &str {
    let line = words
        .lines()
        .find(|line| line.contains("CannotPull") || line.contains("unable to retrieve ecr"));
    line.unwrap_or(words).trim()
}

/// Fargate's and the container agent's words. Fargate's opening words name secrets
/// whatever it was.
fn tells_of_secret(words: &str) -> bool {
    let fargates = words.contains("ResourceInitializationError");
    let rest = words.replace("unable to pull secrets or registry auth", "");
    let names_one = ["secret", "ssm", "parameter"]
        .iter()
        .any(|needle| rest.contains(needle));
    fargates && names_one || words.to_ascii_lowercase().contains("fetching secret data")
}

fn initialization(task: &StoppedTask, words: &str) -> Cause {
    if tells_of_secret(words) {
        return Cause {
            kind: Kind::Secret,
            sentence: format!("a secret cannot be read: {}", first_words(task)),
            hint: "check that the secret exists and that the execution role may read it",
        };
    }
    let hint = match words.contains("logger") || words.contains("log group") {
        true => "make the log group, or let the execution role make it",
        false => "check the task's volumes, roles and network",
    };
    Cause {
        kind: Kind::CannotStart,
        sentence: format!("the task cannot be set up: {}", first_words(task)),
        hint,
    }
}

fn exited(task: &StoppedTask, container: &StoppedContainer, logs: &[ContainerLog]) -> Cause {
    let code = container.exit_code.unwrap_or_default();
    let last = logs
        .iter()
        .find(|log| log.task == task.id && log.container == container.name)
        .and_then(|log| {
            log.lines
                .iter()
                .rev()
                .find(|line| !line.message.trim().is_empty())
        });
    let last = last.map_or_else(String::new, |line| {
        format!("; its last line: {}", line.message.trim())
    });
    let hint = match code {
        0 => "a service's container must not end by itself; is its command right?",
        137 => "exit code 137 is a kill, often for memory; look at its memory limit",
        _ => "",
    };
    Cause {
        kind: Kind::Exited,
        sentence: format!("container {} exited with code {code}{last}", container.name),
        hint,
    }
}

/// The container that ended the task: when one exits, ECS stops the others, and
/// these then exit by a signal (137, 143).
pub(super) fn culprit(task: &StoppedTask) -> Option<&StoppedContainer> {
    let by = |wanted: fn(i32) -> bool| task.containers.iter().find(|c| c.exit_code.is_some_and(wanted));
    by(|code| !matches!(code, 0 | 137 | 143))
        .or_else(|| by(|code| code == 137))
        .or_else(|| by(|_| true))
}

fn of_container(task: &StoppedTask) -> String {
    culprit(task).map_or_else(String::new, |container| {
        format!(" (container {})", container.name)
    })
}

fn first_words(task: &StoppedTask) -> String {
    let container = task.containers.iter().find(|c| !c.reason.is_empty());
    match container {
        Some(container) if task.reason.is_empty() || task.reason.starts_with("Essential container") => {
            format!("{} ({})", container.reason, container.name)
        }
        _ if task.reason.is_empty() => task.stop_code.clone(),
        _ => task.reason.clone(),
    }
}

fn words_of(task: &StoppedTask) -> String {
    let containers = task.containers.iter().map(|c| c.reason.as_str());
    let all: Vec<&str> = std::iter::once(task.reason.as_str()).chain(containers).collect();
    all.join("\n")
}

//! What one stopped task died of.

use crate::observed::{StoppedContainer, StoppedTask};
use crate::rollout::crash_loop::is_pull_failure;
use crate::rollout::diagnosis::ContainerLog;

/// The causes that are told apart, the more basic ones first: what keeps a task
/// from starting says more than what ends it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    CannotPull,
    Secret,
    ExecFormat,
    CannotStart,
    OutOfMemory,
    Exited,
    HealthCheck,
    NoCapacity,
    Other,
}

/// What one task died of, in words.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub kind: Kind,
    pub sentence: String,
    pub hint: &'static str,
}

/// Reads the cause out of a task's own words and its containers' last lines.
pub(super) fn of(task: &StoppedTask, logs: &[ContainerLog]) -> Cause {
    let words = words_of(task);
    let has = |needle: &str| words.contains(needle);
    let lines = logs
        .iter()
        .filter(|log| log.task == task.id)
        .flat_map(|log| &log.lines);
    let exec_format =
        has("exec format error") || lines.into_iter().any(|l| l.message.contains("exec format error"));
    if is_pull_failure(task) {
        return cannot_pull(&words);
    }
    if has("ResourceInitializationError") || has("unable to retrieve secret") || has("unable to pull secrets")
    {
        return initialization(task, &words);
    }
    if exec_format {
        return Cause {
            kind: Kind::ExecFormat,
            sentence: format!(
                "the image is built for another CPU architecture{}",
                of_container(task)
            ),
            hint: "build the image for the task's architecture, or set the architecture to that of the image",
        };
    }
    if has("CannotStartContainer") || has("CannotCreateContainer") || has("ContainerRuntimeError") {
        return Cause {
            kind: Kind::CannotStart,
            sentence: format!("a container cannot be started: {}", first_words(task)),
            hint: "look at command, entry point and mounts of the container",
        };
    }
    if has("OutOfMemory") {
        return Cause {
            kind: Kind::OutOfMemory,
            sentence: format!(
                "a container ran out of memory and was killed{}",
                of_container(task)
            ),
            hint: "give the container, or the task, more memory",
        };
    }
    if has("health checks") || has("health check") {
        return Cause {
            kind: Kind::HealthCheck,
            sentence: format!("the health check fails: {}", task.reason),
            hint: "try the health check's path and port inside the container, and look at the security groups",
        };
    }
    if has("Capacity is unavailable") || has("capacity") {
        return Cause {
            kind: Kind::NoCapacity,
            sentence: format!("there is no capacity: {}", task.reason),
            hint: "try again later, or allow more subnets or another capacity provider",
        };
    }
    match culprit(task) {
        Some(container) => exited(task, container, logs),
        None => Cause {
            kind: Kind::Other,
            sentence: format!("a task stopped: {}", first_words(task)),
            hint: "",
        },
    }
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
    let line = words.lines().find(|line| line.contains("CannotPull"));
    line.unwrap_or(words).trim()
}

fn initialization(task: &StoppedTask, words: &str) -> Cause {
    let about_secret = words.contains("secret") || words.contains("ssm") || words.contains("parameter");
    Cause {
        kind: Kind::Secret,
        sentence: if about_secret {
            format!("a secret cannot be read: {}", first_words(task))
        } else {
            format!("the task cannot be set up: {}", first_words(task))
        },
        hint: "check that the secret exists and that the execution role may read it",
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

//! The faults of how a container's process runs: health, time, limits, kernel.

use super::Faults;
use crate::fargate::spec::{Container, HealthCheck};

pub(super) fn check(container: &Container, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    if let Some(check) = &container.health_check {
        health_check(check, &|member| field(&format!("health_check.{member}")), faults);
    }
    for (member, given) in [
        ("start_timeout", container.start_timeout),
        ("stop_timeout", container.stop_timeout),
    ] {
        if let Some(seconds) = given.filter(|seconds| !(2..=120).contains(seconds)) {
            let message = format!("Fargate waits 2 to 120 seconds, not {seconds}");
            faults.add(field(member), message, "");
        }
    }
    for (member, text) in [
        ("working_directory", &container.working_directory),
        ("user", &container.user),
    ] {
        if text
            .as_ref()
            .is_some_and(|text| text.trim().is_empty() || text.contains('\0'))
        {
            faults.add(field(member), "it is blank", "leave it out for the image's own");
        }
    }
    for name in container.docker_labels.keys() {
        if name.is_empty() {
            faults.add(field("docker_labels"), "a label has no name", "");
        } else if is_function(name) {
            let message = format!("CloudFormation would read {name:?} as a function");
            faults.add(
                field(&format!("docker_labels[{name}]")),
                message,
                "give the label another name",
            );
        }
    }
    ulimits(container, field, faults);
    linux(container, field, faults);
    system_controls(container, field, faults);
    if let Some(policy) = &container.restart_policy {
        let member = |member: &str| field(&format!("restart_policy.{member}"));
        // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerRestartPolicy.html
        let period = policy.attempt_period;
        faults.range(member("attempt_period"), "period in seconds", period, 60, 1800);
        if policy.ignored_exit_codes.len() > 50 {
            faults.add(
                member("ignored_exit_codes"),
                "at most 50 exit codes can be left alone",
                "",
            );
        }
    }
}

/// A member of this name makes CloudFormation compute the object that it is in.
fn is_function(name: &str) -> bool {
    name == "Ref" || name == "Condition" || name.starts_with("Fn::")
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html>
fn health_check(check: &HealthCheck, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    let hint = "as in [\"CMD-SHELL\", \"curl -f http://localhost/ || exit 1\"]";
    match check.command.split_first() {
        None => faults.add(field("command"), "there is no command", hint),
        Some((first, rest)) => match (first.as_str(), rest.len()) {
            ("CMD" | "CMD-SHELL", 0) => {
                faults.add(field("command"), format!("after {first} comes the command"), hint);
            }
            ("CMD-SHELL", 2..) => {
                faults.add(field("command"), "CMD-SHELL takes one line for the shell", hint);
            }
            ("CMD" | "CMD-SHELL", _) => {}
            _ => faults.add(
                field("command"),
                "the first word is neither CMD nor CMD-SHELL",
                hint,
            ),
        },
    }
    faults.range(field("interval"), "interval in seconds", check.interval, 5, 300);
    faults.range(field("timeout"), "timeout in seconds", check.timeout, 2, 60);
    faults.range(field("retries"), "number of retries", check.retries, 1, 10);
    faults.range(
        field("start_period"),
        "start period in seconds",
        check.start_period,
        0,
        300,
    );
}

/// The names that ECS knows; on Fargate all but `nofile` start from the operating
/// system's values. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Ulimit.html>
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

fn ulimits(container: &Container, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    for (at, limit) in container.ulimits.iter().enumerate() {
        let member = |member: &str| field(&format!("ulimits[{at}].{member}"));
        if !ULIMITS.contains(&limit.name.as_str()) {
            let hint = format!("one of {}", ULIMITS.join(", "));
            faults.add(
                member("name"),
                format!("ECS has no ulimit {:?}", limit.name),
                &hint,
            );
        } else if container
            .ulimits
            .iter()
            .take(at)
            .any(|before| before.name == limit.name)
        {
            faults.add(member("name"), format!("{} is there twice", limit.name), "");
        }
        if limit.soft > limit.hard {
            let message = format!(
                "the soft limit {} is above the hard limit {}",
                limit.soft, limit.hard
            );
            faults.add(member("soft"), message, "");
        }
        // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
        for (name, value) in [("soft", limit.soft), ("hard", limit.hard)] {
            if value > i32::MAX.unsigned_abs() {
                faults.add(member(name), format!("{value} is more than ECS takes"), "");
            }
        }
    }
}

/// Docker's names for what a process may do.
const CAPABILITIES: [&str; 38] = [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_KernelCapabilities.html>
fn linux(container: &Container, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    let Some(linux) = &container.linux else { return };
    for (at, name) in linux.add_capabilities.iter().enumerate() {
        if name != "SYS_PTRACE" {
            let field = field(&format!("linux.add_capabilities[{at}]"));
            faults.add(
                field,
                format!("Fargate cannot add {name:?}"),
                "SYS_PTRACE is all that Fargate can add",
            );
        }
    }
    for (at, name) in linux.drop_capabilities.iter().enumerate() {
        let field = field(&format!("linux.drop_capabilities[{at}]"));
        if !CAPABILITIES.contains(&name.as_str()) {
            faults.add(
                field,
                format!("there is no capability {name:?}"),
                "as Docker names it: NET_RAW",
            );
        } else if linux.add_capabilities.contains(name) {
            faults.add(field, format!("{name} is added and dropped"), "");
        }
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_SystemControl.html>
fn system_controls(container: &Container, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    for (name, value) in &container.system_controls {
        let path = field(&format!("system_controls[{name}]"));
        let prefixed = ["net.", "fs.mqueue."]
            .iter()
            .any(|prefix| name.len() > prefix.len() && name.starts_with(prefix));
        if !prefixed && !IPC.contains(&name.as_str()) {
            let message = format!("Fargate cannot set the kernel parameter {name:?}");
            let hint = format!("net.*, fs.mqueue.*, {}", IPC.join(", "));
            faults.add(path, message, &hint);
        } else if value.is_empty() {
            faults.add(path, "it has no value", "");
        }
    }
}

//! What Fargate does not allow.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html>.

use serde_json::Value;

use super::{invalid, list, name_of, refuse};
use crate::{
    AwsError,
    wire::json::{number, text},
};

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html>
pub fn check(body: &Value, containers: &[Value]) -> Result<(), AwsError> {
    if text(body, "networkMode") != Some("awsvpc") {
        return Err(refuse("Fargate only supports network mode ‘awsvpc’."));
    }
    check_size(body)?;
    check_task(body)?;
    for container in containers {
        check_container(container)?;
    }
    check_execution_role(body, containers)
}

fn check_size(body: &Value) -> Result<(), AwsError> {
    let amount = |member: &str| text(body, member).and_then(|value| value.parse::<i64>().ok());
    let Some(cpu) = amount("cpu") else {
        return Err(refuse(
            "Fargate requires that 'cpu' be defined at the task level.",
        ));
    };
    let Some(memory) = amount("memory") else {
        return Err(refuse(
            "Fargate requires that 'memory' be defined at the task level.",
        ));
    };
    let possible = match cpu {
        256 => matches!(memory, 512 | 1024 | 2048),
        512 => (1024..=4096).contains(&memory) && memory % 1024 == 0,
        1024 => (2048..=8192).contains(&memory) && memory % 1024 == 0,
        2048 => (4096..=16384).contains(&memory) && memory % 1024 == 0,
        4096 => (8192..=30720).contains(&memory) && memory % 1024 == 0,
        8192 => (16384..=61440).contains(&memory) && memory % 4096 == 0,
        16384 => (32768..=122_880).contains(&memory) && memory % 8192 == 0,
        _ => false,
    };
    if possible {
        return Ok(());
    }
    Err(refuse(format!(
        "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS documentation for the valid values."
    )))
}

fn check_task(body: &Value) -> Result<(), AwsError> {
    if body.get("ipcMode").is_some_and(|mode| !mode.is_null()) {
        return Err(refuse(
            "Tasks using the Fargate launch type do not support ipcMode.",
        ));
    }
    if text(body, "pidMode").is_some_and(|mode| mode != "task") {
        return Err(refuse(
            "Tasks using the Fargate launch type only support pidMode 'task'.",
        ));
    }
    if list(body, "placementConstraints").next().is_some() {
        return Err(refuse(
            "Tasks using the Fargate launch type do not support placement constraints.",
        ));
    }
    let storage = body
        .get("ephemeralStorage")
        .map(|storage| number(storage, "sizeInGiB").unwrap_or(0));
    if storage.is_some_and(|size| !(21..=200).contains(&size)) {
        return Err(invalid("Ephemeral storage size must be between 21 and 200 GiB."));
    }
    let architecture = body
        .get("runtimePlatform")
        .and_then(|platform| text(platform, "cpuArchitecture"));
    if !matches!(architecture, None | Some("X86_64" | "ARM64")) {
        return Err(invalid("cpuArchitecture must be X86_64 or ARM64."));
    }
    for volume in list(body, "volumes") {
        let host = volume.get("host").and_then(|host| text(host, "sourcePath"));
        if host.is_some() {
            return Err(refuse(
                "Fargate compatible task definitions do not support host sourcePath",
            ));
        }
        if volume
            .get("dockerVolumeConfiguration")
            .is_some_and(|config| !config.is_null())
        {
            return Err(refuse(
                "Fargate compatible task definitions do not support dockerVolumeConfiguration",
            ));
        }
    }
    Ok(())
}

fn check_container(container: &Value) -> Result<(), AwsError> {
    if container.get("privileged").and_then(Value::as_bool) == Some(true) {
        return Err(refuse(
            "Fargate compatible task definitions do not support privileged containers",
        ));
    }
    if list(container, "resourceRequirements").any(|one| text(one, "type") == Some("GPU")) {
        return Err(refuse(
            "Tasks using the Fargate launch type do not support GPU resource requirements.",
        ));
    }
    if list(container, "dockerSecurityOptions").next().is_some() {
        return Err(refuse(
            "Fargate compatible task definitions do not support dockerSecurityOptions",
        ));
    }
    for member in ["startTimeout", "stopTimeout"] {
        if number(container, member).is_some_and(|seconds| seconds > 120) {
            return Err(refuse(format!(
                "Invalid '{member}' setting for container '{}'. The maximum for the Fargate launch type is 120 seconds.",
                name_of(container)
            )));
        }
    }
    check_linux(container)?;
    check_log_driver(container)?;
    check_ulimits(container)
}

fn check_linux(container: &Value) -> Result<(), AwsError> {
    let Some(linux) = container.get("linuxParameters") else {
        return Ok(());
    };
    for member in ["devices", "sharedMemorySize", "maxSwap", "swappiness"] {
        let is_set = linux
            .get(member)
            .is_some_and(|value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
        if is_set {
            return Err(refuse(format!(
                "Fargate compatible task definitions do not support {member}"
            )));
        }
    }
    let added = linux
        .get("capabilities")
        .map(|all| crate::wire::json::texts(all, "add"));
    match added.into_iter().flatten().find(|one| one != "SYS_PTRACE") {
        Some(other) => Err(refuse(format!(
            "Fargate compatible task definitions do not support adding the capability {other}: only SYS_PTRACE can be added"
        ))),
        None => Ok(()),
    }
}

fn check_log_driver(container: &Value) -> Result<(), AwsError> {
    let Some(log) = container.get("logConfiguration") else {
        return Ok(());
    };
    let driver = text(log, "logDriver").unwrap_or_default();
    if !matches!(driver, "awslogs" | "splunk" | "awsfirelens") {
        return Err(refuse(format!(
            "Log driver {driver} disallowed only* [awsfirelens, awslogs, splunk] supported"
        )));
    }
    let option = |name: &str| log.get("options").and_then(|options| text(options, name));
    if driver != "awslogs" {
        return Ok(());
    }
    for name in ["awslogs-group", "awslogs-region"] {
        if option(name).is_none() {
            return Err(refuse(format!("Log driver awslogs requires options: {name}")));
        }
    }
    if option("awslogs-stream-prefix").is_none() {
        return Err(refuse(
            "Log driver awslogs requires option awslogs-stream-prefix for the Fargate launch type.",
        ));
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Ulimit.html>
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

fn check_ulimits(container: &Value) -> Result<(), AwsError> {
    for limit in list(container, "ulimits") {
        let name = text(limit, "name").unwrap_or_default();
        let (soft, hard) = (number(limit, "softLimit"), number(limit, "hardLimit"));
        if !ULIMITS.contains(&name) {
            return Err(invalid(format!(
                "ulimit name {name} is not one of {}.",
                ULIMITS.join(", ")
            )));
        }
        if soft > hard {
            return Err(refuse(format!(
                "The soft limit of ulimit {name} is greater than its hard limit."
            )));
        }
    }
    Ok(())
}

fn check_execution_role(body: &Value, containers: &[Value]) -> Result<(), AwsError> {
    if text(body, "executionRoleArn").is_some() {
        return Ok(());
    }
    let uses_ecr = |c: &Value| text(c, "image").is_some_and(|image| image.contains(".dkr.ecr."));
    let uses_awslogs = |c: &Value| {
        c.get("logConfiguration")
            .is_some_and(|log| text(log, "logDriver") == Some("awslogs"))
    };
    let uses_secrets = |c: &Value| list(c, "secrets").next().is_some();
    let uses_credentials = |c: &Value| c.get("repositoryCredentials").is_some();
    let uses_files = |c: &Value| list(c, "environmentFiles").next().is_some();
    let reason = if containers.iter().any(uses_ecr) {
        "ECR images"
    } else if containers.iter().any(uses_awslogs) {
        "log driver awslogs"
    } else if containers.iter().any(uses_secrets) {
        "container secrets"
    } else if containers.iter().any(uses_credentials) {
        "private registry authentication"
    } else if containers.iter().any(uses_files) {
        "environment files"
    } else {
        return Ok(());
    };
    Err(refuse(format!(
        "Fargate requires task definition to have execution role ARN to support {reason}."
    )))
}

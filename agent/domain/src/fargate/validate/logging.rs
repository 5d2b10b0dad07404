//! The faults of where a container logs to.

use super::{Faults, secret_source};
use crate::fargate::spec::{Container, Logging};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>
pub(super) fn is_log_group(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '#' | '-');
    !name.is_empty() && name.len() <= 512 && name.chars().all(allowed)
}

pub(super) fn check(container: &Container, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    let Some(logging) = &container.logging else { return };
    let field = |member: &str| field(&format!("logging.{member}"));
    // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html
    match logging.driver.as_str() {
        "awslogs" => awslogs(logging, &field, faults),
        "splunk" => splunk(logging, &field, faults),
        "none" => {
            if !logging.options.is_empty() || !logging.secret_options.is_empty() {
                faults.add(field("options"), "no logs have no options", "");
            }
        }
        "awsfirelens" => faults.add(
            field("driver"),
            "FireLens is not supported by Towline",
            "awslogs or splunk; or \"none\" for no logs",
        ),
        driver => faults.add(
            field("driver"),
            format!("Fargate has no log driver {driver:?}"),
            "awslogs or splunk; or \"none\" for no logs",
        ),
    }
    for (name, source) in &logging.secret_options {
        let field = field(&format!("secret_options[{name}]"));
        if logging.options.contains_key(name) {
            faults.add(
                &field,
                format!("{name} is in options and in secret_options"),
                "keep one of them",
            );
        }
        if let Err(hint) = secret_source(source) {
            faults.add(
                field,
                format!("{source:?} is no ARN of a secret or parameter"),
                hint,
            );
        }
    }
}

fn awslogs(logging: &Logging, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html
    const KNOWN: [&str; 8] = [
        "awslogs-create-group",
        "awslogs-datetime-format",
        "awslogs-group",
        "awslogs-multiline-pattern",
        "awslogs-region",
        "awslogs-stream-prefix",
        "max-buffer-size",
        "mode",
    ];
    for (name, value) in &logging.options {
        let path = field(&format!("options[{name}]"));
        if !KNOWN.contains(&name.as_str()) {
            faults.add(
                path,
                format!("awslogs has no option {name:?}"),
                &format!("one of {}", KNOWN.join(", ")),
            );
        } else if name == "awslogs-group" && !is_log_group(value) {
            faults.add(path, format!("{value:?} is no name of a log group"), "");
        } else if name == "mode" && !matches!(value.as_str(), "blocking" | "non-blocking") {
            faults.add(path, format!("{value:?} is no mode"), "blocking or non-blocking");
        } else if value.is_empty() {
            faults.add(path, format!("the option {name} is empty"), "");
        }
    }
    if logging.options.contains_key("awslogs-datetime-format")
        && logging.options.contains_key("awslogs-multiline-pattern")
    {
        let message = "awslogs takes a datetime format or a multiline pattern, not both";
        faults.add(field("options[awslogs-multiline-pattern]"), message, "");
    }
}

fn splunk(logging: &Logging, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    // https://docs.docker.com/engine/logging/drivers/splunk/
    let known =
        |name: &str| name.starts_with("splunk-") || matches!(name, "tag" | "labels" | "env" | "env-regex");
    for name in logging.options.keys().filter(|name| !known(name)) {
        let path = field(&format!("options[{name}]"));
        faults.add(
            path,
            format!("splunk has no option {name:?}"),
            "splunk-..., tag, labels, env or env-regex",
        );
    }
    for needed in ["splunk-url", "splunk-token"] {
        if !logging.options.contains_key(needed) && !logging.secret_options.contains_key(needed) {
            let hint = "give it in options or, better for the token, in secret_options";
            faults.add(
                field("options"),
                format!("the log driver splunk needs {needed}"),
                hint,
            );
        }
    }
}

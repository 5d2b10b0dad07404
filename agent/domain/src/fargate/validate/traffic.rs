//! The faults of the links to load balancers.

use super::service::is_id;
use super::{Faults, is_arn};
use crate::fargate::choices::HIGHEST_PRIORITY;
use crate::fargate::spec::{FargateService, Link, ListenerRule, LoadBalancer, Protocol};

pub(super) fn check(service: &FargateService, faults: &mut Faults) {
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/register-multiple-targetgroups.html
    if service.load_balancers.len() > 5 {
        faults.add("load_balancers", "a service has at most five target groups", "");
    }
    for (at, link) in service.load_balancers.iter().enumerate() {
        let field = |member: &str| format!("load_balancers[{at}].{member}");
        let before = service.load_balancers.get(..at).unwrap_or_default();
        match &link.link {
            Link::TargetGroup(arn) => {
                if !is_arn(arn, "elasticloadbalancing", "targetgroup/") {
                    faults.add(
                        field("target_group"),
                        format!("{arn:?} is no ARN of a target group"),
                        "arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID",
                    );
                } else if before.contains(link) {
                    faults.add(
                        field("target_group"),
                        "this port is linked to this target group already",
                        "",
                    );
                }
            }
            Link::ListenerRule(rule) => {
                let field = |member: &str| field(&format!("listener_rule.{member}"));
                listener_rule(rule, before, &field, faults);
                target_group(rule, &field, faults);
            }
        }
        linked_port(service, link, &field, faults);
    }
}

fn linked_port(
    service: &FargateService,
    link: &LoadBalancer,
    field: &impl Fn(&str) -> String,
    faults: &mut Faults,
) {
    let Some(container) = service.containers.iter().find(|c| c.name == link.container) else {
        faults.add(
            field("container"),
            format!("there is no container {:?}", link.container),
            "",
        );
        return;
    };
    let mut ports = container
        .ports
        .iter()
        .filter(|port| port.port == link.port)
        .peekable();
    if ports.peek().is_none() {
        faults.add(
            field("port"),
            format!("container {:?} does not open port {}", link.container, link.port),
            "add it to the container's ports",
        );
    } else if link.listener_rule().is_some() && ports.all(|port| port.protocol == Protocol::Udp) {
        let message = format!(
            "port {} is UDP, and an application load balancer speaks HTTP",
            link.port
        );
        faults.add(
            field("port"),
            message,
            "link it through a target group of a network load balancer",
        );
    }
}

/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html>
fn listener_rule(
    rule: &ListenerRule,
    before: &[LoadBalancer],
    field: &impl Fn(&str) -> String,
    faults: &mut Faults,
) {
    if is_arn(&rule.listener, "elasticloadbalancing", "listener/net/")
        || is_arn(&rule.listener, "elasticloadbalancing", "listener/gwy/")
    {
        let message = "only the listeners of application load balancers have rules";
        faults.add(field("listener"), message, "link the port through a target_group");
    } else if !is_arn(&rule.listener, "elasticloadbalancing", "listener/app/") {
        faults.add(
            field("listener"),
            format!(
                "{:?} is no ARN of an application load balancer's listener",
                rule.listener
            ),
            "arn:aws:elasticloadbalancing:REGION:ACCOUNT:listener/app/NAME/ID/ID",
        );
    }
    faults.range(field("priority"), "priority", rule.priority, 1, HIGHEST_PRIORITY);
    let others = before.iter().filter_map(LoadBalancer::listener_rule);
    let taken = |other: &ListenerRule| other.listener == rule.listener && other.priority == rule.priority;
    if rule.priority.is_some() && others.into_iter().any(taken) {
        faults.add(
            field("priority"),
            "another rule of this service has it on this listener",
            "",
        );
    }
    if rule.hosts.is_empty() && rule.paths.is_empty() {
        let message = "the rule has no condition";
        faults.add(
            field("hosts"),
            message,
            "give hosts or paths; paths: [\"/*\"] takes everything",
        );
    }
    if rule.hosts.len() + rule.paths.len() > 5 {
        faults.add(
            field("hosts"),
            "a rule has at most five hosts and paths together",
            "",
        );
    }
    for (at, host) in rule.hosts.iter().enumerate() {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '*' | '?');
        if host.is_empty() || host.len() > 128 || !host.chars().all(allowed) {
            let message = format!("{host:?} is no host pattern");
            faults.add(
                field(&format!("hosts[{at}]")),
                message,
                "at most 128 letters, digits and - . * ?",
            );
        }
    }
    for (at, path) in rule.paths.iter().enumerate() {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.$/~\"'@:+&*?".contains(c);
        let starts = path.starts_with(['/', '*', '?']);
        if !starts || path.len() > 128 || !path.chars().all(allowed) {
            let message = format!("{path:?} is no path pattern");
            let hint =
                "it starts with / and has at most 128 letters, digits and _ - . $ / ~ \" ' @ : + & * ?";
            faults.add(field(&format!("paths[{at}]")), message, hint);
        }
    }
}

/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html>
fn target_group(rule: &ListenerRule, field: &impl Fn(&str) -> String, faults: &mut Faults) {
    if !is_id(&rule.vpc, "vpc-") {
        faults.add(
            field("vpc"),
            format!("{:?} is no id of a VPC", rule.vpc),
            "vpc-...",
        );
    }
    if let Some(protocol) = rule
        .protocol
        .as_ref()
        .filter(|p| !matches!(p.as_str(), "HTTP" | "HTTPS"))
    {
        faults.add(
            field("protocol"),
            format!("{protocol:?} is no protocol here"),
            "HTTP or HTTPS",
        );
    }
    let version = rule.protocol_version.as_deref();
    if !matches!(version, None | Some("HTTP1" | "HTTP2" | "GRPC")) {
        let message = format!("{:?} is no protocol version", version.unwrap_or_default());
        faults.add(field("protocol_version"), message, "HTTP1, HTTP2 or GRPC");
    }
    let check = &rule.health_check;
    let member = |member: &str| field(&format!("health_check.{member}"));
    if let Some(path) = &check.path
        && (!path.starts_with('/') || path.len() > 1024)
    {
        faults.add(
            member("path"),
            format!("{path:?} is no path"),
            "it starts with /, at most 1024 characters",
        );
    }
    let highest = if version == Some("GRPC") { 99 } else { 499 };
    let lowest = if version == Some("GRPC") { 0 } else { 200 };
    if let Some(matcher) = check
        .matcher
        .as_ref()
        .filter(|matcher| !is_matcher(matcher, lowest, highest))
    {
        let hint = format!("codes from {lowest} to {highest}: \"200\", \"200,202\" or \"200-299\"");
        faults.add(member("matcher"), format!("{matcher:?} matches no code"), &hint);
    }
    faults.range(member("interval"), "interval in seconds", check.interval, 5, 300);
    faults.range(member("timeout"), "timeout in seconds", check.timeout, 2, 120);
    faults.range(
        member("healthy_threshold"),
        "threshold",
        check.healthy_threshold,
        2,
        10,
    );
    faults.range(
        member("unhealthy_threshold"),
        "threshold",
        check.unhealthy_threshold,
        2,
        10,
    );
    let (interval, timeout) = (check.interval.unwrap_or(10), check.timeout.unwrap_or(5));
    if timeout >= interval {
        let message = format!("a check may take {timeout} s, and the next comes after {interval} s");
        faults.add(
            member("timeout"),
            message,
            "lower the timeout, or raise the interval",
        );
    }
    faults.range(
        field("deregistration_delay"),
        "delay in seconds",
        rule.deregistration_delay,
        0,
        3600,
    );
}

fn is_matcher(matcher: &str, lowest: u32, highest: u32) -> bool {
    let code = |text: &str| {
        let digits = (1..=3).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit());
        text.parse::<u32>()
            .ok()
            .filter(|code| digits && (lowest..=highest).contains(code))
    };
    matcher.split(',').all(|part| match part.split_once('-') {
        Some((from, to)) => matches!((code(from), code(to)), (Some(from), Some(to)) if from <= to),
        None => code(part).is_some(),
    })
}

//! Target groups that exist, and listeners that get a rule.

use super::network::vpc;
use super::said::said;
use super::{Facts, Findings};
use crate::fargate::ValidService;
use crate::fargate::spec::{Link, ListenerRule, LoadBalancer, Protocol};
use crate::observed::surroundings::{Listener, TargetGroup};

/// Seconds after which a target group's settings are called slow.
const SLOW: u32 = 60;

pub(super) fn judge(service: &ValidService, facts: &Facts, found: &mut Findings) {
    for link in &service.spec().load_balancers {
        match &link.link {
            Link::TargetGroup(arn) => {
                let what = format!("target group {arn}");
                let answer = facts.target_groups.get(arn);
                match answer.and_then(|answer| said(answer, &what, found)) {
                    Some(Some(group)) => judge_group(service, link, group, facts, found),
                    Some(None) => found.error(
                        "target_group_missing",
                        format!("{what} does not exist"),
                        "compare its ARN, account and region; or let the stack make one with listener_rule",
                    ),
                    None => {}
                }
            }
            Link::ListenerRule(rule) => {
                let what = format!("listener {}", rule.listener);
                let answer = facts.listeners.get(&rule.listener);
                match answer.and_then(|answer| said(answer, &what, found)) {
                    Some(Some(listener)) => judge_listener(rule, listener, facts, found),
                    Some(None) => found.error(
                        "listener_missing",
                        format!("{what} does not exist"),
                        "compare its ARN, account and region; Towline makes no listeners",
                    ),
                    None => {}
                }
            }
        }
    }
}

fn judge_group(
    service: &ValidService,
    link: &LoadBalancer,
    group: &TargetGroup,
    facts: &Facts,
    found: &mut Findings,
) {
    let name = short(&group.arn);
    if group.target_type != "ip" {
        found.error(
            "target_type_not_ip",
            format!("target group {name} takes targets of type {}, and Fargate tasks are of type ip", group.target_type),
            "a target group's type cannot change: make one of type ip, or let the stack make it with listener_rule",
        );
    }
    if let Some(vpc) = vpc(facts).filter(|vpc| **vpc != group.vpc && !group.vpc.is_empty()) {
        found.error(
            "not_one_vpc",
            format!(
                "target group {name} is in {}, and the subnets are in {vpc}",
                group.vpc
            ),
            "take a target group of the subnets' VPC",
        );
    }
    protocol(service, link, group, found);
    if group.load_balancers.is_empty() {
        found.error(
            "target_group_not_attached",
            format!(
                "no load balancer's listener forwards to target group {name}, and ECS refuses such a one"
            ),
            "add a listener or a rule that forwards to it; or let the stack make both with listener_rule",
        );
    }
    slow(group, found);
}

fn protocol(service: &ValidService, link: &LoadBalancer, group: &TargetGroup, found: &mut Findings) {
    let containers = service
        .spec()
        .containers
        .iter()
        .filter(|container| container.name == link.container);
    let ports = containers
        .flat_map(|container| &container.ports)
        .filter(|port| port.port == link.port);
    let protocols: Vec<Protocol> = ports.map(|port| port.protocol).collect();
    let (tcp, udp) = (
        protocols.contains(&Protocol::Tcp),
        protocols.contains(&Protocol::Udp),
    );
    let fits = match group.protocol.as_str() {
        "HTTP" | "HTTPS" | "TCP" | "TLS" => tcp,
        "UDP" => udp,
        "TCP_UDP" => tcp && udp,
        _ => false,
    };
    if !fits && !protocols.is_empty() {
        found.error(
            "protocol_does_not_fit",
            format!(
                "target group {} speaks {}, and port {} of container {} is {}",
                short(&group.arn),
                group.protocol,
                link.port,
                link.container,
                if udp && !tcp { "UDP" } else { "TCP" }
            ),
            "change the port's protocol, or take a target group that fits",
        );
    }
}

/// What the settings cost each deployment.
pub(crate) fn slow(group: &TargetGroup, found: &mut Findings) {
    let name = short(&group.arn);
    let healthy_after = group
        .health_check_interval
        .saturating_mul(group.healthy_threshold);
    if healthy_after >= SLOW {
        found.warning(
            "slow_target_group",
            format!(
                "target group {name} calls a task healthy after {healthy_after} s ({} checks, {} s apart): each \
                 deployment waits so long",
                group.healthy_threshold, group.health_check_interval
            ),
            "2 checks, 5 s apart, are enough for most services: 10 s",
        );
    }
    if let Some(delay) = group.deregistration_delay.filter(|delay| *delay > SLOW) {
        found.warning(
            "slow_target_group",
            format!("target group {name} drains a task for {delay} s before it may stop: each deployment waits so long"),
            "set deregistration_delay.timeout_seconds a little above the longest request: 30 s for most services",
        );
    }
}

fn judge_listener(rule: &ListenerRule, listener: &Listener, facts: &Facts, found: &mut Findings) {
    let name = short(&listener.arn);
    if !matches!(listener.protocol.as_str(), "HTTP" | "HTTPS") {
        found.error(
            "listener_has_no_rules",
            format!(
                "listener {name} speaks {}, and only HTTP and HTTPS listeners have rules",
                listener.protocol
            ),
            "link the port through a target_group",
        );
    }
    if rule.protocol_version.as_deref() == Some("GRPC") && listener.protocol != "HTTPS" {
        found.error(
            "grpc_needs_https",
            format!(
                "listener {name} speaks {}, and gRPC goes only behind HTTPS",
                listener.protocol
            ),
            "take the load balancer's HTTPS listener",
        );
    }
    let subnets = vpc(facts).filter(|vpc| **vpc != rule.vpc);
    if let Some(vpc) = subnets {
        found.error(
            "not_one_vpc",
            format!(
                "the target group is to be in {}, and the subnets are in {vpc}",
                rule.vpc
            ),
            "give listener_rule.vpc the subnets' VPC",
        );
    }
    if let Some(vpc) = listener.vpc.as_ref().filter(|vpc| **vpc != rule.vpc) {
        found.error(
            "not_one_vpc",
            format!(
                "the target group is to be in {}, and the load balancer of listener {name} is in {vpc}",
                rule.vpc
            ),
            "take a listener of the subnets' VPC",
        );
    }
    let Some(priority) = rule.priority else { return };
    let taken = listener
        .rules
        .iter()
        .find(|known| known.priority == Some(priority));
    if let Some(other) = taken.filter(|other| !facts.own.listener_rules.contains(&other.arn)) {
        found.error(
            "priority_taken",
            format!(
                "priority {priority} of listener {name} is taken by {}",
                short(&other.arn)
            ),
            "take another priority, or leave it out for the next free one",
        );
    }
}

/// The ARN's last part.
fn short(arn: &str) -> &str {
    arn.rsplit_once(':').map_or(arn, |(_, short)| short)
}

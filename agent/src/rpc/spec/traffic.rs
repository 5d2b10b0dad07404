//! How a load balancer's traffic reaches a container.

use towline_agent_domain::fargate::spec::{Link, ListenerRule, LoadBalancer, TargetHealthCheck};
use towline_proto::agent::v1 as proto;

use super::{Violations, given, set};

/// `None`, and a violation, when it is not linked by exactly one of the two ways.
pub(super) fn load_balancer(
    field: &str,
    wire: &proto::LoadBalancerSpec,
    violations: &mut Violations,
) -> Option<LoadBalancer> {
    let proto::LoadBalancerSpec {
        container,
        port,
        target_group,
        listener_rule: wire_rule,
    } = wire;
    let link = match (target_group.as_str(), wire_rule) {
        ("", Some(wire)) => Link::ListenerRule(listener_rule(wire)),
        (_, None) => Link::TargetGroup(target_group.clone()),
        (_, Some(_)) => {
            violations.add(
                field,
                "is linked twice; give a target_group that exists, or a listener_rule, not both",
            );
            return None;
        }
    };
    if matches!(&link, Link::TargetGroup(arn) if arn.is_empty()) {
        violations.add(
            field,
            "is not linked; give the ARN of a target_group that exists, or a listener_rule",
        );
        return None;
    }
    Some(LoadBalancer {
        container: container.clone(),
        port: *port,
        link,
    })
}

fn listener_rule(wire: &proto::ListenerRuleSpec) -> ListenerRule {
    let proto::ListenerRuleSpec {
        listener,
        hosts,
        paths,
        priority,
        vpc,
        protocol,
        protocol_version,
        health_check: wire_health_check,
        deregistration_delay,
    } = wire;
    ListenerRule {
        listener: listener.clone(),
        hosts: hosts.clone(),
        paths: paths.clone(),
        priority: set(*priority),
        vpc: vpc.clone(),
        protocol: given(protocol),
        protocol_version: given(protocol_version),
        health_check: wire_health_check.as_ref().map(health_check).unwrap_or_default(),
        deregistration_delay: *deregistration_delay,
    }
}

fn health_check(wire: &proto::TargetHealthCheckSpec) -> TargetHealthCheck {
    let proto::TargetHealthCheckSpec {
        path,
        matcher,
        interval,
        timeout,
        healthy_threshold,
        unhealthy_threshold,
    } = wire;
    TargetHealthCheck {
        path: given(path),
        matcher: given(matcher),
        interval: set(*interval),
        timeout: set(*timeout),
        healthy_threshold: set(*healthy_threshold),
        unhealthy_threshold: set(*unhealthy_threshold),
    }
}

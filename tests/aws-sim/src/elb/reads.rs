//! Elastic Load Balancing's answers: every action that this simulator has of it.

use std::collections::BTreeMap;

use super::{Elb, Listener, LoadBalancer, Rule, TargetGroup};
use crate::{
    AwsError,
    wire::query::{element, escape, list, members, wrap},
    world::{CallContext, Region},
};

/// One awsQuery action. The answer is the XML inside `<ActionResult>`.
pub fn call(
    region: &mut Region,
    _ctx: &CallContext,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    match action {
        "DescribeTargetGroups" => describe_target_groups(region, params),
        "DescribeTargetHealth" => describe_target_health(region, params),
        "DescribeLoadBalancers" => describe_load_balancers(region, params),
        "DescribeTargetGroupAttributes" => describe_attributes(region, params),
        "DescribeListeners" => describe_listeners(&region.elb, params),
        "DescribeRules" => describe_rules(&region.elb, params),
        "DescribeTags" => describe_tags(region, params),
        _ => Err(AwsError::unknown_action(action)),
    }
}

fn no_target_group() -> AwsError {
    AwsError::client("TargetGroupNotFound", "One or more target groups not found")
}

fn no_load_balancer() -> AwsError {
    AwsError::client("LoadBalancerNotFound", "One or more load balancers not found")
}

fn describe_target_groups(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let arns = list(params, "TargetGroupArns");
    let names = list(params, "Names");
    let groups = &region.elb.target_groups;
    let unknown_arn = arns.iter().any(|arn| !groups.contains_key(arn));
    let unknown_name = names
        .iter()
        .any(|name| !groups.values().any(|group| group.name == *name));
    if unknown_arn || unknown_name {
        return Err(no_target_group());
    }
    let balancer = params.get("LoadBalancerArn");
    let chosen = groups
        .values()
        .filter(|group| arns.is_empty() || arns.contains(&group.arn))
        .filter(|group| names.is_empty() || names.contains(&group.name))
        .filter(|group| balancer.is_none() || group.load_balancer.as_ref() == balancer);
    Ok(members("TargetGroups", chosen.map(target_group_xml)))
}

fn target_group_xml(group: &TargetGroup) -> String {
    [
        element("TargetGroupArn", &group.arn),
        element("TargetGroupName", &group.name),
        element("Protocol", &group.protocol),
        element("Port", &group.port.to_string()),
        element("VpcId", &group.vpc),
        element("HealthCheckProtocol", health_protocol(group)),
        element("HealthCheckPort", "traffic-port"),
        element("HealthCheckEnabled", "true"),
        element("HealthCheckIntervalSeconds", &group.interval_s.to_string()),
        element("HealthCheckTimeoutSeconds", "2"),
        element("HealthyThresholdCount", &group.healthy.to_string()),
        element("UnhealthyThresholdCount", &group.unhealthy.to_string()),
        health_path_xml(group),
        members(
            "LoadBalancerArns",
            group.load_balancer.iter().map(|arn| escape(arn)),
        ),
        element("TargetType", &group.target_type),
        if group.speaks_http() {
            element("ProtocolVersion", &group.protocol_version)
        } else {
            String::new()
        },
        element("IpAddressType", "ipv4"),
    ]
    .concat()
}

/// AWS's default: network load balancers' groups are checked by connecting.
fn health_protocol(group: &TargetGroup) -> &'static str {
    if group.speaks_http() { "HTTP" } else { "TCP" }
}

fn health_path_xml(group: &TargetGroup) -> String {
    if !group.speaks_http() {
        return String::new();
    }
    element("HealthCheckPath", &group.path) + &wrap("Matcher", &element("HttpCode", "200"))
}

fn describe_target_health(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let group = params
        .get("TargetGroupArn")
        .and_then(|arn| region.elb.target_groups.get(arn))
        .ok_or_else(no_target_group)?;
    let described = group.targets.iter().map(|((id, port), target)| {
        let port = port.to_string();
        let mut health = element("State", target.state.word());
        if let Some((reason, description)) = target.state.reason() {
            health += &element("Reason", reason);
            health += &element("Description", description);
        }
        wrap(
            "Target",
            &[
                element("Id", id),
                element("Port", &port),
                element("AvailabilityZone", &target.zone),
            ]
            .concat(),
        ) + &element("HealthCheckPort", &port)
            + &wrap("TargetHealth", &health)
    });
    Ok(members("TargetHealthDescriptions", described))
}

fn describe_load_balancers(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let arns = list(params, "LoadBalancerArns");
    let names = list(params, "Names");
    let balancers = &region.elb.load_balancers;
    let unknown_arn = arns.iter().any(|arn| !balancers.iter().any(|lb| lb.arn == *arn));
    let unknown_name = names
        .iter()
        .any(|name| !balancers.iter().any(|lb| lb.name == *name));
    if unknown_arn || unknown_name {
        return Err(no_load_balancer());
    }
    let chosen = balancers
        .iter()
        .filter(|lb| arns.is_empty() || arns.contains(&lb.arn))
        .filter(|lb| names.is_empty() || names.contains(&lb.name));
    let region_name = &region.name;
    Ok(members(
        "LoadBalancers",
        chosen.map(|lb| load_balancer_xml(lb, region_name)),
    ))
}

fn load_balancer_xml(balancer: &LoadBalancer, region: &str) -> String {
    let zones = balancer
        .subnets
        .iter()
        .map(|(subnet, zone)| element("ZoneName", zone) + &element("SubnetId", subnet));
    [
        element("LoadBalancerArn", &balancer.arn),
        element(
            "DNSName",
            &format!("internal-{}.{region}.elb.amazonaws.com", balancer.name),
        ),
        element("CanonicalHostedZoneId", "Z32O12XQLNTSW2"),
        element("CreatedTime", &balancer.created.iso()),
        element("LoadBalancerName", &balancer.name),
        element("Scheme", "internal"),
        element("VpcId", &balancer.vpc),
        wrap("State", &element("Code", "active")),
        element("Type", &balancer.kind),
        members("AvailabilityZones", zones),
        members(
            "SecurityGroups",
            balancer.security_groups.iter().map(|group| escape(group)),
        ),
        element("IpAddressType", "ipv4"),
    ]
    .concat()
}

fn describe_listeners(elb: &Elb, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let wanted = params.get("LoadBalancerArn");
    let arns = list(params, "ListenerArns");
    if let Some(wanted) = wanted
        && !elb.load_balancers.iter().any(|lb| lb.arn == *wanted)
    {
        return Err(no_load_balancer());
    }
    if arns.iter().any(|arn| !elb.listeners.contains_key(arn)) {
        return Err(super::listeners::no_listener());
    }
    let chosen = elb
        .listeners
        .values()
        .filter(|listener| wanted.is_none_or(|arn| listener.load_balancer == *arn))
        .filter(|listener| arns.is_empty() || arns.contains(&listener.arn));
    Ok(members("Listeners", chosen.map(listener_xml)))
}

fn listener_xml(listener: &Listener) -> String {
    [
        element("ListenerArn", &listener.arn),
        element("LoadBalancerArn", &listener.load_balancer),
        element("Port", &listener.port.to_string()),
        element("Protocol", &listener.protocol),
        members("DefaultActions", [action_xml(listener.target_group.as_deref())]),
    ]
    .concat()
}

/// What is done with a request: forwarded, or answered with 404.
fn action_xml(target_group: Option<&str>) -> String {
    match target_group {
        Some(group) => element("Type", "forward") + &element("TargetGroupArn", group),
        None => {
            element("Type", "fixed-response") + &wrap("FixedResponseConfig", &element("StatusCode", "404"))
        }
    }
}

/// Rules come by listener or by their own ARNs; a listener's last one is its default.
fn describe_rules(elb: &Elb, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let arns = list(params, "RuleArns");
    let listener = params.get("ListenerArn");
    let listeners: Vec<&Listener> = match listener {
        Some(arn) => vec![elb.listeners.get(arn).ok_or_else(super::listeners::no_listener)?],
        None if arns.is_empty() => {
            let words = "You must specify either listener ARN or rule ARNs";
            return Err(AwsError::client("ValidationError", words));
        }
        None => elb.listeners.values().collect(),
    };
    let described = listeners.iter().flat_map(|listener| {
        let own = listener
            .rules
            .iter()
            .map(|rule| (rule.arn.clone(), rule_xml(rule)));
        own.chain([(listener.default_rule_arn(), default_rule_xml(listener))])
    });
    let chosen: Vec<(String, String)> = described
        .filter(|(arn, _)| arns.is_empty() || arns.contains(arn))
        .collect();
    if arns
        .iter()
        .any(|arn| !chosen.iter().any(|(found, _)| found == arn))
    {
        return Err(super::listeners::no_rule());
    }
    Ok(members("Rules", chosen.into_iter().map(|(_, xml)| xml)))
}

fn rule_xml(rule: &Rule) -> String {
    let conditions = rule.conditions.iter().map(|condition| {
        let values = || members("Values", condition.values.iter().map(|value| escape(value)));
        let config = match condition.field.as_str() {
            "host-header" => wrap("HostHeaderConfig", &values()),
            "path-pattern" => wrap("PathPatternConfig", &values()),
            _ => String::new(),
        };
        element("Field", &condition.field) + &values() + &config
    });
    let actions = rule.target_groups.iter().map(|group| action_xml(Some(group)));
    [
        element("RuleArn", &rule.arn),
        element("Priority", &rule.priority.to_string()),
        members("Conditions", conditions),
        members("Actions", actions),
        element("IsDefault", "false"),
    ]
    .concat()
}

fn default_rule_xml(listener: &Listener) -> String {
    [
        element("RuleArn", &listener.default_rule_arn()),
        element("Priority", "default"),
        members("Conditions", std::iter::empty()),
        members("Actions", [action_xml(listener.target_group.as_deref())]),
        element("IsDefault", "true"),
    ]
    .concat()
}

/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html>
fn describe_attributes(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let group = params
        .get("TargetGroupArn")
        .and_then(|arn| region.elb.target_groups.get(arn))
        .ok_or_else(no_target_group)?;
    let delay = group.deregistration_delay_s.to_string();
    let slow_start = group.slow_start_s.to_string();
    let attributes = [
        ("deregistration_delay.timeout_seconds", delay.as_str()),
        ("slow_start.duration_seconds", slow_start.as_str()),
        ("stickiness.enabled", "false"),
        ("stickiness.type", "lb_cookie"),
        ("load_balancing.algorithm.type", "round_robin"),
        (
            "load_balancing.cross_zone.enabled",
            "use_load_balancer_configuration",
        ),
    ];
    let described = attributes
        .iter()
        .map(|(key, value)| element("Key", key) + &element("Value", value));
    Ok(members("Attributes", described))
}

fn describe_tags(region: &Region, params: &BTreeMap<String, String>) -> Result<String, AwsError> {
    let arns = list(params, "ResourceArns");
    let known = |arn: &String| {
        region.elb.target_groups.contains_key(arn)
            || region.elb.listeners.contains_key(arn)
            || region.elb.load_balancers.iter().any(|lb| lb.arn == *arn)
    };
    if let Some(unknown) = arns.iter().find(|arn| !known(arn)) {
        return Err(if unknown.contains(":targetgroup/") {
            no_target_group()
        } else {
            no_load_balancer()
        });
    }
    let described = arns
        .iter()
        .map(|arn| element("ResourceArn", arn) + &members("Tags", std::iter::empty()));
    Ok(members("TagDescriptions", described))
}

//! Target groups, and the listener rules that join them to a load balancer.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Handled, Made, Refusal, Wait, Wanted, handler_words};
use crate::{
    cloudformation::{model::Resource, template::scalar},
    elb::{Condition, Rule, TargetGroup},
    world::{Region, SimTime},
};

pub fn create_target_group(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let name = wanted.name(region, "Name", 32);
    if region.elb.target_groups.values().any(|group| group.name == name) {
        let words = format!(
            "Resource of type 'AWS::ElasticLoadBalancingV2::TargetGroup' with identifier '{name}' already exists."
        );
        return Err(Refusal::Failed(handler_words(region, &words, "AlreadyExists")));
    }
    check_target_group(region, wanted)?;
    let unique = region.ids.hex("target-group", 16);
    let full_name = format!("targetgroup/{name}/{unique}");
    let arn = region.arn("elasticloadbalancing", &full_name);
    let group = group(&name, &arn, wanted);
    region.elb.target_groups.insert(arn.clone(), group);
    Ok(Made {
        attributes: BTreeMap::from([
            ("TargetGroupArn".to_owned(), arn.clone()),
            ("TargetGroupFullName".to_owned(), full_name),
            ("TargetGroupName".to_owned(), name),
            ("LoadBalancerArns".to_owned(), String::new()),
        ]),
        physical_id: arn,
        wait: Wait::Until(now.plus_ms(3_000)),
    })
}

/// The group with AWS's defaults for what the template leaves out.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>
fn group(name: &str, arn: &str, wanted: &Wanted) -> TargetGroup {
    let text = |property: &str| wanted.properties.get(property).and_then(scalar);
    let number = |property: &str| text(property).and_then(|text| text.parse::<u32>().ok());
    TargetGroup {
        name: name.to_owned(),
        arn: arn.to_owned(),
        vpc: text("VpcId").unwrap_or_default(),
        protocol: text("Protocol").unwrap_or_else(|| "HTTP".to_owned()),
        protocol_version: text("ProtocolVersion").unwrap_or_else(|| "HTTP1".to_owned()),
        port: number("Port").map_or(80, i64::from),
        target_type: text("TargetType").unwrap_or_else(|| "instance".to_owned()),
        path: text("HealthCheckPath").unwrap_or_else(|| "/".to_owned()),
        interval_s: number("HealthCheckIntervalSeconds").map_or(30.0, f64::from),
        healthy: number("HealthyThresholdCount").unwrap_or(5),
        unhealthy: number("UnhealthyThresholdCount").unwrap_or(2),
        deregistration_delay_s: attribute(wanted, "deregistration_delay.timeout_seconds").unwrap_or(300.0),
        slow_start_s: attribute(wanted, "slow_start.duration_seconds").unwrap_or(0),
        load_balancer: None,
        targets: BTreeMap::new(),
    }
}

fn attribute<T: std::str::FromStr>(wanted: &Wanted, key: &str) -> Option<T> {
    let attributes = wanted.properties.get("TargetGroupAttributes")?.as_array()?;
    let is_it = |attribute: &&Value| attribute.get("Key").and_then(Value::as_str) == Some(key);
    let value = attributes.iter().find(is_it)?.get("Value").and_then(scalar)?;
    value.parse().ok()
}

/// What Elastic Load Balancing refuses of a target group.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html>
fn check_target_group(region: &mut Region, wanted: &Wanted) -> Handled<()> {
    let number = |property: &str| {
        let text = wanted.properties.get(property).and_then(scalar);
        text.and_then(|text| text.parse::<i64>().ok())
    };
    let ranges = [
        ("Port", 1, 65_535),
        ("HealthCheckIntervalSeconds", 5, 300),
        ("HealthCheckTimeoutSeconds", 2, 120),
        ("HealthyThresholdCount", 2, 10),
        ("UnhealthyThresholdCount", 2, 10),
    ];
    let outside = ranges
        .iter()
        .find(|(property, least, most)| number(property).is_some_and(|n| !(*least..=*most).contains(&n)));
    let vpc = wanted.text("VpcId").unwrap_or_default();
    let interval = number("HealthCheckIntervalSeconds").unwrap_or(30);
    let timeout = number("HealthCheckTimeoutSeconds").unwrap_or(5);
    let delay: Option<i64> = attribute(wanted, "deregistration_delay.timeout_seconds");
    let words = if let Some((property, least, most)) = outside {
        format!("{property} must be between {least} and {most}")
    } else if timeout >= interval {
        format!("Health check interval must be greater than the timeout of {timeout} seconds")
    } else if delay.is_some_and(|seconds| !(0..=3600).contains(&seconds)) {
        "deregistration_delay.timeout_seconds must be between 0 and 3600".to_owned()
    } else if !region.network.vpcs.iter().any(|known| known.id == vpc) {
        format!("The VPC ID '{vpc}' is not found")
    } else {
        return Ok(());
    };
    let words = format!("{words} (Service: ElasticLoadBalancingV2, Status Code: 400)");
    Err(Refusal::Failed(handler_words(region, &words, "InvalidRequest")))
}

/// Changes what can change in place; targets stay registered.
pub fn update_target_group(
    region: &mut Region,
    now: SimTime,
    is: &Resource,
    wanted: &Wanted,
) -> Handled<Wait> {
    check_target_group(region, wanted)?;
    let Some(known) = region.elb.target_groups.get_mut(&is.physical_id) else {
        let words = "One or more target groups not found (Service: ElasticLoadBalancingV2, Status Code: 400)";
        return Err(Refusal::Failed(handler_words(region, words, "NotFound")));
    };
    let fresh = group(&known.name.clone(), &is.physical_id, wanted);
    *known = TargetGroup {
        load_balancer: known.load_balancer.take(),
        targets: std::mem::take(&mut known.targets),
        ..fresh
    };
    Ok(Wait::Until(now.plus_ms(2_000)))
}

pub fn delete_target_group(region: &mut Region, now: SimTime, is: &Resource) -> Handled<Wait> {
    let known = region.elb.target_groups.get(&is.physical_id);
    if known.is_some_and(|group| group.load_balancer.is_some()) {
        let arn = &is.physical_id;
        let words = format!(
            "Target group '{arn}' is currently in use by a listener or a rule (Service: ElasticLoadBalancingV2, Status Code: 400)"
        );
        return Err(Refusal::Failed(handler_words(
            region,
            &words,
            "GeneralServiceException",
        )));
    }
    region.elb.target_groups.remove(&is.physical_id);
    Ok(Wait::Until(now.plus_ms(2_000)))
}

/// A rule that forwards: its target groups belong to the listener's load balancer from now on.
pub fn create_rule(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let listener = wanted.text("ListenerArn").unwrap_or_default().to_owned();
    let unique = region.ids.hex("listener-rule", 16);
    let arn = format!("{}/{unique}", listener.replace(":listener/", ":listener-rule/"));
    put_rule(region, &listener, &arn, wanted)?;
    Ok(Made {
        attributes: BTreeMap::from([
            ("RuleArn".to_owned(), arn.clone()),
            ("IsDefault".to_owned(), "false".to_owned()),
        ]),
        physical_id: arn,
        wait: Wait::Until(now.plus_ms(2_000)),
    })
}

/// Changes conditions, actions and priority in place.
pub fn update_rule(region: &mut Region, now: SimTime, is: &Resource, wanted: &Wanted) -> Handled<Wait> {
    let listener = wanted.text("ListenerArn").unwrap_or_default().to_owned();
    put_rule(region, &listener, &is.physical_id, wanted)?;
    Ok(Wait::Until(now.plus_ms(2_000)))
}

fn put_rule(region: &mut Region, listener: &str, arn: &str, wanted: &Wanted) -> Handled<()> {
    let rule = rule(arn, &wanted.properties);
    let fault = if !(1..=50_000).contains(&rule.priority) {
        Some(format!(
            "Priority '{}' must be between 1 and 50000",
            rule.priority
        ))
    } else if rule.conditions.is_empty() || rule.conditions.iter().any(|one| one.values.is_empty()) {
        Some("A condition value must be specified".to_owned())
    } else if rule.conditions.iter().map(|one| one.values.len()).sum::<usize>() > 5 {
        Some("Rules can have at most 5 condition values".to_owned())
    } else {
        None
    };
    if let Some(fault) = fault {
        let words = format!("{fault} (Service: ElasticLoadBalancingV2, Status Code: 400)");
        return Err(Refusal::Failed(handler_words(region, &words, "InvalidRequest")));
    }
    if let Err(refused) = region.elb.put_rule(listener, rule) {
        let words = format!(
            "{} (Service: ElasticLoadBalancingV2, Status Code: {})",
            refused.message, refused.http_status
        );
        let code = match refused.code.as_str() {
            "PriorityInUse" => "AlreadyExists",
            _ => "NotFound",
        };
        return Err(Refusal::Failed(handler_words(region, &words, code)));
    }
    Ok(())
}

/// The rule of a template's properties.
fn rule(arn: &str, properties: &Map<String, Value>) -> Rule {
    let priority = properties.get("Priority").and_then(scalar);
    let conditions = properties.get("Conditions").and_then(Value::as_array);
    Rule {
        arn: arn.to_owned(),
        priority: priority.and_then(|text| text.parse().ok()).unwrap_or(0),
        conditions: conditions.into_iter().flatten().map(condition).collect(),
        target_groups: forwarded_by(properties),
    }
}

/// The values of a condition stand in itself or in the configuration of its field.
fn condition(given: &Value) -> Condition {
    let configured = ["HostHeaderConfig", "PathPatternConfig"]
        .iter()
        .find_map(|config| given.get(config)?.get("Values"));
    let values = given.get("Values").or(configured).and_then(Value::as_array);
    Condition {
        field: given.get("Field").and_then(scalar).unwrap_or_default(),
        values: values.into_iter().flatten().filter_map(scalar).collect(),
    }
}

pub fn delete_rule(region: &mut Region, now: SimTime, is: &Resource) -> Wait {
    region.elb.remove_rule(&is.physical_id);
    Wait::Until(now.plus_ms(2_000))
}

fn forwarded_by(properties: &Map<String, Value>) -> Vec<String> {
    let actions = properties.get("Actions").and_then(Value::as_array);
    let arns = actions
        .into_iter()
        .flatten()
        .filter_map(|action| action.get("TargetGroupArn")?.as_str());
    arns.map(str::to_owned).collect()
}

//! Target groups, and the listener rules that join them to a load balancer.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Handled, Made, Refusal, Wait, Wanted, handler_words};
use crate::{
    cloudformation::{model::Resource, template::scalar},
    elb::TargetGroup,
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
        port: number("Port").map_or(80, i64::from),
        target_type: text("TargetType").unwrap_or_else(|| "instance".to_owned()),
        path: text("HealthCheckPath").unwrap_or_else(|| "/".to_owned()),
        interval_s: number("HealthCheckIntervalSeconds").map_or(30.0, f64::from),
        healthy: number("HealthyThresholdCount").unwrap_or(5),
        unhealthy: number("UnhealthyThresholdCount").unwrap_or(2),
        deregistration_delay_s: deregistration_delay(wanted).unwrap_or(300.0),
        load_balancer: None,
        targets: BTreeMap::new(),
    }
}

fn deregistration_delay(wanted: &Wanted) -> Option<f64> {
    let attributes = wanted.properties.get("TargetGroupAttributes")?.as_array()?;
    let is_delay = |attribute: &&Value| {
        attribute.get("Key").and_then(Value::as_str) == Some("deregistration_delay.timeout_seconds")
    };
    let delay = attributes.iter().find(is_delay)?.get("Value").and_then(scalar)?;
    delay.parse().ok()
}

pub fn delete_target_group(region: &mut Region, now: SimTime, is: &Resource) -> Wait {
    region.elb.target_groups.remove(&is.physical_id);
    Wait::Until(now.plus_ms(2_000))
}

/// A rule that forwards: its target groups belong to the listener's load balancer from now on.
pub fn create_rule(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let listener = wanted.text("ListenerArn").unwrap_or_default().to_owned();
    let balancer = listener.replace(":listener/", ":loadbalancer/");
    let balancer = region
        .elb
        .load_balancers
        .iter()
        .find(|found| balancer.starts_with(&found.arn));
    let Some(balancer) = balancer.map(|found| found.arn.clone()) else {
        let words = "One or more listeners not found (Service: ElasticLoadBalancingV2, Status Code: 400)";
        return Err(Refusal::Failed(handler_words(region, words, "NotFound")));
    };
    for arn in forwarded_by(&wanted.properties) {
        match region.elb.target_groups.get_mut(&arn) {
            Some(group) => group.load_balancer = Some(balancer.clone()),
            None => {
                let words = format!(
                    "Target group '{arn}' not found (Service: ElasticLoadBalancingV2, Status Code: 400)"
                );
                return Err(Refusal::Failed(handler_words(region, &words, "NotFound")));
            }
        }
    }
    let unique = region.ids.hex("listener-rule", 16);
    let arn = format!("{}/{unique}", listener.replace(":listener/", ":listener-rule/"));
    Ok(Made {
        attributes: BTreeMap::from([
            ("RuleArn".to_owned(), arn.clone()),
            ("IsDefault".to_owned(), "false".to_owned()),
        ]),
        physical_id: arn,
        wait: Wait::Until(now.plus_ms(2_000)),
    })
}

pub fn delete_rule(region: &mut Region, now: SimTime, is: &Resource) -> Wait {
    for arn in forwarded_by(&is.properties) {
        if let Some(group) = region.elb.target_groups.get_mut(&arn) {
            group.load_balancer = None;
        }
    }
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

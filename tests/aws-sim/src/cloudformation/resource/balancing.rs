//! Target groups and listener rules, through Elastic Load Balancing's own door.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Handled, Made, Refusal, Wait, Wanted, context, refusal};
use crate::{
    cloudformation::{model::Resource, template::scalar},
    world::{Region, SimTime},
};

pub fn create_target_group(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let name = wanted.name(region, "Name", 32);
    let mut params = flat(wanted);
    params.insert("Name".to_owned(), name.clone());
    let answer = elb(region, now, "CreateTargetGroup", &params)?;
    let arn = element(&answer, "TargetGroupArn");
    let full_name = arn
        .rsplit_once(':')
        .map(|(_, full)| full.to_owned())
        .unwrap_or_default();
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

pub fn delete_target_group(region: &mut Region, now: SimTime, is: &Resource) -> Handled<Wait> {
    remove(region, now, "DeleteTargetGroup", "TargetGroupArn", is)
}

pub fn create_rule(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let answer = elb(region, now, "CreateRule", &flat(wanted))?;
    let arn = element(&answer, "RuleArn");
    Ok(Made {
        attributes: BTreeMap::from([
            ("RuleArn".to_owned(), arn.clone()),
            ("IsDefault".to_owned(), "false".to_owned()),
        ]),
        physical_id: arn,
        wait: Wait::Until(now.plus_ms(2_000)),
    })
}

pub fn delete_rule(region: &mut Region, now: SimTime, is: &Resource) -> Handled<Wait> {
    remove(region, now, "DeleteRule", "RuleArn", is)
}

fn remove(region: &mut Region, now: SimTime, action: &str, member: &str, is: &Resource) -> Handled<Wait> {
    let params = BTreeMap::from([(member.to_owned(), is.physical_id.clone())]);
    elb(region, now, action, &params)?;
    Ok(Wait::Until(now.plus_ms(2_000)))
}

fn elb(
    region: &mut Region,
    now: SimTime,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, Refusal> {
    let ctx = context(region, now);
    crate::elb::call(region, &ctx, action, params)
        .map_err(|error| refusal(region, "ElasticLoadBalancingV2", &error))
}

/// Properties as awsQuery says them: `Actions.member.1.Type`.
fn flat(wanted: &Wanted) -> BTreeMap<String, String> {
    let mut params = BTreeMap::new();
    for (name, value) in &wanted.properties {
        // These are set by calls of their own in AWS, and nothing here reads them.
        if !matches!(name.as_str(), "TargetGroupAttributes" | "Targets" | "Tags") {
            flatten(name, value, &mut params);
        }
    }
    params
}

fn flatten(name: &str, value: &Value, params: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                flatten(&format!("{name}.{member}"), value, params);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{name}.member.{}", index + 1), value, params);
            }
        }
        plain => {
            params.extend(scalar(plain).map(|text| (name.to_owned(), text)));
        }
    }
}

fn element(xml: &str, name: &str) -> String {
    let opening = format!("<{name}>");
    let found = xml
        .split_once(&opening)
        .and_then(|(_, rest)| rest.split_once('<'));
    found.map(|(text, _)| text.to_owned()).unwrap_or_default()
}

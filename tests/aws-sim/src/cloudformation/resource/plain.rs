//! Resources that are there as soon as they are asked for: clusters, task
//! definitions, log groups, roles.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Handled, Made, Refusal, Wait, Wanted, context, ecs, handler_words, logs, refusal};
use crate::{
    cloudformation::{model::Resource, properties, template::scalar},
    iam,
    world::{Region, SimTime},
};

/// How long a role takes until CloudFormation calls it made, in milliseconds.
const ROLE_MS: i64 = 15_000;

pub fn create_cluster(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let name = wanted.name(region, "ClusterName", 255);
    let mut input = properties::to_ecs(&wanted.properties);
    input.insert("clusterName".to_owned(), Value::String(name.clone()));
    input.insert("tags".to_owned(), wanted.ecs_tags());
    let answer = ecs(region, now, "CreateCluster", &Value::Object(input))?;
    let arn = text(&answer, "/cluster/clusterArn");
    Ok(Made {
        physical_id: name,
        attributes: BTreeMap::from([("Arn".to_owned(), arn)]),
        wait: Wait::Until(now.plus_ms(5_000)),
    })
}

pub fn delete_cluster(region: &mut Region, now: SimTime, is: &Resource) -> Handled<Wait> {
    ecs(
        region,
        now,
        "DeleteCluster",
        &json!({ "cluster": is.physical_id }),
    )?;
    Ok(Wait::Until(now.plus_ms(2_000)))
}

pub fn register_task_definition(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let family = wanted.name(region, "Family", 255);
    let mut input = properties::to_ecs(&wanted.properties);
    input.insert("family".to_owned(), Value::String(family));
    input.insert("tags".to_owned(), wanted.ecs_tags());
    let answer = ecs(region, now, "RegisterTaskDefinition", &Value::Object(input))?;
    let arn = text(&answer, "/taskDefinition/taskDefinitionArn");
    Ok(Made {
        physical_id: arn.clone(),
        attributes: BTreeMap::from([("TaskDefinitionArn".to_owned(), arn)]),
        wait: Wait::Until(now.plus_ms(1_000)),
    })
}

pub fn deregister_task_definition(region: &mut Region, now: SimTime, is: &Resource) -> Handled<Wait> {
    let answer = ecs(
        region,
        now,
        "DeregisterTaskDefinition",
        &json!({ "taskDefinition": is.physical_id }),
    );
    match answer {
        // Somebody else deregistered it: it is as gone as it should be.
        Ok(_) | Err(Refusal::Failed(_)) => Ok(Wait::Until(now.plus_ms(1_000))),
        Err(throttled) => Err(throttled),
    }
}

/// Puts the wanted tags on an ECS resource; nothing else of it can change in place.
pub fn retag(region: &mut Region, now: SimTime, is: &Resource, wanted: &Wanted) -> Handled<Wait> {
    let arn = is.attributes.get("Arn").unwrap_or(&is.physical_id);
    ecs(
        region,
        now,
        "TagResource",
        &json!({ "resourceArn": arn, "tags": wanted.ecs_tags() }),
    )?;
    Ok(Wait::Until(now.plus_ms(1_000)))
}

pub fn create_log_group(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let name = wanted.name(region, "LogGroupName", 512);
    let tags = wanted.all_tags().into_iter();
    let tags: serde_json::Map<String, Value> = tags.map(|(key, value)| (key, Value::String(value))).collect();
    let ctx = context(region, now);
    let input = json!({ "logGroupName": name, "tags": tags });
    if let Err(error) = crate::logs::call(region, &ctx, "CreateLogGroup", &input) {
        if error.code != "ResourceAlreadyExistsException" {
            return Err(refusal(region, "CloudWatchLogs", &error));
        }
        let words = format!(
            "Resource of type 'AWS::Logs::LogGroup' with identifier \
             '{{\"/properties/LogGroupName\":\"{name}\"}}' already exists."
        );
        return Err(Refusal::Failed(handler_words(region, &words, "AlreadyExists")));
    }
    set_retention(region, now, &name, wanted)?;
    let arn = region.arn("logs", &format!("log-group:{name}:*"));
    Ok(Made {
        physical_id: name,
        attributes: BTreeMap::from([("Arn".to_owned(), arn)]),
        wait: Wait::Until(now.plus_ms(3_000)),
    })
}

pub fn update_log_group(region: &mut Region, now: SimTime, is: &Resource, wanted: &Wanted) -> Handled<Wait> {
    set_retention(region, now, &is.physical_id, wanted)?;
    Ok(Wait::Until(now.plus_ms(2_000)))
}

pub fn delete_log_group(region: &mut Region, now: SimTime, is: &Resource) -> Handled<Wait> {
    match logs(
        region,
        now,
        "DeleteLogGroup",
        &json!({ "logGroupName": is.physical_id }),
    ) {
        Ok(_) => Ok(Wait::Until(now.plus_ms(1_000))),
        Err(Refusal::Failed(words)) if words.contains("HandlerErrorCode: NotFound") => {
            Ok(Wait::Until(now.plus_ms(1_000)))
        }
        Err(other) => Err(other),
    }
}

fn set_retention(region: &mut Region, now: SimTime, name: &str, wanted: &Wanted) -> Handled<()> {
    let days = wanted.properties.get("RetentionInDays").and_then(scalar);
    if let Some(days) = days.and_then(|days| days.parse::<i64>().ok()) {
        let input = json!({ "logGroupName": name, "retentionInDays": days });
        logs(region, now, "PutRetentionPolicy", &input)?;
    }
    Ok(())
}

pub fn create_role(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    let name = wanted.name(region, "RoleName", 64);
    let path = wanted.text("Path").unwrap_or("/").to_owned();
    let ctx = context(region, now);
    let made = iam::create_role(region, &ctx, &name, &path, wanted.properties.clone());
    let role = made.map_err(|error| refusal(region, "Iam", &error))?;
    let unique = region.ids.suffix("role-id", 16);
    Ok(Made {
        physical_id: role.name,
        attributes: BTreeMap::from([
            ("Arn".to_owned(), role.arn),
            ("RoleId".to_owned(), format!("AROA{unique}")),
        ]),
        wait: Wait::Until(now.plus_ms(ROLE_MS)),
    })
}

pub fn update_role(region: &mut Region, now: SimTime, is: &Resource, wanted: &Wanted) -> Handled<Wait> {
    iam::update_role(region, &is.physical_id, wanted.properties.clone())
        .map_err(|error| refusal(region, "Iam", &error))?;
    Ok(Wait::Until(now.plus_ms(ROLE_MS)))
}

pub fn delete_role(region: &mut Region, now: SimTime, is: &Resource) -> Wait {
    // A role that is gone is as gone as it should be.
    drop(iam::delete_role(region, &is.physical_id));
    Wait::Until(now.plus_ms(1_000))
}

/// Policies and handles: accepted and kept, with nothing behind them.
pub fn nothing_but_a_name(region: &mut Region, now: SimTime, wanted: &Wanted) -> Made {
    let physical_id = wanted.name(region, "", 64);
    Made {
        attributes: BTreeMap::from([("Id".to_owned(), physical_id.clone())]),
        physical_id,
        wait: Wait::Until(now.plus_ms(2_000)),
    }
}

pub(super) fn text(answer: &Value, pointer: &str) -> String {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

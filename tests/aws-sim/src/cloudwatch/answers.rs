//! DescribeAlarms, in both of CloudWatch's older protocols: awsJson 1.0 and
//! awsQuery. (Its newest, CBOR, is not spoken here.)

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Alarm;
use crate::{
    AwsError,
    wire::{
        json::{number, text, texts},
        query::{element, list, members},
    },
    world::Region,
};

/// Describes at most so many alarms at once, unless fewer are asked for.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>
const MOST_DESCRIBED: usize = 100;

/// The alarms of one page, and where the next begins.
pub type Answered<'a> = (Vec<&'a Alarm>, Option<String>);

/// What is asked for, in either protocol.
#[derive(Debug, Default)]
struct Asked {
    names: Vec<String>,
    prefix: Option<String>,
    state: Option<String>,
    types: Vec<String>,
    most: Option<usize>,
    token: Option<String>,
}

/// One awsJson action.
///
/// # Errors
/// As CloudWatch words them.
pub fn call(region: &Region, action: &str, input: &Value) -> Result<Value, AwsError> {
    if action != "DescribeAlarms" {
        return Err(AwsError::unknown_action(action));
    }
    let asked = Asked {
        names: texts(input, "AlarmNames"),
        prefix: text(input, "AlarmNamePrefix").map(str::to_owned),
        state: text(input, "StateValue").map(str::to_owned),
        types: texts(input, "AlarmTypes"),
        most: number(input, "MaxRecords").and_then(|most| usize::try_from(most).ok()),
        token: text(input, "NextToken").map(str::to_owned),
    };
    let (alarms, next) = describe(region, &asked)?;
    let described: Vec<Value> = alarms.iter().map(|alarm| view(region, alarm)).collect();
    let mut answer = json!({ "MetricAlarms": described, "CompositeAlarms": [] });
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

/// One awsQuery action; the XML inside its result.
///
/// # Errors
/// As CloudWatch words them.
pub fn call_query(
    region: &Region,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Result<String, AwsError> {
    if action != "DescribeAlarms" {
        return Err(AwsError::client(
            "InvalidAction",
            format!("Could not find operation {action}"),
        ));
    }
    let asked = Asked {
        names: list(params, "AlarmNames"),
        prefix: params.get("AlarmNamePrefix").cloned(),
        state: params.get("StateValue").cloned(),
        types: list(params, "AlarmTypes"),
        most: params.get("MaxRecords").and_then(|most| most.parse().ok()),
        token: params.get("NextToken").cloned(),
    };
    let (alarms, next) = describe(region, &asked)?;
    let described = members(
        "MetricAlarms",
        alarms.iter().map(|alarm| xml(&view(region, alarm), alarm)),
    );
    let next = next.map(|next| element("NextToken", &next)).unwrap_or_default();
    Ok(described + &members("CompositeAlarms", []) + &next)
}

fn describe<'a>(region: &'a Region, asked: &Asked) -> Result<Answered<'a>, AwsError> {
    let start = match &asked.token {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| AwsError::client("InvalidNextToken", "The next token specified is invalid."))?,
    };
    let is_metric = asked.types.is_empty() || asked.types.iter().any(|one| one == "MetricAlarm");
    let found: Vec<&Alarm> = region
        .alarms
        .values()
        .filter(|_| is_metric)
        .filter(|alarm| asked.names.is_empty() || asked.names.contains(&alarm.name))
        .filter(|alarm| {
            asked
                .prefix
                .as_ref()
                .is_none_or(|prefix| alarm.name.starts_with(prefix))
        })
        .filter(|alarm| {
            asked
                .state
                .as_ref()
                .is_none_or(|state| alarm.state.word() == state)
        })
        .collect();
    let most = asked.most.unwrap_or(MOST_DESCRIBED).clamp(1, MOST_DESCRIBED);
    let page: Vec<&Alarm> = found.iter().skip(start).take(most).copied().collect();
    let end = start + page.len();
    Ok((page, (end < found.len()).then(|| end.to_string())))
}

/// An alarm as awsJson says it: times in seconds since the epoch.
fn view(region: &Region, alarm: &Alarm) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a seed file")]
    let period = (alarm.evaluation_s.ceil() as i64).max(1);
    json!({
        "AlarmName": alarm.name,
        "AlarmArn": region.arn("cloudwatch", &format!("alarm:{}", alarm.name)),
        "AlarmConfigurationUpdatedTimestamp": alarm.made.epoch_seconds(),
        "ActionsEnabled": true,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        "StateValue": alarm.state.word(),
        "StateReason": alarm.reason(),
        "StateUpdatedTimestamp": alarm.since.epoch_seconds(),
        "StateTransitionedTimestamp": alarm.since.epoch_seconds(),
        "MetricName": alarm.metric,
        "Namespace": alarm.namespace,
        "Statistic": "Sum",
        "Dimensions": [],
        "Period": period,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": alarm.threshold,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": if alarm.is_reported { "notBreaching" } else { "missing" },
    })
}

/// The same as awsQuery says it: times in ISO 8601.
fn xml(view: &Value, alarm: &Alarm) -> String {
    let mut pieces = Vec::new();
    for (name, value) in view.as_object().into_iter().flatten() {
        pieces.push(match (name.as_str(), value) {
            ("AlarmConfigurationUpdatedTimestamp", _) => element(name, &alarm.made.iso()),
            ("StateUpdatedTimestamp" | "StateTransitionedTimestamp", _) => element(name, &alarm.since.iso()),
            (_, Value::Array(_)) => members(name, []),
            (_, Value::String(text)) => element(name, text),
            (_, other) => element(name, &other.to_string()),
        });
    }
    pieces.concat()
}

//! Amazon CloudWatch Logs: what containers with the `awslogs` driver wrote.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    AwsError,
    wire::json::{number, text},
    world::{CallContext, Region, SimTime},
};

#[derive(Clone, Debug)]
pub struct Stream {
    pub created: SimTime,
    /// Oldest first.
    pub events: Vec<(SimTime, String)>,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub created: SimTime,
    pub retention_days: Option<i64>,
    pub streams: BTreeMap<String, Stream>,
    pub tags: serde_json::Map<String, Value>,
}

/// The log groups of one account and region.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    pub groups: BTreeMap<String, Group>,
}

impl Logs {
    /// Makes a group if there is none.
    pub fn ensure_group(&mut self, name: &str, now: SimTime) -> &mut Group {
        self.groups.entry(name.to_owned()).or_insert_with(|| Group {
            created: now,
            retention_days: None,
            streams: BTreeMap::new(),
            tags: serde_json::Map::new(),
        })
    }

    /// Appends a line, as the log driver does; lost when the group is gone.
    pub fn write(&mut self, group: &str, stream: &str, at: SimTime, line: &str) {
        if let Some(group) = self.groups.get_mut(group) {
            let stream = group.streams.entry(stream.to_owned()).or_insert_with(|| Stream {
                created: at,
                events: Vec::new(),
            });
            stream.events.push((at, line.to_owned()));
        }
    }
}

/// One action: the wire's JSON in, the wire's JSON out.
pub fn call(region: &mut Region, ctx: &CallContext, action: &str, input: &Value) -> Result<Value, AwsError> {
    match action {
        "CreateLogGroup" => create_group(region, ctx, input),
        "DeleteLogGroup" => delete_group(region, input),
        "PutRetentionPolicy" => put_retention(region, input),
        "DeleteRetentionPolicy" => delete_retention(region, input),
        "DescribeLogGroups" => Ok(describe_groups(region, input)),
        "DescribeLogStreams" => describe_streams(region, input),
        "GetLogEvents" => get_events(region, ctx, input),
        "TagResource" | "UntagResource" => Ok(json!({})),
        "ListTagsForResource" => list_tags(region, input),
        _ => Err(AwsError::unknown_action(action)),
    }
}

fn no_group() -> AwsError {
    AwsError::client(
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
}

/// The group that `logGroupName` or `logGroupIdentifier` (a name or an ARN) names.
fn group_name(input: &Value) -> Result<String, AwsError> {
    let named = text(input, "logGroupName").or_else(|| text(input, "logGroupIdentifier"));
    let named = named.ok_or_else(|| {
        AwsError::client(
            "InvalidParameterException",
            "Either logGroupName or logGroupIdentifier is required",
        )
    })?;
    Ok(match named.split_once(":log-group:") {
        Some((_, name)) => name.trim_end_matches(":*").to_owned(),
        None => named.to_owned(),
    })
}

fn group_mut<'a>(region: &'a mut Region, input: &Value) -> Result<&'a mut Group, AwsError> {
    let name = group_name(input)?;
    region.logs.groups.get_mut(&name).ok_or_else(no_group)
}

fn create_group(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let name = group_name(input)?;
    if region.logs.groups.contains_key(&name) {
        return Err(AwsError::client(
            "ResourceAlreadyExistsException",
            "The specified log group already exists",
        ));
    }
    let group = region.logs.ensure_group(&name, ctx.now);
    if let Some(tags) = input.get("tags").and_then(Value::as_object) {
        group.tags = tags.clone();
    }
    Ok(json!({}))
}

fn delete_group(region: &mut Region, input: &Value) -> Result<Value, AwsError> {
    let name = group_name(input)?;
    region.logs.groups.remove(&name).ok_or_else(no_group)?;
    Ok(json!({}))
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
const RETENTION_DAYS: [i64; 23] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
    0,
];

fn put_retention(region: &mut Region, input: &Value) -> Result<Value, AwsError> {
    let days = number(input, "retentionInDays").unwrap_or(0);
    if days == 0 || !RETENTION_DAYS.contains(&days) {
        return Err(AwsError::client(
            "InvalidParameterException",
            "1 validation error detected: Value at 'retentionInDays' failed to satisfy constraint",
        ));
    }
    group_mut(region, input)?.retention_days = Some(days);
    Ok(json!({}))
}

fn delete_retention(region: &mut Region, input: &Value) -> Result<Value, AwsError> {
    group_mut(region, input)?.retention_days = None;
    Ok(json!({}))
}

fn describe_groups(region: &Region, input: &Value) -> Value {
    let prefix = text(input, "logGroupNamePrefix").unwrap_or_default();
    let pattern = text(input, "logGroupNamePattern").unwrap_or_default();
    let described: Vec<Value> = region
        .logs
        .groups
        .iter()
        .filter(|(name, _)| name.starts_with(prefix) && name.contains(pattern))
        .map(|(name, group)| {
            let arn = region.arn("logs", &format!("log-group:{name}"));
            let mut described = json!({
                "logGroupName": name,
                "creationTime": group.created.0,
                "metricFilterCount": 0,
                "arn": format!("{arn}:*"),
                "logGroupArn": arn,
                "storedBytes": 0,
                "logGroupClass": "STANDARD",
            });
            if let Some(days) = group.retention_days {
                described["retentionInDays"] = json!(days);
            }
            described
        })
        .collect();
    json!({ "logGroups": described })
}

fn describe_streams(region: &mut Region, input: &Value) -> Result<Value, AwsError> {
    let name = group_name(input)?;
    let prefix = text(input, "logStreamNamePrefix").unwrap_or_default();
    let arn = region.arn("logs", &format!("log-group:{name}"));
    let group = region.logs.groups.get(&name).ok_or_else(no_group)?;
    let mut streams: Vec<(&String, &Stream)> = group
        .streams
        .iter()
        .filter(|(stream, _)| stream.starts_with(prefix))
        .collect();
    if text(input, "orderBy") == Some("LastEventTime") {
        streams.sort_by_key(|(_, stream)| stream.events.last().map(|(at, _)| *at));
    }
    if input.get("descending").and_then(Value::as_bool) == Some(true) {
        streams.reverse();
    }
    let limit = number(input, "limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(50);
    let described: Vec<Value> = streams
        .into_iter()
        .take(limit)
        .map(|(stream_name, stream)| {
            let mut described = json!({
                "logStreamName": stream_name,
                "creationTime": stream.created.0,
                "arn": format!("{arn}:log-stream:{stream_name}"),
                "storedBytes": 0,
                "uploadSequenceToken": "49590302914743240",
            });
            if let (Some((first, _)), Some((last, _))) = (stream.events.first(), stream.events.last()) {
                described["firstEventTimestamp"] = json!(first.0);
                described["lastEventTimestamp"] = json!(last.0);
                described["lastIngestionTime"] = json!(last.0);
            }
            described
        })
        .collect();
    Ok(json!({ "logStreams": described }))
}

fn get_events(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let name = group_name(input)?;
    let group = region.logs.groups.get(&name).ok_or_else(no_group)?;
    let stream = text(input, "logStreamName")
        .and_then(|stream| group.streams.get(stream))
        .ok_or_else(|| {
            AwsError::client(
                "ResourceNotFoundException",
                "The specified log stream does not exist.",
            )
        })?;
    let start = number(input, "startTime").unwrap_or(i64::MIN);
    let end = number(input, "endTime").unwrap_or(i64::MAX);
    let events: Vec<&(SimTime, String)> = stream
        .events
        .iter()
        .filter(|(at, _)| *at <= ctx.now && at.0 >= start && at.0 < end)
        .collect();
    let limit = number(input, "limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(10_000)
        .min(10_000);
    let from_head = input.get("startFromHead").and_then(Value::as_bool) == Some(true);
    let (first, last) = window(events.len(), limit, from_head, text(input, "nextToken"));
    let shown: Vec<Value> = events[first..last]
        .iter()
        .map(|(at, line)| json!({"timestamp": at.0, "message": line, "ingestionTime": at.0}))
        .collect();
    Ok(json!({
        "events": shown,
        "nextForwardToken": format!("f/{last}"),
        "nextBackwardToken": format!("b/{first}"),
    }))
}

/// Which of `count` events a page shows: forward from a token, backward from a
/// token, from the head, or the newest ones.
fn window(count: usize, limit: usize, from_head: bool, token: Option<&str>) -> (usize, usize) {
    let parsed = token
        .and_then(|token| token.split_once('/'))
        .and_then(|(direction, at)| Some((direction, at.parse::<usize>().ok()?.min(count))));
    match parsed {
        Some(("f", at)) => (at, (at + limit).min(count)),
        Some((_, at)) => (at.saturating_sub(limit), at),
        None if from_head => (0, limit.min(count)),
        None => (count.saturating_sub(limit), count),
    }
}

fn list_tags(region: &Region, input: &Value) -> Result<Value, AwsError> {
    let arn = text(input, "resourceArn").unwrap_or_default();
    let name = arn.split_once(":log-group:").map_or(arn, |(_, name)| name);
    let group = region
        .logs
        .groups
        .get(name.trim_end_matches(":*"))
        .ok_or_else(no_group)?;
    Ok(json!({ "tags": group.tags }))
}

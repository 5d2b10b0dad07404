//! Protection of tasks from being scaled in, as their own code or anybody else asks for it.
//!
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection.html>.

use serde_json::{Value, json};

use super::{
    references::{cluster_name, last_part},
    task::Task,
};
use crate::{
    AwsError,
    wire::json::{number, texts},
    world::{CallContext, Region, SimTime},
};

/// Unless it says otherwise: two hours.
const DEFAULT_MINUTES: i64 = 120;

impl Task {
    /// Whether the scheduler leaves it alone.
    pub fn is_protected(&self, now: SimTime) -> bool {
        self.protected_until.is_some_and(|until| now < until)
    }
}

pub fn get(region: &Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let cluster = cluster_name(region, input)?;
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for name in texts(input, "tasks") {
        let found = region.ecs.tasks.get(last_part(&name));
        match found.filter(|task| task.cluster == cluster) {
            Some(task) => tasks.push(view(task, ctx.now)),
            None => failures.push(missing(region, &cluster, &name)),
        }
    }
    Ok(json!({ "protectedTasks": tasks, "failures": failures }))
}

pub fn update(region: &mut Region, ctx: &CallContext, input: &Value) -> Result<Value, AwsError> {
    let cluster = cluster_name(region, input)?;
    let is_on = input.get("protectionEnabled").and_then(Value::as_bool) == Some(true);
    let minutes = number(input, "expiresInMinutes").unwrap_or(DEFAULT_MINUTES);
    if !(1..=2880).contains(&minutes) {
        return Err(AwsError::client(
            "InvalidParameterException",
            "expiresInMinutes must be between 1 and 2880.",
        ));
    }
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for name in texts(input, "tasks") {
        let found = region.ecs.tasks.get_mut(last_part(&name));
        match found.filter(|task| task.cluster == cluster) {
            Some(task) => {
                task.protected_until = is_on.then(|| ctx.now.plus_ms(minutes * 60_000));
                tasks.push(view(task, ctx.now));
            }
            None => failures.push(missing(region, &cluster, &name)),
        }
    }
    Ok(json!({ "protectedTasks": tasks, "failures": failures }))
}

fn missing(region: &Region, cluster: &str, name: &str) -> Value {
    let arn = region.arn("ecs", &format!("task/{cluster}/{}", last_part(name)));
    json!({"arn": arn, "reason": "MISSING"})
}

fn view(task: &Task, now: SimTime) -> Value {
    let mut view = json!({"taskArn": task.arn, "protectionEnabled": task.is_protected(now)});
    if let Some(until) = task.protected_until.filter(|until| now < *until) {
        view["expirationDate"] = until.epoch_seconds();
    }
    view
}

//! Making, changing and removing physical resources: what CloudFormation's
//! resource handlers do, through the same doors that clients use.
//!
//! Start at [`create`], [`update`], [`delete`] and [`look`]. What always
//! holds: a handler that answers has begun the change, and [`Wait`] says what
//! must be seen before it counts as done.

mod balancing;
mod plain;
mod service;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    kind::Kind,
    model::{Resource, Tags},
    properties,
};
use crate::{
    AwsError,
    world::{CallContext, Region, SimTime},
};

/// What a handler is asked to make.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub logical_id: String,
    pub kind: Kind,
    pub stack_name: String,
    pub stack_id: String,
    /// Evaluated.
    pub properties: Map<String, Value>,
    /// The stack's tags.
    pub tags: Tags,
}

/// What a handler made.
#[derive(Clone, Debug)]
pub struct Made {
    pub physical_id: String,
    pub attributes: BTreeMap<String, String>,
    pub wait: Wait,
}

/// What must be seen before a change counts as done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    Until(SimTime),
    ServiceStable(service::Watch),
    ServiceGone {
        cluster: String,
        service: String,
        next: SimTime,
    },
}

/// What a look at a wait found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Done,
    NotYet,
    Failed(String),
}

/// Why a handler did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// AWS asked for patience: the handler tries again.
    Throttled,
    /// The words of the resource's event.
    Failed(String),
}

type Handled<T> = Result<T, Refusal>;

/// Makes a resource.
///
/// # Errors
/// The words of the event that says why not.
pub fn create(region: &mut Region, now: SimTime, wanted: &Wanted) -> Handled<Made> {
    if let Some(fault) = properties::fault(wanted.kind, &wanted.properties) {
        return Err(Refusal::Failed(format!(
            "Properties validation failed for resource {} with message:\n[{fault}]",
            wanted.logical_id
        )));
    }
    match wanted.kind {
        Kind::Cluster => plain::create_cluster(region, now, wanted),
        Kind::TaskDefinition => plain::register_task_definition(region, now, wanted),
        Kind::LogGroup => plain::create_log_group(region, now, wanted),
        Kind::Role => plain::create_role(region, now, wanted),
        Kind::Policy | Kind::WaitHandle => Ok(plain::nothing_but_a_name(region, now, wanted)),
        Kind::Service => service::create(region, now, wanted),
        Kind::TargetGroup => balancing::create_target_group(region, now, wanted),
        Kind::ListenerRule => balancing::create_rule(region, now, wanted),
    }
}

/// Changes a resource in place from what it is to what is wanted.
///
/// # Errors
/// The words of the event that says why not.
pub fn update(region: &mut Region, now: SimTime, is: &Resource, wanted: &Wanted) -> Handled<Wait> {
    if let Some(fault) = properties::fault(wanted.kind, &wanted.properties) {
        return Err(Refusal::Failed(format!(
            "Properties validation failed for resource {} with message:\n[{fault}]",
            wanted.logical_id
        )));
    }
    match wanted.kind {
        Kind::Service => service::update(region, now, is, wanted),
        Kind::LogGroup => plain::update_log_group(region, now, is, wanted),
        Kind::Role => plain::update_role(region, now, is, wanted),
        Kind::Cluster | Kind::TaskDefinition => plain::retag(region, now, is, wanted),
        Kind::TargetGroup => balancing::update_target_group(region, now, is, wanted),
        Kind::ListenerRule => balancing::update_rule(region, now, is, wanted),
        Kind::Policy | Kind::WaitHandle => Ok(Wait::Until(now.plus_ms(2_000))),
    }
}

/// Removes a resource. One that is gone already counts as removed.
///
/// # Errors
/// The words of the event that says why not.
pub fn delete(region: &mut Region, now: SimTime, is: &Resource) -> Handled<Wait> {
    match is.kind {
        Kind::Service => service::delete(region, now, is),
        Kind::Cluster => plain::delete_cluster(region, now, is),
        Kind::TaskDefinition => plain::deregister_task_definition(region, now, is),
        Kind::LogGroup => plain::delete_log_group(region, now, is),
        Kind::Role => Ok(plain::delete_role(region, now, is)),
        Kind::TargetGroup => balancing::delete_target_group(region, now, is),
        Kind::ListenerRule => Ok(balancing::delete_rule(region, now, is)),
        Kind::Policy | Kind::WaitHandle => Ok(Wait::Until(now.plus_ms(1_000))),
    }
}

/// Looks whether a change is done.
pub fn look(region: &mut Region, now: SimTime, wait: &mut Wait) -> Found {
    match wait {
        Wait::Until(at) if now < *at => Found::NotYet,
        Wait::Until(_) => Found::Done,
        Wait::ServiceStable(watch) => service::look(region, now, watch),
        Wait::ServiceGone {
            cluster,
            service,
            next,
        } => {
            if now < *next {
                return Found::NotYet;
            }
            *next = now.plus_ms(service::LOOK_EVERY_MS);
            service::look_whether_gone(region, now, cluster, service)
        }
    }
}

impl Wanted {
    /// The property's text, if it has one.
    fn text(&self, property: &str) -> Option<&str> {
        self.properties.get(property).and_then(Value::as_str)
    }

    /// The name that the user gave, or `stack-logical-SUFFIX` cut to `longest` characters.
    fn name(&self, region: &mut Region, property: &str, longest: usize) -> String {
        if let Some(given) = self.text(property) {
            return given.to_owned();
        }
        let suffix = region.ids.suffix("cloudformation-name", 12);
        let mut stem = format!("{}-{}", self.stack_name, self.logical_id);
        stem.truncate(longest.saturating_sub(suffix.len() + 1));
        format!("{stem}-{suffix}")
    }

    /// The resource's own tags, the stack's, and CloudFormation's, as `(key, value)`.
    fn all_tags(&self) -> Tags {
        let own = self.properties.get("Tags").and_then(Value::as_array);
        let own = own.into_iter().flatten().filter_map(|tag| {
            let text = |member: &str| Some(tag.get(member)?.as_str()?.to_owned());
            Some((text("Key")?, text("Value")?))
        });
        let mut tags: Tags = own.collect();
        let system = [
            ("aws:cloudformation:stack-name", &self.stack_name),
            ("aws:cloudformation:logical-id", &self.logical_id),
            ("aws:cloudformation:stack-id", &self.stack_id),
        ];
        let system = system.map(|(key, value)| (key.to_owned(), value.clone()));
        for (key, value) in self.tags.iter().cloned().chain(system) {
            if !tags.iter().any(|(known, _)| *known == key) {
                tags.push((key, value));
            }
        }
        tags
    }

    /// [`Self::all_tags`] as ECS says them.
    fn ecs_tags(&self) -> Value {
        let tags = self.all_tags().into_iter();
        tags.map(|(key, value)| json!({ "key": key, "value": value }))
            .collect()
    }
}

/// CloudFormation's own caller identity.
fn context(region: &Region, now: SimTime) -> CallContext {
    CallContext::service(now, &region.account, "cloudformation.amazonaws.com")
}

fn ecs(region: &mut Region, now: SimTime, action: &str, input: &Value) -> Handled<Value> {
    let ctx = context(region, now);
    crate::ecs::call(region, &ctx, action, input).map_err(|error| refusal(region, "Ecs", &error))
}

fn logs(region: &mut Region, now: SimTime, action: &str, input: &Value) -> Handled<Value> {
    let ctx = context(region, now);
    crate::logs::call(region, &ctx, action, input).map_err(|error| refusal(region, "CloudWatchLogs", &error))
}

/// A handler's failure in the words of a stack event.
fn refusal(region: &mut Region, service: &str, error: &AwsError) -> Refusal {
    if error.code == "ThrottlingException" {
        return Refusal::Throttled;
    }
    let code = match error.code.as_str() {
        "InvalidParameterException" | "ClientException" | "ValidationError" => "InvalidRequest",
        "AccessDeniedException" | "AccessDenied" => "AccessDenied",
        "ClusterNotFoundException"
        | "ServiceNotFoundException"
        | "ResourceNotFoundException"
        | "NoSuchEntity" => "NotFound",
        "ResourceAlreadyExistsException" | "EntityAlreadyExists" => "AlreadyExists",
        _ => "GeneralServiceException",
    };
    let request = region.ids.uuid("request");
    let words = format!(
        "{} (Service: {service}, Status Code: {}, Request ID: {request}) (SDK Attempt Count: 1)",
        error.message, error.http_status
    );
    Refusal::Failed(handler_words(region, &words, code))
}

/// `Resource handler returned message: …` with the handler's error code.
fn handler_words(region: &mut Region, message: &str, code: &str) -> String {
    let token = region.ids.uuid("handler-request");
    format!(
        "Resource handler returned message: \"{message}\" (RequestToken: {token}, HandlerErrorCode: {code})"
    )
}

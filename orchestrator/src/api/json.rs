//! The API's messages as JSON for scripts, read from the same descriptors that
//! reflection serves: the field names of the `.proto` files, every field
//! written out, times in RFC 3339, and enums as the words that people see
//! (`"awaiting_approval"`). The audit log shows requests the same way, without
//! the fields that were not set.

use std::sync::LazyLock;

use jiff::Timestamp;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value,
};
use serde_json::{Map, Value as Json};

static POOL: LazyLock<Result<DescriptorPool, String>> =
    LazyLock::new(|| DescriptorPool::decode(towline_proto::DESCRIPTORS).map_err(|error| error.to_string()));

/// Why a message cannot be shown: it and the descriptors do not belong together.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {name} as JSON: {why}")]
pub struct Unwritable {
    name: String,
    why: String,
}

/// Which fields are written out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fields {
    All,
    Set,
}

/// A message of `towline.orchestrator.v1` as JSON.
pub fn of(name: &str, message: &impl Message) -> Result<Json, Unwritable> {
    let full = format!("towline.orchestrator.v1.{name}");
    decoded(&full, &message.encode_to_vec(), Fields::All)
}

/// The request of an RPC as it came over the wire: only what is set.
/// `path` is the HTTP/2 path, `/package.Service/Method`.
pub fn of_request(path: &str, encoded: &[u8]) -> Result<Json, Unwritable> {
    let unwritable = |why: String| Unwritable {
        name: path.to_owned(),
        why,
    };
    let pool = POOL.as_ref().map_err(|error| unwritable(error.clone()))?;
    let (service, method) = path
        .trim_start_matches('/')
        .split_once('/')
        .ok_or_else(|| unwritable("it is no path of an RPC".to_owned()))?;
    let input = pool
        .get_service_by_name(service)
        .and_then(|service| service.methods().find(|known| known.name() == method))
        .map(|method| method.input())
        .ok_or_else(|| unwritable("the API has no such RPC".to_owned()))?;
    decoded(input.full_name(), encoded, Fields::Set)
}

fn decoded(full: &str, encoded: &[u8], fields: Fields) -> Result<Json, Unwritable> {
    let unwritable = |why: String| Unwritable {
        name: full.to_owned(),
        why,
    };
    let pool = POOL.as_ref().map_err(|error| unwritable(error.clone()))?;
    let descriptor = pool
        .get_message_by_name(full)
        .ok_or_else(|| unwritable("the API has no such message".to_owned()))?;
    DynamicMessage::decode(descriptor, encoded)
        .map(|message| of_message(&message, fields))
        .map_err(|error| unwritable(error.to_string()))
}

fn of_message(message: &DynamicMessage, fields: Fields) -> Json {
    if message.descriptor().full_name() == "google.protobuf.Timestamp" {
        return of_timestamp(message);
    }
    let mut object = Map::new();
    for field in message.descriptor().fields() {
        let json = match message.has_field(&field) {
            false if fields == Fields::Set => continue,
            false if field.supports_presence() => Json::Null,
            _ => of_value(&message.get_field(&field), &field, fields),
        };
        object.insert(field.name().to_owned(), json);
    }
    Json::Object(object)
}

fn of_value(value: &Value, field: &FieldDescriptor, fields: Fields) -> Json {
    match value {
        Value::Bool(value) => Json::from(*value),
        Value::I32(value) => Json::from(*value),
        Value::I64(value) => Json::from(*value),
        Value::U32(value) => Json::from(*value),
        Value::U64(value) => Json::from(*value),
        Value::F32(value) => Json::from(*value),
        Value::F64(value) => Json::from(*value),
        Value::String(value) => Json::from(value.as_str()),
        Value::Bytes(value) => Json::from(hex::encode(value)),
        Value::EnumNumber(number) => of_enum(*number, field),
        Value::Message(message) => of_message(message, fields),
        Value::List(values) => values
            .iter()
            .map(|value| of_value(value, field, fields))
            .collect(),
        Value::Map(entries) => {
            let kind = field.kind();
            let value_field = kind.as_message().map(|entry| entry.map_entry_value_field());
            let mut sorted: Vec<_> = entries
                .iter()
                .map(|(key, value)| {
                    (
                        of_key(key),
                        of_value(value, value_field.as_ref().unwrap_or(field), fields),
                    )
                })
                .collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            Json::Object(sorted.into_iter().collect())
        }
    }
}

fn of_key(key: &MapKey) -> String {
    match key {
        MapKey::String(key) => key.clone(),
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
    }
}

/// `DEPLOYMENT_STATE_AWAITING_APPROVAL` of `DeploymentState`: `awaiting_approval`.
fn of_enum(number: i32, field: &FieldDescriptor) -> Json {
    let Kind::Enum(of) = field.kind() else {
        return Json::from(number);
    };
    of.get_value(number).map_or_else(
        || Json::from(number),
        |value| {
            let prefix = prefix(&of);
            let word = value.name().strip_prefix(&prefix).unwrap_or(value.name());
            Json::from(word.to_ascii_lowercase())
        },
    )
}

fn prefix(of: &EnumDescriptor) -> String {
    let mut prefix = String::new();
    for (at, letter) in of.name().char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    prefix + "_"
}

fn of_timestamp(message: &DynamicMessage) -> Json {
    let number = |name| message.get_field_by_name(name);
    let seconds = number("seconds").and_then(|value| value.as_i64()).unwrap_or(0);
    let nanos = number("nanos").and_then(|value| value.as_i32()).unwrap_or(0);
    Timestamp::new(seconds, nanos).map_or(Json::Null, |at| Json::from(at.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use towline_proto::orchestrator::v1 as pb;

    #[test]
    fn a_script_reads_the_names_of_the_proto_files_and_the_words_of_people() {
        let operation = pb::Operation {
            id: "o-1".to_owned(),
            state: pb::OperationState::Ended.into(),
            verdict: "failed".to_owned(),
            diagnosis: vec!["exit code 1".to_owned()],
            outputs: [("task_definition".to_owned(), "web:7".to_owned())].into(),
            ..pb::Operation::default()
        };
        let deployment = pb::Deployment {
            id: "d-1".to_owned(),
            state: pb::DeploymentState::AwaitingApproval.into(),
            create_time: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 0,
            }),
            operations: vec![operation],
            ..pb::Deployment::default()
        };
        let json = of("Deployment", &deployment).unwrap();
        assert_eq!(json["state"], "awaiting_approval");
        assert_eq!(json["create_time"], "2023-11-14T22:13:20Z");
        assert_eq!(json["end_time"], Json::Null);
        assert_eq!(json["waiting_on"], "");
        assert_eq!(json["cancel_requested"], false);
        assert_eq!(json["operations"][0]["state"], "ended");
        assert_eq!(json["operations"][0]["diagnosis"][0], "exit code 1");
        assert_eq!(json["operations"][0]["outputs"]["task_definition"], "web:7");
        let event = pb::WatchReleaseResponse {
            cursor: 7,
            ..pb::WatchReleaseResponse::default()
        };
        assert_eq!(of("WatchReleaseResponse", &event).unwrap()["cursor"], 7);
    }
}

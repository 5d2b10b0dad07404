//! A request of AWS's wire protocols, taken apart.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;

use super::effects::Arrival;
use crate::{
    AwsError, cloudformation, ecs, s3,
    wire::{json, query},
};

/// What an action is given.
#[derive(Clone, Debug)]
pub enum Input {
    Json(Value),
    Query(BTreeMap<String, String>),
    Object(s3::Request),
}

/// One request to one service.
#[derive(Clone, Debug)]
pub struct AwsRequest {
    pub arrival: Arrival,
    pub input: Input,
    /// The body as it came.
    pub raw: Bytes,
}

/// Which of the protocols a request speaks, even when it says nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Json,
    Query,
    /// What S3 speaks.
    Object,
}

impl Protocol {
    pub fn of(parts: &Parts) -> Self {
        if parts.headers.contains_key("x-amz-target") {
            Self::Json
        } else if is_for_s3(parts) {
            Self::Object
        } else {
            Self::Query
        }
    }
}

/// Account, region and service of a SigV4 credential scope.
struct Scope {
    account: String,
    region: String,
    service: String,
}

impl AwsRequest {
    /// Reads a request; the signature itself is not checked.
    ///
    /// # Errors
    /// As AWS words a request without usable credentials, or one that it cannot read.
    pub fn read(parts: &Parts, body: &Bytes) -> Result<Self, AwsError> {
        let scope = scope(parts)?;
        let (service, action, input) = match Protocol::of(parts) {
            Protocol::Json => read_json(parts, body)?,
            Protocol::Query => read_query(&scope.service, parts, body)?,
            Protocol::Object => {
                let request = s3::Request::read(parts, body);
                (
                    scope.service.clone(),
                    request.action.clone(),
                    Input::Object(request),
                )
            }
        };
        let (token, subject) = match &input {
            Input::Json(value) => (
                json::text(value, "clientToken").map(str::to_owned),
                if service == "ecs" {
                    ecs::subject(value)
                } else {
                    let naming = [
                        "logGroupName",
                        "logGroupNamePrefix",
                        "repositoryName",
                        "SecretId",
                        "AlarmNamePrefix",
                    ];
                    let named = naming.iter().find_map(|member| json::text(value, member));
                    named.unwrap_or_default().to_owned()
                },
            ),
            Input::Query(params) => (
                ["ClientRequestToken", "ClientToken"]
                    .iter()
                    .find_map(|name| params.get(*name).cloned()),
                query_subject(&service, params),
            ),
            Input::Object(request) => (None, request.subject()),
        };
        Ok(Self {
            arrival: Arrival {
                account: scope.account,
                region: scope.region,
                service,
                action,
                token,
                operation: operation(parts),
                subject,
            },
            input,
            raw: body.clone(),
        })
    }
}

fn query_subject(service: &str, params: &BTreeMap<String, String>) -> String {
    if service == "cloudformation" {
        return cloudformation::subject(params);
    }
    let names = [
        "TargetGroupArn",
        "TargetGroupArns.member.1",
        "Names.member.1",
        "RoleArn",
        "RoleName",
        "ListenerArn",
        "ResourceArns.member.1",
        "AlarmNames.member.1",
    ];
    names
        .iter()
        .find_map(|name| params.get(*name).cloned())
        .unwrap_or_default()
}

fn is_for_s3(parts: &Parts) -> bool {
    let header = parts.headers.get(http::header::AUTHORIZATION);
    let header = header.and_then(|header| header.to_str().ok());
    header.is_some_and(|header| header.contains("/s3/aws4_request"))
}

/// The operation in `X-Amzn-Trace-Id: …;Operation=ID`.
fn operation(parts: &Parts) -> Option<String> {
    let trace = parts.headers.get("x-amzn-trace-id")?.to_str().ok()?;
    trace
        .split(';')
        .find_map(|field| field.trim().strip_prefix("Operation="))
        .map(str::to_owned)
}

fn scope(parts: &Parts) -> Result<Scope, AwsError> {
    let header = parts
        .headers
        .get(http::header::AUTHORIZATION)
        .and_then(|header| header.to_str().ok())
        .ok_or_else(|| {
            AwsError::with_status(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
                403,
            )
        })?;
    let invalid = |why: &str| {
        AwsError::with_status(
            "UnrecognizedClientException",
            format!("The security token included in the request is invalid. (aws-sim: {why})"),
            403,
        )
    };
    let credential = header
        .split([' ', ','])
        .find_map(|field| field.strip_prefix("Credential="))
        .ok_or_else(|| invalid("the Authorization header has no credential scope"))?;
    let fields: Vec<&str> = credential.split('/').collect();
    let [account, _date, region, service, _] = fields[..] else {
        return Err(invalid(
            "the credential scope is not KEY/DATE/REGION/SERVICE/aws4_request",
        ));
    };
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid("the access key id must be the 12 digits of an account"));
    }
    Ok(Scope {
        account: account.to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
    })
}

fn read_json(parts: &Parts, body: &Bytes) -> Result<(String, String, Input), AwsError> {
    let target = parts
        .headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .unwrap_or_default();
    let (prefix, action) = target.split_once('.').unwrap_or((target, ""));
    let service = match prefix {
        "AmazonEC2ContainerServiceV20141113" => "ecs",
        "Logs_20140328" => "logs",
        "AmazonEC2ContainerRegistry_V20150921" => "ecr",
        "secretsmanager" => "secretsmanager",
        "AmazonSSM" => "ssm",
        "GraniteServiceVersion20100801" => "monitoring",
        _ => return Err(AwsError::unknown_action(target)),
    };
    let value: Value = if body.is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(body)
            .map_err(|error| AwsError::client("SerializationException", error.to_string()))?
    };
    Ok((service.to_owned(), action.to_owned(), Input::Json(value)))
}

fn read_query(service: &str, parts: &Parts, body: &Bytes) -> Result<(String, String, Input), AwsError> {
    let mut params = query::parse_form(parts.uri.query().unwrap_or_default());
    params.extend(query::parse_form(&String::from_utf8_lossy(body)));
    let action = params
        .get("Action")
        .cloned()
        .ok_or_else(|| AwsError::client("MissingAction", "The request has no Action."))?;
    Ok((service.to_owned(), action, Input::Query(params)))
}

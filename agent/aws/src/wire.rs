//! The wire's own JSON, in and out. The SDK's models drop members that they do
//! not know; a copy of a task definition must not. Signing, credentials, retries
//! and errors stay the SDK's.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::{DateTime, date_time::Format};
use jiff::Timestamp;
use serde_json::Value;

use crate::observe;

/// Keeps the body of the response that passes through.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeepBody(Arc<Mutex<Option<Vec<u8>>>>);

impl KeepBody {
    /// The body as JSON. `result` is the SDK's reading of the same answer: where
    /// it failed on a model that it does not know, the body is still good.
    pub(crate) fn json<T, E>(&self, result: &Result<T, SdkError<E, HttpResponse>>) -> Option<Value> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let unread = match result {
            Err(SdkError::ResponseError(error)) if error.raw().status().is_success() => {
                error.raw().body().bytes().map(<[u8]>::to_vec)
            }
            _ => None,
        };
        serde_json::from_slice(&kept.filter(|_| result.is_ok()).or(unread)?).ok()
    }
}

#[dyn_dispatch_hint]
impl Intercept for KeepBody {
    fn name(&self) -> &'static str {
        "KeepBody"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().map(<[u8]>::to_vec);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
        Ok(())
    }
}

/// Keeps the time of the answer that passes through, by AWS's own clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeepDate(Arc<Mutex<Option<DateTime>>>);

impl KeepDate {
    pub(crate) fn date(&self) -> Option<Timestamp> {
        let kept = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.map(|date| observe::time(Some(&date)))
    }
}

#[dyn_dispatch_hint]
impl Intercept for KeepDate {
    fn name(&self) -> &'static str {
        "KeepDate"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}

/// Puts `body` in place of what the SDK wrote. Runs before signing.
pub(crate) fn replace_body(request: &mut HttpRequest, body: &Value) {
    let text = body.to_string();
    request
        .headers_mut()
        .insert("content-length", text.len().to_string());
    *request.body_mut() = SdkBody::from(text);
}

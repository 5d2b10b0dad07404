//! Which operation a request to AWS serves, told to AWS: CloudTrail and load
//! balancers keep the header `X-Amzn-Trace-Id`, so that a person finds there
//! which operation a call belongs to.

use std::future::Future;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

const HEADER: &str = "x-amzn-trace-id";

tokio::task_local! {
    static OPERATION: String;
}

/// Runs `future`; every request to AWS that it makes carries
/// `X-Amzn-Trace-Id: Operation=<operation_id>`.
pub async fn in_operation<F: Future>(operation_id: &str, future: F) -> F::Output {
    OPERATION.scope(operation_id.to_owned(), future).await
}

/// The operation that the caller runs in.
pub(crate) fn current() -> Option<String> {
    OPERATION.try_with(Clone::clone).ok()
}

/// Puts the header on requests, before they are signed.
#[derive(Debug)]
pub(crate) struct OperationHeader;

#[dyn_dispatch_hint]
impl Intercept for OperationHeader {
    fn name(&self) -> &'static str {
        "OperationHeader"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(value) = current().map(|id| format!("Operation={id}")) {
            context.request_mut().headers_mut().try_insert(HEADER, value)?;
        }
        Ok(())
    }
}

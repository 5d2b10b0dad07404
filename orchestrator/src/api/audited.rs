//! The layer that makes a call of a changing RPC an entry of the audit log. It
//! stands before the door of roles, so that refusals are entries too, and knows
//! the RPC, the caller and the request; the commit of the change writes the
//! entry (`store::audit`), or this layer does when there was none.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use serde_json::{Value, json};
use tonic::{Code, Status, body::Body};
use towline_link::{identity::Identity, io::PeerInfo, status::Details};
use towline_proto::access::OrchestratorRpc;

use super::json;
use crate::{domain::audit, engine::Engine, store::AuditedCall};

/// Requests that are longer stand in an entry without what they say.
const LONGEST_REQUEST: usize = 32 << 20;
/// Before each message of gRPC: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Makes entries of the calls behind it.
#[derive(Clone)]
pub struct AuditLayer {
    engine: Engine,
}

impl AuditLayer {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

impl<S> tower_layer::Layer<S> for AuditLayer {
    type Service = Audited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Audited {
            engine: self.engine.clone(),
            inner,
        }
    }
}

/// What [`AuditLayer`] makes of a service.
#[derive(Clone)]
pub struct Audited<S> {
    engine: Engine,
    inner: S,
}

impl<S, B> tower_service::Service<http::Request<Body>> for Audited<S>
where
    S: tower_service::Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = http::Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // The service that was made ready answers; its clone waits its turn.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let engine = self.engine.clone();
        match OrchestratorRpc::of_path(request.uri().path()) {
            Some(rpc) if rpc.is_audited() => Box::pin(audited(engine, inner, request, rpc)),
            _ => Box::pin(inner.call(request)),
        }
    }
}

async fn audited<S, B>(
    engine: Engine,
    mut inner: S,
    request: http::Request<Body>,
    rpc: OrchestratorRpc,
) -> Result<http::Response<B>, S::Error>
where
    S: tower_service::Service<http::Request<Body>, Response = http::Response<B>>,
    B: Send,
{
    let at = engine.now();
    let identity = identity(&request);
    let (parts, body) = request.into_parts();
    let (message, body) = read(body).await;
    let name = rpc
        .path()
        .trim_start_matches("/towline.orchestrator.v1.")
        .to_owned();
    let call = AuditedCall::new(at, identity, name, shown(rpc, message));
    let request = http::Request::from_parts(parts, body);
    let response = call.answer(inner.call(request)).await?;
    let refused = Status::from_header_map(response.headers()).filter(|status| status.code() != Code::Ok);
    engine.conclude_audit(&call, refused.as_ref().map(refusal)).await;
    Ok(response)
}

/// Who calls, as the certificate says.
fn identity(request: &http::Request<Body>) -> String {
    let peer = request.extensions().get::<PeerInfo>();
    match peer.and_then(|peer| peer.identity.as_ref()) {
        Some(Identity::Operator(name)) => format!("operator {name}"),
        Some(Identity::Agent(name)) => format!("agent {name}"),
        Some(Identity::Orchestrator) => "orchestrator".to_owned(),
        // Enrolment: the token is the credential, and the handler finds out whose it is.
        None => "a holder of a join token".to_owned(),
    }
}

/// The request's first message, and the body for the handler, as it came.
async fn read(body: Body) -> (Option<Bytes>, Body) {
    let mut frames = BodyStream::new(body);
    let mut came = Vec::new();
    let mut bytes = BytesMut::new();
    while let Some(frame) = frames.next().await {
        if let Ok(data) = frame.as_ref().map(Frame::data_ref)
            && let Some(data) = data
        {
            bytes.extend_from_slice(data);
        }
        let broken = frame.is_err();
        came.push(frame);
        if broken || bytes.len() > LONGEST_REQUEST {
            break;
        }
    }
    let whole = bytes.len() <= LONGEST_REQUEST;
    let body = Body::new(StreamBody::new(stream::iter(came).chain(frames)).boxed_unsync());
    (first_message(bytes.freeze()).filter(|_| whole), body)
}

fn first_message(mut bytes: Bytes) -> Option<Bytes> {
    if bytes.len() < PREFIX || bytes.get_u8() != 0 {
        return None;
    }
    let length = usize::try_from(bytes.get_u32()).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

fn shown(rpc: OrchestratorRpc, message: Option<Bytes>) -> Value {
    let Some(message) = message else {
        return json!({ "not_shown": "the request is too long, compressed, or no message" });
    };
    match json::of_request(rpc.path(), &message) {
        Ok(request) => audit::shown(request),
        Err(error) => json!({ "not_shown": error.to_string() }),
    }
}

fn refusal(status: &Status) -> Value {
    let details = Details::of(status);
    let mut result = json!({ "code": format!("{:?}", status.code()), "message": status.message() });
    if let (Some(reason), Value::Object(members)) = (details.reason, &mut result) {
        members.insert("reason".to_owned(), reason.into());
    }
    audit::shown(result)
}

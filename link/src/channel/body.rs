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

use super::lost;
use crate::io::{LinkHandle, OpenCall};

/// The body of an answer; ends with an error as soon as its connection ends.
pub struct LinkBody {
    inner: Incoming,
    label: String,
    link: LinkHandle,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    open: Option<OpenCall>,
}

impl LinkBody {
    pub(super) fn new(inner: Incoming, label: String, link: LinkHandle, open: Option<OpenCall>) -> Self {
        Self {
            inner,
            label,
            ended: Box::pin(link.cancelled()),
            link,
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
            Poll::Ready(Some(Err(error))) if !self.link.is_ended() => {
                Some(Err(Status::from_error(Box::new(error))))
            }
            Poll::Ready(Some(Err(_))) => Some(Err(lost(&self.label, &self.link))),
            Poll::Pending => match self.ended.as_mut().poll(cx) {
                Poll::Ready(()) => Some(Err(lost(&self.label, &self.link))),
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
